"""One round of training: inputs and noise in, ``LocalUpdate`` out.

The same function for private and public rounds; which it is stands in the plan (``mechanism``). What
comes back is ``after - before`` of exactly the tensors that the round trains (rule 1 of DESIGN.md),
and an error after rows were used says only its type: no exception text of a library, which may quote
a value, gets further (section 2, rule 1).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import TrainingTable
from intraward_client.training.dpo import train_dpo
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_client.training.ppo import train_ppo
from intraward_client.training.reward import train_reward
from intraward_client.training.rloo import train_rloo
from intraward_client.training.sft import train_sft
from intraward_client.training.update import LocalUpdate
from intraward_shared.adapters import State, difference
from intraward_shared.errors import IntrawardError, TrainingAborted
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted
from intraward_shared.protocol import RoundPlan
from intraward_shared.stages import Stage

TRAINERS: dict[Stage, Callable[..., bool]] = {
    Stage.SFT: train_sft,
    Stage.REWARD: train_reward,
    Stage.PPO: train_ppo,
    Stage.DPO: train_dpo,
    Stage.RLOO: train_rloo,
}


def train(
    inputs: TrainingInputs, noise: NoiseSource, progress: Callable[[float], None] | None = None
) -> LocalUpdate:
    """Train the round's tensors.

    Args:
        inputs: plan, base model, input adapters and frozen table.
        noise: made for this attempt alone, after RESERVE, in this process.
        progress: told the share of steps done.

    Raises:
        ContractError: the inputs do not fit the plan; no row was used.
        TrainingAborted: training stopped after rows were used.
    """
    inputs.check(noise)
    role = inputs.plan.trained_input
    with inputs.loaded() as (ready, model):
        before = model.state(role, inputs.trained)
        flagged = _run(ready, model, noise, progress)
        after = model.state(role, inputs.trained)
    return LocalUpdate(inputs.plan.digest, difference(after, before), flagged, inputs.left_out)


def rehearse(plan: RoundPlan, base: BaseModel, adapters: Mapping[str, State]) -> None:
    """Lay out a round's model and adapters, without rows, so that what cannot fit is refused uncharged.

    Raises:
        ContractError, ModelError: modules that the model lacks, tensors of another shape, or blocks that
            cannot be recomputed.
    """
    inputs = TrainingInputs(plan, base, adapters, TrainingTable(()))
    with adapted(base, plan.lora, ROLES[plan.stage]) as model:
        inputs.load(model)
        model.use(plan.trained_input)
        model.state(plan.trained_input, inputs.trained)
        token = torch.zeros((1, 1), dtype=torch.long, device=base.device)
        model.hidden(token, torch.ones_like(token))


def _run(
    inputs: TrainingInputs,
    model: AdaptedModel,
    noise: NoiseSource,
    progress: Callable[[float], None] | None,
) -> bool:
    try:
        return TRAINERS[inputs.plan.stage](inputs, model, noise, progress)
    except IntrawardError:
        raise
    except Exception as error:
        raise TrainingAborted(
            f"training stopped with {type(error).__name__}",
            remedy="repeat the plan on synthetic patients to see why; the charge stays",
        ) from None
