"""The same figures for Prometheus: its text format 0.0.4, from the view, nothing kept between two readings.

Only gauges: each reading is of the folder as it is. A figure that is not there has no line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from intraward_server.dashboard.view import View

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Sample = tuple[dict[str, str], float]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_FIGURES = ("accuracy", "length_baseline", "kl", "proxy_reward", "gold_reward", "loss")


def metrics(view: View) -> str:
    """Every line of ``/metrics``."""
    return "".join(_family(name, told, samples) for name, told, samples in _families(view))


def _families(view: View) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    yield (
        "program_finished",
        "1 when every round and the last evaluation are done.",
        [({"run": view.run_id}, float(view.status == "finished"))],
    )
    yield "rounds", "Rounds of the whole program.", [({}, float(view.rounds_in_all))]
    yield "rounds_done", "Rounds that are over, given up ones among them.", [({}, float(view.done))]
    yield "rounds_skipped", "Rounds given up by the operator.", [({}, float(len(view.skipped)))]
    answered = len(view.pending.answered) if view.pending else 0
    yield (
        "pending_answers",
        "Updates admitted so far in the round that is asked for.",
        [({}, float(answered))],
    )
    yield "warnings", "Warnings on the first page.", [({}, float(len(view.warnings)))]
    sites = view.sites
    yield (
        "site_revoked",
        "1 when the site is revoked.",
        [({"site": s.name}, float(s.standing.startswith("revoked"))) for s in sites],
    )
    yield (
        "site_rounds_answered",
        "Rounds whose update of this site was summed.",
        [({"site": s.name}, float(s.answered)) for s in sites],
    )
    yield (
        "site_last_seen_timestamp_seconds",
        "When its last update was summed.",
        [({"site": s.name}, _seconds(s.seen)) for s in sites if s.seen],
    )
    yield (
        "site_epsilon_released",
        "Epsilon (PLD, delta 1e-5) of the charged rounds it answered here.",
        [({"site": s.name}, s.released) for s in sites],
    )
    yield (
        "site_epsilon_asked",
        "Epsilon (PLD, delta 1e-5) of what it was asked to reserve here.",
        [({"site": s.name}, s.asked) for s in sites],
    )
    yield (
        "site_update_norm",
        "Norm of its last update.",
        [({"site": s.name}, s.norms[-1][1]) for s in sites if s.norms],
    )
    yield from _last_round(view)
    gates = view.releases[0].gates if view.releases else ()
    yield (
        "release_gate_passed",
        "1 when the newest release passed the gate.",
        [({"gate": g.name}, float(g.status in ("passed", "not measured"))) for g in gates],
    )


def _last_round(view: View) -> Iterator[tuple[str, str, Iterable[Sample]]]:
    last = view.rounds[-1] if view.rounds else None
    label = {"stage": last.stage} if last else {}
    seconds = [] if last is None or last.seconds is None else [(label, last.seconds)]
    yield "round_seconds", "How long the last round took.", seconds
    yield (
        "round_bytes",
        "Bytes of all updates of the last round.",
        [(label, float(last.bytes))] if last else [],
    )
    yield (
        "round_norm_bound",
        "Largest norm that was taken in the last round.",
        ([(label, last.bound)] if last and last.bound is not None else []),
    )
    for name in _FIGURES:
        known = [each for each in view.rounds if isinstance(each.figures.get(name), float)]
        yield (
            f"evaluation_{name}",
            f"The newest {name.replace('_', ' ')} on the coordinator's own data.",
            ([({"stage": known[-1].stage}, known[-1].figures[name])] if known else []),
        )


def _family(name: str, told: str, samples: Iterable[Sample]) -> str:
    lines = [f"intraward_{name}{_labels(labels)} {value!r}" for labels, value in samples]
    if not lines:
        return ""
    head = [f"# HELP intraward_{name} {told}", f"# TYPE intraward_{name} gauge"]
    return "\n".join([*head, *lines]) + "\n"


def _labels(labels: dict[str, str]) -> str:
    inside = ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items())
    return f"{{{inside}}}" if inside else ""


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time).timestamp()
