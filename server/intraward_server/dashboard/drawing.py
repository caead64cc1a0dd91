"""Charts of the dashboard: learning over rounds, and norms of updates against their bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from intraward_server.dashboard.view import RoundView, SiteView, View
from intraward_shared.pages import charts, numerals
from intraward_shared.pages.charts import Reference, Series

REWARD, POLICY = ("reward",), ("ppo", "rloo", "dpo")


@dataclass(frozen=True)
class Chart:
    """A drawing under its heading, with what it says in a sentence."""

    heading: str
    drawing: Markup
    told: str


def curves(view: View) -> list[Chart]:
    """Evaluation on the coordinator's own data after each round; only what was measured."""
    wanted = [_reward(view.rounds), _policy(view.rounds), _kl(view.rounds), _loss(view.rounds), norms(view)]
    return [chart for chart in wanted if chart is not None]


def spending(view: View) -> list[tuple[SiteView, Markup]]:
    """Each site's epsilon: what its answers released, and what it was asked to reserve."""
    scale = max((site.asked for site in view.sites), default=0.0)
    return [(site, _spent(site, scale)) for site in view.sites]


def norms(view: View) -> Chart | None:
    """Largest and smallest norm of a round's updates, as a share of the bound that admission held."""
    rounds = [each for each in view.rounds if each.norms and each.bound]
    largest = tuple((each.number, 100 * max(each.norms.values()) / (each.bound or 1.0)) for each in rounds)
    smallest = tuple((each.number, 100 * min(each.norms.values()) / (each.bound or 1.0)) for each in rounds)
    return _chart(
        "Norm of the updates",
        "in per cent of the largest that admission takes, which honest training cannot pass",
        [Series("largest", largest), Series("smallest", smallest, "two")],
        numerals.decimal,
    )


def _reward(rounds: Sequence[RoundView]) -> Chart | None:
    known = [each for each in rounds if each.stage in REWARD and "accuracy" in each.figures]
    base = known[-1].figures.get("length_baseline") if known else None
    return _chart(
        "Reward model: accuracy on held-out pairs",
        "beside the rule that the longer answer wins",
        [Series("reward model", tuple((each.number, each.figures["accuracy"]) for each in known))],
        numerals.percent,
        [] if base is None else [Reference("length alone", base)],
    )


def _policy(rounds: Sequence[RoundView]) -> Chart | None:
    return _chart(
        "Policy: reward on held-out prompts",
        "where the gold judge falls and the reward model's score rises, the policy games its reward model",
        [
            Series("gold judge", _figure(rounds, "gold_reward")),
            Series("reward model", _figure(rounds, "proxy_reward"), "two"),
        ],
        numerals.decimal,
    )


def _kl(rounds: Sequence[RoundView]) -> Chart | None:
    series = [Series("KL", _figure(rounds, "kl"), "two")]
    return _chart("Policy: KL from the sft policy", "in nats, over whole answers", series, _three_digits)


def _loss(rounds: Sequence[RoundView]) -> Chart | None:
    series = [Series("loss", _figure(rounds, "loss", ("sft",)))]
    return _chart("SFT: loss on held-out records", "per token, in nats", series, numerals.decimal)


def _figure(
    rounds: Sequence[RoundView], name: str, stages: tuple[str, ...] = POLICY
) -> tuple[tuple[float, float | None], ...]:
    return tuple((each.number, each.figures.get(name)) for each in rounds if each.stage in stages)


def _chart(
    heading: str,
    told: str,
    series: Sequence[Series],
    shown: Callable[[float], str],
    references: Sequence[Reference] = (),
) -> Chart | None:
    ticks = (lambda value: numerals.percent(value, 0)) if shown is numerals.percent else numerals.level
    label = f"{heading}, after each round"
    drawing = charts.line_chart(label, series, references=references, shown=shown, ticks=ticks)
    return None if drawing is None else Chart(heading, drawing, told)


def _three_digits(value: float) -> str:
    """Of a figure that may be tiny."""
    return numerals.level(float(f"{value:.3g}"))


def _spent(site: SiteView, scale: float) -> Markup:
    full = max(scale * 1.1, 1e-9)
    return charts.gauge(site.released, full=full, reference=site.asked or None)
