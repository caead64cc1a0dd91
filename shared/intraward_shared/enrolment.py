"""How a hospital asks to be enrolled, and what the coordinator signs once it is.

Rule 9 of DESIGN.md. The request carries the public halves of the site's two keys and is signed by both
(proof of possession, as in RFC 2986 and RFC 4211): nobody can enrol a key that they do not hold, and the
private halves never leave the hospital. Whose request it is, a signature cannot say: coordinator and hospital
compare the key id by telephone. A membership is the coordinator's signed answer, for the hospital to check.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import StringConstraints

from intraward_shared.config import Strict
from intraward_shared.errors import ContractError, EnrolmentRefused
from intraward_shared.node_key import check_proof, prove, public_text
from intraward_shared.protocol import Digest, Name, open_signed, sign_value, to_bytes
from intraward_shared.signing import SigningKey, canonical_json, parse_canonical

REQUEST_DOMAIN = "intraward/enrolment/v1"
MEMBERSHIP_DOMAIN = "intraward/membership/v1"
MAX_REQUEST_BYTES = 10_000

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
NodeKey = Annotated[str, StringConstraints(pattern=r"^ecdsa-sha2-nistp384 [A-Za-z0-9+/]{100,300}={0,2}$")]
Proof = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{100,220}$")]


class SiteKeys(Strict):
    """A site's name and the public halves of its keys: what signs updates, and what its SuperNode shows."""

    site: Name
    public_key: Digest
    node_key: NodeKey


class EnrolmentRequest(Strict):
    """What ``intraward-client init`` writes; ``node_proof`` is the node key's own signature."""

    schema_version: Literal[1] = 1
    keys: SiteKeys
    created: Time
    node_proof: Proof


class Membership(Strict):
    """The coordinator's word that these keys are enrolled."""

    schema_version: Literal[1] = 1
    keys: SiteKeys
    enrolled: Time


def make_request(site: str, key: SigningKey, node_key: Path, time: str) -> bytes:
    """A site's request, signed by both of its keys.

    Args:
        site: the site's name.
        key: what signs its updates.
        node_key: file of its SuperNode's private key.
        time: ``YYYY-MM-DDTHH:MM:SSZ``.

    Raises:
        ConfigError: the node key cannot be read.
    """
    keys = SiteKeys(site=site, public_key=key.public, node_key=public_text(node_key))
    proof = prove(node_key, _proven(keys, time))
    return sign_value(EnrolmentRequest(keys=keys, created=time, node_proof=proof), REQUEST_DOMAIN, key)


def open_request(data: bytes, source: object) -> EnrolmentRequest:
    """Verify a request with the very keys that it names.

    Args:
        data: the file's bytes.
        source: the file, for messages.

    Raises:
        EnrolmentRefused: malformed, changed on the way, or signed by other keys than it names.
    """
    remedy = "ask the site for the file enrolment.json that its own init wrote, unchanged"
    if len(data) > MAX_REQUEST_BYTES:
        raise EnrolmentRefused(f"{source}: longer than any enrolment request", remedy=remedy)
    try:
        envelope = parse_canonical(data.rstrip(b"\n"))
        claimed = envelope["public"] if isinstance(envelope, dict) else None
        if not isinstance(claimed, str):
            raise ContractError("it names no key")
        request = open_signed(data.rstrip(b"\n"), REQUEST_DOMAIN, EnrolmentRequest, claimed)
        if request.keys.public_key != claimed:
            raise ContractError("it is signed by another key than the one that it asks to enrol")
        check_proof(request.keys.node_key, _proven(request.keys, request.created), request.node_proof)
    except KeyError:
        raise EnrolmentRefused(f"{source}: not an enrolment request", remedy=remedy) from None
    except ContractError as error:
        raise EnrolmentRefused(
            f"{source}: not a whole enrolment request: {error.message}", remedy=remedy
        ) from None
    return request


def _proven(keys: SiteKeys, time: str) -> bytes:
    """What the node key signs: the domain, the keys and the time, so that it proves nothing else."""
    return REQUEST_DOMAIN.encode() + b"\x00" + canonical_json({"time": time}) + to_bytes(keys)
