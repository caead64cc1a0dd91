"""A light process that forks writers of a ledger and kills each at one system call: no torch, no ward.

``python -m tests.faults.killable_ledger FOLDER``. A writer does what a ward does with disk and ledger: for
each plan RESERVE, sealed bytes, RELEASE. Each line ``[call, number, share]`` of the input starts one from
the same beginning and kills it at its ``number``-th ``write``, ``fsync`` or ``replace``: before it (share 0),
after it (share 1), or, for a write, when only that share of the bytes is down. Another writer then goes on
to the end. The answer is a line: whether the first one died, and what it had been told.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from intraward_shared.durable import write_durably
from intraward_shared.ledger import Kind, Ledger
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    RoundPlan,
    UpdateHeader,
    open_signed,
    seal_bytes,
)
from intraward_shared.signing import SigningKey, digest

KEY = SigningKey.from_seed(b"s" * 32)


def execute(folder: Path, plans: list[RoundPlan], tell: Callable[[str, int, str], None]) -> None:
    """A ward's dealings with ledger and disk for some plans, in ``Ward._execute``'s order."""
    with Ledger.open(folder / "ledger.jsonl", KEY) as ledger:
        for number, plan in enumerate(plans):
            path = folder / "outbox" / f"{plan.digest}.sealed"
            if not path.exists():
                ledger.abort_dead_attempt(plan.digest)
                entry = ledger.reserve(plan)
                tell("RESERVE", number, entry.hash)
                write_durably(path, sealed(plan, entry.sequence, entry.hash))
            data = path.read_bytes()
            if ledger.state_of(plan.digest) is not Kind.RELEASE:
                ledger.ensure_released(plan.digest, data)
            tell("RELEASE", number, digest(data))


def sealed(plan: RoundPlan, sequence: int, entry: str) -> bytes:
    """Sealed bytes whose tensors are fresh randomness, as noise is: made again they would differ."""
    tensors = os.urandom(4000)
    header = UpdateHeader(
        site="north",
        run_id=plan.run_id,
        round=plan.round,
        stage=plan.stage,
        plan=plan.digest,
        tensors=digest(tensors),
        ledger_sequence=sequence,
        ledger_entry=entry,
        simulated=False,
    )
    return seal_bytes(header, tensors, KEY)


def dying(call: str, number: int, share: float) -> None:
    """From here on the ``number``-th such call is this process's last."""
    owner: Any = Path if call == "replace" else os
    real, calls = getattr(owner, call), [0]

    def counted(*given: Any) -> Any:
        calls[0] += 1
        if calls[0] != number:
            return real(*given)
        if call == "write" and share:
            real(given[0], bytes(given[1])[: int(share * len(given[1]))])
        elif share:
            real(*given)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(owner, call, counted)


def crash(folder: Path, plans: list[RoundPlan], point: tuple[str, int, float]) -> dict[str, Any]:
    """One writer that dies, one that goes on; what the first was told, and what was sealed when it died."""
    for name in ("ledger.jsonl", "volume/north.head"):
        (folder / name).write_bytes((folder / "start" / name).read_bytes())
    shutil.rmtree(folder / "outbox", ignore_errors=True)
    told = folder / "told"
    told.write_bytes(b"")
    child = os.fork()
    if child == 0:
        log = os.open(told, os.O_WRONLY | os.O_APPEND)
        write = os.write
        with suppress(BaseException):
            dying(*point)

            def tell(*said: object) -> None:
                write(log, json.dumps(said).encode() + b"\n")

            execute(folder, plans, tell)
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    kept = {p.stem: digest(p.read_bytes()) for p in (folder / "outbox").glob("*.sealed")}
    execute(folder, plans, lambda *said: None)
    heard = [json.loads(line) for line in told.read_text().splitlines()]
    return {"died": os.WIFSIGNALED(status), "code": status, "told": heard, "kept": kept}


def main(folder: Path) -> None:
    """Serve lines until the input ends."""
    assert "torch" not in sys.modules
    plans = [
        open_signed(path.read_bytes(), PLAN_DOMAIN, RoundPlan, KEY.public)
        for path in sorted((folder / "plans").iterdir())
    ]
    for line in sys.stdin:
        call, number, share = json.loads(line)
        print(json.dumps(crash(folder, plans, (call, number, share))), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
