"""The kit that a coordinator gives a hospital: everything public that a site needs, and nothing secret.

Rule 9 of DESIGN.md. ``SHA256SUMS`` has the form of coreutils, so ``sha256sum --check`` reads it, and names
every other file; ``SHA256SUMS.sig`` is the coordinator's signature of it. A kit is taken only whole: a file
that is missing, changed or not named refuses it, and so does a signature by another key than the one that
the hospital's own policy pins.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from intraward_shared.config import Strict
from intraward_shared.durable import write_durably
from intraward_shared.enrolment import Time
from intraward_shared.errors import ContractError, EnrolmentRefused, SignatureError
from intraward_shared.protocol import Digest, Name, from_bytes, to_bytes
from intraward_shared.signing import SigningKey, digest, verify

KIT_DOMAIN = "intraward/kit/v1"
MANIFEST, SUMS, SIGNATURE = "kit.json", "SHA256SUMS", "SHA256SUMS.sig"
AUTHORITY, PROGRAM, TEMPLATE = "ca.crt", "program.toml", "policy-template.toml"
MEMBERSHIP, REVOKED, STEPS = "membership.json", "revoked.json", "README.md"
REQUIRED = (MANIFEST, AUTHORITY, PROGRAM, TEMPLATE, STEPS)
OPTIONAL = (MEMBERSHIP, REVOKED)
MAX_FILE_BYTES = 1_000_000

Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.-]{0,252}:[0-9]{1,5}$")]
_LINE = re.compile(r"^([0-9a-f]{64})  ([A-Za-z0-9._-]{1,64})$")


class Kit(Strict):
    """What a kit is: for which site, by whom, and where the SuperLink's proxy answers (``host:port``)."""

    schema_version: Literal[1] = 1
    site: Name
    issued: Time
    coordinator: Digest
    superlink: Address
    program: Name


def write_kit(folder: Path, kit: Kit, files: dict[str, bytes], key: SigningKey) -> None:
    """Write a kit into an existing, empty folder; the signature comes last.

    Args:
        folder: where the files go.
        kit: its manifest.
        files: every other file by name.
        key: the coordinator's.
    """
    every = {MANIFEST: to_bytes(kit), **files}
    for name, data in every.items():
        write_durably(folder / name, data)
    sums = "".join(f"{digest(every[name])}  {name}\n" for name in sorted(every)).encode()
    write_durably(folder / SUMS, sums)
    write_durably(folder / SIGNATURE, f"{key.sign(KIT_DOMAIN, sums)}\n".encode())


def read_kit(folder: Path, coordinator: str) -> tuple[Kit, dict[str, bytes]]:
    """Verify a kit and return its manifest and files.

    Args:
        folder: the kit.
        coordinator: public key that the hospital's policy pins.

    Raises:
        EnrolmentRefused: names what is wrong; nothing of the kit was used.
    """
    sums, signature = _read(folder, SUMS), _read(folder, SIGNATURE)
    try:
        verify(coordinator, KIT_DOMAIN, sums, signature.decode("ascii", errors="replace").strip())
    except SignatureError:
        raise _refuse(
            folder / SIGNATURE,
            "not signed by the coordinator of your policy.toml",
            "compare coordinator.public_key with the coordinator by telephone, then ask for the kit again",
        ) from None
    wanted = _parse(folder, sums)
    there = {path.name for path in folder.iterdir()} - {SUMS, SIGNATURE}
    for name in sorted(set(wanted) ^ there):
        raise _refuse(folder / name, "missing" if name in wanted else "not named in SHA256SUMS")
    files = {name: _read(folder, name) for name in sorted(wanted)}
    for name, data in files.items():
        if digest(data) != wanted[name]:
            raise _refuse(folder / name, "not what SHA256SUMS says; it was changed on the way")
    for name in sorted({*REQUIRED} - set(files)) + sorted(set(files) - {*REQUIRED, *OPTIONAL}):
        raise _refuse(folder / name, "a kit of this version has to hold it, and no other file")
    try:
        kit = from_bytes(files[MANIFEST], Kit)
    except ContractError as error:
        raise _refuse(folder / MANIFEST, error.message) from None
    if kit.coordinator != coordinator:
        raise _refuse(folder / MANIFEST, "names another coordinator than your policy.toml")
    return kit, files


def _parse(folder: Path, sums: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in sums.decode("ascii", errors="replace").splitlines():
        match = _LINE.fullmatch(line)
        if match is None or match[2] in found:
            raise _refuse(folder / SUMS, "a line of it is not a checksum, or a file stands in it twice")
        found[match[2]] = match[1]
    return found


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.is_symlink() or not path.is_file():
            raise _refuse(path, "missing, or not a plain file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _refuse(path, "longer than any file of a kit")
        return path.read_bytes()
    except OSError:
        raise _refuse(path, "cannot be read", "check its permissions") from None


def _refuse(path: Path, what: str, remedy: str = "ask the coordinator for the kit again") -> EnrolmentRefused:
    return EnrolmentRefused(f"{path}: {what}", remedy=remedy)
