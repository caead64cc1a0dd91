"""What a program in another process tells whoever waits for it: progress by the line, then an outcome.

Flower itself says only that a run finished or failed, so the ServerApp leaves both in a folder of the
run. An error outside intraward's own tree is told by its type only: its text may quote data (rule 1
of DESIGN.md).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from intraward_server.program import ProgramEvent
from intraward_shared.durable import write_durably
from intraward_shared.errors import IntrawardError


@dataclass(frozen=True)
class Outcome:
    """How the program ended; message and remedy when it failed."""

    ok: bool
    message: str = ""
    remedy: str = ""


class Watch:
    """The folder between the two; one side writes, the other reads."""

    def __init__(self, folder: Path) -> None:
        self._outcome, self._progress = folder / "outcome.json", folder / "progress.jsonl"
        self._read = 0

    def clear(self) -> None:
        """Forget an earlier run."""
        self._outcome.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._outcome.unlink(missing_ok=True)
        self._progress.unlink(missing_ok=True)
        self._read = 0

    def report(self, event: ProgramEvent) -> None:
        """Write one event of the program."""
        with self._progress.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(event)) + "\n")

    def events(self) -> list[ProgramEvent]:
        """Events reported since the last call; a line that is still being written waits."""
        if not self._progress.exists():
            return []
        with self._progress.open("rb") as file:
            file.seek(self._read)
            whole, _, _ = file.read().rpartition(b"\n")
        if not whole:
            return []
        self._read += len(whole) + 1
        return [ProgramEvent(**json.loads(line)) for line in whole.split(b"\n")]

    def perform(self, work: Callable[[], object]) -> None:
        """Do the work and write how it ended; an error goes on to the caller as well."""
        told: dict[str, Any] = {"ok": False, "message": "the coordinator's program stopped", "remedy": ""}
        try:
            work()
            told = {"ok": True, "message": "", "remedy": ""}
        except IntrawardError as error:
            told |= {"message": error.message, "remedy": error.remedy}
            raise
        except BaseException as error:
            told["message"] = f"the coordinator's program stopped by {type(error).__name__}"
            raise
        finally:
            write_durably(self._outcome, json.dumps(told).encode())

    def outcome(self) -> Outcome | None:
        """How the program ended, once it has."""
        if not self._outcome.exists():
            return None
        return Outcome(**json.loads(self._outcome.read_bytes()))
