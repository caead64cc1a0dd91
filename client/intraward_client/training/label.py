"""Candidate answers for labelling: generated at the site, from its own prompts, with a released adapter.

Nothing leaves: prompts, candidates and judgments stay in the vault. The judging itself is the label
station's (or, in simulation, a simulated clinician's) affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.prompts import add_candidates, add_prompts, prompts_without_candidates
from intraward_client.store.vault import Vault
from intraward_shared.adapters import State, state_digest
from intraward_shared.generation import batches, decode, prompt_ids, sample
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted
from intraward_shared.protocol import RoundPlan

_BATCH = 256
FILLER = "."


class Sampling(Protocol):
    """How answers are drawn: a plan's training parameters, or the hospital's own (``preparing``)."""

    @property
    def candidates(self) -> int:
        """Answers to each prompt."""

    @property
    def max_prompt_tokens(self) -> int:
        """Tokens of a prompt that are kept, its last ones."""

    @property
    def max_completion_tokens(self) -> int:
        """Most tokens of an answer."""

    @property
    def temperature(self) -> float:
        """Of the sampling distribution."""


def generate_candidates(
    plan: RoundPlan,
    base: BaseModel,
    policy: State,
    vault: Vault,
    noise: NoiseSource,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Sample ``plan.training.candidates`` answers for each prompt that has none by this adapter.

    Committed batch by batch, so that an interrupted run goes on where it stopped.
    """
    name = state_digest(policy)
    add_prompts(vault)
    prompts = prompts_without_candidates(vault, name)
    spec = plan.training
    size = max(1, _BATCH // spec.candidates)
    with adapted(base, plan.lora, ("policy",)) as model:
        model.load("policy", policy)
        model.use("policy")
        model.autocast = spec.bf16
        for part in batches(len(prompts), size):
            chunk = prompts[part]
            answers = sample_answers(model, spec, [(p.prompt_id, p.prompt) for p in chunk], size, noise)
            add_candidates(vault, answers, name)
            if progress is not None:
                progress(part.stop / max(1, len(prompts)))


def sample_answers(
    model: AdaptedModel,
    spec: Sampling,
    prompts: Sequence[tuple[str, str]],
    size: int,
    noise: NoiseSource,
) -> dict[str, list[str]]:
    """Candidates of up to ``size`` prompts by id; each a function of its own prompt, name and draws.

    Filled up to ``size`` prompts of the width in ``spec``, so no answer depends on the prompts beside it.
    """
    named = [*prompts, *[("", FILLER)] * (size - len(prompts))]
    ids = [prompt_ids(model.base, text, spec.max_prompt_tokens) for _, text in named]
    count, length = spec.candidates, spec.max_completion_tokens
    own = [noise.uniforms("candidates", slot, name, length) for name, _ in prompts for slot in range(count)]
    spare = torch.zeros(count * (size - len(prompts)), length, dtype=torch.float64)
    drawn = torch.cat([torch.stack(own), spare])
    rows = [row for row in ids for _ in range(count)]
    rollout = sample(model, rows, length, drawn, spec.temperature, width=spec.max_prompt_tokens)
    texts = decode(model.base, rollout)
    return {name: texts[at * count : (at + 1) * count] for at, (name, _) in enumerate(prompts)}
