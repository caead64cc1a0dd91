"""What sampling token by token needs beside the model: open rows, room for their cache, one draw a row.

``roomy_cache`` holds keys and values in buffers as long as the answer can be, where transformers'
``DynamicCache`` copies every layer's past for each token. ``draw`` inverts the distribution of each row at
that row's own uniform, so that a row's token is a function of its own logits and draws (rule 5 of
DESIGN.md); it adds up blocks of the vocabulary first and searches within one of them, which costs a
thirtieth of a multinomial draw at 49,152 words.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers.cache_utils import Cache, DynamicLayer

_BLOCK = 256
"""Words of the vocabulary that are added up together; near the root of the vocabularies in use."""


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]  # transformers' types are not read
    """Keys and values ``(rows, heads, tokens, width)`` of one layer, as views of buffers with room."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self._room = room
        self._buffers: list[Tensor] = []

    def lazy_initialization(self, key_states: Tensor, value_states: Tensor) -> None:
        """Make the buffers, in the first tokens' shape and dtype."""
        self.dtype, self.device = key_states.dtype, key_states.device
        shapes = [(*t.shape[:2], self._room, t.shape[3]) for t in (key_states, value_states)]
        self._buffers = [torch.empty(shape, dtype=self.dtype, device=self.device) for shape in shapes]
        self._show(0)
        self.is_initialized = True

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Write new tokens behind the old ones; everything so far."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        start = self.keys.shape[-2]
        end = start + key_states.shape[-2]
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, start:end] = states
        self._show(end)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep some rows only."""
        tokens = self.keys.shape[-2]
        self._buffers = [buffer[indices] for buffer in self._buffers]
        self._show(tokens)

    def _show(self, tokens: int) -> None:
        self.keys, self.values = (buffer[:, :, :tokens] for buffer in self._buffers)


def roomy_cache(room: int) -> Any:
    """A key-value cache for at most ``room`` tokens a row."""
    return Cache(layer_class_to_replicate=partial(_RoomyLayer, room))


@dataclass(repr=False)
class OpenRows:
    """Rows that are still computed, and where each stands in the rollout.

    ids: their newest tokens; attention: over prompt and every possible token; alive: not ended yet.
    """

    ids: Tensor
    attention: Tensor
    uniforms: Tensor
    place: Tensor
    alive: Tensor
    cache: Any
    tokens: int

    @classmethod
    def begin(cls, ids: Tensor, mask: Tensor, uniforms: Tensor, max_new: int) -> OpenRows:
        """Rows of padded prompts ``(rows, tokens)``."""
        count, tokens = ids.shape
        attention = torch.cat([mask, mask.new_zeros(count, max_new)], 1)
        place = torch.arange(count, device=ids.device)
        alive = torch.ones(count, dtype=torch.bool, device=ids.device)
        cache = roomy_cache(tokens + max_new)
        return cls(ids, attention, uniforms.to(ids.device), place, alive, cache, tokens)

    def seen(self) -> Tensor:
        """Attention mask up to the newest tokens."""
        return self.attention[:, : self.tokens]

    def go_on(self, ids: Tensor, eos: int, *, shrink: bool) -> None:
        """Take the tokens just drawn; with ``shrink`` leave ended rows out once they are half or all."""
        self.ids = ids
        self.attention[:, self.tokens] = self.alive
        self.tokens += 1
        self.alive = self.alive & (ids[:, 0] != eos)
        if shrink and int(self.alive.sum()) <= len(self.alive) // 2:  # less would not pay for the copies
            kept = self.alive.nonzero()[:, 0]
            self.cache.batch_select_indices(kept)
            self.ids, self.attention, self.uniforms = (
                self.ids[kept],
                self.attention[kept],
                self.uniforms[kept],
            )
            self.place, self.alive = self.place[kept], self.alive[kept]


def draw(probabilities: Tensor, uniforms: Tensor) -> Tensor:
    """One token per row ``(rows, 1)`` by inverting the row's cumulative distribution.

    Blocks are added up in fp32, as the probabilities are; everything after in fp64. Where the sum within
    a block differs in its last bits, the place within it is taken as a share of it: a word without
    probability is never drawn.

    Args:
        probabilities: ``(rows, vocabulary)``; uniforms: fp64 on [0, 1) ``(rows, 1)``, on any device.
    """
    rows, words = probabilities.shape
    blocks = pad(probabilities, (0, -words % _BLOCK)).view(rows, -1, _BLOCK)
    sums = blocks.sum(-1).double()
    cumulative, target = _targets(sums, uniforms.to(sums.device))
    block = _place(cumulative, target)
    own = sums.gather(1, block)
    share = (target - (cumulative.gather(1, block) - own)) / own
    within = blocks.gather(1, block[:, :, None].expand(-1, 1, _BLOCK)).squeeze(1).double()
    place = _place(*_targets(within, share.clamp(0, 1 - 2**-53)))
    return (block * _BLOCK + place).clamp(max=words - 1)  # of a row that is not finite too


def _targets(weights: Tensor, uniforms: Tensor) -> tuple[Tensor, Tensor]:
    """Cumulative weights ``(rows, places)`` and where each row's uniform falls on them ``(rows, 1)``."""
    cumulative = weights.cumsum(-1)
    return cumulative, uniforms * cumulative[:, -1:]


def _place(cumulative: Tensor, target: Tensor) -> Tensor:
    """First place whose cumulative weight is above the target ``(rows, 1)``."""
    return torch.searchsorted(cumulative, target, right=True).clamp(max=cumulative.shape[1] - 1)
