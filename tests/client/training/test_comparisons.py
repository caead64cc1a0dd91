"""Losses that a plan chooses for comparisons: a record's own affair, and each the one that was named."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord
from intraward_client.training import dpo, reward
from intraward_client.training.inputs import ROLES
from intraward_client.training.train import train
from intraward_shared.adapters import encode
from intraward_shared.modeling import adapted
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import HeadTerms
from intraward_shared.stages import Stage

MODULES: dict[Stage, Any] = {Stage.REWARD: reward, Stage.DPO: dpo}
PAIRS = [
    PairRecord("public", "w1 w2", "w3 w4", "w5", 0.5),
    PairRecord("public", "w4", "w6 w7 w8", "w9 w1", 0.0),
]
RANKINGS = [
    RankingRecord("public", "w2", ("w3", "w4 w5", "w6", "w7 w8"), (2, 1, 1, 3)),
    RankingRecord("public", "w3", ("w3 w9", "w4"), (1, 1)),
    RankingRecord("public", "w5", ("w1", "w4", "w2 w2"), (3, 2, 1)),
]


def losses(stage: Stage, records: list[Any], inputs_of: Any, **chosen: Any) -> torch.Tensor:
    inputs = inputs_of(stage, records, scale=0.3, **chosen)
    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        model.use(inputs.plan.trained_input)
        of = partial(MODULES[stage].losses, inputs, model)
        together: torch.Tensor = of(records).losses.detach()
        alone = torch.cat([of([record]).losses.detach() for record in records])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    return together


def test_rankings_of_two_weigh_the_same_either_way(inputs_of: Any) -> None:
    records = [*PAIRS, RANKINGS[1]]
    pairs = losses(Stage.REWARD, records, inputs_of)
    whole = losses(Stage.REWARD, records, inputs_of, ranking="plackett_luce")
    torch.testing.assert_close(pairs, whole)


def test_longer_rankings_do_not(inputs_of: Any) -> None:
    records = [*PAIRS, *RANKINGS]
    pairs = losses(Stage.REWARD, records, inputs_of)
    whole = losses(Stage.REWARD, records, inputs_of, ranking="plackett_luce")
    assert (pairs - whole).abs().gt(1e-3).tolist() == [False, False, True, False, True]


def test_ties_are_half_won_or_an_outcome_of_their_own(inputs_of: Any) -> None:
    half = losses(Stage.REWARD, [*PAIRS, *RANKINGS], inputs_of)
    own = losses(Stage.REWARD, [*PAIRS, *RANKINGS], inputs_of, tie_nu=0.5)
    assert bool((own != half).all())


def test_ratings_grade_the_margin_of_a_pair() -> None:
    marks = tuple(AnswerMarks((("facts", rating),)) for rating in (3.0, 5.0, 5.0, 1.0))
    rated = RankingRecord("public", "w2", ("w3", "w4", "w5", "w6"), (2, 1, 1, 3), marks=marks)
    scores = torch.tensor([0.2, 0.5, -0.1, 0.4])
    heads = HeadTerms(margin_criterion="facts", margin_scale=2.0)
    spec = TrainingSpec(learning_rate=0.1, center_rewards=0.0, heads=heads)
    ordered = [(1, 0, 1.0), (2, 0, 1.0), (0, 3, 1.0), (1, 3, 2.0), (2, 3, 2.0)]  # a tie has no margin
    wanted = [-torch.nn.functional.logsigmoid(scores[a] - scores[b] - margin) for a, b, margin in ordered]
    tied = -0.5 * torch.nn.functional.logsigmoid(torch.stack([scores[1] - scores[2], scores[2] - scores[1]]))
    torch.testing.assert_close(
        reward.comparison_losses(spec, [rated], scores)[0], (sum(wanted) + tied.sum()) / 6
    )
    unrated = replace(rated, marks=(AnswerMarks(),) * 4)
    plain = TrainingSpec(learning_rate=0.1, center_rewards=0.0)
    torch.testing.assert_close(
        reward.comparison_losses(spec, [unrated], scores), reward.comparison_losses(plain, [rated], scores)
    )


def test_dpo_takes_the_loss_that_the_plan_names(inputs_of: Any) -> None:
    found = [
        losses(Stage.DPO, PAIRS, inputs_of, **chosen)
        for chosen in (
            {},
            {"label_smoothing": 0.1},
            {"loss_type": "robust", "label_smoothing": 0.1},
            {"loss_type": "ipo"},
        )
    ]
    sigmoid, smoothed, robust, ipo = found
    gap = (smoothed - sigmoid) / 0.1  # -log s(-g) + log s(g) = g
    torch.testing.assert_close(robust, sigmoid - gap * 0.1 / 0.8, rtol=1e-4, atol=1e-5)
    assert bool((ipo > 4).all())  # the target gap is 5 nats a token, and the policy is near its reference


def test_each_choice_trains_another_adapter(inputs_of: Any) -> None:
    def update(stage: Stage, rows: list[Any], **chosen: Any) -> bytes:
        inputs = inputs_of(stage, rows, scale=0.05, steps=1, batch=8, **chosen)
        return encode(train(inputs, NoiseSource.seeded(1, "north", "0" * 64, 1)).tensors)

    rankings = {
        update(Stage.REWARD, RANKINGS, **c) for c in ({}, {"ranking": "plackett_luce"}, {"tie_nu": 1.0})
    }
    pairs = {update(Stage.DPO, PAIRS, **c) for c in ({}, {"loss_type": "ipo"})}
    assert len(rankings) == 3 and len(pairs) == 2
