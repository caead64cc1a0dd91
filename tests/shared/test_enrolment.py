"""A request proves that its sender holds both keys; whatever was changed on the way refuses it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from intraward_shared.enrolment import REQUEST_DOMAIN, EnrolmentRequest, make_request, open_request
from intraward_shared.errors import ConfigError, EnrolmentRefused, SignatureError
from intraward_shared.expiry import Expiry, warnings
from intraward_shared.node_key import check_proof, make_node_key, prove, public_text
from intraward_shared.protocol import from_bytes, sign_value
from intraward_shared.signing import SigningKey, parse_canonical

TIME = "2026-01-01T00:00:00Z"


@pytest.fixture
def node(tmp_path: Path) -> Path:
    make_node_key(tmp_path / "node", "alpha")
    return tmp_path / "node"


def changed(data: bytes, **fields: object) -> EnrolmentRequest:
    payload = json.loads(parse_canonical(data)["payload"]) | fields
    return EnrolmentRequest.model_validate(payload)


def test_a_node_key_is_what_flower_takes_and_private(node: Path) -> None:
    private = load_ssh_private_key(node.read_bytes(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP384R1)
    public = node.with_name("node.pub").read_bytes()
    assert load_ssh_public_key(public) == private.public_key() and public.endswith(b" alpha\n")
    assert node.stat().st_mode & 0o777 == 0o600
    before = node.read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        make_node_key(node, "alpha")
    assert node.read_bytes() == before


def test_a_proof_is_of_these_bytes_by_this_key(node: Path, tmp_path: Path) -> None:
    proof = prove(node, b"data")
    check_proof(public_text(node), b"data", proof)
    make_node_key(tmp_path / "other", "beta")
    for public, data, said in (
        (public_text(tmp_path / "other"), b"data", proof),
        (public_text(node), b"date", proof),
        (public_text(node), b"data", "00" * 50),
        ("ssh-ed25519 AAAA", b"data", proof),
    ):
        with pytest.raises(SignatureError):
            check_proof(public, data, said)


@pytest.mark.parametrize("content", [None, b"not a key"])
def test_a_node_key_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "node"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="node"):
        public_text(path)


def test_a_request_is_opened_by_its_own_keys(node: Path) -> None:
    key = SigningKey.generate()
    request = open_request(make_request("alpha", key, node, TIME), "enrolment.json")
    assert (request.keys.site, request.keys.public_key) == ("alpha", key.public)
    assert request.keys.node_key == public_text(node)


def test_a_request_says_nothing_private(node: Path) -> None:
    key = SigningKey.from_seed(b"s" * 32)
    data = make_request("alpha", key, node, TIME)
    assert (b"s" * 32).hex().encode() not in data and b"PRIVATE" not in data


def test_another_signer_another_node_key_and_a_changed_site_are_refused(node: Path, tmp_path: Path) -> None:
    key, thief = SigningKey.generate(), SigningKey.generate()
    data = make_request("alpha", key, node, TIME)
    make_node_key(tmp_path / "thief", "thief")
    keys = json.loads(parse_canonical(data)["payload"])["keys"]
    stolen = {
        "signed by another": sign_value(changed(data), REQUEST_DOMAIN, thief),
        "another's node key": sign_value(
            changed(data, keys={**keys, "node_key": public_text(tmp_path / "thief")}), REQUEST_DOMAIN, key
        ),
        "another name": data.replace(b"alpha", b"gamma"),
        "under another name, signed": sign_value(
            changed(data, keys={**keys, "site": "gamma"}), REQUEST_DOMAIN, key
        ),
        "another time": sign_value(changed(data, created="2027-01-01T00:00:00Z"), REQUEST_DOMAIN, key),
        "cut": data[:-20],
        "nothing": b"",
        "long": data + b" " * 20_000,
        "a list": b"[]",
    }
    for what, bad in stolen.items():
        with pytest.raises(EnrolmentRefused, match=r"enrolment\.json"):
            open_request(bad, "enrolment.json")
            pytest.fail(what)
    assert from_bytes(parse_canonical(data)["payload"].encode(), EnrolmentRequest).created == TIME


def test_what_ends_soon_is_told_once_it_is_near() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    made = [Expiry(f"x{days}", now + timedelta(days=days), "renew it") for days in (-1, 3, 29, 31)]
    told = warnings(made, now)
    assert told == [
        "x-1 ended on 2025-12-31; renew it",
        "x3 ends on 2026-01-04, in 3 days; renew it",
        "x29 ends on 2026-01-30, in 29 days; renew it",
    ]
