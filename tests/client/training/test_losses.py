"""Every loss against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from intraward_client.training.losses import (
    bradley_terry_loss,
    dpo_loss,
    gae,
    ipo_loss,
    kl_k1,
    kl_k3,
    ppo_terms,
    sft_loss,
    shape_score,
    token_rewards,
)


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


def test_ipo() -> None:
    close(ipo_loss(t(1.0, 5.0), t(-1.0, 0.0), 0.1), 9.0, 0.0)


def test_kl_estimates_of_one_token() -> None:
    close(kl_k1(t(-1.0), t(-1.5)), 0.5)
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


@pytest.mark.parametrize(("value", "expected"), [(0.1, 1.805), (1.0, 1.62), (-1.0, 4.5)])
def test_ppo_value_loss_takes_the_worse_of_clipped_and_not(value: float, expected: float) -> None:
    assert ppo(0.0, 1.0, value)[1] == pytest.approx(expected / 4)


def test_ppo_ratio_cannot_overflow() -> None:
    assert ppo(1e6, 1.0, 0.0)[2] == pytest.approx(math.exp(20))
