"""kill -9 at 60 random moments of a ward that executes several plans: nothing leaves that was not charged.

The children are forks of a process of their own (``killable_ward.py``), never of pytest's: a fork of a
process that has run threads may wait for a lock that nobody holds any more, and this one hung in CI.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.client.killable_ward import execute_all

import intraward_client.ward as ward_module
from intraward_client.home import SiteHome
from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.ledger_head import read_head
from intraward_shared.protocol import open_update
from intraward_shared.signing import SigningKey, digest

pytestmark = pytest.mark.exhaustive
KILLS = 60
Killed = Callable[[Path, float | str | None], float]


@contextmanager
def killable(home: SiteHome, model: Path, requests: list[bytes], folder: Path) -> Iterator[Killed]:
    """``run(left, after)``: a child executes the plans, notes in ``left`` what went, and is killed."""
    for number, request in enumerate(requests):
        (folder / f"{number}.request").write_bytes(request)
    command = [sys.executable, "-m", "tests.client.killable_ward", str(home.root), str(model), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as parent:

        def run(left: Path, after: float | str | None) -> float:
            assert parent.stdin is not None and parent.stdout is not None
            parent.stdin.write(json.dumps([str(left), after]) + "\n")
            parent.stdin.flush()
            return float(json.loads(parent.stdout.readline()))

        try:
            yield run
        finally:
            parent.kill()


def test_killed_at_60_random_moments_it_never_spends_less_than_it_released(
    make_site: Any, rounds: Any, tiny: Any, tiny_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tiny("llama")
    monkeypatch.setattr(ward_module, "load_base", lambda *_: base)  # loaded once, not once a kill
    (tmp_path / "volume").mkdir()
    head = tmp_path / "volume" / "north.head"
    home = make_site(4, head=head)
    single = {"schedule": None, "run_id": "other"}
    requests = [
        *(rounds(number).bytes_by() for number in (1, 2)),
        *(rounds(number, **single).bytes_by() for number in (1, 2)),
    ]
    shutil.copytree(home.root, tmp_path / "start")
    start_head = head.read_bytes()
    draw, ends = np.random.Generator(np.random.Philox(5)), set()
    with killable(home, tiny_folder("llama"), requests, tmp_path) as run:
        whole = run(tmp_path / "whole", None)
        assert [json.loads(line)[1] for line in (tmp_path / "whole").read_text().splitlines()] == ["OK"] * 4
        for kill in range(KILLS):
            shutil.rmtree(home.root)
            shutil.copytree(tmp_path / "start", home.root)
            head.write_bytes(start_head)
            left = tmp_path / f"left{kill}"
            left.touch()
            run(left, float(draw.uniform(0, whole)))
            ends.add(check_and_finish(home, requests, left, head))
    assert len(ends) > 2  # the kills fell into different rounds


def check_and_finish(home: SiteHome, requests: list[bytes], left: Path, head: Path) -> int:
    """Execute the plans to the end after a kill; returns how many updates had left before it."""
    public = SigningKey.load(home.signing_key).public
    sent = [json.loads(line) for line in left.read_text().splitlines(keepends=True) if line.endswith("\n")]
    before = {path.name: digest(path.read_bytes()) for path in home.outbox.glob("*.sealed")}
    again: dict[int, tuple[str, bytes]] = {}
    execute_all(home, requests, lambda *said: again.update({said[0]: (said[1], said[2])}))
    entries = read_ledger(home.ledger, public)
    for number, code, sha in sent:  # what left before the kill leaves again as the same bytes
        assert code == "OK" and again[number][0] == "OK" and digest(again[number][1]) == sha
    for code, update in again.values():
        assert code == "OK"
        header, _ = open_update(update, public)
        assert before.get(f"{header.plan}.sealed", digest(update)) == digest(update)
        (released,) = [e for e in entries if e.kind is Kind.RELEASE and e.plan == header.plan]
        assert released.output == header.tensors
    released_rounds = sum(entry.kind is Kind.RELEASE for entry in entries)
    attempts = sum(entry.kind is Kind.RESERVE and entry.plan is not None for entry in entries)
    assert released_rounds == 4 and len(charged(entries)) == attempts >= released_rounds
    told = read_head(head, public)
    assert told is not None and (told.sequence, told.entry) == (entries[-1].sequence, entries[-1].hash)
    return len(sent)
