"""How good are reward model and policy on this hospital's own patients: figures that stay here.

DESIGN.md section 6, what else could speak: measured on patients who were kept out of training
(``store.heldout``), shown to the person who asks, and in no reply of the ward; what may leave is ``figures``'
affair, noised and charged. Each patient counts once, whatever the number of their records, so that a figure
here is the one that a noised release approaches. The reward model stands beside the rule "longer wins"
(Singhal et al., arXiv 2310.03716). Losses are those of training (``training.sequences``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from intraward_client.labeling.bootstrap import Matrix, interval
from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord
from intraward_client.store.heldout import HeldOut
from intraward_client.training.sequences import completion_logprobs
from intraward_shared.adapters import Array
from intraward_shared.errors import ConfigError
from intraward_shared.generation import (
    batches,
    completion_ids,
    generate_texts,
    pad_sequences,
    prompt_ids,
    score_texts,
)
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted
from intraward_shared.protocol import LoraSpec

BASE = "base"
"""Name of the base model without an adapter."""
_ROWS = 16
"""Records of a forward pass."""


@dataclass(frozen=True)
class Lengths:
    """Texts in tokens, and how answers are drawn; ``seed`` gives two policies the same random numbers."""

    max_prompt: int = 512
    max_completion: int = 256
    temperature: float = 1.0
    seed: int = 0


@dataclass(frozen=True, repr=False)
class Model:
    """An installed adapter, verified: digest, shape and tensors; without tensors it changes nothing."""

    name: str
    lora: LoraSpec
    state: Mapping[str, Array] = field(default_factory=dict)

    def nothing(self) -> Model:
        """The base model alone, to compare with."""
        return Model(BASE, self.lora)


Records = Mapping[str, Sequence[float]]
"""A figure of each record, by patient."""


def reward_wins(base: BaseModel, reward: Model, pairs: Sequence[PairRecord], lengths: Lengths) -> Records:
    """Of each pair, whether the reward model scores the chosen answer higher: 1, 1/2 for a tie, or 0."""
    texts = [(pair.prompt, answer) for pair in pairs for answer in (pair.chosen, pair.rejected)]
    scores = _scores(base, reward, texts, lengths)
    wins = [_won(scores[2 * at], scores[2 * at + 1]) for at in range(len(pairs))]
    return _by_patient((pair.unit for pair in pairs), wins)


def longer_wins(pairs: Sequence[PairRecord]) -> Records:
    """Of each pair, whether the longer answer, in characters, was the chosen one."""
    wins = [_won(float(len(pair.chosen)), float(len(pair.rejected))) for pair in pairs]
    return _by_patient((pair.unit for pair in pairs), wins)


@torch.no_grad()
def losses(base: BaseModel, policy: Model, records: Sequence[SftRecord], lengths: Lengths) -> Records:
    """Of each demonstration, the mean negative log-likelihood of a token of its completion, in nats."""
    rows = [
        (
            prompt_ids(base, record.prompt, lengths.max_prompt),
            completion_ids(base, record.completion, lengths.max_completion),
        )
        for record in records
    ]
    found: list[float] = []
    with _loaded(base, policy) as model:
        for part in batches(len(rows), _ROWS):
            padded = pad_sequences(base, rows[part])
            total = completion_logprobs(model, padded).double().sum(1)
            found += (-total / padded.completion.sum(1)).tolist()
    return _by_patient((record.unit for record in records), found)


def policy_wins(
    base: BaseModel,
    policies: tuple[Model, Model],
    reward: Model,
    prompts: Sequence[PromptRecord],
    lengths: Lengths,
) -> Records:
    """Of each prompt, whether the reward model prefers the first policy's answer to the second's."""
    asked = [prompt.prompt for prompt in prompts]
    first, second = (
        _scores(base, reward, list(zip(asked, _answers(base, each, asked, lengths), strict=True)), lengths)
        for each in policies
    )
    wins = [_won(one, other) for one, other in zip(first, second, strict=True)]
    return _by_patient((prompt.unit for prompt in prompts), wins)


def figure(records: Records) -> dict[str, Any]:
    """Mean over patients of the mean of their records, and its 95 % interval when patients are drawn anew."""
    means = np.array([[float(np.mean(told)), 1.0] for _, told in sorted(records.items())]).reshape(-1, 2)
    if not len(means):
        return {"value": None, "interval": None, "patients": 0, "records": 0}

    def ratio(sums: Matrix) -> Matrix:
        return np.asarray(sums[:, 0] / sums[:, 1])

    return {
        "value": float(means[:, 0].mean()),
        "interval": interval(ratio, means, np.arange(len(means))),
        "patients": len(means),
        "records": sum(map(len, records.values())),
    }


def evaluate(
    base: BaseModel,
    rows: HeldOut,
    policy: Model,
    against: Model,
    reward: Model | None,
    lengths: Lengths,
    progress: Callable[[float], None] = lambda _: None,
) -> dict[str, Any]:
    """Every figure for which there are held-out rows and a model.

    Args:
        policy, against: the version that is looked at, and what it is compared with.
        reward: an installed reward adapter; without it there is neither its accuracy nor a win rate.

    Raises:
        ConfigError: no patient is held out.
    """
    if not (rows.pairs or rows.demonstrations or rows.prompts):
        raise ConfigError(
            "policy.toml",
            "evaluation.holdout",
            "keeps no patient with records out of training",
            remedy="set it, say to 0.1, before the rounds that are to be measured; 0 holds nobody out",
        )
    parts: dict[str, Callable[[], Records]] = {}
    if rows.demonstrations:
        parts["loss"] = lambda: losses(base, policy, rows.demonstrations, lengths)
        parts["loss_against"] = lambda: losses(base, against, rows.demonstrations, lengths)
    if rows.pairs:
        parts["longer_wins"] = lambda: longer_wins(rows.pairs)
    if reward is not None and rows.pairs:
        parts["reward_accuracy"] = lambda: reward_wins(base, reward, rows.pairs, lengths)
    if reward is not None and rows.prompts:
        parts["win_rate"] = lambda: policy_wins(base, (policy, against), reward, rows.prompts, lengths)
    found = {}
    for done, (name, measure) in enumerate(parts.items(), start=1):
        found[name] = figure(measure())
        progress(done / len(parts))
    names = {"adapter": policy.name, "against": against.name, "reward": reward.name if reward else None}
    return names | {"figures": found}


def _won(ours: float, theirs: float) -> float:
    return 1.0 if ours > theirs else 0.5 if ours == theirs else 0.0


def _by_patient(units: Iterable[str], values: Sequence[float]) -> Records:
    found: dict[str, list[float]] = {}
    for unit, value in zip(units, values, strict=True):
        found.setdefault(unit, []).append(value if math.isfinite(value) else math.nan)
    return found


def _scores(
    base: BaseModel, reward: Model, texts: Sequence[tuple[str, str]], lengths: Lengths
) -> list[float]:
    with adapted(base, reward.lora, ("reward",)) as model:
        model.load("reward", reward.state)
        model.use("reward")
        scores = score_texts(
            model,
            texts,
            max_prompt=lengths.max_prompt,
            max_completion=lengths.max_completion,
            batch=_ROWS,
        )
    return [float(score) for score in scores.tolist()]


@contextmanager
def _loaded(base: BaseModel, policy: Model) -> Iterator[AdaptedModel]:
    """The base model with a policy's adapter, or with a new one, whose B is zero."""
    with adapted(base, policy.lora, ("policy",)) as model:
        if policy.state:
            model.load("policy", policy.state)
        model.use("policy")
        yield model


def _answers(base: BaseModel, policy: Model, prompts: Sequence[str], lengths: Lengths) -> list[str]:
    with _loaded(base, policy) as model:
        return generate_texts(
            model,
            prompts,
            max_prompt=lengths.max_prompt,
            max_new=lengths.max_completion,
            generator=torch.Generator().manual_seed(lengths.seed),
            temperature=lengths.temperature,
            batch=_ROWS,
        )
