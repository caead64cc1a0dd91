"""Taking a coordinator's kit: verified whole, then put in place; the hospital's policy is never touched.

Rules 3 and 9 of DESIGN.md. The kit has to be signed by the key that the policy pins, be of this site, and not
older than the one before, so that nobody can bring an old authority back. What it says of the site's keys
has to be what the site holds. Only the certificate and the address are used by a program (the gateway);
the proposal is for people to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.releases import take_revocations
from intraward_shared.config import parse, toml_table
from intraward_shared.durable import write_durably
from intraward_shared.enrolment import MEMBERSHIP_DOMAIN, Membership, SiteKeys
from intraward_shared.errors import ConfigError, ContractError, EnrolmentRefused
from intraward_shared.kit import AUTHORITY, MANIFEST, MEMBERSHIP, PROGRAM, REVOKED, Kit, read_kit
from intraward_shared.node_key import public_text
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import from_bytes, open_signed
from intraward_shared.signing import SigningKey


@dataclass(frozen=True)
class Joined:
    """What was put in place; ``advice`` is for the operator to read."""

    kit: Kit
    enrolled: bool
    advice: tuple[str, ...]


def join(home: SiteHome, folder: Path, now: datetime) -> Joined:
    """Verify a kit and put its files into the site's folder; nothing is written before all is verified.

    Args:
        home: an initialised site.
        folder: the kit.
        now: the machine's clock, for the authority's certificate.

    Raises:
        EnrolmentRefused: the kit is not whole, of somebody else, older, or contradicts this site's keys.
        ReleaseRefused: its list of revoked adapters is not the one that this site has seen before.
        ConfigError: policy or keys cannot be read.
    """
    policy = load_policy(home.policy)
    kit, files = read_kit(folder, policy.coordinator.public_key)
    if kit.site != policy.site:
        raise EnrolmentRefused(
            f"{folder}: is the kit of another site", remedy="ask the coordinator for the kit of this one"
        )
    before = joined_kit(home)
    if before is not None and kit.issued < before.issued:
        raise EnrolmentRefused(
            f"{folder}: is older than the kit of {before.issued} that was joined",
            remedy="take the newest kit",
        )
    _check_authority(files[AUTHORITY], folder, now)
    program = _program(files[PROGRAM], folder)
    enrolled = MEMBERSHIP in files
    if enrolled:
        _check_membership(home, policy, files[MEMBERSHIP], folder)
    if REVOKED in files:
        take_revocations(home, policy.coordinator.public_key, files[REVOKED], folder / REVOKED)
    home.gateway.mkdir(exist_ok=True, mode=0o700)
    write_durably(home.consortium / PROGRAM, files[PROGRAM])
    if enrolled:
        write_durably(home.consortium / MEMBERSHIP, files[MEMBERSHIP])
    _publish(home.authority, files[AUTHORITY])
    _publish(home.kit, files[MANIFEST])
    return Joined(kit, enrolled, tuple(_advice(policy, program, home, enrolled=enrolled)))


def joined_kit(home: SiteHome) -> Kit | None:
    """Manifest of the kit that was joined with, or None.

    Raises:
        ConfigError: the file was changed.
    """
    try:
        return from_bytes(home.kit.read_bytes(), Kit)
    except FileNotFoundError:
        return None
    except (OSError, ContractError):
        raise ConfigError(
            home.kit,
            "",
            "cannot be read as a kit's manifest",
            remedy="intraward-client join KIT, or mend its permissions",
        ) from None


@dataclass(frozen=True)
class Connection:
    """What a gateway is started with; ``authority`` is None without TLS."""

    superlink: str
    authority: Path | None
    node_key: Path | None


def connection_of(
    home: SiteHome,
    superlink: str | None,
    authority: Path | None,
    node_key: Path | None,
    *,
    insecure: bool,
) -> Connection:
    """The gateway's connection: what is given, and the rest as it came with the kit.

    Args:
        home: the site's folder, of which only ``gateway/`` is read.
        superlink: ``host:port``, or None for the kit's.
        authority: CA certificate, or None for the kit's.
        node_key: the node's private key, or None for the site's own.
        insecure: no TLS; on loopback only.

    Raises:
        ConfigError: no address is known, or TLS is missing.
    """
    kit = joined_kit(home) if superlink is None else None
    if superlink is None and kit is None:
        raise ConfigError("--superlink", "", "is missing", remedy="join first: intraward-client join KIT")
    address = superlink if kit is None else kit.superlink
    assert address is not None
    if insecure and address.rpartition(":")[0] in ("127.0.0.1", "localhost"):
        return Connection(address, authority, node_key)
    if authority is None and home.authority.exists():
        authority = home.authority
    if authority is None:
        raise ConfigError(
            "--root-certificates",
            "",
            "TLS is required",
            remedy="join, or give the consortium's CA certificate",
        )
    if node_key is None and home.node_key.exists():
        node_key = home.node_key
    return Connection(address, authority, node_key)


def _publish(path: Path, data: bytes) -> None:
    """Write a file of the gateway's folder anew, in the mode that the operator gave the old one."""
    mode = path.stat().st_mode & 0o777 if path.exists() else None
    write_durably(path, data)
    if mode is not None:
        path.chmod(mode)


def _check_authority(data: bytes, folder: Path, now: datetime) -> None:
    what = ""
    try:
        certificate = x509.load_pem_x509_certificate(data)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        if not constraints.ca:
            what = "not the certificate of an authority"
        elif not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            what = "the authority's certificate is not valid now; is this machine's clock right?"
    except (ValueError, x509.ExtensionNotFound):
        what = "not the certificate of an authority"
    if what:
        raise EnrolmentRefused(f"{folder / AUTHORITY}: {what}", remedy="ask the coordinator for a new kit")


def _program(data: bytes, folder: Path) -> ProgramConfig:
    try:
        table = toml_table(data, folder / PROGRAM)
    except ConfigError:
        raise EnrolmentRefused(
            f"{folder / PROGRAM}: not valid TOML", remedy="ask the coordinator for a new kit"
        ) from None
    return parse(table, ProgramConfig, folder / PROGRAM)


def _check_membership(home: SiteHome, policy: SitePolicy, data: bytes, folder: Path) -> None:
    path = folder / MEMBERSHIP
    try:
        said = open_signed(data, MEMBERSHIP_DOMAIN, Membership, policy.coordinator.public_key).keys
    except ContractError as error:
        raise EnrolmentRefused(f"{path}: {error.message}", remedy="ask for a new kit") from None
    signing = SigningKey.load(home.signing_key).public
    if said != SiteKeys(site=policy.site, public_key=signing, node_key=public_text(home.node_key)):
        raise EnrolmentRefused(
            f"{path}: other keys than this site's are enrolled under its name",
            remedy=f"tell the coordinator at once, and send {home.enrolment}",
        )


def _advice(policy: SitePolicy, program: ProgramConfig, home: SiteHome, *, enrolled: bool) -> list[str]:
    found = []
    if not enrolled:
        found.append(f"you are not enrolled yet: send {home.enrolment} to the coordinator, then join anew")
    if program.model.sha256 is not None and program.model.sha256 != policy.model.sha256:
        found.append("the program's base model is not the one in policy.toml, model.sha256")
    missing = sorted({stage.stage.value for stage in program.stages} - {s.value for s in policy.stages})
    if missing:
        found.append(f"your policy takes no part in: {', '.join(missing)}")
    command = f"intraward-client budget plan {home.consortium / PROGRAM} --home {home.root}"
    found.append(f"what it would cost: {command}")
    return found


def utc_now() -> datetime:
    """The machine's clock."""
    return datetime.now(UTC)
