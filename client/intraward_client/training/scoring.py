"""Rewards of a round's rollouts: ``intraward_shared.scoring`` under the plan's own terms and shapes.

Under a mechanism rows are padded to the plan's longest, so that no shape, and so no rounding, depends on the
rows beside a row (rule 5 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from intraward_client.training.inputs import TrainingInputs
from intraward_shared import scoring
from intraward_shared.generation import Rollout
from intraward_shared.modeling import AdaptedModel


def shaped_scores(
    inputs: TrainingInputs,
    model: AdaptedModel,
    prompts: Sequence[str],
    rows: Sequence[list[int]],
    rollout: Rollout,
) -> Tensor:
    """Reward of each whole answer ``(rows,)``, as PPO and RLOO take it.

    Args:
        prompts: text of each prompt; rows: the token ids it was sampled from.
    """
    spec = inputs.plan.training
    length = spec.max_prompt_tokens + spec.max_completion_tokens + 1 if inputs.private else None
    return scoring.shaped_scores(model, spec, prompts, rows, rollout, length)
