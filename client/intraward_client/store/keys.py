"""The site's keys: one that wraps patients' keys and rotates, one that names patients and never does.

Keeps rule 2 and section 6 ("forget PATIENT") of DESIGN.md. ``site.key`` (the KEK) wraps every patient's
data key; forgetting a patient rotates it, so that an old backup of the database cannot be unwrapped with
what is left. ``index.key`` keys the HMACs that stand for patients, notes and files; it must stay, or a
forgotten patient could come back under a new name. Files are 0600 in a 0700 directory, written, fsynced
and renamed; a rotation interrupted anywhere is finished or undone at the next opening. Whoever rotates, or
finishes a rotation, holds the directory's lock, so that no two processes do so at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from intraward_shared.errors import VaultError

KEY_BYTES = 32
TAG_HEX = 32
_SITE, _NEXT, _INDEX = "site.key", "site.key.next", "index.key"
_RESTORE = "restore the keys directory from where the site keeps it; without it the vault cannot be read"


class SiteKeys:
    """The keys directory of one site."""

    def __init__(self, directory: Path, kek: bytes, index: bytes) -> None:
        self.directory = directory
        self._kek, self._index = kek, index

    def __repr__(self) -> str:
        return "SiteKeys(<redacted>)"

    @classmethod
    def create(cls, directory: Path, index_key: bytes | None = None) -> SiteKeys:
        """Make both keys; ``index_key`` fixes the second one (simulation and restored sites only)."""
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        _require_private(directory, 0o700)
        if (directory / _SITE).exists() or (directory / _INDEX).exists():
            raise VaultError("the keys directory already holds keys", remedy="give an empty directory")
        index = index_key or secrets.token_bytes(KEY_BYTES)
        kek = secrets.token_bytes(KEY_BYTES)
        _write(directory / _INDEX, index)
        _write(directory / _SITE, kek)
        return cls(directory, kek, index)

    @classmethod
    def load(cls, directory: Path) -> SiteKeys:
        """Read both keys; refuses a directory or file that others may read."""
        if not directory.is_dir():
            raise VaultError("the keys directory is missing", remedy=_RESTORE)
        _require_private(directory, 0o700)
        return cls(directory, _read(directory / _SITE), _read(directory / _INDEX))

    @property
    def kek(self) -> bytes:
        """The key that wraps patients' data keys."""
        return self._kek

    def tag(self, kind: str, value: str) -> str:
        """32 hex characters that stand for ``value``: HMAC-SHA256 under the index key, by kind."""
        message = f"intraward {kind}|".encode() + value.encode("utf-8", "surrogatepass")
        return hmac.new(self._index, message, hashlib.sha256).hexdigest()[:TAG_HEX]

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key for another purpose of the site (holdout split, de-identification secret)."""
        return HKDF(hashes.SHA256(), KEY_BYTES, salt=None, info=purpose.encode()).derive(self._index)

    @contextmanager
    def rotating(self) -> Iterator[None]:
        """The lock of this directory; waits for another process that rotates."""
        handle = os.open(self.directory, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def stage_rotation(self) -> bytes:
        """Write the next KEK beside the present one; the database decides which of them counts."""
        fresh = secrets.token_bytes(KEY_BYTES)
        (self.directory / _NEXT).unlink(missing_ok=True)
        _write(self.directory / _NEXT, fresh)
        return fresh

    def staged(self) -> bytes | None:
        """The next KEK, if a rotation was interrupted."""
        try:
            return _read(self.directory / _NEXT)
        except (VaultError, OSError):
            return None

    def candidates(self) -> Iterator[bytes]:
        """KEKs that may fit just now: this object's, the file's, the next one, the file's again.

        Another process may be between any two steps of a rotation.
        """
        yield self._kek
        for look in (self._present, self.staged, self._present):
            found = look()
            if found is not None:
                yield found

    def adopt(self, kek: bytes) -> None:
        """Use a KEK of `candidates` that was found to fit."""
        self._kek = kek

    def finish_rotation(self, fresh: bytes) -> None:
        """The database is wrapped with ``fresh``: overwrite the old key's bytes, put ``fresh`` there."""
        old = self.directory / _SITE
        with old.open("r+b") as file:
            file.write(bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        (self.directory / _NEXT).replace(old)
        _sync_directory(self.directory)
        self._kek = fresh

    def undo_rotation(self) -> None:
        """The database never switched: remove the staged key."""
        (self.directory / _NEXT).unlink(missing_ok=True)

    def _present(self) -> bytes | None:
        try:
            return _read(self.directory / _SITE)
        except (VaultError, OSError):
            return None


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_directory(path.parent)


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise VaultError(f"{path.name} is missing from the keys directory", remedy=_RESTORE)
    _require_private(path, 0o600)
    content = path.read_bytes()
    if len(content) != KEY_BYTES:
        raise VaultError(f"{path.name} is not a key of 32 bytes", remedy=_RESTORE)
    return content


def _require_private(path: Path, mode: int) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise VaultError(f"{path.name} can be read by others", remedy=f"chmod {mode:o} it")


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
