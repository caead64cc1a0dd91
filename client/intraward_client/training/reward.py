"""The reward model: Bradley-Terry on comparisons, read at the last token (InstructGPT, step 2; facts A.4).

One comparison is one record, be it a pair or a ranking of several answers: its answers are rows of one
forward pass whose gradients fold into the record before anything is clipped. Ties count as half won. Under a
mechanism a pass has the plan's ``candidates`` rows for every record, so that its shape does not tell which
records rank more than two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.preference import bradley_terry_loss, centring, davidson_loss
from intraward_client.training.losses.ranking import plackett_luce_loss
from intraward_client.training.marks import (
    Comparison,
    answers_of,
    graded_margin,
    mark_losses,
    member_shares,
)
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import encode_texts
from intraward_shared.modeling import AdaptedModel, Appraisal
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import HeadTerms

FILLER = "."
TIE = 0.5
"""The smoothing that marks a pair of tied answers; a plan's own is below it."""


def train_reward(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded reward adapter and its score head on comparisons."""
    return run_steps(inputs, model, noise, losses, progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, records: Sequence[Comparison]) -> RowLosses:
    """Loss of each comparison over all reward heads; a ranking weighs as one pair does."""
    spec = inputs.plan.training
    texts = [(record.prompt, answer) for record in records for answer in answers_of(record)]
    owner = torch.tensor([place for place, record in enumerate(records) for _ in answers_of(record)])
    spare = max(0, len(records) * spec.candidates - len(texts)) if inputs.private else 0
    rows = encode_texts(inputs, texts + [(FILLER, FILLER)] * spare)
    found, heads = _first(model.appraise(rows.ids, rows.mask), len(texts)), inputs.plan.lora.reward
    shares = found.members.new_tensor(member_shares(inputs.plan, records, inputs.site))
    total = found.members.new_zeros(len(records))
    for member in range(heads.members):
        total = total + shares[:, member] * comparison_losses(spec, records, found.members[:, member])
    if heads.marked:
        total = total + mark_losses(found, heads, spec.heads, records, owner.to(total.device))
    owner = torch.cat([owner, torch.full((spare,), len(records))])  # of no record: nothing is added for it
    return RowLosses(total, owner, comparison_figures(records, _own(inputs, found.members.detach())))


def _own(inputs: TrainingInputs, members: Tensor) -> Tensor:
    """Scores ``(rows,)`` of the head that this site trains: its own, or the mean of the members."""
    own = inputs.plan.lora.reward.member_of(inputs.site, inputs.plan.cohort)
    return members.mean(1) if own is None else members[:, own]


def _first(found: Appraisal, rows: int) -> Appraisal:
    return Appraisal(found.members[:rows], found.criteria[:rows], found.flags[:rows])


def comparison_losses(spec: TrainingSpec, records: Sequence[Comparison], scores: Tensor) -> Tensor:
    """Loss of each comparison under one member's scores ``(rows,)``: the mean over its pairs or its picks."""
    if spec.ranking == "plackett_luce":
        return ranking_losses(records, scores, spec.center_rewards)
    pairs = _pairs(records, spec.label_smoothing, spec.heads)
    better, worse, record = (scores.new_tensor(column, dtype=torch.long) for column in pairs[:3])
    margin, smoothing = (scores.new_tensor(column) for column in pairs[3:])
    one, other = scores[better], scores[worse]
    if spec.tie_nu:
        terms = davidson_loss(one - other - margin, smoothing == TIE, spec.tie_nu)
        terms = terms + centring(one, other, spec.center_rewards)
    else:
        terms = bradley_terry_loss(one, other, margin, smoothing, spec.center_rewards)
    per_record = torch.bincount(record, minlength=len(records))
    total = scores.new_zeros(len(records)).index_add(0, record, terms)
    return total / per_record


def ranking_losses(records: Sequence[Comparison], scores: Tensor, center_rewards: float) -> Tensor:
    """Plackett-Luce loss of each comparison ``(records,)``: the mean over its picks, and centred.

    A loop, so that the arithmetic of a comparison has the shape of its own answers alone.
    """
    terms, start = [], 0
    for record in records:
        count = len(answers_of(record))
        own = scores[start : start + count]
        ranks: tuple[int, ...] = (1, 2)
        ahead = own
        if isinstance(record, RankingRecord):
            ranks = record.ranks
        else:
            ahead = own - own.new_tensor([record.margin, 0.0])
        one, other = torch.combinations(torch.arange(count, device=own.device)).T
        centred = centring(own[one], own[other], center_rewards).mean()
        terms.append(plackett_luce_loss(ahead, ranks) / (count - 1) + centred)
        start += count
    return torch.stack(terms)


def comparison_figures(records: Sequence[Comparison], scores: Tensor) -> dict[str, Tensor]:
    """Share of pairs won ``(records,)``, a tie as half, and mean margin, for the ward's curves."""
    pairs = _pairs(records, 0.0, HeadTerms())
    better, worse, record = (torch.tensor(column, dtype=torch.long) for column in pairs[:3])
    ties = torch.tensor(pairs[4]) == TIE
    margin = (scores[better] - scores[worse]).cpu()
    won = torch.where(ties, 0.5, (margin > 0).float())
    each = torch.bincount(record, minlength=len(records))
    totals = {"accuracy": won, "margin": margin}
    return {name: torch.zeros(len(records)).index_add(0, record, v) / each for name, v in totals.items()}


def _pairs(records: Sequence[Comparison], label_smoothing: float, terms: HeadTerms) -> list[list[float]]:
    """Columns over all pairs of answers: row of the better, of the worse, record, margin, smoothing."""
    found, start = [], 0
    for place, record in enumerate(records):
        count = len(answers_of(record))
        ranks = record.ranks if isinstance(record, RankingRecord) else (1, 2)
        given = record.margin if isinstance(record, PairRecord) else 0.0
        for one, two in combinations(range(count), 2):
            first, second = (one, two) if ranks[one] <= ranks[two] else (two, one)
            tied = ranks[one] == ranks[two]
            margin = given if tied else given + graded_margin(record, first, second, terms)
            smoothing = TIE if tied else label_smoothing
            found.append((start + first, start + second, place, margin, smoothing))
        start += count
    return [list(column) for column in zip(*found, strict=True)]


def pair_texts(pairs: Sequence[PairRecord]) -> list[tuple[str, str]]:
    """(prompt, answer) texts: first every chosen one, then every rejected one."""
    return [(p.prompt, p.chosen) for p in pairs] + [(p.prompt, p.rejected) for p in pairs]
