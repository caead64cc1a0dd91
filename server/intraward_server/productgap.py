"""What plain averaging of LoRA factors loses: the mean of products is not the product of means.

``W + B A`` at each site averages to ``W + mean(B_i A_i)``; a server that averages the factors applies
``mean(B_i) mean(A_i)`` (FedEx-LoRA, arXiv 2410.09432, section 3). The gap is 0 where one factor was equal at
all sites, as in alternating rounds and with A frozen.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from intraward_shared.adapters import State

_A, _B = ".lora_A.weight", ".lora_B.weight"
Matrix = NDArray[np.float64]


def product_gap(before: State, updates: Sequence[State]) -> float:
    """Frobenius norm of the gap over that of the exact mean product, over all modules together.

    Args:
        before: the adapter that the sites started from.
        updates: each site's change of it, by tensor name; a factor without change stays as it was.

    Returns:
        0 for exact, 1 for all lost; 0 too where the exact product is 0.
    """
    lost = exact = 0.0
    for name in sorted(before):
        if not name.endswith(_A):
            continue
        other = name.removesuffix(_A) + _B
        downs = [_moved(before, one, name) for one in updates]
        ups = [_moved(before, one, other) for one in updates]
        count = len(updates)
        left = np.concatenate(ups, axis=1) / count
        right = np.concatenate(downs, axis=0)
        mean_up, mean_down = np.mean(ups, axis=0), np.mean(downs, axis=0)
        exact += _product_norm(left, right) ** 2
        lost += _product_norm(np.hstack([left, -mean_up]), np.vstack([right, mean_down])) ** 2
    return float(np.sqrt(lost / exact)) if exact else 0.0


def _moved(before: State, update: State, name: str) -> Matrix:
    start = before[name].astype(np.float64)
    return start + update[name] if name in update else start


def _product_norm(left: Matrix, right: Matrix) -> float:
    """Frobenius norm of ``left @ right`` without the product, which is as large as the weight matrix."""
    one, other = np.asarray(np.linalg.qr(left, mode="r")), np.asarray(np.linalg.qr(right.T, mode="r"))
    return float(np.linalg.norm(one @ other.T))
