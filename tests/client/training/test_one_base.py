"""Policy, reference and reward model are three adapters over one copy of the base weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from intraward_client.store.datasets import PromptRecord
from intraward_client.training.inputs import ROLES
from intraward_shared.modeling import acting_as, adapted
from intraward_shared.stages import ON_POLICY, Stage


def storages(model: nn.Module) -> dict[int, int]:
    """Bytes of each distinct storage that the model's parameters and buffers lie in, by its address."""
    tensors = [*model.parameters(), *model.buffers()]
    return {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}


@pytest.mark.parametrize("stage", [*ON_POLICY, Stage.DPO])
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_every_role_reads_the_same_base_weights(stage: Stage, kind: str, inputs_of: Any) -> None:
    inputs = inputs_of(stage, [PromptRecord("public", "p", "w1")] if stage in ON_POLICY else [], kind, 0.1)
    base = storages(inputs.base.network)
    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        whole = storages(model)
        own = {id(p) for role in ROLES[stage] for p in model.lora(role).values()}
        heads = [*model.score.parameters(), *model.value_head.parameters()]
        adapters = sum(p.untyped_storage().nbytes() for p in model.parameters() if id(p) in own)
        adapters += sum(p.untyped_storage().nbytes() for p in heads)
        assert set(base) <= set(whole)  # the very memory that was loaded, not a copy
        assert sum(whole.values()) == sum(base.values()) + adapters
        for role in ROLES[stage]:
            with acting_as(model, role), torch.no_grad():
                model.hidden(torch.tensor([[4, 5]]), torch.ones(1, 2, dtype=torch.long))
                assert storages(model) == whole  # a switch makes none either
        assert adapters < sum(base.values())
    assert set(storages(inputs.base.network)) == set(base)
