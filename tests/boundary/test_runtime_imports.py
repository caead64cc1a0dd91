"""What is really loaded: a fresh interpreter imports an entry point, and ``sys.modules`` is read.

The run-time twin of ``test_imports``: it also sees what a library drags in (facts on packaging).
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from tests.boundary.sources import ROOT

HOSPITAL_ONLY = ("intraward_client", "presidio_analyzer", "presidio_anonymizer", "opacus", "spacy")
HEAVY = ("torch", "transformers", "peft", "flwr")
DATA_ROOMS = ("deid", "store", "training", "privacy", "ward", "egress")
PROBE = "import sys, {entry}; print('\\n'.join(sys.modules))"


def loaded(entry: str) -> set[str]:
    """Modules in memory after ``entry`` was imported by a fresh interpreter."""
    roots = os.pathsep.join(str(ROOT / folder) for folder in ("client", "server", "shared", "simulation"))
    environment = {**os.environ, "PYTHONPATH": roots}
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(entry=entry)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return set(done.stdout.split())


def test_the_coordinator_loads_nothing_of_the_hospital() -> None:
    assert loaded("intraward_server.app") & set(HOSPITAL_ONLY) == set()


@pytest.mark.parametrize("entry", ["intraward_shared.audit", "intraward_shared.adapters"])
def test_the_auditor_needs_no_torch_and_no_flower(entry: str) -> None:
    assert loaded(entry) & {*HOSPITAL_ONLY, *HEAVY, "intraward_server"} == set()


def test_the_thin_flower_app_loads_no_room_that_holds_data() -> None:
    rooms = {f"intraward_client.{room}" for room in DATA_ROOMS}
    assert loaded("intraward_client.app") & {*rooms, "presidio_analyzer", "spacy", "opacus", "torch"} == set()


def test_de_identification_loads_no_torch_before_a_stronger_recognizer_asks() -> None:
    assert loaded("intraward_client.deid.deidentifier") & {"torch", "transformers"} == set()


def test_the_probe_sees_what_is_loaded() -> None:
    assert "numpy" in loaded("intraward_shared.adapters")
