"""Agreement and raters as lines and tables for the command line; figures only, no text of a record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from intraward_client.labeling.agreement import Report
from intraward_client.labeling.drift import watch
from intraward_client.labeling.judgment import Item, Vote
from intraward_client.labeling.raters import crowd_bt, gold_scores
from intraward_client.labeling.reliability import Estimate


def lines(report: Report) -> Iterator[str]:
    """One line for each question and specialty, then rankings, position bias, repeats."""
    for question in report.questions:
        if not question.items:
            continue
        name = question.question + (f" ({question.specialty})" if question.specialty else "")
        yield (
            f"{name:<40} {question.items:>5} items  alpha {_told(question.alpha):<20} "
            f"{question.verdict:<9}  same {_told(question.percent)}"
        )
    for ranked in report.rankings:
        if ranked.tau is not None or ranked.w is not None:
            name = "order" + (f" ({ranked.specialty})" if ranked.specialty else "")
            yield f"{name:<40} {ranked.items:>5} items  tau {_told(ranked.tau)}  W {_told(ranked.w)}"
    for bias in report.position:
        low, high = bias.interval
        told = "BIASED" if bias.biased else "as expected"
        yield (
            f"the first of {bias.answers} answers won {bias.share:.0%} of {bias.votes} "
            f"({low:.0%} to {high:.0%}; {bias.expected:.0%} without bias): {told}"
        )
    if report.repeats is not None:
        yield f"raters with themselves: same {_told(report.repeats.percent)}"


def people(votes: Sequence[Vote], items: Sequence[Item]) -> list[dict[str, Any]]:
    """Each rater's work: gold score, Crowd-BT eta, alarms. For people to look at; nothing trains on it."""
    scores = {score.rater: score for score in gold_scores(votes, items)}
    etas = {rater.rater: rater.eta for rater in crowd_bt([vote for vote in votes if vote.stage == "first"])}
    rows = []
    for watched in watch(votes, items):
        score = scores.get(watched.rater)
        rows.append(
            {
                "rater": watched.rater,
                "votes": watched.votes,
                "gold_pairs": score.pairs if score else 0,
                "gold_right": score.right if score else 0,
                "gold_interval": list(score.interval) if score else None,
                "gold_missed": score.missed if score else 0,
                "crowd_bt": etas.get(watched.rater),
                "straight": watched.straight,
                "first_place": watched.first_place,
                "seconds": watched.seconds,
                "alarms": list(watched.alarms),
            }
        )
    return rows


def _told(estimate: Estimate | None) -> str:
    if estimate is None:
        return "-"
    if estimate.interval is None:
        return f"{estimate.value:.2f}"
    return f"{estimate.value:.2f} ({estimate.interval[0]:.2f} to {estimate.interval[1]:.2f})"
