"""Every row of the table that strikes the coordinator's machine: real program, three real wards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.faults.hub import lay_hub
from tests.faults.phases import Phase
from tests.faults.table import COORDINATOR, Fault

pytestmark = pytest.mark.faults


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
@pytest.mark.parametrize("fault", COORDINATOR, ids=lambda fault: fault.key)
def test_a_fault_ends_as_the_table_says(
    tmp_path: Path, tiny_folder: Any, make_simulated: Any, fault: Fault, phase: Phase
) -> None:
    assert fault.on_hub is not None
    hub = lay_hub(tmp_path, tiny_folder("llama"), make_simulated)
    assert fault.on_hub(hub, phase) == fault.cells[phase]
