"""A disk that cannot be written is told as that, and not as damage that a backup would mend."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intraward_client import initialise as module
from intraward_client.store.vault import Vault
from intraward_shared.errors import ConfigError, LedgerError, VaultError
from intraward_shared.ledger_file import LedgerFile


@pytest.fixture
def read_only(make_site: Any, tmp_path: Path) -> Iterator[Any]:
    """A site's home on a disk that is mounted read-only."""
    home = make_site()
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    command = ["mount", "--bind", "-o", "ro", str(home.root), str(mounted)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    subprocess.run(["mount", "-o", "remount,bind,ro", str(mounted)], capture_output=True)
    try:
        yield type(home)(mounted)
    finally:
        subprocess.run(["umount", str(mounted)], check=True)


def test_a_read_only_site_is_not_called_damaged(read_only: Any) -> None:
    with pytest.raises(VaultError, match="cannot be written") as vault:
        Vault.open(read_only.vault, read_only.vault_keys)
    with pytest.raises(LedgerError, match="cannot be written") as ledger:
        LedgerFile.open(read_only.ledger)
    for told in (vault, ledger):
        assert "writable" in told.value.remedy and "backup" not in told.value.remedy


def test_init_on_a_full_disk_says_so_and_leaves_nothing(
    make_site: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_durably", full)
    with pytest.raises(ConfigError, match="No space left") as told:
        make_site(name="new")
    assert "init again" in told.value.remedy and not (tmp_path / "new").exists()
    assert not list(tmp_path.glob(".new.*"))
