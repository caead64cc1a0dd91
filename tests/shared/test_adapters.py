"""Adapters have one encoding, and their arithmetic is done in float64."""

import contextlib
import json
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from intraward_shared.adapters import apply_update, decode, difference, encode, l2_norm, state_digest
from intraward_shared.errors import ContractError, IntrawardError


def state() -> dict[str, np.ndarray]:
    return {"b.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "a.weight": np.ones((1, 2), np.float32)}


def test_round_trip_and_order_does_not_matter() -> None:
    data = encode(state())
    assert encode(dict(reversed(state().items()))) == data
    again = decode(data)
    assert set(again) == {"a.weight", "b.weight"}
    assert all(np.array_equal(again[name], array) for name, array in state().items())


def test_an_empty_adapter_is_an_adapter() -> None:
    assert decode(encode({})) == {}


def test_other_types_are_refused() -> None:
    with pytest.raises(ContractError):
        encode({"a": np.ones(2)})  # type: ignore[dict-item]
    from safetensors.numpy import save

    with pytest.raises(ContractError):
        decode(save({"a": np.ones(2)}))
    with pytest.raises(ContractError):
        decode(save(state(), metadata={"note": "x"}))


def test_a_tensor_without_a_dimension_is_refused() -> None:
    from safetensors.numpy import save

    with pytest.raises(ContractError, match="canonical"):
        decode(save({"a": np.array(1, np.float32)}))


def test_hostile_headers_are_refused() -> None:
    good = encode(state())
    body = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        }
    ).encode()
    for data in [
        b"",
        good[:-1],
        good + b"\0",
        struct.pack("<Q", 100_000_000) + b"{}",
        struct.pack("<Q", len(body)) + body + b"\0" * 8,
    ]:
        with pytest.raises(ContractError):
            decode(data)


@pytest.mark.parametrize("shape", ["-2", "2.0", "true", '"2"', "null", "1e0"])
def test_a_size_that_is_no_whole_number_is_refused(shape: str) -> None:
    end = {"-2": -8, "2.0": 8.0}.get(shape, 8)
    body = f'{{"a":{{"dtype":"F32","shape":[{shape}],"data_offsets":[0,{end}]}}}}'.encode()
    body += b" " * (-len(body) % 8)
    with pytest.raises(ContractError):
        decode(struct.pack("<Q", len(body)) + body + b"\0" * 8)


def test_what_is_read_cannot_be_written_to() -> None:
    assert not any(array.flags.writeable for array in decode(encode(state())).values())


@given(st.binary(max_size=400))
def test_no_bytes_make_decode_raise_anything_else(data: bytes) -> None:
    with contextlib.suppress(IntrawardError):
        decode(data)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SHAPES = st.lists(st.integers(0, 3), min_size=1, max_size=3).map(tuple)


@given(named=st.dictionaries(NAMES, SHAPES, max_size=5), seed=st.integers(0, 99))
def test_whatever_is_encoded_is_read_back(named: dict[str, tuple[int, ...]], seed: int) -> None:
    draw = np.random.Generator(np.random.Philox(seed))
    state = {name: draw.normal(size=shape).astype(np.float32) for name, shape in named.items()}
    back = decode(encode(state))
    assert {name: (a.shape, a.tobytes()) for name, a in back.items()} == {
        name: (np.shape(a), np.asarray(a).tobytes()) for name, a in state.items()
    }


@given(data=st.data())
def test_one_changed_byte_or_length_is_refused_or_another_states_own_bytes(data: st.DataObject) -> None:
    state = {
        "b": np.ones((2, 3), np.float32),
        "a": np.arange(3, dtype=np.float32),
        "c": np.zeros(0, np.float32),
    }
    whole = bytearray(encode(state))
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(st.sampled_from(("flip", "drop", "double", "append")), label="how")
    if changed == "flip":
        whole[at] ^= data.draw(st.integers(1, 255))
    elif changed == "drop":
        del whole[at]
    elif changed == "double":
        whole.insert(at, whole[at])
    else:
        whole += b"\0" * data.draw(st.integers(1, 9))
    try:
        found = decode(bytes(whole))
    except ContractError:
        return
    assert encode(found) == bytes(whole)


def test_difference_and_apply_are_inverse_to_one_rounding() -> None:
    before, after = state(), {k: v + np.float32(0.1) for k, v in state().items()}
    out = apply_update(before, difference(after, before))
    assert all(np.allclose(out[k], after[k], atol=1e-6) for k in after)
    assert state_digest(before) != state_digest(after)


def test_norm_is_over_all_tensors() -> None:
    assert l2_norm({"a": np.full((3,), 2, np.float32), "b": np.full((1,), 2, np.float32)}) == pytest.approx(
        4.0
    )
