"""Server optimisers: how far the adapter follows a round's change (Reddi et al., arXiv 2003.00295).

FedAvgM: ``m = momentum * m + change``, the adapter moves by ``learning_rate * m``. FedAdam:
``m = momentum * m + (1 - momentum) * change``, ``v`` likewise of its square, the adapter moves by
``learning_rate * m / (sqrt(v) + tau)``; without bias correction, as in the paper. A round moves the moments
of the tensors that it trained, so alternating factors keep their own. What a site's noise adds to a
change stays in the moments: post-processing, no charge.

Moments are kept as safetensors under the digest of the adapter that they led to, so that a round that is
repeated after a crash starts from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError

Change = Mapping[str, NDArray[np.float64]]
Moments = dict[str, NDArray[np.float64]]
_FIRST, _SECOND = "m:", "v:"


def step(
    change: Change, moments: Moments, terms: AggregationTerms
) -> tuple[dict[str, NDArray[np.float64]], Moments]:
    """What is added to the adapter, and the moments after it; ``moments`` stays as it is.

    Args:
        change: the round's aggregate by tensor name, fp64.
        moments: of the rounds before; a tensor that has none begins at 0.
    """
    if terms.optimizer == "none":
        return dict(change), moments
    after, out = dict(moments), {}
    for name, value in change.items():
        old = moments.get(_FIRST + name, np.zeros_like(value))
        if terms.optimizer == "fedavgm":
            first = terms.momentum * old + value
            out[name] = terms.learning_rate * first
        else:
            first = terms.momentum * old + (1 - terms.momentum) * value
            before = moments.get(_SECOND + name, np.zeros_like(value))
            second = terms.second_momentum * before + (1 - terms.second_momentum) * value**2
            after[_SECOND + name] = second
            out[name] = terms.learning_rate * first / (np.sqrt(second) + terms.tau)
        after[_FIRST + name] = first
    return out, after


def read_moments(folder: Path, adapter: str, *, fresh: bool) -> Moments:
    """Moments that led to ``adapter``; none where it is ``fresh``, the start of a stage.

    Raises:
        ConfigError: the file is missing or broken; to begin again from none would change the program.
    """
    if fresh:
        return {}
    path = folder / f"{adapter}.safetensors"
    try:
        return {name: array.astype(np.float64) for name, array in load(path.read_bytes()).items()}
    except (OSError, SafetensorError):
        raise ConfigError(
            path, "", "the optimizer's moments are missing or broken", remedy="restore the file from a backup"
        ) from None


def write_moments(folder: Path, adapter: str, moments: Moments) -> None:
    """Keep the moments that led to ``adapter``; those of older adapters go."""
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = {name: np.ascontiguousarray(moments[name]) for name in sorted(moments)}
    write_durably(folder / f"{adapter}.safetensors", save(kept))


def drop_moments(folder: Path, keep: set[str]) -> None:
    """Delete moments of adapters that no coming round starts from."""
    for path in folder.glob("*.safetensors"):
        if path.stem not in keep:
            path.unlink()
