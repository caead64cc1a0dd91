"""Does this node know its consortium, and does the consortium's server answer it as it should?

For ``checkup``. The last check opens the only connection that a hospital's command makes outside the gateway:
one request to the proxy of the kit, which says nothing of the site. ``--offline`` leaves it out, and a ward
that has no network has to.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import httpx

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.joining import joined_kit
from intraward_shared.enrolment import MEMBERSHIP_DOMAIN, Membership, open_request
from intraward_shared.errors import ConfigError, ContractError, SuperLinkError
from intraward_shared.expiry import Expiry, read_certificate, warnings
from intraward_shared.kit import MEMBERSHIP
from intraward_shared.node_key import public_text
from intraward_shared.protocol import open_signed

FLEET, PRIVATE = "/v1/fleet/", "/openapi.json"
"""What a proxy has to pass on, and what only a SuperLink without one would show."""
FAST_SECONDS, SLOW_SECONDS = 5, 300
"""How far a node's clock may be ahead of the SuperLink's, and behind it (Flower's node authentication)."""
TIMEOUT_SECONDS = 10.0
_JOIN = "advice: send enrolment.json to the coordinator, then: intraward-client join KIT"


def endings(home: SiteHome, policy: SitePolicy) -> list[Expiry]:
    """What ends on a day at this site: the authority's certificate, the officer's exception.

    Raises:
        ConfigError: the certificate cannot be read.
    """
    found = []
    if home.authority.exists():
        remedy = "ask the coordinator for a new kit"
        at = read_certificate(home.authority).not_valid_after_utc
        found.append(Expiry("the consortium's authority", at, remedy))
    given = policy.deid.small_model_exception
    if given is not None:
        at = datetime.fromisoformat(given.until).replace(tzinfo=UTC)
        found.append(Expiry("the exception for the small model", at, "officer allow-small-model, or a model"))
    return found


def node_key(home: SiteHome, policy: SitePolicy) -> str:
    """The node's key can be read and is the one that the site asked to enrol.

    Raises:
        ConfigError: missing, damaged, or another one.
    """
    own = public_text(home.node_key)
    if not home.enrolment.exists():
        return "can be read; enrolment.json is gone, which does not matter once you are enrolled"
    if open_request(home.enrolment.read_bytes(), home.enrolment).keys.node_key != own:
        raise ConfigError(
            home.node_key, "", "not the key in enrolment.json", remedy="restore it from your backup"
        )
    return "is the one in enrolment.json"


def membership(home: SiteHome, policy: SitePolicy) -> str:
    """The coordinator's signed word that this site's keys are enrolled.

    Raises:
        ConfigError: the file is not what the coordinator signed for these keys.
    """
    path = home.consortium / MEMBERSHIP
    if not path.exists():
        return f"not enrolled, as far as this site was told; {_JOIN}"
    try:
        said = open_signed(path.read_bytes(), MEMBERSHIP_DOMAIN, Membership, policy.coordinator.public_key)
    except ContractError:
        raise ConfigError(path, "", "not signed by the coordinator", remedy="join again") from None
    if said.keys.node_key != public_text(home.node_key) or said.keys.site != policy.site:
        raise ConfigError(path, "", "is of other keys than this site's", remedy="tell the coordinator")
    return f"enrolled since {said.enrolled[:10]}"


def certificate(home: SiteHome, policy: SitePolicy) -> str:
    """The authority's certificate from the kit, and its days left.

    Raises:
        ConfigError: it ended, or cannot be read.
    """
    if not home.authority.exists():
        return f"no kit was joined; {_JOIN}"
    now = datetime.now(UTC)
    for each in endings(home, policy):
        if each.at <= now:
            raise ConfigError(home.authority, "", f"{each.what} has ended", remedy=each.remedy)
    near = warnings(endings(home, policy), now)
    left = (read_certificate(home.authority).not_valid_after_utc - now).days
    return f"the authority's, {left} days left" + "".join(f"; advice: {told}" for told in near[:1])


def server(home: SiteHome, policy: SitePolicy) -> str:
    """The proxy answers with a certificate of the authority, its clock agrees, and it hides the rest.

    Raises:
        SuperLinkError: no answer, another certificate, or a clock that would shut this node out.
    """
    kit = joined_kit(home)
    if kit is None:
        return f"no kit was joined; {_JOIN}"
    return _ask(f"https://{kit.superlink}", home.authority)


def _ask(address: str, authority: Path) -> str:
    context = ssl.create_default_context(cafile=str(authority))
    try:
        with httpx.Client(verify=context, timeout=TIMEOUT_SECONDS) as client:
            with client.stream("GET", address + FLEET) as answer:  # read while the connection is open
                now, days = datetime.now(UTC), _days_left(answer.extensions["network_stream"])
            open_to_all = client.get(address + PRIVATE).status_code == 200
    except httpx.HTTPError as error:
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in _causes(error)):
            raise SuperLinkError(
                f"{address}: its certificate is not of the kit's authority, or for another name",
                remedy="ask the coordinator for the newest kit, and whether this proxy is theirs",
            ) from None
        raise SuperLinkError(
            f"{address} does not answer",
            remedy="check the firewall (outbound TCP to this address), or leave this out: doctor --offline",
        ) from None
    if answer.status_code >= 500:
        raise SuperLinkError(
            f"{address}: the proxy answers, the SuperLink behind it does not",
            remedy="tell the coordinator; the gateway waits meanwhile",
        )
    _check_clock(address, answer.headers.get("date"), now)
    told = f"{address} answers, its certificate lasts {days} more days"
    if open_to_all:
        told += f"; advice: it shows more than {FLEET}: tell the coordinator that strangers can submit apps"
    return told


def _check_clock(address: str, date: str | None, now: datetime) -> None:
    if date is None:
        return
    ahead = (now - parsedate_to_datetime(date)).total_seconds()
    if not -SLOW_SECONDS < ahead < FAST_SECONDS + 1:  # the header counts whole seconds
        raise SuperLinkError(
            f"{address}: this machine's clock is {abs(ahead):.0f} s {'fast' if ahead > 0 else 'slow'}",
            remedy="set it by a time service: the SuperLink refuses nodes whose clock is wrong",
        )


def _days_left(stream: Any) -> int:
    """Days that the server's own certificate lasts."""
    ends = stream.get_extra_info("ssl_object").getpeercert()["notAfter"]
    return int((ssl.cert_time_to_seconds(ends) - datetime.now(UTC).timestamp()) // 86_400)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
