"""A study's folder: finished units, each on disk as soon as it is done, under the mark of what is studied.

A rerun in the same folder skips what is there, and an interrupted unit is done again. Nothing that is
written holds text of a record: adapters, outcomes and losses only.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from intraward_shared.adapters import State, decode, encode
from intraward_shared.errors import ConfigError

RESULT, STUDY, UNITS = "study.json", "study-key.json", "units"


class StudyFolder:
    """Finished units below a run's folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def has(self, name: str) -> bool:
        """Whether the figures of a unit are there."""
        return (self.root / UNITS / f"{name}.json").exists()

    def figures(self, name: str, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, or what an earlier run wrote under ``name``; with the seconds it took."""
        path = self.root / UNITS / f"{name}.json"
        if not path.exists():
            began = time.monotonic()
            found = make()
            _write(path, json.dumps({"seconds": time.monotonic() - began, "found": found}).encode())
        return json.loads(path.read_text(encoding="utf-8"))

    def adapter(self, name: str, make: Callable[[], State]) -> State:
        """As ``figures``, for an adapter; the seconds lie beside it."""
        path = self.root / UNITS / f"{name}.safetensors"
        if not path.exists():
            began = time.monotonic()
            made = encode(make())
            _write(path.with_suffix(".seconds"), str(time.monotonic() - began).encode())
            _write(path, made)
        return decode(path.read_bytes())

    def seconds(self) -> float:
        """What all units took, in however many runs they were made."""
        units = self.root / UNITS
        figures = sum(
            json.loads(path.read_text(encoding="utf-8"))["seconds"] for path in units.glob("*.json")
        )
        return float(figures + sum(float(path.read_text()) for path in units.glob("*.seconds")))

    def finish(self, result: Mapping[str, Any]) -> None:
        """Write the study's result."""
        _write(self.root / RESULT, json.dumps(result, indent=1, sort_keys=True).encode())


def open_folder(out: Path, key: Mapping[str, Any], path: Path, *, fresh: bool) -> StudyFolder:
    """The folder, marked with ``key``, so that units of another study are never mixed in.

    Args:
        key: settings, digests of data and model. path: the scenario, for the words of an error.
        fresh: throw away the units of an earlier study.

    Raises:
        ConfigError: the folder holds another study, or something else.
    """
    text, mark = json.dumps(key, sort_keys=True), out / STUDY
    if fresh and mark.exists():
        shutil.rmtree(out / UNITS, ignore_errors=True)
        mark.unlink()
    elif mark.exists() and mark.read_text(encoding="utf-8") != text:
        raise ConfigError(
            path,
            "",
            "the folder holds a study of other settings, data or model",
            remedy="name another folder with --out, or start again with --fresh",
        )
    elif not mark.exists() and out.exists() and any(out.iterdir()):
        raise ConfigError(
            path, "", "the folder holds something else", remedy="name another folder with --out"
        )
    _write(mark, text.encode())
    return StudyFolder(out)


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all, so that an interrupted run leaves no half unit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(path.suffix + ".part")
    unfinished.write_bytes(content)
    unfinished.replace(path)
