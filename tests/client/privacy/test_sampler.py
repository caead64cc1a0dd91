"""Poisson sampling of patients: rates, independence, and that nobody's draw depends on another."""

from __future__ import annotations

import numpy as np
import pytest

from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.sampler import PatientSampler
from intraward_shared.protocol import Mechanism

UNITS = {f"u{index:03d}": tuple(f"u{index:03d}-{r}" for r in range(1 + index % 5)) for index in range(60)}


def sampler(rate: float = 0.2, limit: int = 2, seed: int = 5) -> PatientSampler:
    mechanism = Mechanism(
        sample_rate=rate,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        steps=1,
        nominal_batch=4,
        max_records_per_unit=limit,
    )
    return PatientSampler(NoiseSource.seeded(seed, "north", "0" * 64, 1), mechanism)


def drawn_units(batch: list[list[str]]) -> set[str]:
    return {records[0].split("-")[0] for records in batch}


@pytest.fixture(scope="module")
def inclusion() -> np.ndarray:
    """``(steps, units)`` booleans."""
    source, steps = sampler(), 4000
    picked = [drawn_units(source.draw(step, UNITS)) for step in range(steps)]
    return np.array([[unit in batch for unit in UNITS] for batch in picked])


def test_inclusion_frequency_is_the_rate(inclusion: np.ndarray) -> None:
    steps = len(inclusion)
    counts = inclusion.sum(0)
    statistic = ((counts - steps * 0.2) ** 2 / (steps * 0.2 * 0.8)).sum()
    assert 30.3 < statistic < 99.6  # chi-square, 60 degrees of freedom, 0.001 and 0.999


def test_batch_size_varies_as_independent_draws_do(inclusion: np.ndarray) -> None:
    assert inclusion.sum(1).var() == pytest.approx(60 * 0.2 * 0.8, rel=0.05)


def test_any_two_patients_are_drawn_independently(inclusion: np.ndarray) -> None:
    pairs = np.corrcoef(inclusion.T)[np.triu_indices(60, 1)]
    assert np.abs(pairs).max() < 5 / np.sqrt(len(inclusion))
    statistic = len(inclusion) * (pairs**2).sum()  # chi-square, 1,770 degrees of freedom
    assert abs(statistic - 1770) < 4 * np.sqrt(2 * 1770)


def test_a_patients_draws_of_two_steps_are_independent(inclusion: np.ndarray) -> None:
    lagged = np.array([np.corrcoef(u[:-1], u[1:])[0, 1] for u in inclusion.T])
    statistic = (len(inclusion) - 1) * (lagged**2).sum()
    assert 30.3 < statistic < 99.6  # chi-square, 60 degrees of freedom, 0.001 and 0.999


def test_removing_a_patient_changes_nobody_elses_draw() -> None:
    for gone in ("u000", "u017", "u059"):
        rest = {unit: records for unit, records in UNITS.items() if unit != gone}
        with_all, without = sampler(), sampler()
        for step in range(50):
            left = [r for r in with_all.draw(step, UNITS) if not r[0].startswith(gone)]
            assert left == without.draw(step, rest)


def test_at_most_k_records_of_a_patient_each_equally_often() -> None:
    source = sampler(rate=1.0, limit=2)
    counts = dict.fromkeys(UNITS["u004"], 0)
    for step in range(2000):
        for records in source.draw(step, UNITS):
            assert len(records) == min(2, len(UNITS[records[0].split("-")[0]]))
            assert len(set(records)) == len(records)
            for record in records:
                if record in counts:
                    counts[record] += 1
    assert all(abs(count - 800) < 110 for count in counts.values())  # 2000 * 2/5, five standard errors


def test_order_is_not_the_tables() -> None:
    batch = sampler(rate=1.0).draw(0, UNITS)
    order = [records[0][:4] for records in batch]
    assert sorted(order) == list(UNITS)
    assert order != list(UNITS)


def test_rate_one_takes_everybody_and_an_empty_table_nobody() -> None:
    assert len(sampler(rate=1.0).draw(3, UNITS)) == 60
    assert sampler().draw(0, {}) == []


def test_repr_shows_nothing() -> None:
    assert repr(sampler()) == "PatientSampler(...)"


def test_a_patient_with_ten_thousand_records_counts_as_any_other() -> None:
    many = UNITS | {"u004": tuple(f"u004-{r}" for r in range(10_000))}
    one, other = sampler(rate=0.5, limit=2), sampler(rate=0.5, limit=2)
    for step in range(20):
        batch, usual = one.draw(step, many), other.draw(step, UNITS)
        assert [records[0][:4] for records in batch] == [records[0][:4] for records in usual]
        assert max(map(len, batch), default=0) <= 2
