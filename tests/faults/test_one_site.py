"""Every row of the table that strikes one hospital: real ward, vault, ledger, round and admission."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.bench import Bench
from tests.faults.node import Full, broken_disk
from tests.faults.outcome import Seen
from tests.faults.phases import Phase
from tests.faults.table import MACHINE, Fault, cells_on_site

pytestmark = pytest.mark.faults
CELLS = cells_on_site()


@pytest.mark.parametrize(
    ("fault", "phase", "expected"), CELLS, ids=[f"{fault.key}-{phase.name}" for fault, phase, _ in CELLS]
)
def test_a_fault_ends_as_the_table_says(bench: Bench, fault: Fault, phase: Phase, expected: Seen) -> None:
    assert fault.on_site is not None
    assert fault.on_site(bench, phase) == expected


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "intraward-test", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode != 0:
        pytest.skip("this user may not mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("phase", Phase, ids=lambda phase: phase.name)
def test_a_really_full_disk_ends_in_the_same_way(bench: Bench, small_disk: Path, phase: Phase) -> None:
    bench.move_to(small_disk)
    expected = next(fault for fault in MACHINE if fault.key == "disk_full").cells[phase]
    seen = broken_disk(bench, phase, Full(small_disk))
    assert isinstance(expected, Seen) and seen.outcome == expected.outcome


def test_the_small_disk_is_really_full(small_disk: Path) -> None:
    disk = Full(small_disk)
    disk.fail()
    with pytest.raises(OSError) as caught:
        (small_disk / "one").write_bytes(b"x")
    assert caught.value.errno == errno.ENOSPC
    disk.mend()
    (small_disk / "one").write_bytes(b"x")
