"""The mean is exact, ordered, flat in memory, and rounds once."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from intraward_server.aggregation import StreamingMean, apply
from intraward_shared.errors import ContractError


def _updates(count: int, size: int = 7) -> list[dict[str, np.ndarray]]:
    draw = np.random.Generator(np.random.Philox(4))
    return [
        {"a": draw.normal(size=(size, 2)).astype(np.float32), "b": draw.normal(size=3).astype(np.float32)}
        for _ in range(count)
    ]


def test_mean_by_hand() -> None:
    mean = StreamingMean()
    for value in (1.0, 2.0, 6.0):
        mean.add({"a": np.array([value, -value], np.float32)})
    np.testing.assert_array_equal(mean.value()["a"], [3.0, -3.0])
    assert mean.count == 3


def test_sum_is_fp64_and_rounded_once() -> None:
    big, small = np.float32(2**24), np.float32(1.0)
    mean = StreamingMean()
    for value in (big, small, -big):  # in fp32 the 1 would vanish
        mean.add({"a": np.array([value], np.float32)})
    out = apply({"a": np.zeros(1, np.float32)}, mean.value())
    assert out["a"].dtype == np.float32 and out["a"][0] == np.float32(1 / 3)


def test_apply_keeps_what_was_not_trained() -> None:
    state = {"a": np.ones(2, np.float32), "frozen": np.full(2, 5, np.float32)}
    out = apply(state, {"a": np.array([0.5, -0.5])})
    np.testing.assert_array_equal(out["a"], [1.5, 0.5])
    np.testing.assert_array_equal(out["frozen"], [5, 5])
    np.testing.assert_array_equal(state["a"], [1, 1])  # the input is not changed
    with pytest.raises(ContractError):
        apply(state, {"unknown": np.zeros(2)})


def test_updates_of_one_round_must_agree() -> None:
    mean = StreamingMean()
    mean.add({"a": np.zeros(2, np.float32)})
    for other in ({"b": np.zeros(2, np.float32)}, {"a": np.zeros(3, np.float32)}, {}):
        with pytest.raises(ContractError):
            mean.add(other)


def test_no_update_no_mean() -> None:
    with pytest.raises(ContractError):
        StreamingMean().value()


def test_a_round_without_tensors_has_an_empty_mean() -> None:
    mean = StreamingMean()
    mean.add({})
    mean.add({})
    assert mean.value() == {} and mean.count == 2


def test_mean_equals_numpy() -> None:
    updates = _updates(9)
    mean = StreamingMean()
    for update in updates:
        mean.add(update)
    for name, value in mean.value().items():
        stacked = np.stack([update[name].astype(np.float64) for update in updates])
        np.testing.assert_allclose(value, stacked.mean(0), rtol=1e-15, atol=1e-17)


def test_memory_does_not_grow_with_the_number_of_sites() -> None:
    def peak(sites: int) -> int:
        draw = np.random.Generator(np.random.Philox(1))
        mean = StreamingMean()
        tracemalloc.start()
        for _ in range(sites):
            mean.add({"a": draw.standard_normal(200_000, np.float32)})
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(24) < 1.1 * peak(3)
