"""What TRL, torchrl and choix compute on the ragged inputs of ``cases``; imported where they are installed.

Their methods run with a plain object in place of the trainer, so no model and no trainer is built.
Policy and value losses are means over the batch's tokens there; ``cases`` divides by as many.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import torch
from tests.parity import cases
from tests.parity.cases import Ragged, advantages_of, ragged, rewards_of
from torch import Tensor


def trl_reward(case: Ragged) -> Tensor:
    """TRL 1.16, RewardTrainer.compute_loss: margin and centring."""
    from trl import RewardTrainer

    trainer, model = MagicMock(), MagicMock()
    trainer.args.center_rewards_coefficient = cases.CENTER
    trainer.accelerator.gather = trainer.accelerator.gather_for_metrics = lambda tensor: tensor
    model.return_value.logits = case.scores[:, None]
    inputs = {"margin": case.margin, "attention_mask": case.mask.long()}
    return torch.as_tensor(RewardTrainer.compute_loss(trainer, model, inputs))


def trl_dpo(case: Ragged, loss_type: str, label_smoothing: float) -> Tensor:
    """TRL 1.16, DPOTrainer._compute_loss, reference precomputed."""
    from trl import DPOTrainer

    trainer, model = MagicMock(), MagicMock()
    trainer.loss_types, trainer.loss_weights = [loss_type], [1.0]
    trainer.beta, trainer.label_smoothing = cases.BETA, label_smoothing
    trainer.f_divergence_type, trainer.ld_alpha, trainer.precompute_ref_logps = "reverse_kl", None, True
    trainer.use_weighting = trainer.aux_loss_enabled = False
    trainer.accelerator.device = "cpu"
    trainer.accelerator.gather = trainer.accelerator.gather_for_metrics = lambda tensor: tensor
    model.return_value.log_probs = case.logprobs * case.mask
    chosen, rejected = (case.reference * case.mask).sum(-1).chunk(2)
    completion = torch.cat([torch.zeros(len(case.mask), 1, dtype=torch.bool), case.mask], 1).long()
    inputs = {
        "input_ids": completion,
        "attention_mask": completion,
        "completion_mask": completion,
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }
    for figure in ("mean_logits", "entropy", "logits"):
        setattr(model.return_value, figure, torch.zeros(completion.shape, dtype=case.scores.dtype))
    model.return_value.is_top1 = torch.zeros(completion.shape, dtype=torch.bool)
    return torch.as_tensor(DPOTrainer._compute_loss(trainer, model, inputs, False))


def old_trl(case: Ragged) -> tuple[Any, Any]:
    """TRL 0.11.4's PPOTrainer, and an object to call its methods with."""
    from trl import PPOTrainer

    trainer = MagicMock()
    trainer.kl_ctl.value, trainer.config.kl_penalty = cases.KL_COEF, "kl"
    trainer._kl_penalty = lambda one, other: PPOTrainer._kl_penalty(trainer, one, other)
    trainer.config.whiten_rewards = False
    trainer.config.gamma, trainer.config.lam, trainer.config.vf_coef = cases.GAMMA, cases.LAM, 1.0
    trainer.config.cliprange, trainer.config.cliprange_value = cases.CLIPRANGE, cases.CLIPRANGE_VALUE
    trainer.config.ratio_threshold = 10.0
    return PPOTrainer, trainer


def trl_cdpo(case: Ragged) -> Tensor:
    """cDPO from TRL 1.16's sigmoid loss of both orders: its sigmoid loss has no smoothing of its own."""
    half = len(cases.LENGTHS) // 2
    swapped = replace(
        case,
        logprobs=case.logprobs.roll(half, 0),
        reference=case.reference.roll(half, 0),
        mask=case.mask.roll(half, 0),
    )
    right, wrong = (trl_dpo(one, "sigmoid", 0.0) for one in (case, swapped))
    return (1 - cases.SMOOTHING) * right + cases.SMOOTHING * wrong


def trl_rewards(case: Ragged) -> Tensor:
    """TRL 0.11.4, PPOTrainer.compute_rewards, within the mask."""
    kind, trainer = old_trl(case)
    found = kind.compute_rewards(trainer, case.scores, case.old_logprobs, case.reference, case.mask)[0]
    return torch.as_tensor(found * case.mask)


def trl_returns(case: Ragged) -> Tensor:
    """TRL 0.11.4, PPOTrainer.compute_advantages: returns; it whitens the advantages, which we never do."""
    kind, trainer = old_trl(case)
    found = kind.compute_advantages(trainer, case.old_values, rewards_of(case), case.mask)[2]
    return torch.as_tensor(found * case.mask)


def trl_ppo(case: Ragged) -> Tensor:
    """TRL 0.11.4, PPOTrainer.loss: policy and value loss."""
    kind, trainer = old_trl(case)
    advantages, returns = advantages_of(case)
    logits = torch.zeros(*case.mask.shape, 3, dtype=case.scores.dtype)
    policy, value, _ = kind.loss(
        trainer,
        case.old_logprobs,
        case.old_values,
        logits,
        case.values,
        case.logprobs,
        case.mask,
        advantages,
        returns,
    )
    return torch.stack([policy, value])


def torchrl_advantages(case: Ragged) -> Tensor:
    """torchrl 0.14.1, generalized_advantage_estimate on each row without its padding."""
    from torchrl.objectives.value.functional import generalized_advantage_estimate

    rewards, out = rewards_of(case), torch.zeros_like(case.old_values)
    gains = torch.tensor([cases.GAMMA, cases.LAM], dtype=rewards.dtype)  # floats would be float32 there
    for row, length in enumerate(cases.LENGTHS):
        values = case.old_values[row, :length, None]
        following = torch.cat([values[1:], torch.zeros_like(values[:1])])
        done = torch.zeros(length, 1, dtype=torch.bool)
        done[-1] = True
        found = generalized_advantage_estimate(
            *gains, values, following, rewards[row, :length, None], done, done
        )
        out[row, :length] = found[0].squeeze(-1)
    return out


def choix_rankings(case: Ragged) -> Tensor:
    """choix 0.4.1, log_likelihood_rankings."""
    from choix import log_likelihood_rankings

    return torch.tensor(-log_likelihood_rankings([cases.RANKING], case.strengths.numpy()))


ORACLES: dict[str, tuple[str, str, Callable[[Ragged], Tensor]]] = {
    "reward": ("trl", "1.16.0", trl_reward),
    "dpo_sigmoid": ("trl", "1.16.0", lambda case: trl_dpo(case, "sigmoid", 0.0)),
    "dpo_robust": ("trl", "1.16.0", lambda case: trl_dpo(case, "robust", cases.SMOOTHING)),
    "dpo_ipo": ("trl", "1.16.0", lambda case: trl_dpo(case, "ipo", 0.0)),
    "dpo_cdpo": ("trl", "1.16.0", trl_cdpo),
    "token_rewards": ("trl", "0.11.4", trl_rewards),
    "gae_returns": ("trl", "0.11.4", trl_returns),
    "ppo_losses": ("trl", "0.11.4", trl_ppo),
    "gae_advantages": ("torchrl", "0.14.1", torchrl_advantages),
    "plackett_luce": ("choix", "0.4.1", choix_rankings),
}
"""What is compared: package, the version that has it, and the oracle."""


def golden(name: str) -> list[float]:
    """The oracle's answer in float64, flat."""
    found: list[float] = ORACLES[name][2](ragged()).detach().double().flatten().tolist()
    return found
