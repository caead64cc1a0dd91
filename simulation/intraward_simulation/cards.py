"""The four large figures at the top of the report, each beside what it must be compared with.

A figure without its comparison flatters: accuracy stands beside "the longer answer wins", reward
beside the policy before RL, epsilon beside its cap, identifiers found beside identifiers planted.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from intraward_shared.pages import charts, numerals
from intraward_simulation import figures, wording
from intraward_simulation.report_data import ReportData, RewardModelFacts
from intraward_simulation.wording import Tone


@dataclass(frozen=True)
class Card:
    """One large figure. ``verdict`` says in words what the colour says."""

    heading: str
    value: str
    against: str
    detail: str
    verdict: str
    tone: Tone
    drawing: Markup | None = None

    @property
    def measured(self) -> bool:
        """Whether there is a figure at all."""
        return self.value != numerals.MISSING


def cards(data: ReportData) -> tuple[Card, ...]:
    """Reward model, policy, privacy, egress: always these four, in this order."""
    return _reward_model(data), _policy(data), _privacy(data), _identifiers(data)


def _missing(heading: str, detail: str) -> Card:
    return Card(heading, numerals.MISSING, "", detail, "", "plain")


def _reward_model(data: ReportData) -> Card:
    facts, heading = data.reward_model, "Reward model accuracy"
    if facts.accuracy is None:
        return _missing(heading, "No held-out pairs were scored in this run.")
    base = facts.length_baseline
    verdict, tone = _compare_accuracy(data)
    pairs = "" if facts.pairs is None else f" on {facts.pairs:,} held-out pairs"
    pairs += _worst_site(facts)
    spread = (
        f"95 % interval {numerals.between(facts.accuracy_interval, share=True)}"
        if facts.accuracy_interval
        else ""
    )
    return Card(
        heading,
        numerals.percent(facts.accuracy),
        f"against {numerals.percent(base)} by length alone"
        if base is not None
        else "length baseline not measured",
        f"{spread}{pairs}".strip(),
        verdict,
        tone,
        charts.gauge(facts.accuracy, full=1.0, reference=base, interval=facts.accuracy_interval),
    )


def _worst_site(facts: RewardModelFacts) -> str:
    """The worst site beside the mean of them, where sites were told apart."""
    for what, worst, mean, site in (
        ("on the pairs", facts.worst_site_accuracy, facts.mean_site_accuracy, facts.worst_site_accuracy_of),
        ("of the own head", facts.worst_own_head, facts.mean_own_head, facts.worst_own_head_of),
    ):
        if worst is not None:
            told = f"{numerals.percent(worst)} {what} of the worst site, {site}"
            return f"; {told}, mean of sites {numerals.percent(mean)}"
    return ""


def _compare_accuracy(data: ReportData) -> tuple[str, Tone]:
    facts = data.reward_model
    if facts.accuracy is None or facts.length_baseline is None:
        return "", "plain"
    low = facts.accuracy_interval[0] if facts.accuracy_interval else facts.accuracy
    high = facts.length_baseline_interval[1] if facts.length_baseline_interval else facts.length_baseline
    if low > high:
        return "clearly better than length", "good"
    return (
        ("better than length, intervals overlap", "plain")
        if facts.accuracy > facts.length_baseline
        else (
            "no better than length",
            "bad",
        )
    )


def _policy(data: ReportData) -> Card:
    facts, heading = data.policy, "True reward after RL"
    if facts.reward_rl is None or facts.reward_sft is None:
        return _missing(heading, "No policy was trained by RL, or its reward is not known.")
    verdict, tone = _judge_gain(facts.reward_rl - facts.reward_sft, facts.reward_gain_interval)
    detail = f"change {numerals.signed(facts.reward_rl - facts.reward_sft)}"
    if facts.reward_gain_interval is not None:
        detail += f" (95 % interval {numerals.between(facts.reward_gain_interval)})"
    if facts.win_rate is not None:
        detail += f"; preferred to SFT in {numerals.percent(facts.win_rate, 0)}"
        detail += _in_brackets(numerals.between(facts.win_rate_interval, share=True))
    low, high = sorted((facts.reward_sft, facts.reward_rl))
    start, full = (
        min(0.0, low - 0.2 * (high - low)),
        max(high + 0.25 * (high - low), high * 1.1, start_of(low)),
    )
    return Card(
        heading,
        numerals.decimal(facts.reward_rl),
        f"against {numerals.decimal(facts.reward_sft)} after SFT",
        detail,
        verdict,
        tone,
        charts.gauge(facts.reward_rl, full=full, start=start, reference=facts.reward_sft),
    )


def start_of(low: float) -> float:
    """A right edge for a gauge whose values are zero or less."""
    return 0.1 if low <= 0 else low


def _in_brackets(content: str) -> str:
    return f" ({content})" if content else ""


def _judge_gain(gain: float, interval: tuple[float, float] | None) -> tuple[str, Tone]:
    if interval is None:
        return ("higher, without an interval", "plain") if gain > 0 else ("no gain", "bad")
    if interval[0] > 0:
        return "better, interval excludes 0", "good"
    return (
        ("worse, interval excludes 0", "bad")
        if interval[1] < 0
        else ("no gain shown, interval holds 0", "plain")
    )


def _privacy(data: ReportData) -> Card:
    heading, site = "Privacy spent, at most", wording.nearest_to_cap(data)
    if site is None or site.total is None:
        return _missing(heading, "No ledger holds a mechanism with a finite epsilon.")
    over = any((one.total or 0) > one.cap for one in data.privacy.sites)
    apart = data.privacy.accountants_differ_by
    agree = "" if apart is None else f"; both accountants agree within {numerals.epsilon(apart, 4)}"
    return Card(
        heading,
        f"ε {numerals.epsilon(site.total)}",
        f"of a cap of {numerals.cap(site.cap)} per {data.privacy.unit}",
        f"δ {numerals.small(site.delta)}, {data.privacy.adjacency}{agree}",
        "over the cap" if over else "within the cap",
        "bad" if over else "good",
        charts.gauge(site.total, full=max(site.cap * 1.15, site.total), reference=site.cap, bad=over),
    )


def _identifiers(data: ReportData) -> Card:
    facts, heading = data.egress, "Identifiers found outside"
    if facts.identifiers_found is None or facts.identifiers_planted is None:
        return _missing(heading, "No identifiers were planted, so nothing could be looked for.")
    scanned = "" if facts.scanned_bytes is None else f"{numerals.size(facts.scanned_bytes)} searched"
    control = (
        ""
        if facts.control_found is None
        else f"the same search finds {facts.control_found:,} in the raw notes"
    )
    verdict, tone = _judge_search(data)
    return Card(
        heading,
        f"{facts.identifiers_found:,}",
        f"of {facts.identifiers_planted:,} planted",
        "; ".join(part for part in (scanned, control) if part),
        verdict,
        tone,
        figures.planted_grid(facts.identifiers_planted, facts.identifiers_found),
    )


def _judge_search(data: ReportData) -> tuple[str, Tone]:
    if data.egress.identifiers_found:
        return "a leak", "bad"
    if wording.search_is_blind(data):
        return "the search itself misses some", "bad"
    return "nothing found", "good"
