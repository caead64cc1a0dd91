"""What a person at a hospital hands in: a small signed file, verified against the key of the member it names.

Rule 9 of DESIGN.md. Decisions about adapters and charged figures come by hand (or mail), not over the wire,
and are verified once more whenever they are read. A hospital that left, or has other keys by now, still
stands by what it signed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, TypeVar, cast

from intraward_server.home import ServerHome
from intraward_server.members import read_members
from intraward_shared.brought import read_brought
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError, ContractError, SignatureError
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import open_signed
from intraward_shared.signing import parse_canonical

MAX_BYTES = 10_000
_AGAIN = "ask the hospital for the file that its intraward-client wrote"


class Statement(Protocol):
    """What every such value says of its sender."""

    @property
    def site(self) -> str:
        """Name of the hospital."""

    @property
    def public(self) -> str:
        """Its public signing key."""


Value = TypeVar("Value", bound=Strict)


def member_keys(home: ServerHome, public: str) -> Mapping[str, str]:
    """Site by signing key: members, former ones too, and the cohort of the program.

    Args:
        public: the coordinator's public key, which signed the member list.
    """
    members, config = read_members(home, public), load_toml(home.program, ProgramConfig)
    every = (*members.former, *members.members)
    return {key: site for site, key in config.site_keys.items()} | {
        each.keys.public_key: each.keys.site for each in every
    }


def open_statement(
    data: bytes, domain: str, model: type[Value], keys: Mapping[str, str], place: object
) -> Value:
    """A hospital's value from its signed bytes; ``place`` names them in errors.

    Args:
        keys: as ``member_keys``; ``model`` has the fields of ``Statement``.

    Raises:
        SignatureError, ContractError: malformed, changed, or not signed by the member that it names.
    """
    try:
        if len(data) > MAX_BYTES:
            raise ContractError("is too long for a hospital's statement")
        envelope = parse_canonical(data)
        signer = envelope.get("public") if isinstance(envelope, dict) else None
        if not isinstance(signer, str) or signer not in keys:
            raise SignatureError("is not signed by a member")
        value = open_signed(data, domain, model, signer)
        said = cast(Statement, value)
        if (said.site, said.public) != (keys[signer], signer):
            raise ContractError("speaks for another hospital than the one that signed it")
    except ContractError as error:
        raise type(error)(f"{place}: {error.message}", remedy=error.remedy or _AGAIN) from None
    return value


def read_statement(file: Path) -> bytes:
    """The bytes that somebody brought.

    Raises:
        ConfigError: the file cannot be read, is no plain one, or longer than any statement.
    """
    try:
        return read_brought(file, MAX_BYTES + 1).rstrip(b"\n")
    except OSError:
        raise ConfigError(file, "", "cannot be read", remedy=_AGAIN) from None
