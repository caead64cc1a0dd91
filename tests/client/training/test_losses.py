"""Every loss against numbers worked out by hand."""

from __future__ import annotations

import math
from itertools import permutations

import pytest
import torch
from torch import Tensor

from intraward_client.training.losses.advantage import gae, leave_one_out
from intraward_client.training.losses.divergence import kl_k1, kl_k2, kl_k3
from intraward_client.training.losses.policy import ppo_terms
from intraward_client.training.losses.preference import (
    bradley_terry_loss,
    davidson_loss,
    dpo_loss,
    ipo_loss,
    robust_dpo_loss,
)
from intraward_client.training.losses.ranking import choice_sets, plackett_luce_loss
from intraward_client.training.losses.shaping import token_rewards
from intraward_client.training.losses.supervised import sft_loss
from intraward_shared.scoring import shape_score


def t(*values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def close(found: Tensor, *expected: object) -> None:
    torch.testing.assert_close(found, t(*expected), atol=1e-6, rtol=0)


def test_sft_is_the_mean_over_a_rows_own_completion() -> None:
    logprobs = t([-1, -2, -3], [-4, 9, 9])
    close(sft_loss(logprobs, torch.tensor([[False, True, True], [True, False, False]])), 2.5, 4.0)


def test_sft_of_a_row_without_completion_is_zero() -> None:
    close(sft_loss(t([-1, -2]), torch.zeros(1, 2, dtype=torch.bool)), 0.0)


@pytest.mark.parametrize(
    ("margin", "smoothing", "center", "expected"),
    [
        (0.0, 0.0, 0.0, 0.313262),
        (1.0, 0.0, 0.0, 0.693147),
        (0.0, 0.1, 0.0, 0.413262),
        (0.0, 0.0, 0.01, 0.403262),
    ],
)
def test_bradley_terry(margin: float, smoothing: float, center: float, expected: float) -> None:
    close(bradley_terry_loss(t(2.0), t(1.0), t(margin), smoothing, center), expected)


def test_dpo_and_its_smoothed_form() -> None:
    close(dpo_loss(t(1.0), t(-1.0), 0.1, 0.0), 0.598139)
    close(dpo_loss(t(1.0), t(-1.0), 0.1, 0.1), 0.618139)
    close(dpo_loss(t(0.0), t(0.0), 0.1, 0.0), math.log(2))


def test_robust_dpo_is_unbiased_under_flipped_labels() -> None:
    """Mean over labels flipped with probability e, of the loss that knows e, is the clean labels' loss."""
    close(robust_dpo_loss(t(1.0), t(-1.0), 0.1, 0.1), 0.573139)
    better, worse, flipped = t(1.0, 0.0), t(-1.0, 3.0), 0.3
    seen = [robust_dpo_loss(one, two, 0.1, flipped) for one, two in ((better, worse), (worse, better))]
    clean = dpo_loss(better, worse, 0.1, 0.0)
    torch.testing.assert_close((1 - flipped) * seen[0] + flipped * seen[1], clean)
    torch.testing.assert_close(robust_dpo_loss(better, worse, 0.1, 0.0), clean)


def test_ipo_divides_by_each_answers_length() -> None:
    one = t(1.0, 1.0)
    close(ipo_loss(t(1.0, 5.0), t(-1.0, 0.0), 0.1, one, one), 9.0, 0.0)
    close(ipo_loss(t(6.0), t(-4.0), 0.5, t(2.0), t(4.0)), 9.0)


def test_davidson_gives_ties_an_outcome_of_their_own() -> None:
    gap, no, yes = t(0.0, 2.0), torch.tensor([False, False]), torch.tensor([True, True])
    close(davidson_loss(gap, no, 0.0), math.log(2), 0.126928)
    close(davidson_loss(gap, no, 1.0), math.log(3), math.log(1 + math.exp(-1) + math.exp(-2)))
    close(davidson_loss(gap, yes, 0.5), math.log(5), math.log(1 + 2 * (math.e + math.exp(-1))))
    outcomes = torch.stack([davidson_loss(g, tied, 0.7) for g, tied in ((gap, no), (-gap, no), (gap, yes))])
    close((-outcomes).exp().sum(0), 1.0, 1.0)


def test_plackett_luce_by_hand() -> None:
    scores = t(0.0, math.log(2), math.log(3))  # weights 1, 2, 3
    assert float(plackett_luce_loss(scores, (3, 2, 1))) == pytest.approx(-math.log(3 / 6 * 2 / 3))
    assert float(plackett_luce_loss(scores, (1, 2, 3))) == pytest.approx(-math.log(1 / 6 * 2 / 5))


def test_plackett_luce_of_two_is_bradley_terry_and_a_tie_is_half_won() -> None:
    none = t(0.0)
    for ranks, smoothing in (((1, 2), 0.0), ((2, 1), 1.0), ((1, 1), 0.5), ((7, 7), 0.5)):
        expected = bradley_terry_loss(t(1.3), t(-0.4), none, smoothing, 0.0)
        torch.testing.assert_close(plackett_luce_loss(t(1.3, -0.4), ranks), expected[0])


@pytest.mark.parametrize("ranks", [(1, 1, 2, 2), (2, 1, 1, 1), (1, 1, 1, 1), (1, 2, 2, 3)])
def test_plackett_luce_of_ties_is_the_mean_over_their_orders(ranks: tuple[int, ...]) -> None:
    scores = t(0.3, -1.2, 2.0, 0.9)
    orders = [
        order
        for order in permutations((1, 2, 3, 4))
        if all(order[i] < order[j] for i in range(4) for j in range(4) if ranks[i] < ranks[j])
    ]
    mean = torch.stack([plackett_luce_loss(scores, order) for order in orders]).mean()
    torch.testing.assert_close(plackett_luce_loss(scores, ranks), mean)
    assert sum(share for _, share in choice_sets(ranks)) == pytest.approx(4)


def test_kl_estimates_of_one_token() -> None:
    close(kl_k1(t(-1.0), t(-1.5)), 0.5)
    close(kl_k2(t(-1.0), t(-1.5)), 0.125)
    close(kl_k3(t(-1.0), t(-1.5)), 0.106531)


def test_kl_estimates_mean_to_the_divergence() -> None:
    policy, reference = t(0.5, 0.25, 0.15, 0.1), t(0.25, 0.25, 0.25, 0.25)
    exact = (policy * (policy / reference).log()).sum()
    for estimate in (kl_k1, kl_k3):
        found = (policy * estimate(policy.log(), reference.log())).sum()
        torch.testing.assert_close(found, exact)
    assert bool((kl_k3(policy.log(), reference.log()) >= 0).all())


def test_score_is_centred_scaled_clamped_then_penalised() -> None:
    ended = torch.tensor([True, True, False, False])
    close(shape_score(t(5, 9, 5, -9), ended, 1.0, 2.0, 3.0, 0.5), 2.0, 3.0, 1.5, -3.5)


def test_token_rewards_put_the_score_on_the_last_real_token() -> None:
    mask = torch.tensor([[True, True, False], [True, True, True]])
    found = token_rewards(t(2.0, 5.0), t([-1, -1, -9], [0, 0, 0]), t([-2, -1, 0], [0, 0, 1]), mask, 0.1)
    close(found, [-0.1, 2.0, 0.0], [0.0, 0.0, 5.1])


def test_gae_by_hand() -> None:
    mask = torch.tensor([[True, True, True, False]])
    advantages, returns = gae(t([1, 0, 2, 7]), t([0.5, 0.2, 0.1, 9.0]), mask, 0.9, 0.5)
    close(advantages, [1.01525, 0.745, 1.9, 0.0])
    close(returns, [1.51525, 0.945, 2.0, 0.0])


def test_gae_at_its_ends() -> None:
    mask = torch.ones(1, 3, dtype=torch.bool)
    rewards, values = t([1, 2, 3]), t([0.5, 0.25, 0.125])
    close(gae(rewards, values, mask, 1.0, 1.0)[1], [6.0, 5.0, 3.0])
    close(gae(rewards, values, mask, 0.5, 0.0)[0], [0.625, 1.8125, 2.875])


def ppo(logprob: float, advantage: float, value: float) -> tuple[float, float, float]:
    terms = ppo_terms(
        t([logprob, 0.0]),
        t([0.0, 0.0]),
        t([advantage, 99.0]),
        t([value, 99.0]),
        t([0.0, 0.0]),
        t([2.0, 0.0]),
        torch.tensor([[True, False]]),
        0.2,
        0.3,
        4.0,
    )
    return float(terms.policy), float(terms.value), float(terms.ratio[0, 0])


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [(1.0, 1.0, -1.0), (1.5, 1.0, -1.2), (1.5, -1.0, 1.5), (0.5, 1.0, -0.5), (0.5, -1.0, 0.8)],
)
def test_ppo_policy_loss_is_pessimistic_and_divided_by_a_constant(
    ratio: float, advantage: float, expected: float
) -> None:
    assert ppo(math.log(ratio), advantage, 0.0)[0] == pytest.approx(expected / 4)


@pytest.mark.parametrize(("value", "expected"), [(0.1, 1.805), (1.0, 1.445), (-1.0, 4.5)])
def test_ppo_value_loss_takes_the_worse_of_clipped_and_not(value: float, expected: float) -> None:
    assert ppo(0.0, 1.0, value)[1] == pytest.approx(expected / 4)


def test_ppo_ratio_cannot_overflow() -> None:
    assert ppo(1e6, 1.0, 0.0)[2] == pytest.approx(math.exp(20))


@pytest.mark.parametrize("group", [2, 3, 4, 8])
def test_equal_rewards_have_no_advantage_at_all(group: int) -> None:
    rewards = torch.tensor([0.1, 0.7, 1 / 3, -2.9]).repeat_interleave(group)
    assert not leave_one_out(rewards, group).any()
