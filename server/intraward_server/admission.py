"""SealedUpdate -> AdmittedUpdate, or a refusal with the number of the check that said no.

Pure: bytes in, verified value or ``AdmissionRefused`` out (the shape of python-tuf's trusted metadata
set). Keeps rule 9 of DESIGN.md on the coordinator's side. The checks, in order:

 1. size: no longer than the plan's tensors, their names and a header can be
 2. the header can be read and names an enrolled site that was not revoked
 3. the site's own key signed these bytes, and the tensors match the header's digest
 4. plan digest, run, round and stage are those of this plan
 5. the site is in the plan's cohort
 6. nothing of this site was admitted in this round yet
 7. the simulated flag equals the plan's
 8. its ledger entry lies after the last one that was countersigned (a restored backup does not)
 9. the tensors are canonical safetensors, exactly the plan's names, shapes and dtype
10. every number is finite
11. the norm is one that an honest optimiser can reach

A signature says who, not how honestly: within the bounds of 9 to 11 a site may send any vector.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from intraward_shared.adapters import State, decode, l2_norm
from intraward_shared.errors import AdmissionRefused, ContractError, SignatureError
from intraward_shared.protocol import (
    MAX_HEADER_BYTES,
    UPDATE_MAGIC,
    RoundPlan,
    UpdateHeader,
    from_bytes,
    open_update,
)
from intraward_shared.signing import digest
from intraward_shared.stages import SCORE_HEAD, VALUE_HEAD

_OVERHEAD = 16_384
_ADAM_STEP = 3.1623
"""Largest step of Adam over its learning rate, (1 - beta1) / sqrt(1 - beta2) (arXiv 1412.6980, 2.1)."""
_SLACK = 1.05


@dataclass(frozen=True)
class AdmittedUpdate:
    """An update that passed every check. ``sealed`` is the digest of the bytes it came as."""

    site: str
    header: UpdateHeader
    sealed: str
    tensors: State = field(repr=False)


def admit(
    data: bytes,
    plan: RoundPlan,
    site_keys: Mapping[str, str],
    seen: Collection[str],
    *,
    max_norm: float,
    heads: Mapping[str, int] | None = None,
    revoked: Collection[str] = (),
) -> AdmittedUpdate:
    """Check one sealed update.

    Args:
        data: the very bytes that egress sealed.
        plan: the round's plan.
        site_keys: public key (hex) of each enrolled site.
        seen: sites of which this round already has an update.
        max_norm: largest Euclidean norm over all tensors (``norm_bound``).
        heads: last countersigned ledger sequence of each site.
        revoked: enrolled sites whose updates are no longer taken.

    Raises:
        AdmissionRefused: ``check`` is the number in this module's list.
    """
    if len(data) > max_bytes(plan):
        raise _refuse(1, "it is longer than the plan's outputs can be")
    site = _claimed_site(data)
    if site not in site_keys:
        raise _refuse(2, "its site is not enrolled")
    if site in revoked:
        raise _refuse(2, "its site was revoked")
    header, tensors = _verified(data, site_keys[site])
    _check_header(header, plan, seen, heads or {})
    state = _check_tensors(tensors, plan, max_norm)
    return AdmittedUpdate(site, header, digest(data), state)


def max_bytes(plan: RoundPlan) -> int:
    """Upper bound of a sealed update's length."""
    per_tensor = sum(4 * int(np.prod(spec.shape, dtype=np.int64)) + 320 for spec in plan.outputs)
    return per_tensor + _OVERHEAD


def norm_bound(plan: RoundPlan, trained_norm: float, limit: float | None = None) -> float:
    """Norm that no honest AdamW run under this plan can pass, or ``limit`` if that is smaller.

    Args:
        plan: gives learning rates, number of steps and tensor sizes.
        trained_norm: norm of the trained tensors before the round (weight decay shrinks them).
        limit: a tighter bound of the coordinator's own.
    """
    spec = plan.training
    steps = plan.mechanism.steps if plan.mechanism is not None else spec.steps * spec.epochs
    scaled = 0.0
    for output in plan.outputs:
        head = output.name in SCORE_HEAD or output.name in VALUE_HEAD
        rate = max(spec.head_learning_rate, spec.learning_rate) if head else spec.learning_rate
        scaled += rate**2 * float(np.prod(output.shape, dtype=np.int64))
    decay = max(spec.learning_rate, spec.head_learning_rate) * spec.weight_decay * steps * trained_norm
    bound = _SLACK * (_ADAM_STEP * steps * math.sqrt(scaled) + decay)
    return bound if limit is None else min(bound, limit)


def _refuse(check: int, message: str) -> AdmissionRefused:
    return AdmissionRefused(
        check, message, remedy="the round goes on without it; ask the site's operator to look at the ward"
    )


def _claimed_site(data: bytes) -> str:
    """Site named in the header, not yet trusted; only chooses which key must have signed."""
    if data[:8] != UPDATE_MAGIC or len(data) < 16:
        raise _refuse(2, "it is not a sealed update of this version")
    length = struct.unpack("<Q", data[8:16])[0]
    if length > min(MAX_HEADER_BYTES, len(data)):
        raise _refuse(2, "its header is longer than the update")
    try:
        return from_bytes(data[16 : 16 + length], UpdateHeader).site
    except ContractError:
        raise _refuse(2, "its header does not follow the protocol") from None


def _verified(data: bytes, public: str) -> tuple[UpdateHeader, bytes]:
    try:
        return open_update(data, public)
    except SignatureError:
        raise _refuse(3, "it was not signed by the key of the site that it names") from None
    except ContractError:
        raise _refuse(3, "its tensors do not match its header") from None


def _check_header(
    header: UpdateHeader, plan: RoundPlan, seen: Collection[str], heads: Mapping[str, int]
) -> None:
    wanted = (plan.digest, plan.run_id, plan.round, plan.stage)
    if (header.plan, header.run_id, header.round, header.stage) != wanted:
        raise _refuse(4, "it answers another plan, run, round or stage")
    if header.site not in plan.cohort:
        raise _refuse(5, "its site is not in the plan's cohort")
    if header.site in seen:
        raise _refuse(6, "this site's update was already admitted in this round")
    if header.simulated != plan.simulated:
        raise _refuse(7, "simulated and real updates do not mix")
    if header.ledger_sequence <= heads.get(header.site, -1):
        raise _refuse(8, "its ledger entry is older than the one countersigned last")


def _check_tensors(tensors: bytes, plan: RoundPlan, max_norm: float) -> State:
    try:
        state = decode(tensors)
    except ContractError:
        raise _refuse(9, "its tensors are not canonical float32 safetensors") from None
    if {name: array.shape for name, array in state.items()} != {o.name: o.shape for o in plan.outputs}:
        raise _refuse(9, "it does not hold exactly the plan's tensors and shapes")
    if not all(np.isfinite(array).all() for array in state.values()):
        raise _refuse(10, "a number in it is not finite")
    if l2_norm(state) > max_norm:
        raise _refuse(11, "its norm is larger than this plan's training can reach")
    return state
