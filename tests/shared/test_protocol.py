"""Every message is what was signed, byte for byte, or it is refused."""

import contextlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from intraward_shared.adapters import encode
from intraward_shared.errors import ContractError, DigestError, IntrawardError, SignatureError
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    PROGRAM_DOMAIN,
    LoraSpec,
    Mechanism,
    OutputSpec,
    ProgramSchedule,
    RoundPlan,
    Slot,
    TrainingSpec,
    UpdateHeader,
    from_bytes,
    open_signed,
    open_update,
    pack_parts,
    pack_request,
    request_blobs,
    request_manifests,
    seal_bytes,
    sign_value,
    to_bytes,
    unpack_parts,
)
from intraward_shared.signing import SigningKey, canonical_json, digest, parse_canonical
from intraward_shared.stages import Part, Stage, trained_names

KEY = SigningKey.from_seed(b"\x03" * 32)
MECHANISM = Mechanism(
    sample_rate=0.1,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=25,
    nominal_batch=50,
    max_records_per_unit=2,
)


def plan() -> RoundPlan:
    return RoundPlan(
        run_id="run-1",
        round=3,
        stage=Stage.REWARD,
        stage_round=1,
        part=Part.B,
        cohort=("east", "north"),
        base_model="a" * 64,
        lora=LoraSpec(r=4, lora_alpha=8, target_modules=("q_proj",)),
        inputs={"reward": "b" * 64},
        training=TrainingSpec(learning_rate=1e-3),
        mechanism=MECHANISM,
        schedule="c" * 64,
        outputs=(OutputSpec(name="x.lora_B.weight", shape=(2, 4)),),
        slot_time="2026-01-01T00:00:00Z",
        expires="2026-01-02T00:00:00Z",
        nonce="0" * 32,
    )


def test_a_plan_survives_its_bytes() -> None:
    assert from_bytes(to_bytes(plan()), RoundPlan) == plan()
    assert plan().digest == digest(to_bytes(plan()))


