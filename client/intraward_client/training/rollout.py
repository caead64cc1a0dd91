"""Rollouts of the policy with everything PPO's losses need, computed before the first step on them.

One list of prompts in, one ``Experience`` out: sampled answers, log-probabilities of policy and
reference, values, scores, advantages. Each row is a function of its own prompt, of released adapters
and of its own draws (inverse transform sampling with uniforms named after step and record), so no
patient's answer changes when another patient leaves (rule 5 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn.functional import pad

from intraward_client.training.inputs import TrainingInputs, acting_as
from intraward_client.training.losses.advantage import gae
from intraward_client.training.losses.shaping import token_rewards
from intraward_client.training.scoring import shaped_scores
from intraward_client.training.sequences import token_logprobs
from intraward_shared.generation import sample
from intraward_shared.modeling import AdaptedModel, BaseModel


@dataclass(frozen=True, repr=False)
class Experience:
    """Rollouts of some prompts, one row each; nothing in it carries a gradient.

    ids, attention: prompts padded on the left, then completions ``(rows, prompt + new tokens)``.
    mask: real completion tokens, the end token included ``(rows, new tokens)``; so are logprobs,
    values, advantages and returns. scores: shaped score of the whole answer ``(rows,)``. kl: summed k1
    against the reference ``(rows,)``.
    """

    ids: Tensor
    attention: Tensor
    mask: Tensor
    logprobs: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    scores: Tensor
    kl: Tensor

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def rows(self, index: Sequence[int]) -> Experience:
        """Some rows, in the order of ``index``."""
        chosen = torch.tensor(list(index), dtype=torch.long, device=self.ids.device)
        return Experience(*(getattr(self, field.name)[chosen] for field in fields(self)))


def evaluate_policy(
    model: AdaptedModel, ids: Tensor, attention: Tensor, new_tokens: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the active adapter and values, both ``(rows, new tokens)``.

    The value head reads a detached hidden state: its loss trains the head alone and cannot pull the
    policy, and under a mechanism it takes no share of the LoRA tensors' clip norm.
    """
    hidden = model.hidden(ids, attention)[0][:, -new_tokens - 1 : -1]
    logprobs = token_logprobs(model, hidden, ids[:, -new_tokens:], temperature)
    return logprobs, model.value_head(hidden.detach().float()).squeeze(-1)


@torch.no_grad()
def roll_out(
    inputs: TrainingInputs, model: AdaptedModel, prompts: Sequence[str], uniforms: Tensor
) -> Experience:
    """Sample one answer per prompt with the active policy, and evaluate it.

    Args:
        uniforms: draws on [0, 1), fp64 ``(rows, max_completion_tokens)``.
    """
    spec = inputs.plan.training
    rows = [inputs.prompt_ids(prompt) for prompt in prompts]
    width = spec.max_prompt_tokens if inputs.private else None
    rollout = sample(model, rows, spec.max_completion_tokens, uniforms, spec.temperature, width=width)
    ids = torch.cat([rollout.prompts, rollout.completions], dim=1)
    attention = torch.cat([rollout.prompt_mask, rollout.completion_mask.long()], dim=1)
    mask, new = rollout.completion_mask, rollout.completions.shape[1]
    logprobs, values = evaluate_policy(model, ids, attention, new, spec.temperature)
    with acting_as(model, "reference"):
        reference, _ = evaluate_policy(model, ids, attention, new, spec.temperature)
    scores = shaped_scores(inputs, model, prompts, rows, rollout)
    rewards = token_rewards(scores, logprobs, reference, mask, spec.kl_coef)
    advantages, returns = gae(rewards, values, mask, spec.gamma, spec.lam)
    kl = ((logprobs - reference) * mask).sum(-1)
    return Experience(ids, attention, mask, logprobs, values, advantages, returns, scores, kl)


def join(
    base: BaseModel, parts: Sequence[Experience], prompt_tokens: int = 0, new_tokens: int = 0
) -> Experience:
    """One ``Experience`` of several, padded to the widest or to the given numbers of tokens."""
    if not parts:
        return Experience(*(torch.zeros(0) for _ in fields(Experience)))
    new = max([new_tokens, *(part.mask.shape[1] for part in parts)])
    before = max([prompt_tokens, *(part.ids.shape[1] - part.mask.shape[1] for part in parts)])
    return Experience(
        *(torch.cat(column) for column in zip(*(_pad(base, p, before, new) for p in parts), strict=True))
    )


def _pad(base: BaseModel, part: Experience, prompt_tokens: int, new_tokens: int) -> list[Tensor]:
    right = new_tokens - part.mask.shape[1]
    left = prompt_tokens - (part.ids.shape[1] - part.mask.shape[1])
    fill = int(base.tokenizer.pad_token_id)
    return [
        pad(part.ids, (left, right), value=fill),
        pad(part.attention, (left, right)),
        *(pad(t, (0, right)) for t in (part.mask, part.logprobs, part.values, part.advantages, part.returns)),
        part.scores,
        part.kl,
    ]
