"""Candidate answers for labelling: generated at the site, from its own prompts, with a released adapter.

Nothing leaves: prompts, candidates and judgments stay in the vault. The judging itself is the label
station's (or, in simulation, a simulated clinician's) affair.
"""

from __future__ import annotations

from collections.abc import Callable

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.prompts import add_candidates, add_prompts, prompts_without_candidates
from intraward_client.store.vault import Vault
from intraward_shared.adapters import State, state_digest
from intraward_shared.generation import batches, generate_texts
from intraward_shared.modeling import BaseModel, adapted
from intraward_shared.protocol import RoundPlan

_BATCH = 256


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
    generator = noise.generator("candidates")
    spec = plan.training
    with adapted(base, plan.lora, ("policy",)) as model:
        model.load("policy", policy)
        model.use("policy")
        model.autocast = spec.bf16
        for part in batches(len(prompts), max(1, _BATCH // spec.candidates)):
            chunk = prompts[part]
            texts = [record.prompt for record in chunk for _ in range(spec.candidates)]
            answers = generate_texts(
                model,
                texts,
                max_prompt=spec.max_prompt_tokens,
                max_new=spec.max_completion_tokens,
                generator=generator,
                temperature=spec.temperature,
                batch=_BATCH,
            )
            own = {
                record.prompt_id: answers[index * spec.candidates : (index + 1) * spec.candidates]
                for index, record in enumerate(chunk)
            }
            add_candidates(vault, own, name)
            if progress is not None:
                progress(part.stop / max(1, len(prompts)))
