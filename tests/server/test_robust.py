"""Robust rules against examples by hand, and one site of five that sends a hundred times too much."""

from __future__ import annotations

import numpy as np
import pytest

from intraward_server.robust import Held, krum, median, trimmed_mean
from intraward_shared.adapters import State
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ContractError


def of(*rows: tuple[float, float]) -> list[State]:
    return [{"a": np.array(row[:1], np.float32), "b": np.array([row[1:]], np.float32)} for row in rows]


def honest(count: int, spread: float) -> list[State]:
    draw = np.random.Generator(np.random.Philox(3))
    return [
        {"a": (1 + spread * draw.normal(size=(20, 5))).astype(np.float32), "b": np.ones(3, np.float32)}
        for _ in range(count)
    ]


def test_median_and_trimmed_mean_by_hand() -> None:
    updates = of((1, 9), (2, 3), (100, 4), (3, -5), (4, 0))
    assert median(updates)["a"].tolist() == [3] and median(updates)["b"].tolist() == [[3]]
    assert trimmed_mean(updates, 1)["a"].tolist() == [3]
    assert trimmed_mean(updates, 1)["b"][0, 0] == pytest.approx(7 / 3)
    assert trimmed_mean(updates, 2) == median(updates)


def test_krum_by_hand() -> None:
    """Five of which one is far; each is scored by its two nearest."""
    updates = of((0, 0), (1, 0), (0.4, 0), (50, 50), (0.5, 0))
    assert krum(updates, 1)["a"][0] == np.float32(0.4)


@pytest.mark.parametrize("spread", [0.01, 1.0])
@pytest.mark.parametrize("rule", ["median", "trimmed_mean", "krum"])
def test_one_of_five_that_sends_a_hundredfold_moves_little(rule: str, spread: float) -> None:
    clean, terms = honest(5, spread), AggregationTerms.model_validate({"rule": rule})
    hostile = [*clean[:4], {name: -100 * array for name, array in clean[4].items()}]
    made = []
    for updates in (clean, hostile):
        held = Held(terms)
        for update in updates:
            held.add(update)
        made.append(np.concatenate([array.ravel() for array in held.value().values()]))
    apart = np.linalg.norm(made[0] - made[1])
    assert apart <= 2 * spread * np.sqrt(100) < np.linalg.norm(made[0] - made[0] * -100 / 5)


def test_too_few_or_other_updates_are_refused() -> None:
    with pytest.raises(ContractError, match=r"aggregation\.trim"):
        trimmed_mean(of((1, 1), (2, 2)), 1)
    with pytest.raises(ContractError, match=r"aggregation\.hostile"):
        krum(of((1, 1), (2, 2), (3, 3), (4, 4)), 1)
    with pytest.raises(ContractError, match="different tensors"):
        median([{"a": np.zeros(2, np.float32)}, {"a": np.zeros(3, np.float32)}])
    with pytest.raises(ContractError, match="no update"):
        Held(AggregationTerms(rule="median")).value()
