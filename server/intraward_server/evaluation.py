"""How good are reward model and policy, on data of the coordinator only (DESIGN.md section 3).

Nothing here sees a hospital's data, so every figure is free. The reward model is measured as
pairwise accuracy beside the rule "longer wins", because a reward model that learnt length looks good
without it (Singhal et al., arXiv 2310.03716). KL is the exact per-token divergence on the policy's
own samples, summed over the answer (Rao-Blackwellised, arXiv 2504.10637), not the noisy k1. The proxy
reward of an answer is the ward's own (``intraward_shared.scoring``): with criteria, rules and veto.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from intraward_server.baselines import ordered_rightly
from intraward_server.publicdata import Record
from intraward_server.statistics import Rate, grouped_rate, wilson
from intraward_shared.generation import (
    batches,
    completion_ids,
    decode,
    encode_pairs,
    pad_sequences,
    prompt_ids,
    sample,
    score_texts,
)
from intraward_shared.modeling import AdaptedModel, Role
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import HeadTerms
from intraward_shared.scoring import shaped_scores

Scorer = Callable[[str, str], float]
"""Score of (prompt, answer): the gold rule of a simulation."""

CLOSED_ANSWERS = ("yes", "no", "maybe")
_LOGIT_CELLS = 2**25


@dataclass(frozen=True)
class Limits:
    """Text lengths in tokens, sampling temperature, rows a batch."""

    max_prompt: int
    max_completion: int
    temperature: float = 1.0
    batch: int = 128


def length_baseline(pairs: Sequence[Record]) -> Rate:
    """Accuracy of "the longer answer (in characters) was preferred"; equal lengths count half."""
    longer = ordered_rightly([len(pair["chosen"]) - len(pair["rejected"]) for pair in pairs])
    return grouped_rate(longer, [pair["prompt"] for pair in pairs])


def pair_scores(
    model: AdaptedModel, pairs: Sequence[Record], limits: Limits
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of the chosen and of the rejected answers by each member, both ``(pairs, members)``."""
    chosen, rejected = (
        _member_scores(model, [(pair["prompt"], pair[key]) for pair in pairs], limits).double().numpy()
        for key in ("chosen", "rejected")
    )
    return chosen, rejected


@torch.no_grad()
def _member_scores(model: AdaptedModel, texts: Sequence[tuple[str, str]], limits: Limits) -> Tensor:
    """Raw scores of (prompt, answer) texts by the members of the reward adapter ``(rows, members)``."""
    model.use("reward")
    found = [torch.zeros(0, model.heads.members)]
    for part in batches(len(texts), limits.batch):
        rows = encode_pairs(model.base, texts[part], limits.max_prompt, limits.max_completion)
        found.append(model.appraise(rows.ids, rows.mask).members.cpu())
    return torch.cat(found)


def reward_accuracy(pairs: Sequence[Record], differences: Sequence[float]) -> Rate:
    """Share of pairs in which the reward model scores the chosen answer higher; ties half."""
    return grouped_rate(ordered_rightly(differences), [pair["prompt"] for pair in pairs])


def reward_scores(
    model: AdaptedModel,
    texts: Sequence[tuple[str, str]],
    limits: Limits,
    terms: HeadTerms | None = None,
) -> list[float]:
    """Raw scores of (prompt, answer) texts: what ``terms`` make of the reward adapter's heads."""
    model.use("reward")
    scores = score_texts(
        model,
        texts,
        max_prompt=limits.max_prompt,
        max_completion=limits.max_completion,
        batch=limits.batch,
        terms=terms,
    )
    return [float(score) for score in scores.tolist()]


@dataclass(frozen=True, repr=False)
class Answers:
    """One sampled answer a prompt; KL of each to the reference in nats and its proxy reward, where asked."""

    texts: tuple[str, ...]
    kl: tuple[float, ...] = ()
    rewards: tuple[float, ...] = ()


@torch.no_grad()
def sample_answers(
    model: AdaptedModel,
    role: Role,
    prompts: Sequence[str],
    limits: Limits,
    seed: int,
    reference: Role | None = None,
    terms: TrainingSpec | None = None,
) -> Answers:
    """Sample with one role; with ``reference`` also the divergence from it on these samples.

    Args:
        model: has both adapters loaded.
        role: whose answers.
        prompts: public prompts.
        limits: lengths, temperature, batch.
        seed: the same seed gives different policies the same random numbers.
        reference: adapter to compare with, or None.
        terms: of the policy stage, to have the reward adapter score the answers as that stage does.
    """
    generator = torch.Generator().manual_seed(seed)
    texts: list[str] = []
    divergence: list[float] = []
    rewards: list[float] = []
    for part in batches(len(prompts), limits.batch):
        rows = [prompt_ids(model.base, prompt, limits.max_prompt) for prompt in prompts[part]]
        model.use(role)
        rollout = sample(model, rows, limits.max_completion, generator, limits.temperature)
        texts += decode(model.base, rollout)
        if terms is not None:
            rewards += shaped_scores(model, terms, prompts[part], rows, rollout).tolist()
        if reference is not None:
            ids = torch.cat([rollout.prompts, rollout.completions], 1)
            mask = torch.cat([rollout.prompt_mask, rollout.completion_mask.long()], 1)
            divergence += _divergence(model, (role, reference), ids, mask, rollout.completion_mask)
    return Answers(tuple(texts), tuple(divergence), tuple(rewards))


