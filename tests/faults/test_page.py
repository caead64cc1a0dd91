"""The page cannot drift from the table, and the table has every fault and phase that was asked for."""

from __future__ import annotations

from tests.faults.outcome import Seen
from tests.faults.page import PAGE, render
from tests.faults.phases import Phase
from tests.faults.table import COVERING, FAULTS, cells_on_site


def test_the_page_is_the_tables() -> None:
    assert PAGE.read_text(encoding="utf-8") == render()


def test_every_fault_has_every_phase_or_a_reason() -> None:
    for fault in FAULTS:
        assert list(fault.cells) == list(Phase)
        assert sum(each is not None for each in (fault.on_site, fault.on_hub, fault.on_plant)) == 1
        assert all(isinstance(cell, Seen) or len(cell) > 20 for cell in fault.cells.values())
        assert any(isinstance(cell, Seen) for cell in fault.cells.values())
    assert len(FAULTS) == 28 and len({fault.key for fault in FAULTS}) == 28


def test_the_covering_dozen_are_cells() -> None:
    assert len(COVERING) >= 12
    assert {(fault.key, phase) for fault, phase, _ in cells_on_site()} >= COVERING
