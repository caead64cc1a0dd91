"""What a person said of one item, and the item: the types that the whole label station passes around.

Everything in the order of the item's ``candidate_ids``, whatever place an answer had on the screen. A vote
is kept as it was given and never overwritten (facts B.2). Its content (all but who, when and which item) is
written as canonical JSON, which the station stores only encrypted under the patient's key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from intraward_client.store.datasets import HIGHEST_RATING, LOWEST_RATING
from intraward_shared.errors import ContractError
from intraward_shared.signing import canonical_json, parse_canonical

Stage = Literal["first", "adjudication", "repeat", "gold"]
STAGES: tuple[Stage, ...] = get_args(Stage)
Kind = Literal["answers", "summaries", "safety"]
"""What is judged; ``safety`` items are answers that three people see."""
KINDS: tuple[Kind, ...] = get_args(Kind)

NOT_SAID, SLIGHTLY, CLEARLY, MUCH = 0, 1, 2, 3
"""Strengths: how much better the best answer is than the worst."""
FEWEST_ANSWERS, MOST_ANSWERS = 2, 4
_AGAIN = "judge again"


@dataclass(frozen=True, slots=True, order=True)
class Flag:
    """A failure of one answer; ``start`` to ``end`` are its characters, 0 to 0 where it is of the whole."""

    kind: str
    start: int = 0
    end: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.start < self.end or self.start == self.end == 0):
            raise ContractError("a flag's passage is not a span of the answer", remedy=_AGAIN)


@dataclass(frozen=True, slots=True, repr=False)
class Vote:
    """One person's judgment of one item.

    Args:
        rater: the account's name.
        ranks: of each answer, 1 the best, equal ranks are ties, no rank left out; empty when skipped.
        strength: ``NOT_SAID`` to ``MUCH``; nothing was said where all answers are tied.
        all_unacceptable: none of the answers may be given to anyone; not a tie, an absolute judgment.
        ratings: by answer, criterion -> 1 (worst) to 5; empty when nothing was rated.
        flags: by answer, the failures that were marked; what is not marked was looked for and not seen.
        rationale, correction: free text; raw until it passed the de-identifier.
        skipped: reason code when the person did not judge.
        escalated: the person asks a senior to look.
        seconds: time on the item, without idle time.
        shown: ``shown[place]`` is the answer that stood at that place of the screen, left first.
    """

    item_id: str
    rater: str
    ranks: tuple[int, ...] = field(default=())
    strength: int = NOT_SAID
    all_unacceptable: bool = False
    ratings: tuple[Mapping[str, int], ...] = ()
    flags: tuple[tuple[Flag, ...], ...] = ()
    rationale: str = ""
    correction: str = ""
    skipped: str | None = None
    escalated: bool = False
    seconds: float = 0.0
    stage: Stage = "first"
    shown: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.skipped is not None:
            if self.ranks or self.ratings or self.flags or self.strength or self.all_unacceptable:
                raise ContractError("a skipped item was judged all the same", remedy=_AGAIN)
            return
        answers = len(self.ranks)
        if not FEWEST_ANSWERS <= answers <= MOST_ANSWERS or set(self.ranks) != set(
            range(1, max(self.ranks) + 1)
        ):
            raise ContractError("the ranks are not 1 and up, one for each of 2 to 4 answers", remedy=_AGAIN)
        if not NOT_SAID <= self.strength <= MUCH or (self.strength and self.tied):
            raise ContractError("the strength is not 1 to 3, or given where all are tied", remedy=_AGAIN)
        if any(marks and len(marks) != answers for marks in (self.ratings, self.flags, self.shown)):
            raise ContractError("ratings, flags or places are not one for each answer", remedy=_AGAIN)
        if self.shown and set(self.shown) != set(range(answers)):
            raise ContractError("the places are not an order of the answers", remedy=_AGAIN)
        if not all(
            LOWEST_RATING <= rating <= HIGHEST_RATING for rated in self.ratings for rating in rated.values()
        ):
            raise ContractError("a rating is not from 1 to 5", remedy=_AGAIN)

    def __repr__(self) -> str:
        return "Vote(<redacted>)"

    @property
    def tied(self) -> bool:
        """Whether no answer is better than another."""
        return len(set(self.ranks)) <= 1

    @property
    def judged(self) -> bool:
        """Whether the vote says anything about the answers."""
        return self.skipped is None

    def flagged(self, answer: int) -> frozenset[str]:
        """Kinds of failure that the vote marks in an answer."""
        return frozenset(flag.kind for flag in self.flags[answer]) if self.flags else frozenset()


@dataclass(frozen=True, slots=True, repr=False)
class GoldKey:
    """What a gold item's right judgment is.

    Args:
        ranks: as in `Vote`.
        flags: by answer, kinds of failure that must be found.
        explanation: shown in the course after the judgment; de-identified or public text.
    """

    ranks: tuple[int, ...]
    flags: tuple[frozenset[str], ...] = ()
    explanation: str = ""

    def __repr__(self) -> str:
        return "GoldKey(<redacted>)"


@dataclass(frozen=True, slots=True)
class Item:
    """A prompt with its answers, to be judged.

    Args:
        unit: the privacy unit of the patient that the prompt is about.
        candidate_ids: of the vault; the order of ranks, ratings and flags everywhere.
        seed: drawn once; the order of answers on the screen follows from it (`shown_order`).
        propensity: probability with which the item was chosen for labelling; 1 where all were.
    """

    item_id: str
    unit: str
    prompt_id: str
    candidate_ids: tuple[str, ...]
    kind: Kind = "answers"
    specialty: str = ""
    seed: str = field(default="", repr=False)
    propensity: float = 1.0
    gold: GoldKey | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not FEWEST_ANSWERS <= len(set(self.candidate_ids)) == len(self.candidate_ids) <= MOST_ANSWERS:
            raise ContractError(
                "an item is not of 2 to 4 different answers", remedy="leave it out, or generate more answers"
            )
        if not 0 < self.propensity <= 1:
            raise ContractError("an item's propensity is not above 0 and at most 1", remedy="select it anew")
        if self.kind not in KINDS:
            raise ContractError("an item's kind is not known", remedy=f"use one of {', '.join(KINDS)}")


def encode_vote(vote: Vote) -> str:
    """Content of a vote as canonical JSON; item and rater stand outside, in clear."""
    content: dict[str, Any] = {
        "ranks": vote.ranks,
        "strength": vote.strength,
        "all_unacceptable": vote.all_unacceptable,
        "ratings": [dict(rated) for rated in vote.ratings],
        "flags": [[[flag.kind, flag.start, flag.end] for flag in marked] for marked in vote.flags],
        "rationale": vote.rationale,
        "correction": vote.correction,
        "skipped": vote.skipped,
        "escalated": vote.escalated,
        "milliseconds": round(vote.seconds * 1000),
        "stage": vote.stage,
        "shown": vote.shown,
    }
    return canonical_json(content).decode("utf-8")


def decode_vote(item_id: str, rater: str, text: str) -> Vote:
    """What `encode_vote` made.

    Raises:
        ContractError: it is not the canonical JSON of a vote.
    """
    content = parse_canonical(text.encode("utf-8"))
    try:
        milliseconds, stage = content.pop("milliseconds"), content.pop("stage")
        if stage not in STAGES:
            raise ValueError
        return Vote(
            item_id,
            rater,
            ranks=tuple(content.pop("ranks")),
            ratings=tuple(content.pop("ratings")),
            flags=tuple(tuple(Flag(*flag) for flag in marked) for marked in content.pop("flags")),
            seconds=milliseconds / 1000,
            stage=stage,
            shown=tuple(content.pop("shown")),
            **content,
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ContractError("not the content of a vote", remedy="restore the station's database") from None


def encode_gold(gold: GoldKey) -> str:
    """A gold key as canonical JSON."""
    flags = [sorted(kinds) for kinds in gold.flags]
    content = {"ranks": gold.ranks, "flags": flags, "explanation": gold.explanation}
    return canonical_json(content).decode("utf-8")


def decode_gold(text: str) -> GoldKey:
    """What `encode_gold` made.

    Raises:
        ContractError: it is not the canonical JSON of a gold key.
    """
    content = parse_canonical(text.encode("utf-8"))
    try:
        flags = tuple(frozenset(kinds) for kinds in content["flags"])
        return GoldKey(tuple(content["ranks"]), flags, content["explanation"])
    except (KeyError, TypeError):
        raise ContractError("not a gold key", remedy="restore the station's database") from None
