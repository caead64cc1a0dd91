"""The stack of blocks of a base model, and a forward pass that stops part of the way up.

A reward model may read its answer after ``RewardHeads.depth`` blocks. The upper blocks of a language model
turn towards the next token; what an answer is worth is read better in the middle (simulation/RESULTS.md,
and linear probes since Alain & Bengio, arXiv 1610.01644), and half the blocks cost half the time. Blocks
above the depth are not run, and the reward adapter has no tensors for them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from torch import nn
from transformers.modeling_layers import GradientCheckpointingLayer

from intraward_shared.errors import ModelError


def parameters_above(network: nn.Module, depth: int) -> frozenset[int]:
    """Identities (``id``) of the parameters in blocks above ``depth``.

    Raises:
        ModelError: the model has fewer blocks, or no stack of blocks.
    """
    parent, name = _stack(network, depth)
    blocks: Any = getattr(parent, name)
    return frozenset(id(parameter) for block in blocks[depth:] for parameter in block.parameters())


@contextlib.contextmanager
def stopped_after(network: nn.Module, depth: int | None) -> Iterator[None]:
    """Forward passes in here run the lowest ``depth`` blocks and the final norm; None runs all.

    Raises:
        ModelError: the model has fewer blocks, or no stack of blocks.
    """
    if depth is None:
        yield
        return
    parent, name = _stack(network, depth)
    whole: Any = getattr(parent, name)
    setattr(parent, name, whole[:depth])
    try:
        yield
    finally:
        setattr(parent, name, whole)


def _stack(network: nn.Module, depth: int) -> tuple[nn.Module, str]:
    """Where the stack of blocks hangs: (its parent module, the attribute)."""
    for parent in network.modules():
        for name, child in parent.named_children():
            if isinstance(child, nn.ModuleList) and any(
                isinstance(block, GradientCheckpointingLayer) for block in child
            ):
                if depth > len(child):
                    raise ModelError(
                        "lora.reward.depth: the base model has fewer blocks",
                        remedy="name a depth of at most the model's number of blocks, or leave it out",
                    )
                return parent, name
    raise ModelError(
        "lora.reward.depth: this architecture has no stack of blocks",
        remedy="leave lora.reward.depth out",
    )
