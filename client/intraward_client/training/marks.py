"""What the reward heads learn besides who won: ratings and failure flags of single answers (facts A.4).

Also which ensemble members learn from a record. Everything is a function of the record alone and of the
plan, and every shape is one of the plan's (rule 5 of DESIGN.md): a mark that is missing is a zero of a
mask, never a shorter row, so one record still moves the sum by C at most over all heads together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from intraward_client.store.datasets import HIGHEST_RATING, LOWEST_RATING, PairRecord, RankingRecord
from intraward_shared.modeling import Appraisal
from intraward_shared.protocol import RoundPlan
from intraward_shared.reward_heads import HeadTerms, RewardHeads

Comparison = PairRecord | RankingRecord


def answers_of(record: Comparison) -> tuple[str, ...]:
    """The answers of a comparison, in the order of its marks."""
    return record.answers if isinstance(record, RankingRecord) else (record.chosen, record.rejected)


def member_shares(plan: RoundPlan, records: Sequence[Comparison], site: str = "") -> list[list[float]]:
    """Weight of each record in each member's loss, ``records`` lists of ``members`` numbers that sum to 1.

    Where each site has a head of its own, every record goes to ``site``'s. Of several members of a shared
    head each record is kept from one, whom a keyed hash of its own text names: a committee by
    cross-validation (Krogh and Vedelsby 1995). A bootstrap's halves would differ more but waste records.
    """
    members = plan.lora.reward.members
    if (own := plan.lora.reward.member_of(site, plan.cohort)) is not None:
        return [[float(member == own) for member in range(members)] for _ in records]
    if members == 1:
        return [[1.0] for _ in records]
    left_out = [_fold(plan.run_id, record, members) for record in records]
    share = 1 / (members - 1)
    return [[0.0 if member == out else share for member in range(members)] for out in left_out]


def _fold(run_id: str, record: Comparison, members: int) -> int:
    text = json.dumps([record.prompt, *answers_of(record)]).encode()
    found = hashlib.blake2b(
        text, key=run_id.encode()[:64], digest_size=8, person=b"intraward member"
    ).digest()
    return int.from_bytes(found, "big") % members


def graded_margin(record: Comparison, better: int, worse: int, terms: HeadTerms) -> float:
    """Margin between two answers of a record by their ratings; 0 without both, and never negative.

    Args:
        better, worse: places of the answers in the record.
    """
    if terms.margin_criterion is None or terms.margin_scale is None or not record.marks:
        return 0.0
    one, two = (dict(record.marks[place].ratings).get(terms.margin_criterion) for place in (better, worse))
    if one is None or two is None:
        return 0.0
    return terms.margin_scale * max(0.0, one - two) / (HIGHEST_RATING - LOWEST_RATING)


def mark_losses(
    found: Appraisal, heads: RewardHeads, terms: HeadTerms, records: Sequence[Comparison], owner: Tensor
) -> Tensor:
    """Loss of each record's marks ``(records,)``: squared error of ratings, cross-entropy of flags.

    Divided by the record's own answers times the plan's criteria (flags), so that a mark weighs the same
    whoever else was marked.

    Args:
        owner: record of each row of ``found``.
    """
    rows = [(record, answer) for record in records for answer in range(len(answers_of(record)))]
    total = found.members.new_zeros(len(records))
    each = torch.bincount(owner, minlength=len(records)).to(total)
    if heads.criteria:
        wanted, given = (total.new_tensor(part) for part in _ratings(rows, heads.criteria))
        error = ((found.criteria - wanted).square() * given).sum(-1)
        total = total + terms.criteria_loss * total.new_zeros(len(records)).index_add(0, owner, error) / (
            each * len(heads.criteria)
        )
    if heads.flags:
        wanted, given = (total.new_tensor(part) for part in _flags(rows, heads.flags))
        error = (binary_cross_entropy_with_logits(found.flags, wanted, reduction="none") * given).sum(-1)
        total = total + terms.flags_loss * total.new_zeros(len(records)).index_add(0, owner, error) / (
            each * len(heads.flags)
        )
    return total


Table = list[list[float]]


def _ratings(rows: Sequence[tuple[Comparison, int]], names: Sequence[str]) -> tuple[Table, Table]:
    """Ratings on the scale -1 (worst) to 1 (best), and where one was given; both ``(rows, names)``."""
    middle, half = (HIGHEST_RATING + LOWEST_RATING) / 2, (HIGHEST_RATING - LOWEST_RATING) / 2
    marks = [dict(record.marks[answer].ratings) if record.marks else {} for record, answer in rows]
    return (
        [[(mark.get(name, middle) - middle) / half for name in names] for mark in marks],
        [[float(name in mark) for name in names] for mark in marks],
    )


def _flags(rows: Sequence[tuple[Comparison, int]], names: Sequence[str]) -> tuple[Table, Table]:
    """Whether a failure was marked, and where anything was said of it; both ``(rows, names)``."""
    marks = [dict(record.marks[answer].flags) if record.marks else {} for record, answer in rows]
    return (
        [[float(mark.get(name, False)) for name in names] for mark in marks],
        [[float(name in mark) for name in names] for mark in marks],
    )
