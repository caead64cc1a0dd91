"""A judgment as a form: places on the screen in, `Vote` in the item's own order out, and back again.

A form names places (0 is left) and never an answer's id. Everything is checked here and in `Vote` itself;
what does not fit is told in words, and nothing is lost, because the form is kept as a draft.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from starlette.datastructures import FormData

from intraward_client.labeling.judging import ESCALATED, SKIP_REASONS
from intraward_client.labeling.judgment import NOT_SAID, Flag, Vote
from intraward_client.labeling.queue import Turn
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.web.guard import field
from intraward_shared.errors import ContractError

LONGEST_TEXT = 20_000
"""Characters of a rationale or correction; what the de-identifier reads at once."""
_SPAN = re.compile(r"(\d{1,7})-(\d{1,7})")
_TIE = "tie"
_RANKS = ("1", "2", "3", "4")
KEPT = re.compile(
    r"(?:choice|strength|unacceptable|rationale|correction|rank-\d|(?:rate|flag|span)-\d-[a-z0-9_-]+)"
)
"""Names of the fields that a draft keeps."""


def draft_fields(form: FormData) -> dict[str, str]:
    """What of a form is worth keeping as a draft: whole, however long a text is."""
    return {
        name: value
        for name, value in form.items()
        if isinstance(value, str) and value and KEPT.fullmatch(name)
    }


def read_vote(
    form: FormData,
    turn: Turn,
    rater: str,
    rubric: Rubric,
    lengths: Callable[[], Sequence[int]],
    seconds: float,
) -> Vote:
    """The judgment of a form.

    Args:
        lengths: gives the characters of each answer, in the item's order; a flag's passage lies within.

    Raises:
        ContractError: says what is missing or does not fit.
    """
    rationale, correction = (field(form, name, LONGEST_TEXT + 1) for name in ("rationale", "correction"))
    if max(len(rationale), len(correction)) > LONGEST_TEXT:
        raise ContractError("A comment is longer than 20,000 characters.", remedy="Shorten it.")
    action = field(form, "action")
    if action in ("skip", "escalate"):
        reason = ESCALATED if action == "escalate" else field(form, "skip_reason")
        if reason not in (*SKIP_REASONS, ESCALATED):
            raise ContractError("Please say why you skip this item.", remedy="Choose a reason.")
        return Vote(
            turn.item.item_id,
            rater,
            skipped=reason,
            escalated=action == "escalate",
            rationale=rationale,
            seconds=seconds,
            stage=turn.stage,
        )
    count = len(turn.shown)
    by_place = _ranks(form, count)
    strength = field(form, "strength")
    ranks = _in_order(by_place, turn.shown)
    tied = len(set(ranks)) == 1
    return Vote(
        turn.item.item_id,
        rater,
        ranks=ranks,
        strength=int(strength) if strength in ("1", "2", "3") and not tied else NOT_SAID,
        all_unacceptable=field(form, "unacceptable") == "1",
        ratings=_in_order([_ratings(form, place, rubric) for place in range(count)], turn.shown),
        flags=_in_order(
            [
                _flags(form, place, rubric, partial(_length, lengths, turn.shown[place]))
                for place in range(count)
            ],
            turn.shown,
        ),
        rationale=rationale,
        correction=correction,
        seconds=seconds,
        stage=turn.stage,
        shown=turn.shown,
    )


def fill_form(vote: Vote, shown: Sequence[int]) -> dict[str, str]:
    """The fields of a form that would give this judgment: what `read_vote` reads."""
    fields = {"rationale": vote.rationale, "correction": vote.correction}
    if vote.ranks:
        fields |= {f"rank-{place}": str(vote.ranks[answer]) for place, answer in enumerate(shown)}
        best = [place for place, answer in enumerate(shown) if vote.ranks[answer] == 1]
        fields["choice"] = str(best[0]) if len(best) == 1 else _TIE
        fields["strength"] = str(vote.strength) if vote.strength else ""
        fields["unacceptable"] = "1" if vote.all_unacceptable else ""
        for place, answer in enumerate(shown):
            for criterion, rating in (vote.ratings[answer] if vote.ratings else {}).items():
                fields[f"rate-{place}-{criterion}"] = str(rating)
            for flag in vote.flags[answer] if vote.flags else ():
                fields[f"flag-{place}-{flag.kind}"] = "1"
                fields[f"span-{place}-{flag.kind}"] = f"{flag.start}-{flag.end}" if flag.end else ""
    return {name: value for name, value in fields.items() if value}


def _ranks(form: FormData, count: int) -> list[int]:
    """Rank by place; of two answers the one that was chosen, or a tie."""
    if count == 2 and (choice := field(form, "choice")):
        if choice == _TIE:
            return [1, 1]
        if choice in ("0", "1"):
            return [1, 2] if choice == "0" else [2, 1]
    given = [field(form, f"rank-{place}") for place in range(count)]
    if field(form, "unacceptable") == "1" and not any(given):
        return [1] * count
    if not all(value in _RANKS[:count] for value in given):
        raise ContractError(
            "Please say which answer is better." if count == 2 else "Please give every answer a rank.",
            remedy="Press a number key, or use the buttons. Equal is an answer too.",
        )
    order = sorted({int(value) for value in given})
    return [order.index(int(value)) + 1 for value in given]


def _ratings(form: FormData, place: int, rubric: Rubric) -> Mapping[str, int]:
    found = {}
    for criterion in rubric.criteria:
        value = field(form, f"rate-{place}-{criterion.key}")
        if value in ("1", "2", "3", "4", "5"):
            found[criterion.key] = int(value)
    return found


def _length(lengths: Callable[[], Sequence[int]], answer: int) -> int:
    return lengths()[answer]


def _flags(form: FormData, place: int, rubric: Rubric, length: Callable[[], int]) -> tuple[Flag, ...]:
    found = []
    for failure in rubric.failures:
        if field(form, f"flag-{place}-{failure.key}") == "1":
            match = _SPAN.fullmatch(field(form, f"span-{place}-{failure.key}"))
            start, end = (int(match[1]), min(int(match[2]), length())) if match else (0, 0)
            found.append(Flag(failure.key, start, end) if start < end else Flag(failure.key))
    return tuple(found)


def _in_order(by_place: Sequence[Any], shown: Sequence[int]) -> tuple[Any, ...]:
    """From places on the screen to the item's own order."""
    found: list[Any] = [None] * len(shown)
    for place, answer in enumerate(shown):
        found[answer] = by_place[place]
    return tuple(found)
