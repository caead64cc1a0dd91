"""Poisson sampling of patients, by a keyed pseudo-random function.

Keeps rule 5 of DESIGN.md: each patient is drawn on their own, as PRF(key, step, patient) < q with 53
bits, so removing one patient changes nobody else's draw (Abadi et al., arXiv 1607.00133, need
independent inclusion; a shuffled or fixed-size batch has far worse epsilon, facts on privacy, 2.5).
At most k records of a drawn patient are taken, chosen the same way. Departs from Opacus' loader,
which draws from a shared generator in table order and uses 24-bit uniforms.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from typing import TypeVar

from intraward_client.privacy.noise import NoiseSource
from intraward_shared.protocol import Mechanism

_UNIT = 2.0**-53
Record = TypeVar("Record")


class PatientSampler:
    """Draws the batch of each step; the same key, step and table always give the same batch."""

    __slots__ = ("_key", "_limit", "_rate")

    def __init__(self, noise: NoiseSource, mechanism: Mechanism) -> None:
        self._key = noise.subkey("sampling")
        self._rate, self._limit = mechanism.sample_rate, mechanism.max_records_per_unit

    def __repr__(self) -> str:
        return "PatientSampler(...)"

    def draw(self, step: int, by_unit: Mapping[str, Sequence[Record]]) -> list[list[Record]]:
        """Records of the patients drawn at ``step``, one list per patient, in pseudo-random order.

        Args:
            step: counts from 0; a step is drawn from the whole table, whatever came before.
            by_unit: records of every patient.
        """
        patient = hmac.digest(self._key, b"patient" + step.to_bytes(8, "big"), "sha256")
        record = hmac.digest(self._key, b"record" + step.to_bytes(8, "big"), "sha256")
        drawn = sorted((value, unit) for unit in by_unit if (value := _uniform(patient, unit)) < self._rate)
        return [self._choose(record, unit, by_unit[unit]) for _, unit in drawn]

    def _choose(self, key: bytes, unit: str, records: Sequence[Record]) -> list[Record]:
        order = sorted(range(len(records)), key=lambda index: _uniform(key, f"{index}/{unit}"))
        return [records[index] for index in order[: self._limit]]


def _uniform(key: bytes, name: str) -> float:
    """53-bit uniform in [0, 1), a function of key and name alone."""
    return (int.from_bytes(hmac.digest(key, name.encode(), "sha256")[:8], "big") >> 11) * _UNIT
