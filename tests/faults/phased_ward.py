"""A real ward that stops at a phase on request: ``python -m tests.faults.phased_ward HOME``.

The product's ward on its own socket. When it comes to a phase for which ``HOME/phases/NAME.stop`` lies there,
it renames that to ``NAME.here`` and goes on once the file is gone; whoever waits for it may strike meanwhile.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from tests.faults.phases import Phase, at_phases

from intraward_client.home import SiteHome
from intraward_client.ward import Ward
from intraward_client.wardsocket import serve


def gate(home: Path, phase: Phase, state: str) -> Path:
    """The file that stands for ``stop`` or ``here`` at a phase."""
    return home / "phases" / f"{phase.name}.{state}"


def main(home: Path) -> None:
    """Serve until a signal."""
    torch.set_num_threads(1)

    def wait(phase: Phase) -> None:
        stop, here = gate(home, phase, "stop"), gate(home, phase, "here")
        if stop.exists():
            stop.rename(here)
        while here.exists():
            time.sleep(0.02)

    with at_phases(wait):
        serve(Ward(SiteHome(home)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
