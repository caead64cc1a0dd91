"""Every row of the table that strikes real processes: five rounds, in each the fault at another phase."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.faults.phases import Phase
from tests.faults.plant import Plant
from tests.faults.table import FAULTS, Fault

pytestmark = [pytest.mark.faults, pytest.mark.timeout(2400)]
ROWS = [fault for fault in FAULTS if fault.on_plant is not None]


@pytest.mark.parametrize("fault", ROWS, ids=lambda fault: fault.key)
def test_a_fault_ends_as_the_table_says(
    consortium: Callable[[int], AbstractContextManager[Plant]], fault: Fault
) -> None:
    assert fault.on_plant is not None
    with consortium(len(Phase)) as plant:
        for number, phase in enumerate(Phase, start=1):
            assert fault.on_plant(plant, phase, number) == fault.cells[phase]
        assert plant.await_end("start") == 0