def _divergence(
    model: AdaptedModel, roles: tuple[Role, Role], ids: Tensor, mask: Tensor, answer: Tensor
) -> list[float]:
    """KL(role || reference) summed over each row's answer tokens; ids, mask ``(rows, tokens)``."""
    new = answer.shape[1]
    width = int(model.base.network.config.vocab_size)
    out: list[float] = []
    for part in batches(len(ids), max(1, _LOGIT_CELLS // (width * max(1, new)))):
        ours, theirs = (_answer_logprobs(model, role, ids[part], mask[part], new) for role in roles)
        token_kl = (ours.exp() * (ours - theirs)).sum(-1)
        out += (token_kl * answer[part]).sum(1).tolist()
    return [float(value) for value in out]


def _answer_logprobs(model: AdaptedModel, role: Role, ids: Tensor, mask: Tensor, new: int) -> Tensor:
    """Log-probabilities ``(rows, new, vocabulary)`` at the positions that predict the answer."""
    model.use(role)
    hidden, _ = model.hidden(ids, mask)
    return model.logits(hidden[:, -new - 1 : -1]).log_softmax(-1)


def completion_loss(model: AdaptedModel, role: Role, records: Sequence[Record], limits: Limits) -> float:
    """Mean negative log-likelihood a completion token, in nats; its exponential is the perplexity."""
    losses, tokens = completion_losses(model, role, records, limits)
    return sum(losses) / sum(tokens) if tokens else math.nan


@torch.no_grad()
def completion_losses(
    model: AdaptedModel, role: Role, records: Sequence[Record], limits: Limits
) -> tuple[list[float], list[int]]:
    """Of each record: negative log-likelihood of its completion in nats, and its tokens."""
    model.use(role)
    losses, tokens = list[float](), list[int]()
    rows = [
        (
            prompt_ids(model.base, record["prompt"], limits.max_prompt),
            completion_ids(model.base, record["completion"], limits.max_completion),
        )
        for record in records
    ]
    for part in batches(len(rows), _rows_at_once(model, limits)):
        logprobs, wanted = _token_logprobs(model, rows[part])
        losses += (-(logprobs.double() * wanted).sum(1)).tolist()
        tokens += wanted.sum(1).tolist()
    return losses, tokens


def closed_accuracy(
    model: AdaptedModel, role: Role, questions: Sequence[Record], limits: Limits
) -> tuple[Rate, Rate]:
    """Yes / no / maybe by the largest mean log-likelihood, beside always giving the commonest label."""
    scores = closed_scores(model, role, [question["prompt"] for question in questions], limits)
    said = [CLOSED_ANSWERS[index] for index in scores.argmax(1).tolist()]
    labels = [question["label"] for question in questions]
    right = sum(a == b for a, b in zip(said, labels, strict=True))
    common = max((labels.count(answer) for answer in CLOSED_ANSWERS), default=0)
    return wilson(right, len(labels)), wilson(common, len(labels))


@torch.no_grad()
def closed_scores(model: AdaptedModel, role: Role, asked: Sequence[str], limits: Limits) -> Tensor:
    """Mean log-likelihood a token of each of ``CLOSED_ANSWERS`` ``(prompts, 3)``."""
    model.use(role)
    tokenizer = model.base.tokenizer
    answers = [list(tokenizer(a, add_special_tokens=False)["input_ids"]) for a in CLOSED_ANSWERS]
    prompts = [prompt_ids(model.base, prompt, limits.max_prompt) for prompt in asked]
    scores = torch.empty(len(prompts), len(answers))
    for column, answer in enumerate(answers):
        rows = [(prompt, answer) for prompt in prompts]
        for part in batches(len(rows), _rows_at_once(model, limits)):
            logprobs, wanted = _token_logprobs(model, rows[part])
            scores[part, column] = ((logprobs * wanted).sum(1) / len(answer)).cpu()
    return scores


def _rows_at_once(model: AdaptedModel, limits: Limits) -> int:
    """Rows whose logits fit in about 128 MB."""
    width = int(model.base.network.config.vocab_size)
    return max(1, min(limits.batch, _LOGIT_CELLS // (width * (limits.max_prompt + limits.max_completion))))


def _token_logprobs(
    model: AdaptedModel, rows: Sequence[tuple[list[int], list[int]]]
) -> tuple[Tensor, Tensor]:
    """Log-probability of each next token, and where it is a completion's; both ``(rows, tokens - 1)``."""
    padded = pad_sequences(model.base, rows)
    logits = model(padded.ids, padded.mask)[:, :-1].log_softmax(-1)
    picked = logits.gather(2, padded.ids[:, 1:, None]).squeeze(2)
    return picked, padded.completion[:, 1:]
