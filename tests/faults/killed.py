"""SIGKILL of a ward at a phase: a process of its own comes there and is gone; another one goes on."""

from __future__ import annotations

import json

from tests.client.test_ward_killed import killable
from tests.faults.bench import Bench
from tests.faults.outcome import NONE, Answer, Seen
from tests.faults.phases import Phase


def ward_killed(bench: Bench, phase: Phase) -> Seen:
    """The process is a fork of ``killable_ward``, which has loaded the model."""
    folder = bench.aside / "killed"
    folder.mkdir()
    left = folder / "left"
    left.touch()
    with killable(bench.home, bench.model, [bench.request()], folder) as run:
        run(left, phase.name)
    lines = [json.loads(line) for line in left.read_text().splitlines()]
    struck = Answer(lines[0][1], lines[0][2]) if lines else NONE
    assert (struck is NONE) == (phase is not Phase.UPLOADED)
    sealed = bench.site.sealed(bench.plan().digest)
    return bench.judged(struck, sealed, bench.asked())
