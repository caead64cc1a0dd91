"""Files that somebody brought: pipes, devices and long ones are refused unread, by every such reader."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from intraward_server.handed_in import read_statement
from intraward_server.members_cli import _read as read_request
from intraward_shared import blind
from intraward_shared.attack_results import read_attacks
from intraward_shared.audit_receipts import _read as read_receipt
from intraward_shared.brought import read_brought
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError
from intraward_shared.release import read_release
from intraward_shared.revocation import read_list

READERS: dict[str, Callable[[Path], object]] = {
    "statement": read_statement,
    "request": read_request,
    "blind": blind.read_key,
    "attack": lambda path: read_attacks([path]),
    "receipt": lambda path: read_receipt(path, "0" * 64),
    "release": lambda path: read_release(path, "0" * 64),
    "revoked": read_list,
    "toml": lambda path: load_toml(path, Strict),
}


def test_a_plain_file_is_read_through_a_link_and_up_to_its_bound(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_brought(tmp_path / "link", 9) == b"123456789"
    with pytest.raises(ConfigError, match="link: is longer than 8 bytes"):
        read_brought(tmp_path / "link", 8)
    with pytest.raises(IsADirectoryError):
        read_brought(tmp_path, 8)


def test_a_pipe_and_a_device_are_refused_unread(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(ConfigError, match=f"{name}: is no plain file"):
            read_brought(tmp_path / name, 8)


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_what_was_brought_refuses_a_device(reader: str) -> None:
    with pytest.raises(ConfigError, match="/dev/null: is no plain file"):
        READERS[reader](Path("/dev/null"))
