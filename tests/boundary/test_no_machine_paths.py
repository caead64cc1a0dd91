"""No file of the repository names a folder of the machine it was written on."""

from __future__ import annotations

import re

import pytest
from tests.boundary.sources import ROOT, tracked_files

# Written in pieces, so that this file does not hold what it looks for. A URL's path is not a folder here.
PLACES = ("work", "root", "home", "Users")
PATTERN = re.compile(rb"(?<![\w.:/-])/(?:" + "|".join(PLACES).encode() + rb")/[\w.-]")


def test_no_tracked_file_names_a_folder_of_this_machine() -> None:
    hits = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in tracked_files()
        for number, line in enumerate(path.read_bytes().splitlines(), start=1)
        if PATTERN.search(line)
    ]
    assert hits == []


@pytest.mark.parametrize("place", PLACES)
def test_a_planted_path_is_found(place: str) -> None:
    assert PATTERN.search(f'open("/{place}/somewhere/file")'.encode())


def test_addresses_are_not_paths() -> None:
    assert not PATTERN.search(b"https://example.org/home/page and a/work/b")
