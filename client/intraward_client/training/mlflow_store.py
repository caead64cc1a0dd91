"""Training curves in MLflow's own format, in a SQLite file of the ward, for hospitals that use MLflow.

Nothing of MLflow is imported into the ward: ``mlflow_child`` does the work in a process that gets no key, no
vault and no network (DESIGN.md section 3). Figures of a round are kept in memory and written when the
round has ended, so a killed round leaves no curve. MLflow's telemetry is off by environment besides.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "mlflow.db"
NEEDED = ("alembic", "mlflow", "sqlalchemy")
_CHILD = "intraward_client.training.mlflow_child"
_SECONDS = 60
"""Longest that a call may take; making the file anew takes MLflow 2 to 10 seconds, a round's curve 2."""
_QUIET = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}


class StoreFailed(Exception):
    """MLflow did not do what it was asked; says nothing of what was to be written."""


def lacking() -> str:
    """Name of a package that is not installed; empty if all are there."""
    return next((name for name in NEEDED if importlib.util.find_spec(name) is None), "")


class MlflowRun:
    """One attempt at a round; its figures are written as one run when it is closed."""

    def __init__(self, folder: Path) -> None:
        """``folder``: of the attempt; its name is the run's, the file lies in the folder above."""
        self._file, self._name = folder.parent / FILE, folder.name
        self._figures: list[tuple[int, dict[str, float]]] = []

    def add(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep a step's figures."""
        kept = {name: value if math.isfinite(value) else math.nan for name, value in figures.items()}
        self._figures.append((step, kept))  # MLflow would make an infinite figure the largest number

    def close(self) -> None:
        """Write the run.

        Raises:
            StoreFailed: MLflow could not, or took too long.
        """
        now = time.time_ns() // 1_000_000
        _ask(self._file, "write", run=self._name, time=now, figures=self._figures)


def prepare(file: Path) -> None:
    """Make the file while nothing waits, and see that MLflow works here.

    Raises:
        StoreFailed: it does not.
    """
    _ask(file, "prepare")


def read_runs(file: Path, last: int) -> list[dict[str, Any]]:
    """The newest ``last`` runs: ``run``, ``time`` in milliseconds, ``figures`` by name.

    Raises:
        StoreFailed: the file cannot be read.
    """
    found: list[dict[str, Any]] = _ask(file, "read", last=last).get("runs", [])
    return found


def _ask(file: Path, act: str, **order: Any) -> dict[str, Any]:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    file.parent.chmod(0o700)
    file = file.resolve()
    text = json.dumps({"act": act, "file": str(file), "artifacts": str(file.parent / "artifacts"), **order})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", _CHILD],
            input=text.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # MLflow's remarks, which may quote a figure
            env=_environment(file.parent),
            cwd=file.parent,
            timeout=_SECONDS,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        raise StoreFailed("MLflow did not answer as it should") from None
    return answer


def _environment(home: Path) -> dict[str, str]:
    """Where Python finds the packages, and nothing else of the ward's own environment."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG") if name in os.environ}
    return kept | _QUIET | {"HOME": str(home)}
