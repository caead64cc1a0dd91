"""A process that forks wards and kills them: ``python -m tests.client.killable_ward HOME MODEL FOLDER``.

Loads the model once, then for each line ``[left, after]`` of its input forks a ward that executes the
requests in FOLDER and writes to ``left`` what went out; killed after ``after`` seconds, or by itself when it
first comes to the phase of that name (``tests.faults.phases``), unless null.
Answers each line with the seconds it took. One thread, so that a fork holds no lock of another.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from tests.faults.phases import Phase, at_phases

import intraward_client.ward as ward_module
from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.protocol import unpack_parts
from intraward_shared.signing import digest

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def execute_all(home: SiteHome, requests: list[bytes], tell: Callable[[int, str, bytes], None]) -> None:
    """A ward opens ``home`` and executes ``requests``; ``tell`` hears number, code and update of each."""
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        for number, request in enumerate(requests):
            reply = unpack_parts(ward.execute(request))
            tell(number, reply["code"].decode(), reply["update"])


def run_and_kill(home: SiteHome, requests: list[bytes], left: Path, after: float | str | None) -> float:
    """One child, killed ``after`` seconds or at a phase; returns how long it lived."""
    begun = time.monotonic()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            log = os.open(left, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

            def tell(number: int, reply: str, update: bytes) -> None:
                os.write(log, json.dumps([number, reply, digest(update)]).encode() + b"\n")
                die(Phase.UPLOADED)

            def die(phase: Phase) -> None:
                if phase.name == after:
                    os.kill(os.getpid(), signal.SIGKILL)

            with at_phases(die):
                execute_all(home, requests, tell)
            code = 0
        finally:
            os._exit(code)
    if isinstance(after, float):
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.monotonic() - begun


def main(root: Path, model: Path, folder: Path) -> None:
    """Serve lines until the input ends."""
    import torch

    from intraward_shared.modeling import load_base

    torch.set_num_threads(1)
    base = load_base(model)
    requests = [path.read_bytes() for path in sorted(folder.glob("*.request"))]
    home = SiteHome(root)
    with patch.object(ward_module, "load_base", lambda *_: base):
        for line in sys.stdin:
            left, after = json.loads(line)
            print(json.dumps(run_and_kill(home, requests, Path(left), after)), flush=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:4]))
