"""The gap of plain averaging, by its definition with whole products, and 0 where averaging is exact."""

from __future__ import annotations

import numpy as np
import pytest

from intraward_server.productgap import product_gap
from intraward_shared.adapters import State

A, B = "layer.lora_A.weight", "layer.lora_B.weight"


def drawn(seed: int, *names: str) -> State:
    draw = np.random.Generator(np.random.Philox(seed))
    shape = {A: (3, 8), B: (6, 3)}
    return {name: draw.normal(size=shape[name]).astype(np.float32) for name in names}


def test_it_is_what_whole_matrices_say() -> None:
    before, updates = drawn(0, A, B), [drawn(seed, A, B) for seed in (1, 2, 3)]
    ups = [before[B].astype(float) + one[B] for one in updates]
    downs = [before[A].astype(float) + one[A] for one in updates]
    exact = np.mean([up @ down for up, down in zip(ups, downs, strict=True)], axis=0)
    plain = np.mean(ups, axis=0) @ np.mean(downs, axis=0)
    assert product_gap(before, updates) == pytest.approx(
        np.linalg.norm(exact - plain) / np.linalg.norm(exact)
    )


@pytest.mark.parametrize("part", [A, B])
def test_one_factor_at_a_time_loses_nothing(part: str) -> None:
    updates = [drawn(seed, part) for seed in (1, 2, 3)]
    assert product_gap(drawn(0, A, B), updates) == pytest.approx(0, abs=1e-7)


def test_nothing_learnt_loses_nothing() -> None:
    zero = {A: np.ones((3, 8), np.float32), B: np.zeros((6, 3), np.float32)}
    assert product_gap(zero, [{}, {}]) == 0
