"""Canonical JSON has one encoding, signatures one domain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intraward_shared.errors import ConfigError, ContractError, SignatureError
from intraward_shared.signing import SigningKey, canonical_json, digest, parse_canonical, verify

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_round_trip(value: object) -> None:
    try:
        data = canonical_json(value)
    except ContractError:  # a lone surrogate cannot be UTF-8
        return
    except UnicodeEncodeError:
        pytest.fail("an encoding problem must be a ContractError")
    assert parse_canonical(data) == value


def test_literal_bytes() -> None:
    assert canonical_json({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'.encode()


@pytest.mark.parametrize(
    "data", [b'{"a": 1}', b'{"b":1,"a":2}', b'{"a":1,"a":1}', b"1.0", b"\xff", b"NaN", b"[" * 100_000]
)
def test_other_encodings_are_refused(data: bytes) -> None:
    with pytest.raises(ContractError):
        parse_canonical(data)


def test_floats_are_refused_wherever_they_stand() -> None:
    with pytest.raises(ContractError):
        canonical_json({"a": [{"b": 0.5}]})


def test_signature_is_bound_to_domain_and_bytes() -> None:
    key = SigningKey.from_seed(b"\x01" * 32)
    signature = key.sign("plan", b"data")
    verify(key.public, "plan", b"data", signature)
    for domain, data, sig in [
        ("update", b"data", signature),
        ("plan", b"datA", signature),
        ("plan", b"data", "00"),
    ]:
        with pytest.raises(SignatureError):
            verify(key.public, domain, data, sig)


def test_key_file_is_private_and_never_overwritten(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "keys" / "k.key"
    key = SigningKey.generate()
    key.save(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert SigningKey.load(path).public == key.public
    with pytest.raises(FileExistsError):
        key.save(path)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="open to other users"):
        SigningKey.load(path)


def test_repr_does_not_hold_the_key() -> None:
    key = SigningKey.from_seed(b"\x02" * 32)
    assert repr(key) == f"SigningKey({key.key_id})"
    assert digest(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
