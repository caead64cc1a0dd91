"""Which adapters the coordinator took back: one signed list that only ever grows.

Rule 9 of DESIGN.md. A release carries the list as it was, a hospital keeps the newest that it has seen and
takes no shorter or other one in its place, so nobody can bring a revoked adapter back with an old file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from intraward_shared.brought import read_brought
from intraward_shared.config import Strict
from intraward_shared.errors import ConfigError, ContractError, ReleaseRefused
from intraward_shared.protocol import Digest, open_signed

REVOCATION_DOMAIN = "intraward/revocations/v1"
REVOCATION_FILE = "revoked.json"
MAX_LIST_BYTES = 10_000_000
_NEWER = "do not use it or what descends from it; ask the coordinator for a newer release"

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
Reason = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,300}$")]


class Revoked(Strict):
    """One adapter that nobody is to use, since when and why."""

    adapter: Digest
    time: Time
    reason: Reason


class RevocationList(Strict):
    """Every revoked adapter, oldest first; a newer list begins with the older one."""

    schema_version: Literal[1] = 1
    revoked: tuple[Revoked, ...] = Field(default=())

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len({each.adapter for each in self.revoked}) < len(self.revoked):
            raise ValueError("an adapter is revoked twice")
        return self

    def continues(self, older: RevocationList) -> bool:
        """Whether ``older`` is the beginning of this list."""
        return self.revoked[: len(older.revoked)] == older.revoked

    def refuse(self, adapters: Iterable[str], remedy: str = _NEWER) -> None:
        """Refuse adapters of which one is revoked.

        Args:
            adapters: what is to be used, and what it descends from.
            remedy: what the reader can do; without it, what a hospital or an auditor can.

        Raises:
            ReleaseRefused: names it, with time and reason.
        """
        named = set(adapters)
        for each in self.revoked:
            if each.adapter in named:
                raise ReleaseRefused(
                    f"adapter {each.adapter[:16]} was revoked on {each.time}: {each.reason}",
                    remedy=remedy,
                )


def newer_list(bundled: RevocationList, given: RevocationList, place: object) -> RevocationList:
    """The list that somebody brought in place of a bundle's own: as long as that one, or longer.

    Raises:
        ReleaseRefused: it is older, or another list; ``place`` names it.
    """
    if given.continues(bundled):
        return given
    if bundled.continues(given):
        raise ReleaseRefused(
            f"{place}: is older than the list of revoked adapters in the bundle",
            remedy="leave it out, or ask the coordinator for its newest revoked.json",
        )
    raise ReleaseRefused(
        f"{place}: is not the list of revoked adapters that the bundle holds, and not a longer one",
        remedy="ask the coordinator why there are two; use neither the list nor the bundle until then",
    )


def read_list(path: Path) -> bytes:
    """Bytes of a list that somebody brought.

    Raises:
        ConfigError: the file cannot be read, is no plain one, or too long.
    """
    try:
        return read_brought(path, MAX_LIST_BYTES)
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="give the coordinator's revoked.json") from None


def read_revocations(data: bytes, public: str, place: object) -> RevocationList:
    """A list from its signed bytes; ``place`` names them in errors.

    Raises:
        SignatureError, ContractError: changed, or not signed by that coordinator.
    """
    if len(data) > MAX_LIST_BYTES:
        raise ContractError(f"{place}: too long for a list of revoked adapters", remedy="ask for it again")
    try:
        return open_signed(data, REVOCATION_DOMAIN, RevocationList, public)
    except ContractError as error:
        remedy = error.remedy or "ask the coordinator for its list of revoked adapters"
        raise type(error)(f"{place}: {error.message}", remedy=remedy) from None
