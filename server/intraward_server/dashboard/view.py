"""What the pages show, read from the coordinator's folder as one frozen tree.

Rule 9 of DESIGN.md: signed files are verified as they are read; one that was altered is named on the page and
not shown. Epsilon is what this coordinator asked for, by PLD: a hospital's ledger may hold more (retries
after a crash, other programs), and it alone is the account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from intraward_server.authority import expiries
from intraward_server.checkpoint import ProgramState, load_state, read_history
from intraward_server.dashboard.releases import (
    GateView,
    ReleaseView,
    decided_on,
    read_releases,
    revoked_adapters,
)
from intraward_server.home import ServerHome
from intraward_server.members import read_members
from intraward_server.plans import Position, positions
from intraward_shared.errors import ConfigError, IntrawardError
from intraward_shared.expiry import warnings
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.program import ProgramConfig, load_program
from intraward_shared.protocol import PLAN_DOMAIN, Mechanism, RoundPlan, open_signed
from intraward_shared.signed_adapter import MANIFEST_FILE, read_manifest

DELTA = 1e-5
"""The largest delta that a hospital may have; with a smaller one of its own, its epsilon is higher."""

__all__ = ["GateView", "ReleaseView", "View", "read_view"]


@dataclass(frozen=True)
class RoundView:
    """A finished round. ``norms``: of each update as it was admitted, at most ``bound``."""

    number: int
    stage: str
    stage_round: int
    iteration: int
    free: bool
    sites: tuple[str, ...]
    missing: Mapping[str, str]
    bytes: int
    seconds: float | None
    finished: str
    adapter: str
    norms: Mapping[str, float]
    bound: float | None
    figures: Mapping[str, Any]


@dataclass(frozen=True)
class PendingView:
    """The round that comes next, or is asked for: then it is ``planned``, with its plan's times.

    ``answered``: sites whose update was admitted so far; a simulated plan has no times.
    """

    number: int
    stage: str
    stage_round: int
    charged: bool
    planned: bool = False
    slot: str = ""
    expires: str = ""
    answered: tuple[str, ...] = ()


@dataclass(frozen=True)
class SiteView:
    """One site. ``seen`` is when its last update was admitted and summed; ``standing`` what it is now.

    ``released`` is epsilon of the charged rounds that it answered, ``asked`` of all that it was asked to
    reserve: the whole signed schedule, once the first charged round has begun.
    """

    name: str
    standing: str
    enrolled: str
    seen: str
    last_round: int | None
    answered: int
    last_code: str
    released: float
    asked: float
    ledger_head: int | None
    norms: tuple[tuple[int, float, float | None], ...]


@dataclass(frozen=True)
class AdapterView:
    """A signed adapter; ``roles`` are what it is used as now, ``problem`` why it is not shown.

    ``decisions``: what hospitals decided about it, one line each.
    """

    name: str
    stage: str = ""
    round: int = 0
    iteration: int = 1
    parents: tuple[str, ...] = ()
    sites: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    revoked: str = ""
    decisions: tuple[str, ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class View:
    """Everything that the pages show."""

    program: str
    run_id: str
    status: str
    simulated: bool
    quorum: int
    rounds_in_all: int
    iterations: int
    base_model: str
    read_at: str
    rounds: tuple[RoundView, ...]
    skipped: tuple[int, ...]
    pending: PendingView | None
    sites: tuple[SiteView, ...]
    adapters: tuple[AdapterView, ...]
    evaluation: Mapping[str, Any] = field(repr=False)
    releases: tuple[ReleaseView, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def done(self) -> int:
        """Rounds that are over, given up ones among them."""
        return len(self.rounds) + len(self.skipped)


def read_view(root: Path, public: str, now: datetime | None = None) -> View:
    """Read the folder.

    Args:
        root: the coordinator's folder.
        public: its public key (hex), which signed what is in it.
        now: the moment of reading; the clock's by default.

    Raises:
        ConfigError, ContractError: program, state or member list is missing or was altered.
    """
    home, now = ServerHome(root), now or datetime.now(UTC)
    config = load_program(home.program)
    state, every = load_state(home.state), positions(config)
    rounds = _rounds(home, state)
    pending = _pending(home, public, every, state)
    problems: list[str] = []
    releases = read_releases(home, public, problems)
    ends = list(expiries(home.authority, home.server_certificate)) if home.authority.exists() else []
    return View(
        program=config.program.name,
        run_id=state.run_id if state else "",
        status=state.status if state else "not begun",
        simulated=config.program.simulated,
        quorum=config.program.quorum,
        rounds_in_all=len(every),
        iterations=config.program.iterations,
        base_model=state.base_model if state else "",
        read_at=_time(now),
        rounds=rounds,
        skipped=state.skipped if state else (),
        pending=pending,
        sites=_sites(home, public, config, every, rounds, pending, state),
        adapters=_adapters(home, public, state, problems),
        evaluation=_evaluation(home),
        releases=releases,
        warnings=(*warnings(ends, now), *problems),
    )


def _rounds(home: ServerHome, state: ProgramState | None) -> tuple[RoundView, ...]:
    """Finished rounds, oldest first; a line of one that is not finished yet is left out."""
    finished = {done.round for done in state.rounds} if state else set()
    return tuple(_round(line) for line in read_history(home.history) if line["round"] in finished)


def _round(line: Mapping[str, Any]) -> RoundView:
    return RoundView(
        number=line["round"],
        stage=line["stage"],
        stage_round=line["stage_round"],
        iteration=line["iteration"],
        free=line["free"],
        sites=tuple(line["sites"]),
        missing=line["missing"],
        bytes=line["bytes"],
        seconds=line.get("seconds"),
        finished=line.get("finished", ""),
        adapter=line["adapter"] or "",
        norms=line.get("norms", {}),
        bound=line.get("norm_bound"),
        figures=line["figures"],
    )


def _pending(
    home: ServerHome, public: str, every: Sequence[Position], state: ProgramState | None
) -> PendingView | None:
    number = state.next_round if state else 1
    if number > len(every):
        return None
    at, path = every[number - 1], home.plan(number)
    coming = PendingView(number, at.stage.stage.value, at.stage_round, at.stage.mechanism is not None)
    if state is None or not path.exists():
        return coming
    plan = open_signed(path.read_bytes(), PLAN_DOMAIN, RoundPlan, public)
    if (plan.run_id, plan.round) != (state.run_id, number):
        return coming
    answered = tuple(sorted(path.stem for path in home.inbox(plan.digest).glob("*.sealed")))
    slot = "" if plan.simulated else plan.slot_time
    expires = "" if plan.simulated else plan.expires
    return replace(coming, planned=True, slot=slot, expires=expires, answered=answered)


def _sites(
    home: ServerHome,
    public: str,
    config: ProgramConfig,
    every: Sequence[Position],
    rounds: Sequence[RoundView],
    pending: PendingView | None,
    state: ProgramState | None,
) -> tuple[SiteView, ...]:
    members = read_members(home, public)
    mechanisms = {at.round: at.stage.mechanism for at in every if at.stage.mechanism is not None}
    begun = pending is not None and pending.planned and pending.number in mechanisms
    reserved = begun or any(each.number in mechanisms for each in rounds)
    asked = _epsilon(list(mechanisms.values())) if reserved else 0.0
    found = []
    for name in config.cohort:
        own = [each for each in rounds if name in each.sites]
        member = members.find(name)
        head = state.heads.get(name) if state else None
        revoked = member.revoked if member else None
        standing = f"revoked {revoked.time}: {revoked.reason}" if revoked else "in the program"
        if pending is not None and name in pending.answered:
            standing = f"has answered round {pending.number}"
        found.append(
            SiteView(
                name=name,
                standing=standing,
                enrolled=member.enrolled if member else "",
                seen=own[-1].finished if own else "",
                last_round=own[-1].number if own else None,
                answered=len(own),
                last_code=rounds[-1].missing.get(name, "") if rounds else "",
                released=_epsilon([mechanisms[r.number] for r in own if r.number in mechanisms]),
                asked=asked,
                ledger_head=head.sequence if head else None,
                norms=tuple((r.number, r.norms[name], r.bound) for r in own if name in r.norms),
            )
        )
    return tuple(found)


def _epsilon(mechanisms: Sequence[Mechanism]) -> float:
    return events_to_epsilon(mechanisms, DELTA)


def _adapters(
    home: ServerHome, public: str, state: ProgramState | None, problems: list[str]
) -> tuple[AdapterView, ...]:
    """Newest first; those of one round in the order of their digests."""
    named = {"policy": state.policy, "reward model": state.reward, "sft policy": state.sft} if state else {}
    revoked = revoked_adapters(home, public, problems)
    decided = decided_on(home, public, problems)
    found = []
    for path in sorted(home.adapters.glob(f"*/{MANIFEST_FILE}")):
        try:
            manifest, _ = read_manifest(path.parent, public)
        except IntrawardError as error:
            found.append(AdapterView(path.parent.name, problem=error.message))
            continue
        found.append(
            AdapterView(
                name=manifest.digest,
                stage=manifest.stage.value,
                round=manifest.round,
                iteration=manifest.iteration,
                parents=manifest.parents,
                sites=tuple(sorted(manifest.ledger_heads)),
                roles=tuple(role for role, name in named.items() if name == manifest.digest),
                revoked=revoked.get(manifest.digest, ""),
                decisions=decided.get(manifest.digest, ()),
            )
        )
    return tuple(sorted(found, key=lambda each: -each.round))


def _evaluation(home: ServerHome) -> Mapping[str, Any]:
    if not home.evaluation.exists():
        return {}
    try:
        value = json.loads(home.evaluation.read_bytes())
    except ValueError:
        raise ConfigError(home.evaluation, "", "not JSON", remedy="restore it from your backup") from None
    return value if isinstance(value, dict) else {}


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
