"""Where ``deid run`` may write, and what an id may hold."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.files import deidentify_file
from intraward_shared.errors import ConfigError, InputError


def test_a_pipe_or_device_is_not_replaced(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source, pipe = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text('{"id": "1", "text": "BP 120/80."}\n', encoding="utf-8")
    os.mkfifo(pipe)
    with pytest.raises(ConfigError, match="no ordinary file"):
        deidentify_file(source, pipe, deidentifier)
    assert pipe.is_fifo()


def test_half_a_character_in_an_id_is_refused_by_line(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text('{"id": "1", "text": "a"}\n{"id": "x\\ud800", "text": "b"}\n', encoding="utf-8")
    with pytest.raises(InputError, match="half a character") as refused:
        deidentify_file(source, tmp_path / "out.jsonl", deidentifier)
    assert "2" in str(refused.value)
