"""FedAvgM and FedAdam by hand, and moments that survive a crash or are missed aloud."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from intraward_server.serveroptimizer import drop_moments, read_moments, step, write_moments
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ConfigError

CHANGE = {"a": np.array([1.0, -2.0])}


def test_without_an_optimizer_the_change_is_taken_as_it_is() -> None:
    moved, moments = step(CHANGE, {}, AggregationTerms())
    assert moved["a"].tolist() == [1, -2] and moments == {}


def test_fedavgm_by_hand() -> None:
    terms = AggregationTerms(optimizer="fedavgm", momentum=0.5, learning_rate=2.0)
    moved, moments = step(CHANGE, {}, terms)
    assert moved["a"].tolist() == [2, -4]
    again, _ = step(CHANGE, moments, terms)
    assert again["a"].tolist() == [3, -6]  # 2 * (0.5 * 1 + 1)


def test_fedadam_by_hand() -> None:
    terms = AggregationTerms(
        optimizer="fedadam", momentum=0.0, second_momentum=0.75, learning_rate=0.1, tau=0.5
    )
    moved, moments = step(CHANGE, {}, terms)
    np.testing.assert_allclose(moved["a"], [0.1 * 1 / (0.5 + 0.5), 0.1 * -2 / (1.0 + 0.5)])
    again, _ = step(CHANGE, moments, terms)
    second = 0.75 * 0.25 + 0.25
    np.testing.assert_allclose(again["a"][0], 0.1 * 1 / (np.sqrt(second) + 0.5))


def test_a_tensor_that_the_round_did_not_train_keeps_its_moments() -> None:
    terms = AggregationTerms(optimizer="fedavgm", momentum=0.5)
    _, moments = step({"a": np.ones(1), "b": np.ones(1)}, {}, terms)
    _, after = step({"a": np.ones(1)}, moments, terms)
    assert after["m:b"] == moments["m:b"] and after["m:a"] != moments["m:a"]


def test_moments_come_back_to_the_bit_and_are_missed_aloud(tmp_path: Path) -> None:
    _, moments = step(CHANGE, {}, AggregationTerms(optimizer="fedadam"))
    write_moments(tmp_path / "moments", "one", moments)
    write_moments(tmp_path / "moments", "two", moments)
    found = read_moments(tmp_path / "moments", "one", fresh=False)
    assert {name: array.tobytes() for name, array in found.items()} == {
        name: array.tobytes() for name, array in moments.items()
    }
    assert read_moments(tmp_path / "moments", "none", fresh=True) == {}
    drop_moments(tmp_path / "moments", {"two"})
    with pytest.raises(ConfigError, match="moments are missing"):
        read_moments(tmp_path / "moments", "one", fresh=False)
    (tmp_path / "moments" / "two.safetensors").write_bytes(b"x")
    with pytest.raises(ConfigError, match="broken"):
        read_moments(tmp_path / "moments", "two", fresh=False)


@pytest.mark.parametrize(
    "table",
    [
        {"trim": 2},
        {"hostile": 2, "rule": "median"},
        {"momentum": 0.5},
        {"optimizer": "fedavgm", "tau": 0.1},
        {"optimizer": "sgd"},
        {"rule": "mean", "momentum": 1.0, "optimizer": "fedavgm"},
    ],
)
def test_a_key_that_nothing_uses_is_refused(table: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AggregationTerms.model_validate(table)
