"""THE GATE: the only module that builds bytes which leave the hospital.

Rule 1 of DESIGN.md. Takes a ``LocalUpdate`` (trained, noised) and the checked plan; returns a
``SealedUpdate``'s bytes or refuses. The schema is an allow-list: exactly the plan's tensors, each
float32 of the stated shape and finite; a header whose every field comes from plan, policy and
ledger. No metric, no count, no text has a place in it, and the size depends on the plan alone.
"""

from __future__ import annotations

import numpy as np

from intraward_client.training.update import LocalUpdate
from intraward_shared.adapters import encode
from intraward_shared.errors import EgressRefused
from intraward_shared.protocol import RoundPlan, UpdateHeader, pack_parts, seal_bytes
from intraward_shared.signing import SigningKey, digest

REPLY_CODES = frozenset(
    {"OK", "PLAN_REFUSED", "SIGNATURE", "CONTRACT", "DIGEST", "BUDGET", "LEDGER", "ABORTED", "MODEL"}
)


def seal(
    update: LocalUpdate, plan: RoundPlan, site: str, ledger_entry: tuple[int, str], key: SigningKey
) -> bytes:
    """Seal an update for the coordinator.

    Args:
        update: what training returned, of the very plan given.
        plan: the checked plan; its ``outputs`` are the allow-list.
        site: this site's name.
        ledger_entry: sequence and hash of the RESERVE entry that paid for it.
        key: the site's signing key.

    Raises:
        EgressRefused: another plan, another set of tensors, another shape or dtype, or not finite.
    """
    if update.plan_digest != plan.digest:
        raise _refuse("the update belongs to another plan")
    allowed = {spec.name: spec.shape for spec in plan.outputs}
    if set(update.tensors) != set(allowed):
        raise _refuse("the update does not hold exactly the tensors that the plan allows")
    for name, array in update.tensors.items():
        if not isinstance(array, np.ndarray) or array.dtype != np.float32 or array.shape != allowed[name]:
            raise _refuse("a tensor has another shape or type than the plan allows")
        if not np.isfinite(array).all():
            raise _refuse("a tensor is not finite")
    tensors = encode(update.tensors)
    header = UpdateHeader(
        site=site,
        run_id=plan.run_id,
        round=plan.round,
        stage=plan.stage,
        plan=plan.digest,
        tensors=digest(tensors),
        ledger_sequence=ledger_entry[0],
        ledger_entry=ledger_entry[1],
        simulated=plan.simulated,
    )
    return seal_bytes(header, tensors, key)


def reply(code: str, sealed: bytes = b"") -> bytes:
    """The ward's answer: a code out of a fixed list, and the sealed update when the code is ``OK``.

    Raises:
        EgressRefused: the code is not on the list, or bytes come with a refusal.
    """
    if code not in REPLY_CODES or (bool(sealed) != (code == "OK")):
        raise _refuse("a reply is a known code, with an update exactly when it is OK")
    return pack_parts({"code": code.encode(), "update": sealed})


def _refuse(message: str) -> EgressRefused:
    return EgressRefused(message, remedy="nothing was sent; this is a defect in training, report it")
