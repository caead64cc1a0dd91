"""One engine for the whole folder; loading it takes two seconds."""

import os
from pathlib import Path

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings

SECRET = bytes(range(32))


@pytest.fixture(scope="session")
def deidentifier() -> Deidentifier:
    return Deidentifier(DeidSettings(), SECRET)


@pytest.fixture(scope="session")
def gold_notes() -> Path:
    root = os.environ.get("INTRAWARD_DATA")
    base = Path(root) if root else Path(__file__).resolve().parents[3].parent / "shared" / "data"
    path = base / "deid_synthetic" / "notes.jsonl"
    if not path.is_file():
        pytest.skip("the shared de-identification set is not on this machine")
    return path
