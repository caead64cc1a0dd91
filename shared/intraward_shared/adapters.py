"""An adapter: named fp32 LoRA and head tensors, as numpy arrays and safetensors bytes.

Pure functions on ``State`` (name -> float32 array): encode, decode, digest, difference, norm
(DESIGN.md section 4). Names are PEFT's own without the adapter name, so a saved folder loads with
``PeftModel.from_pretrained``. Encoding is canonical: sorted names, fixed dtype, no metadata, so the
same tensors always give the same bytes and digest. No torch here: an auditor can check digests.
"""

from __future__ import annotations

import json
import math
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
        if any(spec.get("dtype") != "F32" for spec in header.values()):
            raise ContractError("an adapter holds float32 tensors only, and no metadata")
        found = {name: tuple(header[name]["shape"]) for name in sorted(header)}
        if not _is_canonical(data, found):
            load(data)  # to say whether it is safetensors at all
            raise ContractError("safetensors bytes are not canonical")
    except (SafetensorError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise ContractError("not a valid safetensors file") from None
    return _views(data, found)


def _views(data: bytes, found: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
    """Read-only arrays over canonical ``data``, which is not copied."""
    state, place = {}, 8 + struct.unpack("<Q", data[:8])[0]
    for name, shape in found.items():
        count = math.prod(shape)
        state[name] = np.frombuffer(data, "<f4", count, place).reshape(shape)
        place += 4 * count
    return state


def _is_canonical(data: bytes, found: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether ``data`` is what ``encode`` makes of tensors of these shapes: the one header that says them.

    Without encoding again, which took four fifths of reading an update of 16 MB.
    """
    if any(not shape or any(type(n) is not int or n < 0 for n in shape) for shape in found.values()):
        return False  # also of no dimensions: `encode` makes a row of a single number
    fields, end = [], 0
    for name, shape in found.items():
        start, end = end, end + 4 * math.prod(shape)
        sizes = ",".join(map(str, shape))
        said = f'"dtype":"F32","shape":[{sizes}],"data_offsets":[{start},{end}]'
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
