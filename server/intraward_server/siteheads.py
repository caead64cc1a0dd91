"""Reward heads of sites, apart from what the sites share: whose row is taken from whom.

With ``lora.reward.head = "per_site"`` row i of ``score.weight`` is the head of site i of the cohort. Every
update carries noise in all rows and a site's judgments in its own one alone; so the rule and the server
optimizer get the shared tensors of all sites, and each site's row from that site only. Rows of others in an
update are dropped. A site that is missing from a round has no row in its change: row and moments stay as
they were. Pure, on noised updates (post-processing: nothing is charged).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from intraward_shared.adapters import Array, State
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import SCORE_HEAD

_HEAD = SCORE_HEAD[0]
_SHARED = f"{_HEAD}/shared"
Kind = TypeVar("Kind", bound=np.generic)


def divided(state: Mapping[str, NDArray[Kind]], heads: RewardHeads) -> dict[str, NDArray[Kind]]:
    """``state`` with the score head as one tensor for each site, and one for the rows that all share."""
    if not heads.per_site or _HEAD not in state:
        return dict(state)
    out = {name: array for name, array in state.items() if name != _HEAD}
    head = state[_HEAD]
    out |= {_row(member): head[member : member + 1] for member in range(heads.members)}
    return out | ({_SHARED: head[heads.members :]} if heads.marked else {})


def whole(state: State, heads: RewardHeads) -> dict[str, Array]:
    """Inverse of ``divided``."""
    rows = [_row(member) for member in range(heads.members)] + [_SHARED] * heads.marked
    if not heads.per_site or rows[0] not in state:
        return dict(state)
    out = {name: array for name, array in state.items() if name not in rows}
    return out | {_HEAD: np.concatenate([state[name] for name in rows])}


def parted(update: State, heads: RewardHeads, member: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """An update's shared tensors, and the row that is its sender's own; rows of others are dropped."""
    every = divided(update, heads)
    rows = {_row(place) for place in range(heads.members)}
    own = {name: every[name] for name in (_row(member),) if name in every}
    return {name: array for name, array in every.items() if name not in rows}, own


def _row(member: int) -> str:
    return f"{_HEAD}/{member}"
