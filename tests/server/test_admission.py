"""Each numbered check of admission refuses exactly what it is there for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intraward_server.admission import admit, max_bytes, norm_bound
from intraward_shared.errors import AdmissionRefused
from intraward_shared.protocol import (
    LoraSpec,
    Mechanism,
    OutputSpec,
    RoundPlan,
    TrainingSpec,
    UpdateHeader,
    seal_bytes,
)
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Part, Stage

KEYS = {name: SigningKey.from_seed(digest(name.encode()).encode()[:32]) for name in ("alpha", "beta")}
PUBLIC = {name: key.public for name, key in KEYS.items()}
A = "base_model.model.q_proj.lora_B.weight"
HEAD = "score.weight"


def _plan(**change: Any) -> RoundPlan:
    values: dict[str, Any] = {
        "run_id": "run-1",
        "round": 4,
        "stage": Stage.REWARD,
        "stage_round": 2,
        "part": Part.B,
        "cohort": ("alpha", "beta"),
        "base_model": "0" * 64,
        "lora": LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj",)),
        "inputs": {"reward": "1" * 64},
        "training": TrainingSpec(learning_rate=0.01, head_learning_rate=0.02),
        "mechanism": Mechanism(
            sample_rate=0.1,
            noise_multiplier=1.0,
            max_grad_norm=1.0,
            steps=10,
            nominal_batch=8,
            max_records_per_unit=1,
        ),
        "outputs": (OutputSpec(name=A, shape=(3, 2)), OutputSpec(name=HEAD, shape=(1, 4))),
        "slot_time": "2026-01-01T00:00:00Z",
        "expires": "2026-01-01T01:00:00Z",
        "nonce": "0" * 32,
        "simulated": True,
    } | change
    return RoundPlan(**values)


def _tensors() -> dict[str, Any]:
    return {A: np.full((3, 2), 0.01, np.float32), HEAD: np.full((1, 4), -0.01, np.float32)}


def _admit(data: bytes, plan: RoundPlan | None = None, seen: Any = (), **more: Any) -> Any:
    return admit(data, plan or _plan(), PUBLIC, seen, **({"max_norm": 1.0} | more))


Seal = Callable[..., bytes]


@pytest.fixture
def sealed(seal_update: Any) -> Seal:
    def make(plan: RoundPlan | None = None, tensors: Any = None, header: Any = None) -> bytes:
        chosen = _tensors() if tensors is None else tensors
        return bytes(seal_update(plan or _plan(), "alpha", KEYS["alpha"], 2, chosen, header))

    return make


def _check(call: Callable[[], Any]) -> int:
    with pytest.raises(AdmissionRefused) as caught:
        call()
    assert caught.value.remedy
    return caught.value.check


def test_an_honest_update_is_admitted(sealed: Seal) -> None:
    data = sealed()
    got = _admit(data)
    assert (got.site, got.sealed, got.header.ledger_sequence) == ("alpha", digest(data), 2)
    np.testing.assert_array_equal(got.tensors[A], _tensors()[A])
    assert "0.01" not in repr(got)


def test_1_size(sealed: Seal) -> None:
    assert _check(lambda: _admit(b"x" * (max_bytes(_plan()) + 1))) == 1
    assert len(sealed()) <= max_bytes(_plan())


def test_2_header() -> None:
    for data in (
        b"",
        b"IWSU0001",
        b"IWSU0001" + b"\xff" * 40,
        b"IWSU0001" + (3).to_bytes(8, "little") + b"{}x",
    ):
        assert _check(lambda data=data: _admit(data)) == 2  # type: ignore[misc]


def test_2_a_stranger_is_not_enrolled(seal_update: Any) -> None:
    data = seal_update(_plan(), "delta", KEYS["alpha"], 2, _tensors())
    assert _check(lambda: _admit(data)) == 2


def test_3_signature(sealed: Seal, seal_update: Any) -> None:
    data = bytearray(sealed())
    data[-70] ^= 1
    assert _check(lambda: _admit(bytes(data))) == 3
    impostor = seal_update(_plan(), "alpha", KEYS["beta"], 2, _tensors())
    assert _check(lambda: _admit(impostor)) == 3
    header = UpdateHeader(
        site="alpha",
        run_id="run-1",
        round=4,
        stage=Stage.REWARD,
        plan=_plan().digest,
        tensors="0" * 64,
        ledger_sequence=2,
        ledger_entry="0" * 64,
        simulated=True,
    )
    assert _check(lambda: _admit(seal_bytes(header, b"other", KEYS["alpha"]))) == 3


@pytest.mark.parametrize(
    "header", [{"plan": "2" * 64}, {"run_id": "run-2"}, {"round": 5}, {"stage": Stage.PPO}]
)
def test_4_plan_run_round_stage(sealed: Seal, header: dict[str, Any]) -> None:
    assert _check(lambda: _admit(sealed(header=header))) == 4


def test_5_cohort(sealed: Seal) -> None:
    plan = _plan(cohort=("beta",))
    assert _check(lambda: _admit(sealed(plan), plan)) == 5


def test_6_duplicate(sealed: Seal) -> None:
    assert _check(lambda: _admit(sealed(), seen={"alpha"})) == 6


def test_7_simulated(sealed: Seal) -> None:
    assert _check(lambda: _admit(sealed(header={"simulated": False}))) == 7


def test_8_a_restored_backup_is_noticed(sealed: Seal) -> None:
    assert _check(lambda: _admit(sealed(), heads={"alpha": 2})) == 8
    assert _admit(sealed(), heads={"alpha": 1, "beta": 9}).site == "alpha"


@pytest.mark.parametrize("change", ["missing", "extra", "shape", "renamed", "double", "junk"])
def test_9_tensors(sealed: Seal, seal_update: Any, change: str) -> None:
    tensors = _tensors()
    if change == "missing":
        del tensors[HEAD]
    elif change == "extra":
        tensors["value_head.bias"] = np.zeros(1, np.float32)
    elif change == "shape":
        tensors[A] = np.zeros((2, 3), np.float32)
    elif change == "renamed":
        tensors["other.lora_B.weight"] = tensors.pop(A)
    raw: bytes | None = None
    if change == "double":
        from safetensors.numpy import save

        raw = save({name: array.astype(np.float64) for name, array in tensors.items()})
    if change == "junk":
        raw = b"\x05\x00\x00\x00\x00\x00\x00\x00junk!"
    data = sealed(tensors=tensors) if raw is None else _with_raw(raw)
    assert _check(lambda: _admit(data)) == 9


def _with_raw(raw: bytes) -> bytes:
    plan = _plan()
    header = UpdateHeader(
        site="alpha",
        run_id=plan.run_id,
        round=plan.round,
        stage=plan.stage,
        plan=plan.digest,
        tensors=digest(raw),
        ledger_sequence=2,
        ledger_entry="0" * 64,
        simulated=True,
    )
    return seal_bytes(header, raw, KEYS["alpha"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_10_finite(sealed: Seal, value: float) -> None:
    tensors = _tensors()
    tensors[A][0, 0] = value
    assert _check(lambda: _admit(sealed(tensors=tensors))) == 10


def test_11_norm(sealed: Seal) -> None:
    tensors = {name: array * 1000 for name, array in _tensors().items()}
    assert _check(lambda: _admit(sealed(tensors=tensors))) == 11
    huge = {name: np.full_like(array, 1e38) for name, array in _tensors().items()}
    assert _check(lambda: _admit(sealed(tensors=huge))) == 11


def test_norm_bound_by_hand() -> None:
    # 10 steps of at most 3.1623 learning rates on 6 LoRA and 4 head numbers, 5 % slack
    wanted = 1.05 * 3.1623 * 10 * (6 * 0.01**2 + 4 * 0.02**2) ** 0.5
    assert norm_bound(_plan(), 7.0) == pytest.approx(wanted)
    assert norm_bound(_plan(), 7.0, limit=0.5) == 0.5
    decayed = _plan(training=TrainingSpec(learning_rate=0.01, head_learning_rate=0.01, weight_decay=0.1))
    wanted = 1.05 * (3.1623 * 10 * 0.01 * 10**0.5 + 0.01 * 0.1 * 10 * 7.0)
    assert norm_bound(decayed, 7.0) == pytest.approx(wanted)


def test_norm_bound_holds_for_adam_at_its_worst() -> None:
    """Sparse spikes give AdamW its largest step; the bound must still hold."""
    import torch

    weight = torch.zeros(10, requires_grad=True)
    adam = torch.optim.AdamW([weight], lr=0.01, weight_decay=0.0)
    for step in range(10):
        weight.grad = torch.full((10,), 1e6 if step == 9 else 1e-6)
        adam.step()
    plan = _plan(training=TrainingSpec(learning_rate=0.01, head_learning_rate=0.01))
    assert float(weight.detach().norm()) <= norm_bound(plan, 0.0)


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0), st.integers(0, 255))
def test_no_flipped_byte_is_admitted(position: int, value: int) -> None:
    data = bytearray(_with_raw_honest())
    at = position % len(data)
    if data[at] == value:
        return
    data[at] = value
    assert _check(lambda: _admit(bytes(data))) in range(1, 12)


def _with_raw_honest() -> bytes:
    from intraward_shared.adapters import encode

    return _with_raw(encode(_tensors()))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_refused_by_number(data: bytes) -> None:
    assert _check(lambda: _admit(data)) in (1, 2, 3)
    assert _check(lambda: _admit(b"IWSU0001" + data)) in (1, 2, 3)
