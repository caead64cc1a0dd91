"""What ``intraward-audit`` says of an empty ledger and of keys that are none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from intraward_shared import audit

KEY = "a" * 64


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """``call(*arguments)``: exit code and all output."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out + " ".join(shown.err.split())

    return run


def test_an_empty_ledger_is_called_empty(call: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    empty = tmp_path / "ledger.jsonl"
    empty.touch()
    code, out = call("verify", empty, "--json")
    (row,) = json.loads(out)["ledgers"]
    assert code == 1 and "the ledger is empty" in row["error"] and "restore" in row["remedy"]
    code, out = call("recompute", empty)
    assert code == 1 and "the ledger is empty" in out


@pytest.mark.parametrize("key", ["zz", KEY[:-1], KEY + "a", KEY.upper(), KEY[:-1] + "g", ""])
def test_a_key_that_is_none_is_wrong_usage(
    call: Callable[..., tuple[int, str]], spent_file: Path, tmp_path: Path, key: str
) -> None:
    for arguments in (
        ("verify", spent_file, "--receipts", tmp_path, "--coordinator-key", key),
        ("verify", spent_file, "--site-key", f"north={key}"),
        ("adapter", tmp_path, "--public-key", key),
    ):
        assert call(*arguments)[0] == 2
