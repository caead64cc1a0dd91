"""What a kind of study is to the driver: its scenario, the files that it reads, and the work itself."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from intraward_shared.modeling import BaseModel
from intraward_simulation.phases import Show
from intraward_simulation.studies.folder import StudyFolder
from intraward_simulation.studies.terms import StudyScenario

Scenario = TypeVar("Scenario", bound=StudyScenario)


@dataclass(frozen=True)
class Setting:
    """What the driver hands to a study.

    Args:
        data: folder of the open data sets. show: told the progress. say: told the estimate.
    """

    base: BaseModel
    data: Path
    folder: StudyFolder
    show: Show
    say: Callable[[str], None]

    def estimate(self, seconds: float, units: int, what: str) -> None:
        """Say how long it will take, before anything long begins."""
        minutes = max(1, round(seconds / 60))
        self.say(f"estimate: {minutes} minutes on this machine for {units} {what}, less what is done")


def _as_json(sets: Mapping[str, Any]) -> str:
    return json.dumps(sets, indent=1)


@dataclass(frozen=True)
class StudyKind(Generic[Scenario]):
    """One kind of study.

    Args:
        files: what a scenario reads below the data folder; their digests mark the study's folder.
        work: does the study, unit after unit, and gives what ``study.json`` is to hold.
        text: its table (``sets``) for the terminal. picture: draws it into a file, ``study.png``.
    """

    scenario: type[Scenario]
    files: Callable[[Scenario], tuple[str, ...]]
    work: Callable[[Scenario, Setting], dict[str, Any]]
    text: Callable[[Mapping[str, Any]], str] = _as_json
    picture: Callable[[Mapping[str, Any], Path], None] | None = None


def seconds_of(work: Callable[[], object]) -> float:
    """How long ``work`` takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began
