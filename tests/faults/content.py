"""Faults of what is inside: wrong shape, type, name or number, a header that is too long.

Before RESERVE they stand in the coordinator's own, correctly signed request (an input adapter); in training
the hospital's training returns them; after upload the site's own key has signed them, as a broken or hostile
node would. Between sealing and sending nobody makes a tensor, and a changed byte is a bit-flipped message.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
from safetensors.numpy import save
from tests.faults.bench import Bench
from tests.faults.outcome import Seen
from tests.faults.phases import Phase

import intraward_client.ward as ward_module
from intraward_shared.adapters import decode
from intraward_shared.protocol import (
    PARTS_MAGIC,
    UPDATE_DOMAIN,
    UPDATE_MAGIC,
    open_update,
    pack_parts,
    to_bytes,
    unpack_parts,
)
from intraward_shared.signing import SigningKey, digest

Tensors = dict[str, Any]
Change = Callable[[Tensors], Tensors]
HUGE = 1e30


def wrong_shape(bench: Bench, phase: Phase) -> Seen:
    """A tensor is transposed and one longer."""
    return _changed(bench, phase, lambda array: np.zeros((array.shape[0] + 1, *array.shape[1:]), np.float32))


def wrong_dtype(bench: Bench, phase: Phase) -> Seen:
    """A tensor is float64."""
    return _changed(bench, phase, lambda array: array.astype(np.float64))


def wrong_name(bench: Bench, phase: Phase) -> Seen:
    """A tensor has a name that nobody allowed."""

    def rename(tensors: Tensors) -> Tensors:
        first = min(tensors)
        return {("notes" if name == first else name): array for name, array in tensors.items()}

    return _struck(bench, phase, rename)


def not_a_number(bench: Bench, phase: Phase) -> Seen:
    """One number is NaN."""
    return _changed(bench, phase, lambda array: _with(array, np.nan))


def infinite(bench: Bench, phase: Phase) -> Seen:
    """One number is infinite."""
    return _changed(bench, phase, lambda array: _with(array, np.inf))


def huge(bench: Bench, phase: Phase) -> Seen:
    """One number is 1e30."""
    return _changed(bench, phase, lambda array: _with(array, HUGE))


def oversized_header(bench: Bench, phase: Phase) -> Seen:
    """A message says that its header is 2^40 bytes long."""
    length = struct.pack("<Q", 1 << 40)
    if phase is Phase.BEFORE_RESERVE:
        struck = bench.asked(request=PARTS_MAGIC + length + bench.request()[16:])
        return bench.judged(struck, "", bench.asked())
    assert phase is Phase.UPLOADED
    return _forged(bench, lambda update: UPDATE_MAGIC + length + update[16:])


def _with(array: Any, value: float) -> Any:
    changed = array.copy()
    changed.flat[0] = value
    return changed


def _changed(bench: Bench, phase: Phase, change: Callable[[Any], Any]) -> Seen:
    def first(tensors: Tensors) -> Tensors:
        name = min(tensors)
        return {**tensors, name: change(tensors[name])}

    return _struck(bench, phase, first)


def _struck(bench: Bench, phase: Phase, change: Change) -> Seen:
    if phase is Phase.BEFORE_RESERVE:
        return _asked_with(bench, change)
    if phase is Phase.TRAINING:
        return _trained(bench, change)
    assert phase is Phase.UPLOADED
    return _forged(bench, lambda update: _resealed(bench, update, change))


def _asked_with(bench: Bench, change: Change) -> Seen:
    """A plan whose input adapter is so; everything is signed and named rightly."""
    honest = bench.requests[1]
    blob = save(change(decode(honest.blobs[0])))
    plan = honest.plan.model_copy(update={"inputs": {"reward": digest(blob)}})
    bench.requests[1] = replace(honest, plan=plan, blobs=(blob,))
    struck, sealed = bench.asked(), bench.site.sealed(plan.digest)
    if not sealed:
        assert not bench.site.attempts(plan.digest)
        bench.requests[1] = honest
    return bench.judged(struck, sealed, bench.asked())


def _trained(bench: Bench, change: Change) -> Seen:
    """Training returns it."""
    real = vars(ward_module)["train"]

    def train(*given: Any) -> Any:
        update = real(*given)
        return replace(update, tensors=change(dict(update.tensors)))

    with patch.object(ward_module, "train", train):
        struck = bench.asked()
    return bench.judged(struck, bench.site.sealed(bench.plan().digest), bench.asked())


def _forged(bench: Bench, forge: Callable[[bytes], bytes]) -> Seen:
    """The node sends an update that it signed outside the gate."""

    def spoil(reply: bytes) -> bytes:
        parts = unpack_parts(reply)
        return pack_parts({**parts, "update": forge(parts["update"])})

    struck = bench.asked(coming=spoil)
    return bench.judged(struck, bench.site.sealed(bench.plan().digest), bench.asked())


def _resealed(bench: Bench, update: bytes, change: Change) -> bytes:
    """The update with other tensors, its header made to fit, signed by the site's key."""
    header, tensors = open_update(update, bench.site.public)
    forged = save(change(decode(tensors)))
    head = to_bytes(header.model_copy(update={"tensors": digest(forged)}))
    body = UPDATE_MAGIC + struct.pack("<Q", len(head)) + head + forged
    key = SigningKey.load(bench.home.signing_key)
    return body + bytes.fromhex(key.sign(UPDATE_DOMAIN, body))
