"""Rollouts of the policy with everything that PPO's and RLOO's losses need, computed before the first step.

One list of prompts in, one ``Experience`` out: sampled answers, log-probabilities of policy and
reference, values, scores, advantages. Each record's rows are a function of its own prompt, of released
adapters and of its own draws (inverse transform sampling with uniforms named after step and record),
so no patient's answer changes when another patient leaves (rule 5 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from intraward_client.privacy.engine import padded
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.replicas import in_turn
from intraward_client.store.datasets import PromptRecord
from intraward_client.training.buckets import bucket_order
from intraward_client.training.inputs import FILLERS, PUBLIC_UNIT, TrainingInputs
from intraward_client.training.losses.advantage import gae, leave_one_out
from intraward_client.training.losses.shaping import token_rewards
from intraward_client.training.scoring import shaped_scores
from intraward_client.training.sequences import token_logprobs
from intraward_shared.generation import batches, sample
from intraward_shared.modeling import AdaptedModel, BaseModel, acting_as
from intraward_shared.stages import Stage


@dataclass(frozen=True, repr=False)
class Experience:
    """Rollouts of some prompts, one row each; nothing in it carries a gradient.

    ids, attention: prompts padded on the left, then completions ``(rows, prompt + new tokens)``.
    mask: real completion tokens, the end token included ``(rows, new tokens)``; so are logprobs,
    values, advantages and returns. scores: shaped score of the whole answer ``(rows,)``. kl: summed k1
    against the reference ``(rows,)``. ended: whether the answer stopped by itself ``(rows,)``. Without a
    value head (rloo) values and returns are zero.
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
    ended: Tensor

    def __len__(self) -> int:
        return int(self.ids.shape[0])

    def rows(self, index: Sequence[int]) -> Experience:
        """Some rows, in the order of ``index``."""
        chosen = torch.tensor(list(index), dtype=torch.long, device=self.ids.device)
        return Experience(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def on(self, device: torch.device) -> Experience:
        """The same on ``device``."""
        return Experience(*(getattr(self, field.name).to(device) for field in fields(self)))

    def tokens(self, first: int, count: int) -> int:
        """Tokens of the longest of ``count`` rows."""
        return int(self.attention[first : first + count].sum(1).max())

    def trimmed(self) -> Experience:
        """Without the columns that are padding in every row."""
        new = self.mask.shape[1]
        left = int(self.attention[:, : self.ids.shape[1] - new].any(0).long().argmax())
        right = new - max(1, int(self.mask.sum(1).max()))
        whole = slice(left, self.ids.shape[1] - right)
        answers = {name: getattr(self, name)[:, : new - right] for name in _ANSWER_FIELDS}
        return replace(self, ids=self.ids[:, whole], attention=self.attention[:, whole], **answers)


_ANSWER_FIELDS = ("mask", "logprobs", "values", "advantages", "returns")
"""Fields of ``Experience`` with a column for each new token."""


def evaluate_policy(
    model: AdaptedModel, ids: Tensor, attention: Tensor, new_tokens: int, temperature: float
) -> tuple[Tensor, Tensor]:
    """Log-probabilities of the active adapter and values, both ``(rows, new tokens)``.

    The value head reads a detached hidden state: its loss trains the head alone and cannot pull the
    policy, and under a mechanism it takes no share of the LoRA tensors' clip norm.
    """
    hidden = _states(model, ids, attention, new_tokens)
    logprobs = token_logprobs(model, hidden, ids[:, -new_tokens:], temperature)
    return logprobs, model.value_head(hidden.detach().float()).squeeze(-1)


def answer_logprobs(
    model: AdaptedModel, ids: Tensor, attention: Tensor, new_tokens: int, temperature: float
) -> Tensor:
    """Log-probabilities of the active adapter ``(rows, new tokens)``."""
    hidden = _states(model, ids, attention, new_tokens)
    return token_logprobs(model, hidden, ids[:, -new_tokens:], temperature)


def _states(model: AdaptedModel, ids: Tensor, attention: Tensor, new_tokens: int) -> Tensor:
    """Hidden states that predict the answer's tokens ``(rows, new tokens, width)``."""
    return model.hidden(ids, attention)[0][:, -new_tokens - 1 : -1]


def chosen_rows(inputs: TrainingInputs, experience: Experience, index: Sequence[int]) -> Experience:
    """Some rows for a forward pass: as wide as they need, or of the plan's shape where they are patients'."""
    rows = experience.rows(index).on(inputs.base.device)
    return rows if inputs.private else rows.trimmed()


def group_of(inputs: TrainingInputs) -> int:
    """Answers sampled to each prompt: one row a record, or rloo's group."""
    return inputs.plan.training.group if inputs.plan.stage is Stage.RLOO else 1


def reuses_sampling(inputs: TrainingInputs, model: AdaptedModel) -> bool:
    """Whether log-probabilities and states of the sampling pass stand for a pass of their own.

    In fp32 they agree with it to a few 1e-6 a token (1.1e-5 at most seen on SmolLM2-135M), a hundredth of
    what ``guards.check_identity`` lets through, which then holds the sampler against the trainer token by
    token. Under bf16 they do not. Patients' rows are evaluated in the very shape that is trained.
    """
    exact = model.base.network.dtype is torch.float32 and not model.autocast
    return exact and not inputs.private


@torch.no_grad()
def roll_out(
    inputs: TrainingInputs, model: AdaptedModel, prompts: Sequence[str], uniforms: Tensor
) -> Experience:
    """Sample one answer per prompt with the active policy, and evaluate it.

    Args:
        prompts: one a row; under rloo each stands ``group`` times in a row.
        uniforms: draws on [0, 1), fp64 ``(rows, max_completion_tokens)``.
    """
    spec = inputs.plan.training
    rows = [inputs.prompt_ids(prompt) for prompt in prompts]
    width = spec.max_prompt_tokens if inputs.private else None
    reused = reuses_sampling(inputs, model)
    rollout = sample(
        model, rows, spec.max_completion_tokens, uniforms, spec.temperature, width=width, states=reused
    )
    ids = torch.cat([rollout.prompts, rollout.completions], dim=1)
    attention = torch.cat([rollout.prompt_mask, rollout.completion_mask.long()], dim=1)
    mask, new = rollout.completion_mask, rollout.completions.shape[1]
    with acting_as(model, "reference"):
        reference = answer_logprobs(model, ids, attention, new, spec.temperature)
    scores = shaped_scores(inputs, model, prompts, rows, rollout)
    if reused and rollout.states is not None:
        logprobs, values = rollout.logprobs, model.value_head(rollout.states).squeeze(-1)
    else:
        logprobs, values = evaluate_policy(model, ids, attention, new, spec.temperature)
    if inputs.plan.stage is Stage.RLOO:
        values = returns = torch.zeros_like(logprobs)
        kl = ((logprobs - reference) * mask).sum(-1)
        advantages = leave_one_out(scores - spec.kl_coef * kl, spec.group)[:, None] * mask
    else:
        kl = ((logprobs - reference) * mask).sum(-1)
        rewards = token_rewards(scores, logprobs, reference, mask, spec.kl_coef)
        advantages, returns = gae(rewards, values, mask, spec.gamma, spec.lam)
    return Experience(ids, attention, mask, logprobs, values, advantages, returns, scores, kl, rollout.ended)


def _roll_out_in_time(
    inputs: TrainingInputs, model: AdaptedModel, given: tuple[Sequence[str], Tensor]
) -> Experience:
    inputs.in_time()
    return roll_out(inputs, model, *given)


def collect(
    inputs: TrainingInputs,
    model: AdaptedModel,
    noise: NoiseSource,
    step: int,
    records: Sequence[PromptRecord],
) -> Experience:
    """Roll out ``records`` in micro-batches, each row with draws named after step, unit and prompt.

    Under a mechanism fillers follow, so that every micro-batch is whole and there are enough of them. Public
    prompts of like length share a micro-batch; the rows that come back stand as ``records`` do.
    """
    spec, group = inputs.plan.training, group_of(inputs)
    filler = FILLERS[inputs.plan.stage] if inputs.private else None
    count = padded(records, spec.micro_batch, spec.micro_batches, filler)
    fillers = [PromptRecord(PUBLIC_UNIT, f"filler-{place}", ".") for place in range(count - len(records))]
    order = bucket_order(inputs, [*records, *fillers])
    records = [[*records, *fillers][place] for place in order]
    passes = []
    for part in batches(len(records), spec.micro_batch):
        named = [(record.prompt, f"{record.unit}/{record.prompt_id}") for record in records[part]]
        answers = [(prompt, name, member) for prompt, name in named for member in range(group)]
        named_draws = [f"{name}/{member}" if group > 1 else name for _, name, member in answers]
        drawn = [noise.uniforms("rollout", step, own, spec.max_completion_tokens) for own in named_draws]
        passes.append(([prompt for prompt, *_ in answers], torch.stack(drawn)))
    work = [partial(_roll_out_in_time, *device) for device in inputs.on_devices(model)]
    parts = [part.on(inputs.base.device) for part in in_turn(work, passes)]
    if inputs.private:
        return join(inputs.base, parts, spec.max_prompt_tokens, spec.max_completion_tokens)
    standing = sorted(range(len(order)), key=order.__getitem__)
    return join(inputs.base, parts).rows([at * group + member for at in standing for member in range(group)])


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
        *(pad(getattr(part, name), (0, right)) for name in _ANSWER_FIELDS),
        part.scores,
        part.kl,
        part.ended,
    ]
