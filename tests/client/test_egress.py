"""The gate lets exactly the plan's tensors through, and its bytes say nothing else."""

import numpy as np
import pytest

from intraward_client import egress
from intraward_client.training.update import LocalUpdate
from intraward_shared.adapters import decode
from intraward_shared.errors import EgressRefused
from intraward_shared.protocol import LoraSpec, OutputSpec, RoundPlan, TrainingSpec, open_update, unpack_parts
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part, Stage

KEY = SigningKey.from_seed(b"\x05" * 32)
PLAN = RoundPlan(
    run_id="run-1",
    round=1,
    stage=Stage.SFT,
    stage_round=1,
    part=Part.B,
    cohort=("north",),
    base_model="a" * 64,
    lora=LoraSpec(r=4, lora_alpha=8, target_modules=("q_proj",)),
    inputs={"policy": "b" * 64},
    training=TrainingSpec(learning_rate=1e-3),
    public_data="c" * 64,
    outputs=(OutputSpec(name="m.lora_B.weight", shape=(8, 4)),),
    slot_time="2026-01-01T00:00:00Z",
    expires="2026-01-02T00:00:00Z",
    nonce="0" * 32,
)
ENTRY = (3, "d" * 64)


def update(**tensors: np.ndarray) -> LocalUpdate:
    return LocalUpdate(PLAN.digest, {name.replace("__", "."): array for name, array in tensors.items()})


def good(seed: int = 0) -> LocalUpdate:
    drawn = np.random.Generator(np.random.Philox(seed)).normal(size=(8, 4)).astype(np.float32)
    return update(m__lora_B__weight=drawn)


def test_what_leaves_is_the_tensors_and_a_header_of_public_facts() -> None:
    sealed = egress.seal(good(), PLAN, "north", ENTRY, KEY)
    header, tensors = open_update(sealed, KEY.public)
    assert np.array_equal(decode(tensors)["m.lora_B.weight"], good().tensors["m.lora_B.weight"])
    assert set(header.model_dump()) == {
        "schema_version",
        "site",
        "run_id",
        "round",
        "stage",
        "plan",
        "tensors",
        "ledger_sequence",
        "ledger_entry",
        "simulated",
    }
    assert header.plan == PLAN.digest and header.ledger_sequence == 3


def test_size_does_not_depend_on_the_data() -> None:
    zero = update(m__lora_B__weight=np.zeros((8, 4), np.float32))
    assert len({len(egress.seal(u, PLAN, "north", ENTRY, KEY)) for u in (good(1), good(2), zero)}) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"m__lora_A__weight": np.zeros((4, 8), np.float32)},
        {"m__lora_B__weight": np.zeros((8, 4), np.float32), "loss": np.zeros((1,), np.float32)},
        {"m__lora_B__weight": np.zeros((8, 4), np.float64)},
        {"m__lora_B__weight": np.zeros((4, 8), np.float32)},
        {"m__lora_B__weight": np.full((8, 4), np.nan, np.float32)},
        {"m__lora_B__weight": np.full((8, 4), np.inf, np.float32)},
    ],
)
def test_anything_else_is_refused(bad: dict[str, np.ndarray]) -> None:
    with pytest.raises(EgressRefused):
        egress.seal(update(**bad), PLAN, "north", ENTRY, KEY)


def test_an_update_of_another_plan_is_refused() -> None:
    with pytest.raises(EgressRefused):
        egress.seal(LocalUpdate("0" * 64, good().tensors), PLAN, "north", ENTRY, KEY)


def test_replies_are_codes_from_a_fixed_list() -> None:
    assert unpack_parts(egress.reply("ABORTED")) == {"code": b"ABORTED", "update": b""}
    for code, data in [("patient 7 failed", b""), ("OK", b""), ("ABORTED", b"bytes")]:
        with pytest.raises(EgressRefused):
            egress.reply(code, data)


def test_an_update_does_not_print_its_tensors() -> None:
    assert "tensors" not in repr(good())
