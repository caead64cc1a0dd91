"""What a hospital is given: the kit, with a policy template that the hospital decides, and next steps."""

from __future__ import annotations

import json
from pathlib import Path

from intraward_server.authority import hosts_of
from intraward_server.home import ServerHome
from intraward_server.members import read_members
from intraward_server.revocations import revocations
from intraward_shared.config import load_toml
from intraward_shared.enrolment import MEMBERSHIP_DOMAIN, Membership
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.kit import (
    AUTHORITY,
    MEMBERSHIP,
    PROGRAM,
    REVOKED,
    STEPS,
    TEMPLATE,
    Kit,
    write_kit,
)
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import from_bytes, sign_value
from intraward_shared.signing import SigningKey, canonical_json

_TEMPLATE = Path(__file__).with_name("policy_template.toml")
_STEPS = Path(__file__).with_name("kit_readme.md")
_SEND = (
    "Send `enrolment.json` to the coordinator, and compare the key id by telephone. Once you are enrolled,\n"
    "   ask for a new kit: it holds `membership.json`."
)
_DONE = "You are enrolled: `membership.json` says with which keys."


def provision(home: ServerHome, site: str, out: Path, superlink: str, time: str) -> Kit:
    """Write a site's kit into a new folder.

    Args:
        home: the coordinator's folder.
        site: the site's name; it may be enrolled, or not yet.
        out: folder to make; it must not exist or be empty.
        superlink: where the proxy answers, ``host:port``.
        time: time of issue.

    Raises:
        ConfigError: the folder is in use, the address is not covered by the server's certificate, or the site
            was revoked.
        SignatureError, ContractError: the list of revoked adapters was changed.
    """
    config, key = load_toml(home.program, ProgramConfig), SigningKey.load(home.key)
    member = read_members(home, key.public).find(site)
    if member is not None and member.revoked is not None:
        raise ConfigError("provision", "SITE", "was revoked", remedy="enroll the site's new request first")
    try:
        values = {"site": site, "issued": time, "coordinator": key.public, "superlink": superlink}
        kit = from_bytes(canonical_json({"schema_version": 1, "program": config.program.name, **values}), Kit)
    except ContractError as error:
        raise ConfigError("provision", "", error.message, remedy="a site's name; host:port") from None
    host = superlink.rpartition(":")[0]
    if host.lower() not in hosts_of(home.server_certificate):
        raise ConfigError(
            home.server_certificate,
            "",
            "does not cover the address that hospitals are to use",
            remedy=f"intraward-server renew --host {host}",
        )
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(out, "", "is in use", remedy="choose another --out; a kit is never overwritten")
    files = {
        AUTHORITY: home.authority.read_bytes(),
        PROGRAM: home.program.read_bytes(),
        TEMPLATE: policy_template(site, config, key.public).encode(),
        STEPS: _steps(site, key.public, superlink, enrolled=member is not None).encode(),
    }
    if member is not None:
        membership = Membership(keys=member.keys, enrolled=member.enrolled)
        files[MEMBERSHIP] = sign_value(membership, MEMBERSHIP_DOMAIN, key)
    if home.revoked.exists():
        revocations(home, key)  # nobody is given a list that was changed
        files[REVOKED] = home.revoked.read_bytes()
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_kit(out, kit, files, key)
    return kit


def _steps(site: str, coordinator: str, superlink: str, *, enrolled: bool) -> str:
    """The kit's page of next steps."""
    text = _STEPS.read_text(encoding="utf-8").replace("ENROLMENT", _DONE if enrolled else _SEND)
    text = text.replace("COORDINATOR_KEY", coordinator).replace("ADDRESS", superlink)
    return text.replace("SITE", site)


def policy_template(site: str, config: ProgramConfig, coordinator: str) -> str:
    """A policy for the hospital to decide; it cannot be used before OFFICER_KEY is replaced."""
    stages = json.dumps([stage.stage.value for stage in config.stages])
    text = _TEMPLATE.read_text(encoding="utf-8").replace("SITE", site).replace("COORDINATOR_KEY", coordinator)
    text = text.replace('["STAGES"]', stages)
    return text if config.model.sha256 is None else text.replace("MODEL_DIGEST", config.model.sha256)
