"""A covering dozen of the fault table (``deploy/FAULTS.md``); ``make faults`` runs all of it."""

from __future__ import annotations

import pytest
from tests.client.conftest import (  # noqa: F401
    adapter_of,
    lora_of,
    make_site,
    rounds,
    tiny,
    tiny_folder,
)
from tests.faults.bench import Bench
from tests.faults.conftest import bench  # noqa: F401
from tests.faults.outcome import Seen
from tests.faults.phases import Phase
from tests.faults.table import COVERING, Fault, cells_on_site

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CELLS = [cell for cell in cells_on_site() if (cell[0].key, cell[1]) in COVERING]


@pytest.mark.parametrize(
    ("fault", "phase", "expected"), CELLS, ids=[f"{fault.key}-{phase.name}" for fault, phase, _ in CELLS]
)
def test_a_fault_ends_as_the_table_says(
    bench: Bench,  # noqa: F811
    fault: Fault,
    phase: Phase,
    expected: Seen,
) -> None:
    assert fault.on_site is not None
    assert fault.on_site(bench, phase) == expected
