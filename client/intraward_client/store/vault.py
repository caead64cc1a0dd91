"""The vault: SQLite with encrypted fields, a key per patient, and a way to forget one.

Keeps rules 1, 2 and 10 of DESIGN.md and ``facts`` on storage. AES-256-GCM per field; the additional data
binds a ciphertext to its table, row, column, patient key and layout version, so that nothing can be
swapped or copied inside the file. Each patient has a random data key wrapped by the site key. WAL,
``secure_delete``, mode 0600. Forgetting deletes rows and key, rotates the site key and rewraps the rest
in one transaction; what follows (key file, checkpoint, VACUUM) is finished at the next opening if the
process dies in between.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    create_engine,
    delete,
    event,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from intraward_client.store.keys import KEY_BYTES, SiteKeys
from intraward_client.store.schema import (
    GAINS_TABLES,
    PATIENT_TABLES,
    SCHEMA_VERSION,
    SEAL_VERSION,
    meta,
    metadata,
    patients,
    tombstones,
)
from intraward_shared.errors import VaultError

_NONCE_BYTES = 12
_TOMBSTONE = select(tombstones.c.unit).where(tombstones.c.unit == bindparam("unit"))
_CHECK = b"intraward vault"
_TAMPERED = "restore the vault from a backup made before the change"


class Vault:
    """One site's vault. Open it with `Vault.create` or `Vault.open`; close it when done."""

    def __init__(self, engine: Engine, keys: SiteKeys) -> None:
        self._engine, self._keys = engine, keys
        self._open_keys: dict[str, tuple[str, bytes]] = {}

    def __repr__(self) -> str:
        return "Vault(<redacted>)"

    @classmethod
    def create(cls, path: Path, keys_dir: Path, *, index_key: bytes | None = None) -> Vault:
        """Make an empty vault and its keys; refuses to touch an existing one.

        ``index_key`` fixes the key behind unit names (simulation only, where order must repeat).
        """
        if path.exists():
            raise VaultError("the vault already exists", remedy="open it, or choose another path")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        keys = SiteKeys.create(keys_dir, index_key)
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        vault = cls(_connect(path), keys)
        with vault.transaction() as connection:
            metadata.create_all(connection)
            rows = {
                "schema_version": str(SCHEMA_VERSION).encode(),
                "kek_check": _seal(keys.kek, _CHECK, b"kek"),
            }
            connection.execute(insert(meta), [{"key": key, "value": value} for key, value in rows.items()])
        return vault

    @classmethod
    def open(cls, path: Path, keys_dir: Path) -> Vault:
        """Open an existing vault; finishes a forgetting that was interrupted.

        Raises:
            VaultError: missing or readable by others, of another schema version, or not of these keys.
        """
        if not path.is_file():
            raise VaultError("there is no vault at this path", remedy="run the init command first")
        if path.stat().st_mode & 0o077:
            raise VaultError("the vault file can be read by others", remedy="chmod 600 it")
        vault = cls(_connect(path), SiteKeys.load(keys_dir))
        try:
            vault._check_version()
            vault._settle_keys()
        except SQLAlchemyError:
            if not os.access(path.parent, os.W_OK):
                raise VaultError(
                    f"{path.parent}: the vault's folder cannot be written",
                    remedy="mount its disk writable, or mend its rights; the vault was not looked at",
                ) from None
            raise VaultError("the file is not a vault, or is damaged", remedy=_TAMPERED) from None
        return vault

    def close(self) -> None:
        """Release the database and drop the keys in memory."""
        self._open_keys.clear()
        self._engine.dispose()

    def unit_of(self, patient_id: str) -> str:
        """The privacy unit of a patient: 32 hex characters, the only name they have downstream."""
        return self._keys.tag("patient", patient_id)

    def tag(self, kind: str, value: str) -> str:
        """A keyed 32-hex name for a note, prompt, row or file."""
        return self._keys.tag(kind, value)

    def derive(self, purpose: str) -> bytes:
        """A 32-byte key of this site for ``purpose`` (``holdout``, ``deid``)."""
        return self._keys.derive(purpose)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction, committed at the end; database errors come out without statement or values."""
        try:
            with self._engine.begin() as connection:
                yield connection
        except BaseException as error:
            self._open_keys.clear()  # a patient's key that was made in what is now undone is nobody's
            if not isinstance(error, SQLAlchemyError):
                raise
            name = type(error).__name__
            raise VaultError(
                f"the vault refused a change ({name})", remedy="see intraward-client doctor"
            ) from None

    def is_forgotten(self, connection: Connection, unit: str) -> bool:
        """Whether this patient was forgotten; their rows are never taken again."""
        return connection.execute(_TOMBSTONE, {"unit": unit}).first() is not None

    def admit_unit(self, connection: Connection, unit: str) -> None:
        """Make the patient's data key if there is none.

        Raises:
            VaultError: the patient was forgotten.
        """
        if self.is_forgotten(connection, unit):
            raise VaultError("this patient was forgotten", remedy="remove their rows from the file")
        if connection.execute(select(patients.c.unit).where(patients.c.unit == unit)).first():
            return
        self._fitting_kek(connection)  # another process of the site may have rotated it
        key_id, key = secrets.token_hex(16), secrets.token_bytes(KEY_BYTES)
        wrapped = _seal(self._keys.kek, key, _wrap_context(unit, key_id))
        connection.execute(insert(patients).values(unit=unit, key_id=key_id, wrapped_key=wrapped))

    def seal_field(self, connection: Connection, unit: str, where: tuple[str, str, str], value: str) -> bytes:
        """Encrypt ``value`` for ``where`` = (table, row id, column) under the patient's key."""
        key_id, key = self._key(connection, unit)
        return _seal(key, value.encode("utf-8"), _context(where, key_id))

    def open_field(
        self, connection: Connection, unit: str, where: tuple[str, str, str], sealed: bytes
    ) -> str:
        """Decrypt a field; `VaultError` when it was changed, moved or belongs to another key."""
        key_id, key = self._key(connection, unit)
        return _open(key, sealed, _context(where, key_id)).decode("utf-8")

    def forget(self, patient_id: str) -> bool:
        """Destroy everything about a patient; False when nothing was known (a tombstone is set all the same).

        Released adapters stay: their dependence on the patient is bounded by the ledger's epsilon. A backup
        of the database taken before cannot be opened with the keys that are left.
        """
        unit = self.unit_of(patient_id)
        with self._rotation() as connection:
            known = (
                connection.execute(select(patients.c.unit).where(patients.c.unit == unit)).first() is not None
            )
            for table in PATIENT_TABLES:
                connection.execute(delete(table).where(table.c.unit == unit))
            connection.execute(delete(patients).where(patients.c.unit == unit))
            if not self.is_forgotten(connection, unit):
                connection.execute(insert(tombstones).values(unit=unit))
        return known

    def rotate(self) -> None:
        """Replace the site key: every patient's key is wrapped anew, and the old one destroyed.

        Killed at any point, the vault opens with the one key that counts, and a second call rotates again.
        """
        with self._rotation():
            pass

    @contextmanager
    def _rotation(self) -> Iterator[Connection]:
        """A transaction at whose end the site key is another one; then the files are settled and scrubbed."""
        with self._keys.rotating():
            with self.transaction() as connection:
                self._fitting_kek(connection)
                fresh = self._keys.stage_rotation()
                yield connection
                self._rewrap(connection, fresh)
                connection.execute(
                    insert(meta).prefix_with("OR REPLACE").values(key="vacuum_due", value=b"1")
                )
            self._open_keys.clear()
            self._keys.finish_rotation(fresh)
        self._scrub()

    def count(self) -> Mapping[str, int]:
        """Rows per patient table and patients; for the site's own operator only, it never leaves."""
        with self.transaction() as connection:
            tables = (*PATIENT_TABLES, patients, tombstones)
            return {
                table.name: int(connection.execute(text(f"SELECT COUNT(*) FROM {table.name}")).scalar_one())
                for table in tables
            }

    def _key(self, connection: Connection, unit: str) -> tuple[str, bytes]:
        if unit not in self._open_keys:
            row = connection.execute(
                select(patients.c.key_id, patients.c.wrapped_key).where(patients.c.unit == unit)
            ).first()
            if row is None:
                raise VaultError("a row belongs to a patient without a key", remedy=_TAMPERED)
            self._open_keys[unit] = (row.key_id, self._unwrap(row.wrapped_key, unit, row.key_id))
        return self._open_keys[unit]

    def _unwrap(self, wrapped: bytes, unit: str, key_id: str) -> bytes:
        context = _wrap_context(unit, key_id)
        for kek in self._keys.candidates():  # another process of the site may have rotated the key
            try:
                key = _open(kek, wrapped, context)
            except VaultError:
                continue
            self._keys.adopt(kek)
            return key
        raise VaultError("a vault entry does not decrypt in its place", remedy=_TAMPERED)

    def _fitting_kek(self, connection: Connection) -> bytes:
        """The site key that the database is wrapped with, within a transaction.

        Raises:
            VaultError: none of the keys at hand is.
        """
        check = connection.execute(select(meta.c.value).where(meta.c.key == "kek_check")).scalar_one()
        for kek in self._keys.candidates():
            if _fits(kek, check):
                self._keys.adopt(kek)
                return kek
        raise VaultError(
            "the keys are not those of this vault", remedy="give the keys directory of this vault"
        )

    def _rewrap(self, connection: Connection, fresh: bytes) -> None:
        for row in connection.execute(select(patients)).all():
            key = self._unwrap(row.wrapped_key, row.unit, row.key_id)
            wrapped = _seal(fresh, key, _wrap_context(row.unit, row.key_id))
            connection.execute(
                update(patients).where(patients.c.unit == row.unit).values(wrapped_key=wrapped)
            )
        check = _seal(fresh, _CHECK, b"kek")
        connection.execute(update(meta).where(meta.c.key == "kek_check").values(value=check))

    def _check_version(self) -> None:
        with self._engine.connect() as connection:
            found = connection.execute(select(meta.c.value).where(meta.c.key == "schema_version")).scalar()
        if found == str(SCHEMA_VERSION).encode():
            return
        if found not in {str(version).encode() for version in GAINS_TABLES}:
            raise VaultError("the vault has another schema version", remedy="use the release that made it")
        with self.transaction() as connection:  # the tables and the version together, or neither
            metadata.create_all(connection)
            version = {"value": str(SCHEMA_VERSION).encode()}
            connection.execute(update(meta).where(meta.c.key == "schema_version").values(**version))

    def _settle_keys(self) -> None:
        """Decide by the database which KEK counts; finish an interrupted rotation and its scrubbing."""
        with self._keys.rotating():
            with self._engine.connect() as connection:
                kek = self._fitting_kek(connection)
                due = connection.execute(select(meta.c.value).where(meta.c.key == "vacuum_due")).scalar()
            if kek == self._keys.staged():
                self._keys.finish_rotation(kek)
            else:
                self._keys.undo_rotation()
        if due is not None:
            self._scrub()

    def _scrub(self) -> None:
        """Leave no old page: truncate the WAL, rebuild the file, truncate again."""
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            connection.execute(text("VACUUM"))
            connection.execute(delete(meta).where(meta.c.key == "vacuum_due"))
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _connect(path: Path) -> Engine:
    engine = create_engine(f"sqlite:///{path}", hide_parameters=True, connect_args={"timeout": 30})

    @event.listens_for(engine, "connect")
    def _configure(connection: DBAPIConnection, _record: ConnectionPoolEntry) -> None:
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "secure_delete=ON",
            "foreign_keys=ON",
            "synchronous=FULL",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _lock(connection: Connection) -> None:
        # Reading the key check and wrapping a key must not straddle another process's rotation.
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _context(where: tuple[str, str, str], key_id: str) -> bytes:
    return "|".join((*where, key_id, str(SEAL_VERSION))).encode()


def _wrap_context(unit: str, key_id: str) -> bytes:
    return _context(("patients", unit, "wrapped_key"), key_id)


def _seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, plain, context)


def _open(key: bytes, sealed: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], context)
    except (InvalidTag, ValueError):
        raise VaultError("a vault entry does not decrypt in its place", remedy=_TAMPERED) from None


def _fits(kek: bytes, check: bytes) -> bool:
    try:
        return _open(kek, check, b"kek") == _CHECK
    except VaultError:
        return False
