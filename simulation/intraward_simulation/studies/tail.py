"""The trainable end of a reward model whose lower part is frozen, so that a study of many arms stays short.

With LoRA on the linear layers of one block's MLP and the heads reading after that block, a score depends on
the text through one vector alone: the last token's state between the block's attention and its MLP. It is
computed once a text; what a step then runs is the MLP, the final norm and the head. The numbers are those of
``AdaptedModel`` with the same adapter (a test holds them together), and tensors have its names.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from intraward_shared.adapters import Array, State
from intraward_shared.depth import stopped_after
from intraward_shared.errors import ModelError
from intraward_shared.generation import encode_pairs
from intraward_shared.modeling import BaseModel, initial_state
from intraward_shared.protocol import LoraSpec
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import SCORE_HEAD, Stage

LINEAR = ("gate_proj", "up_proj", "down_proj")
AT_ONCE = 64
_PREFIX = "base_model.model.model.layers."


def tail_lora(depth: int, r: int) -> LoraSpec:
    """LoRA of rank ``r`` and alpha 2 r on the MLP of block ``depth``, read right after it, head from zero."""
    return LoraSpec(
        r=r,
        lora_alpha=2 * r,
        target_modules=tuple(f"layers.{depth - 1}.mlp.{name}" for name in LINEAR),
        reward=RewardHeads(depth=depth, start="zero"),
    )


class _Adapted(nn.Module):
    """A frozen linear layer with its two LoRA factors, as PEFT adds them."""

    def __init__(self, frozen: nn.Linear, r: int, scaling: float) -> None:
        super().__init__()
        self.frozen, self.scaling = frozen, scaling
        self.lora_A = nn.Linear(frozen.in_features, r, bias=False)
        self.lora_B = nn.Linear(r, frozen.out_features, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.frozen(x) + self.lora_B(self.lora_A(x)) * self.scaling
        return out


class Tail(nn.Module):
    """MLP with LoRA, final norm and score head over states ``(rows, width)``; weights are copies."""

    def __init__(self, base: BaseModel, lora: LoraSpec) -> None:
        """Raises: ModelError: not a Llama-like block with a gated MLP."""
        super().__init__()
        self.lora = lora
        self._block = (lora.reward.depth or 0) - 1
        network: Any = base.network
        try:
            block = copy.deepcopy(network.model.layers[self._block])
            layers = {name: getattr(block.mlp, name) for name in LINEAR}
            self._activation = block.mlp.act_fn
            self.before, self.after = block.post_attention_layernorm, copy.deepcopy(network.model.norm)
        except AttributeError:
            raise ModelError("the base model has no Llama-like blocks", remedy="take another model") from None
        scaling = lora.lora_alpha / lora.r
        self.mlp = nn.ModuleDict({name: _Adapted(layer, lora.r, scaling) for name, layer in layers.items()})
        self.score: Any = nn.Linear(base.hidden_size, 1, bias=False)
        self.requires_grad_(False)
        self.eval()

    def forward(self, states: Tensor) -> Tensor:
        """Scores ``(rows,)``."""
        x = self.before(states)
        inner = self._activation(self.mlp["gate_proj"](x)) * self.mlp["up_proj"](x)
        out: Tensor = self.score(self.after(states + self.mlp["down_proj"](inner)))
        return out.squeeze(-1)

    def tensors(self) -> dict[str, nn.Parameter]:
        """LoRA factors and head under the names of a reward adapter, sorted."""
        found: dict[str, nn.Parameter] = {
            f"{_PREFIX}{self._block}.mlp.{name}.{factor}.weight": getattr(layer, factor).weight
            for name, layer in self.mlp.items()
            for factor in ("lora_A", "lora_B")
        }
        found[SCORE_HEAD[0]] = self.score.weight
        return {name: found[name] for name in sorted(found)}

    @torch.no_grad()
    def load(self, state: State) -> None:
        """Copy an adapter's tensors."""
        for name, parameter in self.tensors().items():
            parameter.copy_(torch.from_numpy(np.array(state[name])))

    def state(self, names: Sequence[str]) -> dict[str, Array]:
        """Named tensors as float32 arrays (copies)."""
        own = self.tensors()
        return {name: own[name].detach().numpy().copy() for name in names}

    def frozen(self) -> dict[str, nn.Parameter]:
        """The frozen matrices under their modules' names."""
        layers: Any = self.mlp
        return {f"{_PREFIX}{self._block}.mlp.{name}": layer.frozen.weight for name, layer in layers.items()}


def first_state(base: BaseModel, lora: LoraSpec, seed: int) -> dict[str, Array]:
    """The adapter that training starts from: the product's own."""
    return initial_state(base, lora, Stage.REWARD, seed)


@torch.no_grad()
def states_of(
    base: BaseModel, depth: int, texts: Sequence[tuple[str, str]], max_prompt: int, max_answer: int
) -> Tensor:
    """State of each (prompt, answer) text before the MLP of block ``depth``, at its last token.

    A longer prompt keeps its last tokens, a longer answer its first ones.

    Returns:
        fp32 ``(texts, width)``, in the order of ``texts``.
    """
    network: Any = base.network
    caught: list[Tensor] = []
    norm = network.model.layers[depth - 1].post_attention_layernorm
    hook = norm.register_forward_pre_hook(lambda _, given: caught.append(given[0]))
    out = torch.empty(len(texts), base.hidden_size)
    order = sorted(range(len(texts)), key=lambda place: len(texts[place][0]) + len(texts[place][1]))
    try:
        for start in range(0, len(order), AT_ONCE):
            part = order[start : start + AT_ONCE]
            rows = encode_pairs(base, [texts[place] for place in part], max_prompt, max_answer)
            positions = (rows.mask.cumsum(-1) - 1).clamp(min=0)
            caught.clear()
            with stopped_after(network.model, depth):
                network.model(
                    input_ids=rows.ids, attention_mask=rows.mask, position_ids=positions, use_cache=False
                )
            out[part] = caught[0][torch.arange(len(part)), rows.mask.sum(-1) - 1].float()
    finally:
        hook.remove()
    return out
