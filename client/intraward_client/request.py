"""A coordinator's request, opened: bytes in, verified values out, nothing decided.

Rules 8 and 9 of DESIGN.md. Plan, schedule and adapter manifests carry the pinned coordinator's
signature, inputs the digests that the plan names; a request with anything missing or anything more is
refused. What the plan may ask for is ``plancheck``'s affair, where its adapters come
from ``lineage``'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from intraward_shared.adapters import State
from intraward_shared.adapters import decode as decode_adapter
from intraward_shared.errors import ContractError, DigestError
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    PROGRAM_DOMAIN,
    ProgramSchedule,
    RoundPlan,
    open_signed,
    request_blobs,
    request_manifests,
    to_bytes,
    unpack_parts,
)
from intraward_shared.signed_adapter import ADAPTER_DOMAIN, AdapterManifest
from intraward_shared.signing import parse_canonical

_PARTS = frozenset({"plan", "schedule", "receipt"})


@dataclass(frozen=True)
class Request:
    """A verified request. ``receipt`` is still sealed, or empty: the ledger's side opens it.

    ``signed_plan`` is the plan as the coordinator signed it.
    """

    plan: RoundPlan
    signed_plan: bytes
    schedule: tuple[bytes, ProgramSchedule] | None
    receipt: bytes
    inputs: Mapping[str, State]
    manifests: Mapping[str, AdapterManifest]
    public: tuple[dict[str, str], ...] | None


def open_request(data: bytes, trusted: str) -> Request:
    """Verify and parse a request.

    Args:
        data: ``pack_request``'s bytes.
        trusted: public key of the pinned coordinator.

    Raises:
        ContractError, SignatureError, DigestError: malformed, another signer, or altered.
    """
    parts = unpack_parts(data)
    if not set(parts) >= _PARTS:
        raise ContractError("a request holds a plan, a schedule and a receipt")
    if any(name not in _PARTS and not name.startswith(("blob/", "manifest/")) for name in parts):
        raise ContractError("a request holds a part that is none of its own")
    plan = open_signed(parts["plan"], PLAN_DOMAIN, RoundPlan, trusted)
    schedule = None
    if parts["schedule"]:
        value = open_signed(parts["schedule"], PROGRAM_DOMAIN, ProgramSchedule, trusted)
        schedule = (to_bytes(value), value)
    blobs = request_blobs(parts)
    wanted = set(plan.inputs.values()) | ({plan.public_data} if plan.public_data else set())
    if set(blobs) != wanted:
        raise ContractError("a request holds exactly the inputs that its plan names")
    inputs: dict[str, State] = {role: decode_adapter(blobs[name]) for role, name in plan.inputs.items()}
    if not all(np.isfinite(array).all() for state in inputs.values() for array in state.values()):
        raise ContractError("an input adapter is not finite")
    public = parse_public(blobs[plan.public_data]) if plan.public_data else None
    return Request(
        plan, parts["plan"], schedule, parts["receipt"], inputs, _manifests(parts, trusted), public
    )


def _manifests(parts: Mapping[str, bytes], trusted: str) -> dict[str, AdapterManifest]:
    manifests = {}
    for name, envelope in request_manifests(parts).items():
        manifest = open_signed(envelope, ADAPTER_DOMAIN, AdapterManifest, trusted)
        if manifest.digest != name:
            raise DigestError("a manifest of the request is of another adapter than its name says")
        manifests[name] = manifest
    return manifests


def parse_public(data: bytes) -> tuple[dict[str, str], ...]:
    """Public records: a canonical JSON list of objects of strings."""
    rows = parse_canonical(data)
    if not isinstance(rows, list) or not all(
        isinstance(row, dict) and all(isinstance(v, str) for v in row.values()) for row in rows
    ):
        raise ContractError("public data is a canonical JSON list of objects of strings")
    return tuple(rows)
