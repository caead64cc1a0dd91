"""Patients' rankings in a reward round: one shape for all, one clip for each, and what a plan narrows."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord, narrowed
from intraward_client.training import reward
from intraward_client.training.inputs import FILLERS, ROLES
from intraward_client.training.schedule import open_engine
from intraward_client.training.train import train
from intraward_shared.modeling import adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    steps=2,
    nominal_batch=4,
    max_grad_norm=0.5,
    max_records_per_unit=8,
)
PAIR = PairRecord("u0", "w9", "w1 w2", "w3", row_id="a")
THREE = RankingRecord("u1", "w8", ("w4", "w5 w6", "w7"), (2, 1, 3), row_id="b")
FOUR = RankingRecord("u2", "w7", ("w4", "w5", "w6", "w1"), (1, 2, 2, 4), row_id="c")


def _sum(inputs: Any, units: list[list[Any]]) -> tuple[torch.Tensor, list[int]]:
    """The clipped sum of a step, and the rows of every forward pass."""
    rows: list[int] = []
    with adapted(inputs.base, inputs.plan.lora, ROLES[Stage.REWARD]) as model:
        inputs.load(model)
        model.use("reward")
        appraise = model.appraise

        def counted(ids: torch.Tensor, mask: torch.Tensor) -> Any:
            rows.append(len(ids))
            return appraise(ids, mask)

        model.appraise = counted  # type: ignore[method-assign]
        with open_engine(inputs, model, NoiseSource.seeded(1, "north", "0" * 64, 1)) as engine:
            assert isinstance(engine, PrivateEngine)
            losses = partial(reward.losses, inputs, model)
            found = engine.clipped_sum(units, losses, FILLERS[Stage.REWARD])
    return torch.cat([found[name].flatten() for name in sorted(found)]), rows


def test_a_pass_has_the_same_rows_whoever_ranked_how_many(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.REWARD, [], mechanism=MECHANISM, micro_batch=4, candidates=4, scale=0.2)
    shapes = [
        _sum(inputs, [[record] for record in batch])[1] for batch in ([], [PAIR], [FOUR], [PAIR, THREE, FOUR])
    ]
    assert shapes == [[16]] * 4


def test_spare_rows_add_nothing(inputs_of: Any) -> None:
    two, four = (
        inputs_of(Stage.REWARD, [], mechanism=MECHANISM, micro_batch=4, candidates=count, scale=0.2)
        for count in (2, 4)
    )
    (first, _), (second, _) = _sum(two, [[PAIR]]), _sum(four, [[PAIR]])
    assert first.norm() > 0 and torch.allclose(first, second, atol=1e-6)


def test_a_ranking_moves_the_sum_by_the_bound_at_most(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.REWARD, [], mechanism=MECHANISM, micro_batch=4, candidates=4, scale=0.2)
    (without, _), (with_it, _) = _sum(inputs, [[PAIR]]), _sum(inputs, [[PAIR], [FOUR]])
    assert 0 < float((with_it - without).norm()) <= 0.5 * (1 + 1e-5)


def test_a_plan_for_two_answers_narrows_a_ranking(inputs_of: Any) -> None:
    rows = [PAIR, THREE, FOUR]
    inputs = inputs_of(Stage.REWARD, rows, mechanism=MECHANISM)
    assert set(inputs.fitting.rows) == {PAIR, narrowed(THREE), narrowed(FOUR)}
    assert narrowed(FOUR) == PairRecord("u2", "w7", "w4", "w1", row_id="c")
    wide = inputs_of(Stage.REWARD, rows, mechanism=MECHANISM, candidates=4)
    assert set(wide.fitting.rows) == set(rows)


def test_narrowing_keeps_ties_and_marks() -> None:
    marks = tuple(AnswerMarks(flags=(("harmful", bool(n % 2)),)) for n in range(3))
    ranked = RankingRecord("u", "p", ("a", "b", "c"), (2, 1, 3), marks=marks)
    assert narrowed(ranked).marks == (marks[1], marks[2])
    tied = RankingRecord("u", "p", ("a", "b", "c"), (1, 1, 1))
    assert narrowed(tied) == RankingRecord("u", "p", ("a", "c"), (1, 1))


@pytest.mark.parametrize("candidates", [2, 4])
def test_a_private_round_on_rankings_runs(inputs_of: Any, candidates: int) -> None:
    inputs = inputs_of(Stage.REWARD, [PAIR, THREE, FOUR], mechanism=MECHANISM, candidates=candidates)
    update = train(inputs, NoiseSource.seeded(1, "north", inputs.plan.digest, 1), None)
    assert update.tensors and all(bool((abs(value) > 0).any()) for value in update.tensors.values())
