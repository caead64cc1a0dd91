"""Losses and estimators against TRL, torchrl and choix: golden numbers always, live where installed."""

from __future__ import annotations

import json

import pytest
import torch
from tests.parity.cases import OURS, ragged
from tests.parity.make_golden import GOLDEN, installed
from tests.parity.oracles import ORACLES, golden

FLOAT64, FLOAT32 = 1e-12, 1e-6


def largest_difference(name: str, expected: list[float], dtype: torch.dtype = torch.float64) -> float:
    found = OURS[name](ragged(dtype)).double().flatten()
    assert found.shape == (len(expected),)
    return float((found - torch.tensor(expected, dtype=torch.float64)).abs().max())


def test_every_oracle_has_its_numbers() -> None:
    assert set(OURS) == set(ORACLES) == set(json.loads(GOLDEN.read_text()))


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_golden_numbers(name: str) -> None:
    expected = json.loads(GOLDEN.read_text())[name]["values"]
    assert largest_difference(name, expected) <= FLOAT64
    scale = max(1.0, *(abs(value) for value in expected))
    assert largest_difference(name, expected, torch.float32) <= FLOAT32 * scale


@pytest.mark.parametrize("name", sorted(ORACLES))
def test_live(name: str) -> None:
    package, wanted, _ = ORACLES[name]
    if not installed(package, wanted):
        pytest.skip(f"{package} {wanted} is not installed; the golden numbers stand for it")
    assert largest_difference(name, golden(name)) <= FLOAT64
