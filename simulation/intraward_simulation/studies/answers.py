"""Answers of a policy on held-out questions, and what each judge says of them; only figures are kept.

Every policy answers with the same uniform draws, so that two policies that agree give the same answer, which
is a tie. KL to the reference is the sum over the answer's tokens of the KL of whole next-token distributions,
at the temperature that the answer was sampled with: same mean as the sum of log-ratios, with less variance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from intraward_shared.adapters import State
from intraward_shared.generation import Rollout, batches, decode, prompt_ids, sample, score_texts
from intraward_shared.modeling import AdaptedModel, BaseModel, Role, adapted
from intraward_shared.protocol import LoraSpec, TrainingSpec
from intraward_shared.winrates import unigram_f1
from intraward_simulation.studies.questions import Question

_SPANNED_AT_ONCE = 16
"""Answers whose whole distributions are held at once; SmolLM2 has 49,152 tokens."""


@dataclass(frozen=True)
class AnswerFigures:
    """One number an answer: scores by both reward models, unigram F1 with the reference answer, words, KL to
    the reference policy in nats, and 1 where the answer ended by itself.
    """

    proxy: tuple[float, ...]
    gold: tuple[float, ...]
    rule: tuple[float, ...]
    words: tuple[float, ...]
    kl: tuple[float, ...]
    ended: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """For a unit's file."""
        return asdict(self)


@dataclass(frozen=True, repr=False)
class Judges:
    """Reward adapters: the one that training sees, and the one that it never sees."""

    proxy: State
    gold: State


def sample_answers(
    base: BaseModel, lora: LoraSpec, policy: State, asked: Sequence[str], spec: TrainingSpec, seed: int
) -> list[str]:
    """One answer a prompt text by ``policy``; what one answer is does not depend on the others."""
    with adapted(base, lora, ("policy",)) as model:
        _load(model, "policy", policy, spec)
        return [text for rollout in _rollouts(model, asked, spec, seed) for text in decode(base, rollout)]


def measure(
    base: BaseModel,
    lora: LoraSpec,
    policy: State,
    reference: State,
    judges: Judges,
    questions: Sequence[Question],
    spec: TrainingSpec,
    seed: int,
) -> AnswerFigures:
    """Answer every question and judge the answers.

    Args:
        spec: lengths, temperature and micro-batch of the sampling.
        seed: of the draws; the same for every policy that is compared.
    """
    asked = [question.text for question in questions]
    texts: list[str] = []
    kl, ended = list[float](), list[float]()
    with adapted(base, lora, ("policy", "reference", "reward")) as model:
        _load(model, "reference", reference, spec)
        _load(model, "policy", policy, spec)
        for rollout in _rollouts(model, asked, spec, seed):
            texts += decode(base, rollout)
            kl += _divergences(model, rollout, spec.temperature)
            ended += rollout.ended.double().tolist()
        pairs = list(zip(asked, texts, strict=True))
        proxy, gold = (_scores(model, judge, pairs, spec) for judge in (judges.proxy, judges.gold))
    rule = tuple(unigram_f1(text, q.answer) for text, q in zip(texts, questions, strict=True))
    words = tuple(float(len(text.split())) for text in texts)
    return AnswerFigures(proxy, gold, rule, words, tuple(kl), tuple(ended))


def score(
    base: BaseModel, lora: LoraSpec, judge: State, texts: Sequence[tuple[str, str]], spec: TrainingSpec
) -> tuple[float, ...]:
    """A judge's scores of (prompt, answer) texts."""
    with adapted(base, lora, ("reward",)) as model:
        return _scores(model, judge, texts, spec)


def _load(model: AdaptedModel, role: Role, adapter: State, spec: TrainingSpec) -> None:
    kept = {name: adapter[name] for name in model.lora(role)}
    model.load(role, kept)
    model.use(role)
    model.autocast = spec.bf16


def _rollouts(model: AdaptedModel, asked: Sequence[str], spec: TrainingSpec, seed: int) -> Iterator[Rollout]:
    """Answers of the policy in micro-batches; each prompt has draws of its own place."""
    draws = torch.rand(
        (len(asked), spec.max_completion_tokens),
        generator=torch.Generator().manual_seed(seed),
        dtype=torch.float64,
    )
    for part in batches(len(asked), spec.micro_batch):
        model.use("policy")
        rows = [prompt_ids(model.base, text, spec.max_prompt_tokens) for text in asked[part]]
        yield sample(model, rows, spec.max_completion_tokens, draws[part], spec.temperature)


@torch.no_grad()
def _divergences(model: AdaptedModel, rollout: Rollout, temperature: float) -> list[float]:
    """KL of policy to reference along each answer, in nats ``(rows,)``."""
    ids = torch.cat([rollout.prompts, rollout.completions], dim=1)
    attention = torch.cat([rollout.prompt_mask, rollout.completion_mask.long()], dim=1)
    found: list[float] = []
    for part in batches(len(ids), _SPANNED_AT_ONCE):
        rows, new = (ids[part], attention[part]), rollout.completions.shape[1]
        policy = _distributions(model, "policy", *rows, new, temperature)
        reference = _distributions(model, "reference", *rows, new, temperature)
        each = (policy.exp() * (policy - reference)).sum(-1)
        found += (each * rollout.completion_mask[part]).sum(-1).double().tolist()
    return found


def _distributions(
    model: AdaptedModel, role: Role, ids: Tensor, attention: Tensor, new: int, temperature: float
) -> Tensor:
    """Log-probabilities of every next token ``(rows, new tokens, vocabulary)``."""
    model.use(role)
    hidden = model.hidden(ids, attention)[0][:, -new - 1 : -1]
    return (model.logits(hidden) / temperature).log_softmax(-1)


def _scores(
    model: AdaptedModel, judge: State, texts: Sequence[tuple[str, str]], spec: TrainingSpec
) -> tuple[float, ...]:
    model.load("reward", judge)
    model.use("reward")
    model.autocast = spec.bf16
    found = score_texts(
        model,
        texts,
        max_prompt=spec.max_prompt_tokens,
        max_completion=spec.max_completion_tokens,
        batch=spec.micro_batch,
    )
    return tuple(found.double().tolist())
