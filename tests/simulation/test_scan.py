"""The scan finds an identifier in each spelling, and nothing where there is none."""

import base64

import pytest

from intraward_simulation.scan import scan_bytes, scan_files

NAME = "Zebulon Quorvane 7731"


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_base64_at_each_alignment(shift: int) -> None:
    data = b"head " + base64.b64encode(b"\x01\x02\x03"[:shift] + NAME.encode() + b"tail") + b" end"
    assert scan_bytes(data, [NAME]) == {NAME}


@pytest.mark.parametrize(
    "data",
    [
        NAME.upper().encode(),
        NAME.encode("utf-16-le"),
        NAME.encode("utf-16-be"),
        NAME.encode().hex().encode(),
        b"q=Zebulon%20Quorvane%207731",
    ],
)
def test_other_spellings(data: bytes) -> None:
    assert scan_bytes(b"\x00" * 7 + data + b"\x00", [NAME]) == {NAME}


def test_clean_bytes_and_near_misses() -> None:
    assert scan_bytes(b"Zebulon Quorvane 7732 " * 10, [NAME]) == set()


def test_files_are_walked_and_counted(tmp_path):  # type: ignore[no-untyped-def]
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.log").write_bytes(b"x" * 10 + NAME.lower().encode())
    (tmp_path / "b.bin").write_bytes(b"y" * 5)
    result = scan_files([tmp_path], [NAME, "Nobody Else 1"])
    assert (result.found, result.identifiers, result.scanned_files) == (1, 2, 2)
    assert result.files[0].endswith("a.log")
    assert result.scanned_bytes == 10 + len(NAME) + 5
