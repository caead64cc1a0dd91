"""The scanner sees an egress that leaks, in every spelling; the real one is clean."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

import intraward_client.ward as ward_module
from intraward_client import egress
from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.store.datasets import TrainingTable
from intraward_client.store.frozen import frozen_table
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.adapters import encode
from intraward_shared.stages import Stage
from intraward_simulation.scan import scan_bytes, scan_files

MARKER = "Zebulonquist"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
SPELLINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "upper": lambda text: text.upper().encode(),
    "utf-16": lambda text: text.encode("utf-16-le"),
    "hex": lambda text: text.encode().hex().encode(),
    "base64": lambda text: base64.b64encode(text.encode()),
}


def replies(home: SiteHome, request: bytes) -> list[bytes]:
    """Everything that the ward says for a request: the answer, the same again, and who it is."""
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        return [ward.execute(request), ward.execute(request), ward.describe()]


def test_the_real_egress_is_clean(make_site: Any, rounds: Any) -> None:
    home = make_site()
    assert not scan_bytes(b"".join(replies(home, rounds().bytes_by())), [MARKER])
    assert scan_files([home.outbox, home.log, home.ledger, home.vault], [MARKER]).found == 0


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_leaking_egress_is_caught(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch, spelling: str
) -> None:
    seen: list[str] = []
    read = frozen_table

    def spy(vault: Vault, plan: str, stage: Stage) -> TrainingTable[Any]:
        table = read(vault, plan, stage)
        seen.extend(row.prompt for row in table.rows)
        return table

    monkeypatch.setattr(ward_module, "frozen_table", spy)
    monkeypatch.setattr(
        egress, "encode", lambda tensors: encode(tensors) + b" ".join(map(SPELLINGS[spelling], seen))
    )
    home = make_site(3)
    answer, again, described = replies(home, rounds().bytes_by())
    assert scan_bytes(answer, [MARKER]) == scan_bytes(again, [MARKER]) == {MARKER}
    assert not scan_bytes(described, [MARKER])
    assert scan_files([home.outbox], [MARKER]).found == 1
