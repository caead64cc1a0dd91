"""A coordinator of many sites in one process, for ``test_many_sites``: FOLDER of ``idle_rounds.make``.

A hospital is open only while it answers, so that what stays in memory is the coordinator's. Prints the peak
of the process, and what it held before the first round, in megabytes.
"""

from __future__ import annotations

import gc
import json
import sys
from pathlib import Path
from typing import ClassVar

import torch
from tests.benchmarks.idle_rounds import homes, memory

from intraward_client.gateway import WardPort
from intraward_client.home import SiteHome
from intraward_client.ward import Ward
from intraward_server.program import ProgramEvent, run
from intraward_shared.modeling import BaseModel
from intraward_simulation.federation import InProcessGrid


class VisitedWard:
    """A site's real ward, opened for one call; the base model is one for all, as each has its own machine."""

    bases: ClassVar[dict[str, BaseModel]] = {}

    def __init__(self, home: SiteHome) -> None:
        self._home = home

    def execute(self, request: bytes) -> bytes:
        """Run one request."""
        ward = Ward(self._home)
        ward._bases = self.bases
        try:
            return ward.execute(request)
        finally:
            ward.close()
            gc.collect()  # of a hospital's round: adapters in cycles of hooks

    def describe(self) -> bytes:
        """Who the site is."""
        ward = Ward(self._home)
        try:
            return ward.describe()
        finally:
            ward.close()


def main(folder: Path) -> None:
    """The program of ``folder`` to its end."""
    torch.set_num_threads(1)
    wards: dict[str, WardPort] = {name: VisitedWard(home) for name, home in homes(folder).items()}
    before: list[float] = []

    def tell(event: ProgramEvent) -> None:
        if event.kind == "planned" and not before:
            before.append(memory("VmRSS"))

    result = run(InProcessGrid(wards), folder / "server", progress=tell)
    sealed = [path.stat().st_size for path in (folder / "sites").glob("*/outbox/*.sealed")]
    told = {"rounds": result.rounds, "sites": len(wards), "sealed_mb": max(sealed) / 1e6}
    print(json.dumps(told | {"before_mb": before[0], "peak_mb": memory("VmHWM")}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
