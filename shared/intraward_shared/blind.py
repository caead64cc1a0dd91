"""Blind comparisons by clinicians: the key of a file of answer pairs, and what votes say once it is opened.

The coordinator writes pairs of answers to public prompts under neutral names (``intraward-server blind``), in
an order that was drawn pair by pair, and keeps the key. A hospital's clinicians judge them at the label
station. When they are done the hospital gets the key and counts (``intraward-client label unblind``); its
votes stay there, and whether the figure leaves is a person's decision (DESIGN.md section 6).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, StringConstraints, model_validator

from intraward_shared.brought import read_brought
from intraward_shared.config import Strict, parse
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import Digest
from intraward_shared.winrates import win_rate

FEWEST_PAIRS = 5
MAX_KEY_BYTES = 10_000_000
"""Of fewer judged pairs there is no interval worth the name, and none is given."""
_SEED = 20_260_101
_ID = r"^blind-[0-9a-f]{12}-[0-9]{5}$"


class BlindPair(Strict):
    """``first``: whose answer stands first; ``words`` of the policy's answer, and of the other."""

    id: Annotated[str, StringConstraints(pattern=_ID)]
    first: Literal["policy", "other"]
    words: tuple[int, int]


class BlindKey(Strict):
    """Who is who. ``other`` is the adapter that ``policy`` is held against, none for the base model.

    ``same``: prompts to which both said the same, so that there was nothing to judge.
    """

    schema_version: Literal[1] = 1
    run_id: str
    policy: Digest
    other: Digest | None
    against: Literal["sft", "base"]
    same: int = Field(ge=0)
    pairs: tuple[BlindPair, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len({pair.id for pair in self.pairs}) < len(self.pairs):
            raise ValueError("two pairs have the same id")
        return self


def read_key(path: Path) -> BlindKey:
    """A key file.

    Raises:
        ConfigError: it cannot be read, or is no such key; names the field.
    """
    try:
        raw = json.loads(read_brought(path, MAX_KEY_BYTES))
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="ask the coordinator for the key") from None
    except (ValueError, RecursionError):
        raise ConfigError(path, "", "is not JSON", remedy="ask the coordinator for the key again") from None
    if not isinstance(raw, dict):
        raise ConfigError(path, "", "is no JSON object", remedy="ask the coordinator for the key again")
    return parse(raw, BlindKey, path)


def unblinded(key: BlindKey, votes: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Win rate of the policy over the other, at equal length too, with 95 % intervals over pairs.

    Args:
        votes: by pair 1, 1/2 or 0 of each vote: the policy's answer is better, as good, worse.
    """
    judged = [pair for pair in key.pairs if votes.get(pair.id)]
    out: dict[str, Any] = {
        "against": key.against,
        "pairs": len(judged),
        "votes": sum(len(votes[pair.id]) for pair in judged),
        "not_judged": len(key.pairs) - len(judged),
        "same": key.same,
        "win_rate": None,
        "win_rate_interval": None,
        "length_controlled": None,
        "length_controlled_interval": None,
    }
    if judged:
        won = np.array([[mean(votes[pair.id]) for pair in judged]])
        longer = np.array([[float(pair.words[0] - pair.words[1]) for pair in judged]])
        found = win_rate(won, longer, _SEED)
        out["win_rate"] = found.rate
        if len(judged) >= FEWEST_PAIRS:
            out |= {
                "win_rate_interval": list(found.interval),
                "length_controlled": found.controlled,
                "length_controlled_interval": list(found.controlled_interval),
            }
    return out
