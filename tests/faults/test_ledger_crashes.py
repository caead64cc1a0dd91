"""SIGKILL at every system call of a ledger's writer, and in the middle of each write: hundreds of crashes.

The writers are forks of a light process (``killable_ledger``), so that a crash costs some milliseconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.faults.killable_ledger import KEY
from tests.faults.page import LEAST_CRASHES
from tests.faults.plant import ROOT
from tests.shared.ledger.conftest import (  # noqa: F401  plans and ledgers of the ledger's tests
    make_ledger,
    mechanism_of,
    round_of,
    site_key,
)

from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.ledger_head import read_head
from intraward_shared.protocol import PLAN_DOMAIN, sign_value
from intraward_shared.signing import digest

SHARES = {"write": (0.0, 0.01, 0.3, 0.6, 0.99, 1.0), "fsync": (0.0, 1.0), "replace": (0.0, 1.0)}
PLANS = 9
Crash = Callable[[str, int, float], dict[str, Any]]


@pytest.fixture
def site(tmp_path: Path, make_ledger: Any, round_of: Any, mechanism_of: Any) -> Path:  # noqa: F811
    """A fresh ledger with a second head, and plans that are charged one by one."""
    for name in ("volume", "plans", "start/volume"):
        (tmp_path / name).mkdir(parents=True)
    make_ledger(second_path=tmp_path / "volume" / "north.head", officer=KEY.public).close()
    for name in ("ledger.jsonl", "volume/north.head"):
        (tmp_path / "start" / name).write_bytes((tmp_path / name).read_bytes())
    for number in range(PLANS):
        plan = round_of(number + 1, mechanism_of())
        (tmp_path / "plans" / str(number)).write_bytes(sign_value(plan, PLAN_DOMAIN, KEY))
    return tmp_path


@contextmanager
def light_process(folder: Path) -> Iterator[Crash]:
    """``crash(call, number, share)`` in a process without torch."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.killable_ledger", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as process:

        def crash(call: str, number: int, share: float) -> dict[str, Any]:
            assert process.stdin is not None and process.stdout is not None
            process.stdin.write(json.dumps([call, number, share]) + "\n")
            process.stdin.flush()
            return dict(json.loads(process.stdout.readline()))

        try:
            yield crash
        finally:
            process.kill()


def check(folder: Path, seen: dict[str, Any]) -> str:
    """No acknowledged entry lost, no bytes made twice, each charge kept; what the dead writer left."""
    entries = read_ledger(folder / "ledger.jsonl", KEY.public)
    hashes = {entry.hash for entry in entries}
    bytes_now = {path.stem: path.read_bytes() for path in (folder / "outbox").glob("*.sealed")}
    for kind, _, value in seen["told"]:
        assert value in (hashes if kind == "RESERVE" else seen["kept"].values())
    assert all(digest(bytes_now[name]) == value for name, value in seen["kept"].items())
    released = Counter(e.plan for e in entries if e.kind is Kind.RELEASE)
    assert len(released) == PLANS and set(released.values()) == {1} and set(bytes_now) == set(released)
    attempts = [e for e in entries if e.kind is Kind.RESERVE]
    aborts = [e for e in entries if e.kind is Kind.ABORT]
    assert len(attempts) == PLANS + len(aborts) == len(charged(entries)) and len(aborts) <= 1
    assert all(entry.process_died for entry in aborts)
    told = read_head(folder / "volume" / "north.head", KEY.public)
    assert told is not None and (told.sequence, told.entry) == (entries[-1].sequence, entries[-1].hash)
    return "clean abort" if aborts else "same bytes"


def crash_everywhere(folder: Path) -> Counter[str]:
    """Every crash point until the writer comes to its end alive; outcomes counted."""
    outcomes: Counter[str] = Counter()
    with light_process(folder) as crash:
        for call, shares in SHARES.items():
            number, died = 0, True
            while died:
                number += 1
                for share in shares:
                    seen = crash(call, number, share)
                    died = seen["died"]
                    assert died or seen["code"] == 0
                    outcomes[check(folder, seen)] += died
    return outcomes


@pytest.mark.faults
def test_a_writer_killed_at_every_call_loses_nothing_and_charges_nothing_twice(site: Path) -> None:
    outcomes = crash_everywhere(site)
    assert sum(outcomes.values()) >= LEAST_CRASHES and set(outcomes) == {"clean abort", "same bytes"}
