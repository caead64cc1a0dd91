"""A release bundle: everything that a review board needs, under one signed list of digests.

Rule 9 of DESIGN.md. ``release.json`` is the coordinator's signature over what was released and the SHA-256 of
every other file; a bundle is read whole into memory once, and only what was held against that list is looked
at. Below it::

    adapter/                  the released adapter, a signed PEFT folder
    lineage/DIGEST.json       signed manifests of the adapter and of all that it descends from
    plans/DIGEST.json         the signed plan of every round on the way
    ledgers/SITE.jsonl        each hospital's privacy ledger
    receipts/SITE/ROUND.json  countersigned ledger heads
    attacks/NAME.json         results of the attack suite
    earlier/RUN.json          signed release of each earlier run on the way: where this one began
    evaluation.json  privacy_report.json  gates.toml  gates.json  revoked.json  README.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from intraward_shared.brought import read_brought
from intraward_shared.config import Strict
from intraward_shared.errors import ConfigError, ContractError, DigestError, SignatureError
from intraward_shared.protocol import Digest, Name, open_signed
from intraward_shared.revocation import Time
from intraward_shared.scalars import Version
from intraward_shared.signing import digest
from intraward_shared.stages import Stage

RELEASE_DOMAIN = "intraward/release/v2"
RELEASE_FILE = "release.json"
ADAPTER, LINEAGE, PLANS, LEDGERS = "adapter/", "lineage/", "plans/", "ledgers/"
RECEIPTS, ATTACKS, EARLIER = "receipts/", "attacks/", "earlier/"
EVALUATION, REPORT, RULES, RESULTS = "evaluation.json", "privacy_report.json", "gates.toml", "gates.json"
CARD, REVOKED = "README.md", "revoked.json"
SINGLE = (EVALUATION, REPORT, RULES, RESULTS, CARD, REVOKED)
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}"
_LAYOUT = re.compile(
    rf"{'|'.join(map(re.escape, SINGLE))}|adapter/{_NAME}|(?:lineage|plans)/[0-9a-f]{{64}}\.json"
    rf"|ledgers/{_NAME}\.jsonl|receipts/{_NAME}/{_NAME}\.json|(?:attacks|earlier)/{_NAME}\.json"
)
_AGAIN = "ask the coordinator for the bundle again"
_RELEASE_BYTES = 10_000_000

BundlePath = Annotated[str, StringConstraints(pattern=rf"^(?:{_LAYOUT.pattern})$")]
License = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
HubId = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9._-]{1,96})?$")
]


class HubTerms(Strict):
    """People's part of a card's metadata: licence, as the Hub names it, and the base model's Hub id."""

    license: License = "other"
    base_model: HubId | None = None


class ReleasedSite(Strict):
    """A hospital whose rounds stand behind the adapter, and where its ledger ended at release."""

    public_key: Digest
    sequence: int = Field(ge=0)
    head: Digest


class Release(Strict):
    """What was released. ``code`` is the SHA-256 over the coordinator's source files, of ``code_version``."""

    schema_version: Literal[2] = 2
    number: int = Field(ge=1, description="counts the releases of one coordinator")
    time: Time
    run_id: Name
    adapter: Digest
    base_model: Digest
    stage: Stage
    round: int = Field(ge=1)
    iteration: int = Field(ge=1)
    simulated: bool
    sites: dict[Name, ReleasedSite] = Field(min_length=1)
    hub: HubTerms = HubTerms()
    code_version: Version
    code: Digest
    files: dict[BundlePath, Digest]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose signature and digests were verified; ``files`` are its bytes by path."""

    release: Release
    files: Mapping[str, bytes]

    def under(self, folder: str) -> Iterator[tuple[str, bytes]]:
        """Files below a folder of the layout: the rest of the path, and the bytes."""
        return (
            (p.removeprefix(folder), data) for p, data in sorted(self.files.items()) if p.startswith(folder)
        )


def read_release(path: Path, public: str) -> Release:
    """A release's signed list alone; its files are not looked at.

    Raises:
        ContractError, SignatureError: not a release, or not signed by that coordinator; names the file.
    """
    try:
        data = read_brought(path, _RELEASE_BYTES)
    except OSError:
        raise SignatureError(f"{path}: no signed release is here", remedy="name a release bundle") from None
    try:
        return open_signed(data, RELEASE_DOMAIN, Release, public)
    except ContractError as error:
        raise type(error)(f"{path}: {error.message}", remedy=error.remedy or _AGAIN) from None


def open_bundle(folder: Path, public: str) -> Bundle:
    """Verify the signature, that every file is there as it was signed, and that there is no other.

    Args:
        folder: the bundle.
        public: public key (hex) of the coordinator.

    Raises:
        ConfigError: no such folder.
        ContractError, SignatureError: not a release, or signed by another key.
        DigestError: a file is missing, changed, no plain file, or not in the list; names it.
    """
    if not folder.is_dir():
        raise ConfigError(folder, "", "no such folder", remedy="give the folder of a release bundle")
    release = read_release(folder / RELEASE_FILE, public)
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or name == RELEASE_FILE or name in release.files):
            raise DigestError(f"{path}: is not in the signed list of the release", remedy=_AGAIN)
    files = {}
    for name, wanted in release.files.items():
        try:
            files[name] = (folder / name).read_bytes()
        except OSError:
            raise DigestError(f"{folder / name}: a signed file is missing", remedy=_AGAIN) from None
        if digest(files[name]) != wanted:
            raise DigestError(f"{folder / name}: was changed after signing", remedy=_AGAIN)
    return Bundle(release, files)
