"""The reward model: Bradley-Terry on comparisons, read at the last token (InstructGPT, step 2; facts A.4).

One comparison is one record, be it a pair or a ranking of several answers: its answers are rows of one
forward pass whose gradients fold into the record before anything is clipped. Ties count as half won.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations

import torch

from intraward_client.privacy.engine import RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.losses.preference import bradley_terry_loss
from intraward_client.training.schedule import Progress, run_steps
from intraward_client.training.sequences import encode_texts
from intraward_shared.modeling import AdaptedModel

Comparison = PairRecord | RankingRecord


def train_reward(inputs: TrainingInputs, model: AdaptedModel, noise: NoiseSource, progress: Progress) -> bool:
    """Train the loaded reward adapter and its score head on comparisons."""
    return run_steps(inputs, model, noise, partial(losses, inputs, model), progress)


def losses(inputs: TrainingInputs, model: AdaptedModel, records: Sequence[Comparison]) -> RowLosses:
    """Loss of each comparison: the mean over its pairs of answers, so a ranking weighs as one pair does."""
    spec = inputs.plan.training
    texts = [(record.prompt, answer) for record in records for answer in _answers(record)]
    owner = torch.tensor([place for place, record in enumerate(records) for _ in _answers(record)])
    rows = encode_texts(inputs, texts)
    scores = model.rewards(rows.ids, rows.mask)
    pairs = _pairs(records, spec.label_smoothing)
    better, worse, record = (scores.new_tensor(column, dtype=torch.long) for column in pairs[:3])
    margin, smoothing = (scores.new_tensor(column) for column in pairs[3:])
    terms = bradley_terry_loss(scores[better], scores[worse], margin, smoothing, spec.center_rewards)
    per_record = torch.bincount(record, minlength=len(records))
    total = scores.new_zeros(len(records)).index_add(0, record, terms)
    return RowLosses(total / per_record, owner)


def _answers(record: Comparison) -> tuple[str, ...]:
    return record.answers if isinstance(record, RankingRecord) else (record.chosen, record.rejected)


def _pairs(records: Sequence[Comparison], label_smoothing: float) -> list[list[float]]:
    """Columns over all pairs of answers: row of the better, of the worse, record, margin, smoothing."""
    found, start = [], 0
    for place, record in enumerate(records):
        count = len(_answers(record))
        ranks = record.ranks if isinstance(record, RankingRecord) else (1, 2)
        margin = record.margin if isinstance(record, PairRecord) else 0.0
        for one, two in combinations(range(count), 2):
            first, second = (one, two) if ranks[one] <= ranks[two] else (two, one)
            smoothing = 0.5 if ranks[one] == ranks[two] else label_smoothing
            found.append((start + first, start + second, place, margin, smoothing))
        start += count
    return [list(column) for column in zip(*found, strict=True)]


def pair_texts(pairs: Sequence[PairRecord]) -> list[tuple[str, str]]:
    """(prompt, answer) texts: first every chosen one, then every rejected one."""
    return [(p.prompt, p.chosen) for p in pairs] + [(p.prompt, p.rejected) for p in pairs]
