"""kill -9 at 60 random moments of a ward that executes several plans: nothing leaves that was not charged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import intraward_client.ward as ward_module
from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.ledger_head import read_head
from intraward_shared.protocol import open_update, unpack_parts
from intraward_shared.signing import SigningKey, digest

pytestmark = pytest.mark.slow
KILLS = 60
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def execute_all(home: SiteHome, requests: list[bytes], tell: Callable[[int, str, bytes], None]) -> None:
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        for number, request in enumerate(requests):
            reply = unpack_parts(ward.execute(request))
            tell(number, reply["code"].decode(), reply["update"])


def run_and_kill(home: SiteHome, requests: list[bytes], left: Path, after: float | None) -> float:
    """A child executes the plans and notes what left; it is killed ``after`` seconds. Returns its time."""
    ready, begin = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            log = os.open(left, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

            def tell(number: int, code: str, update: bytes) -> None:
                os.write(log, json.dumps([number, code, digest(update)]).encode() + b"\n")

            os.write(begin, b"1")
            execute_all(home, requests, tell)
        finally:
            os._exit(0)
    os.read(ready, 1)
    for end in (ready, begin):
        os.close(end)
    start = time.monotonic()
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return time.monotonic() - start


def test_killed_at_60_random_moments_it_never_spends_less_than_it_released(
    make_site: Any, rounds: Any, tiny: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny("llama")
    monkeypatch.setattr(ward_module, "load_base", lambda *_: base)  # the very model, loaded before the fork
    (tmp_path / "volume").mkdir()
    head = tmp_path / "volume" / "north.head"
    home = make_site(4, head=head)
    public = SigningKey.load(home.signing_key).public
    single = {"schedule": None, "run_id": "other"}
    requests = [
        *(rounds(number).bytes_by() for number in (1, 2)),
        *(rounds(number, **single).bytes_by() for number in (1, 2)),
    ]
    shutil.copytree(home.root, tmp_path / "start")
    start_head = head.read_bytes()
    whole = run_and_kill(home, requests, tmp_path / "whole", None)
    assert [json.loads(line)[1] for line in (tmp_path / "whole").read_text().splitlines()] == ["OK"] * 4
    draw, ends = np.random.Generator(np.random.Philox(5)), set()
    for kill in range(KILLS):
        shutil.rmtree(home.root)
        shutil.copytree(tmp_path / "start", home.root)
        head.write_bytes(start_head)
        left = tmp_path / f"left{kill}"
        left.touch()
        run_and_kill(home, requests, left, float(draw.uniform(0, whole)))
        sent = [
            json.loads(line) for line in left.read_text().splitlines(keepends=True) if line.endswith("\n")
        ]
        before = {path.name: digest(path.read_bytes()) for path in home.outbox.glob("*.sealed")}
        again: dict[int, tuple[str, bytes]] = {}
        execute_all(home, requests, lambda *said, kept=again: kept.update({said[0]: (said[1], said[2])}))
        entries = read_ledger(home.ledger, public)
        ends.add(len(sent))
        for number, code, sha in sent:  # what left before the kill leaves again as the same bytes
            assert code == "OK" and again[number][0] == "OK" and digest(again[number][1]) == sha
        for code, update in again.values():
            assert code == "OK"
            header, _ = open_update(update, public)
            name = f"{header.plan}.sealed"
            assert before.get(name, digest(update)) == digest(update)
            (released,) = [e for e in entries if e.kind is Kind.RELEASE and e.plan == header.plan]
            assert released.output == header.tensors
        released_rounds = sum(entry.kind is Kind.RELEASE for entry in entries)
        attempts = sum(entry.kind is Kind.RESERVE and entry.plan is not None for entry in entries)
        assert released_rounds == 4 and len(charged(entries)) == attempts >= released_rounds
        told = read_head(head, public)
        assert told is not None and (told.sequence, told.entry) == (entries[-1].sequence, entries[-1].hash)
    assert len(ends) > 2  # the kills fell into different rounds