def test_real_numbers_travel_as_strings() -> None:
    assert b'"noise_multiplier":"1.0"' in to_bytes(MECHANISM)
    with pytest.raises(ContractError, match="noise_multiplier"):
        from_bytes(
            to_bytes(MECHANISM).replace(b'"noise_multiplier":"1.0"', b'"noise_multiplier":"1.00"'), Mechanism
        )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sample_rate", "2.0"),
        ("sample_rate", "0.0"),
        ("noise_multiplier", "0.0"),
        ("noise_multiplier", "nan"),
        ("noise_multiplier", "inf"),
        ("steps", -1),
        ("steps", 0),
        ("steps", "25"),
        ("max_grad_norm", "-1.0"),
        ("unit", "note"),
        ("adjacency", "replace_one"),
        ("surprise", 1),
    ],
)
def test_impossible_mechanisms_are_refused(key: str, value: object) -> None:
    raw = parse_canonical(to_bytes(MECHANISM)) | {key: value}
    with pytest.raises(ContractError):
        from_bytes(canonical_json(raw), Mechanism)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"loss_type": "ipo", "label_smoothing": 0.1}, "no label_smoothing"),
        ({"loss_type": "robust"}, "needs label_smoothing"),
        ({"ranking": "plackett_luce", "label_smoothing": 0.1}, "neither"),
        ({"ranking": "plackett_luce", "tie_nu": 0.5}, "neither"),
        (
            {
                "ranking": "plackett_luce",
                "heads": {"margin_criterion": "facts", "margin_scale": 1.0},
            },
            "graded margins",
        ),
        ({"tie_nu": 0.5, "label_smoothing": 0.1}, "two models of doubt"),
        ({"loss_type": "hinge"}, "loss_type"),
    ],
)
def test_losses_that_contradict_each_other_are_refused(chosen: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        TrainingSpec(learning_rate=1e-3, **chosen)


def test_signed_values_have_one_signer_and_one_domain() -> None:
    envelope = sign_value(plan(), PLAN_DOMAIN, KEY)
    assert open_signed(envelope, PLAN_DOMAIN, RoundPlan, KEY.public) == plan()
    with pytest.raises(SignatureError):
        open_signed(envelope, PROGRAM_DOMAIN, RoundPlan, KEY.public)
    with pytest.raises(SignatureError):
        open_signed(envelope, PLAN_DOMAIN, RoundPlan, SigningKey.generate().public)
    for position in range(0, len(envelope), 37):
        broken = bytearray(envelope)
        broken[position] ^= 1
        with pytest.raises(ContractError):
            open_signed(bytes(broken), PLAN_DOMAIN, RoundPlan, KEY.public)


def test_a_schedule_is_another_type() -> None:
    value = ProgramSchedule(run_id="run-1", slots=(Slot(stage=Stage.REWARD, round=1, mechanism=MECHANISM),))
    with pytest.raises(ContractError):
        open_signed(sign_value(value, PLAN_DOMAIN, KEY), PLAN_DOMAIN, RoundPlan, KEY.public)


@settings(max_examples=30)
@given(st.dictionaries(st.text(max_size=10), st.binary(max_size=50), max_size=5))
def test_parts_round_trip(parts: dict[str, bytes]) -> None:
    try:
        data = pack_parts(parts)
    except ContractError:
        return
    assert unpack_parts(data) == parts


@given(st.binary(max_size=200))
@settings(max_examples=300)
def test_no_bytes_make_unpack_raise_anything_else(data: bytes) -> None:
    for candidate in (data, b"IWPT0001" + data, b"IWSU0001" + data):
        for parse in (unpack_parts, lambda d: open_update(d, KEY.public)):
            with contextlib.suppress(IntrawardError):
                parse(candidate)


def test_request_inputs_are_named_by_digest() -> None:
    parts = unpack_parts(pack_request(b"p", None, None, [b"one", b"two"], {"0" * 64: b"m"}))
    assert request_blobs(parts) == {digest(b"one"): b"one", digest(b"two"): b"two"}
    assert request_manifests(parts) == {"0" * 64: b"m"}
    parts[f"blob/{digest(b'one')}"] = b"other"
    with pytest.raises(DigestError):
        request_blobs(parts)


def test_sealed_update_opens_only_with_its_site_key() -> None:
    tensors = encode({"x": np.ones((2, 2), np.float32)})
    header = UpdateHeader(
        site="north",
        run_id="run-1",
        round=1,
        stage=Stage.REWARD,
        plan="a" * 64,
        tensors=digest(tensors),
        ledger_sequence=2,
        ledger_entry="b" * 64,
        simulated=False,
    )
    sealed = seal_bytes(header, tensors, KEY)
    assert open_update(sealed, KEY.public) == (header, tensors)
    with pytest.raises(SignatureError):
        open_update(sealed, SigningKey.generate().public)
    for position in range(0, len(sealed), 11):
        broken = bytearray(sealed)
        broken[position] ^= 4
        with pytest.raises(ContractError):
            open_update(bytes(broken), KEY.public)


def test_what_each_round_trains() -> None:
    names = ("m.lora_A.weight", "m.lora_B.weight", "score.weight", "value_head.bias", "value_head.weight")
    assert trained_names(Stage.REWARD, Part.B, names) == ("m.lora_B.weight", "score.weight")
    assert trained_names(Stage.REWARD, Part.A, names) == ("m.lora_A.weight", "score.weight")
    assert trained_names(Stage.SFT, Part.BOTH, names) == ("m.lora_A.weight", "m.lora_B.weight")
    assert trained_names(Stage.PPO, Part.B, names) == (
        "m.lora_B.weight",
        "value_head.bias",
        "value_head.weight",
    )
    assert trained_names(Stage.LABEL, Part.BOTH, names) == ()
    with pytest.raises(ContractError):
        trained_names(Stage.SFT, Part.B, ("embed_tokens.weight",))


@pytest.mark.parametrize(
    "chosen",
    [
        {"learning_rate": 1e-60},
        {"head_learning_rate": 1e-60},
        {"score_mean": 1e39},
        {"score_std": 1e-46},
        {"score_clip": 1e39},
        {"cliprange_value": 1e39},
        {"max_ratio": 1e39},
    ],
)
def test_parameters_that_would_break_a_charged_round_are_refused(chosen: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(chosen))):
        TrainingSpec(**({"learning_rate": 1e-3} | chosen))
