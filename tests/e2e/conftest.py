"""What the tests with real processes share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOTS = ("client", "server", "shared", "simulation")


@pytest.fixture(autouse=True)
def packages_for_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let child processes import the packages, installed or not, and the plumbing beside this file."""
    roots = [str(HERE), *(str(HERE.parents[1] / root) for root in ROOTS), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(roots))
