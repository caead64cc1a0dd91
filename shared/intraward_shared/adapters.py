"""An adapter: named fp32 LoRA and head tensors, as numpy arrays and safetensors bytes.

Pure functions on ``State`` (name -> float32 array): encode, decode, digest, difference, norm
(DESIGN.md section 4). Names are PEFT's own without the adapter name, so a saved folder loads with
``PeftModel.from_pretrained``. Encoding is canonical: sorted names, fixed dtype, no metadata, so the
same tensors always give the same bytes and digest. No torch here: an auditor can check digests.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from intraward_shared.errors import ContractError
from intraward_shared.signing import digest

Array = NDArray[np.float32]
State = Mapping[str, Array]

MAX_HEADER_BYTES = 1_000_000


def encode(state: State) -> bytes:
    """Canonical safetensors bytes of ``state``.

    Raises:
        ContractError: a tensor is not float32.
    """
    for name, array in state.items():
        if array.dtype != np.float32:
            raise ContractError(f"adapter tensor {name!r} is {array.dtype}, not float32")
    return save({name: np.ascontiguousarray(state[name]) for name in sorted(state)})


def decode(data: bytes) -> dict[str, Array]:
    """Parse bytes made by ``encode``; every other safetensors encoding is refused.

    Raises:
        ContractError: malformed, oversized header, wrong dtype, or not the canonical bytes.
    """
    if len(data) < 8 or struct.unpack("<Q", data[:8])[0] > min(MAX_HEADER_BYTES, len(data)):
        raise ContractError("safetensors header is missing or too large")
    try:
        header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
        if any(spec.get("dtype") != "F32" for name, spec in header.items() if name != "__metadata__"):
            raise ContractError("an adapter holds float32 tensors only")
        state = dict(sorted(load(data).items()))  # in no order of its own: sums would differ
    except (SafetensorError, ValueError, AttributeError, RecursionError):
        raise ContractError("not a valid safetensors file") from None
    if not _is_canonical(data, state):
        raise ContractError("safetensors bytes are not canonical")
    return state


def _is_canonical(data: bytes, state: State) -> bool:
    """Whether ``data`` is ``encode(state)``: the one header that says ``state``, and its tensors behind it.

    Without encoding again, which took four fifths of reading an update of 16 MB.
    """
    if not all(array.shape for array in state.values()):  # `encode` makes a row of a single number
        return False
    fields, end = [], 0
    for name in sorted(state):
        start, end = end, end + state[name].nbytes
        shape = ",".join(map(str, state[name].shape))
        said = f'"dtype":"F32","shape":[{shape}],"data_offsets":[{start},{end}]'
        fields.append(f"{json.dumps(name, ensure_ascii=False)}:{{{said}}}")
    header = f"{{{','.join(fields)}}}".encode()
    header += b" " * (-len(header) % 8)
    head = struct.pack("<Q", len(header)) + header
    return data.startswith(head) and len(data) == len(head) + end


def state_digest(state: State) -> str:
    """SHA-256 of the canonical bytes: the adapter's name everywhere."""
    return digest(encode(state))


def difference(after: State, before: State) -> dict[str, Array]:
    """``after - before``, computed in float64 and rounded once, over the names of ``after``."""
    return {name: (after[name].astype(np.float64) - before[name]).astype(np.float32) for name in after}


def apply_update(state: State, update: State) -> dict[str, Array]:
    """``state + update`` on the names of ``update``, computed in float64 and rounded once."""
    out = {name: np.asarray(array, dtype=np.float32) for name, array in state.items()}
    for name, array in update.items():
        out[name] = (out[name].astype(np.float64) + array.astype(np.float64)).astype(np.float32)
    return out


def l2_norm(state: State) -> float:
    """Euclidean norm over all tensors, in float64."""
    return float(np.sqrt(sum(float(np.sum(np.square(array, dtype=np.float64))) for array in state.values())))


def shapes(state: State) -> dict[str, tuple[int, ...]]:
    """Name to shape."""
    return {name: tuple(int(n) for n in array.shape) for name, array in state.items()}
