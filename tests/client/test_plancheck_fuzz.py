"""Hostile plans through a real ward, each signed by the pinned coordinator: none of 1,000 is taken.

A hostile plan is an honest one after one to three changes, of which at least one asks for less privacy than
the policy, for another unit, another adapter or another schedule, or is no value of the protocol at all. Its
schedule is changed with it and signed too: nothing is refused merely because the two do not match.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

import intraward_client.ward as ward_module
from intraward_client.slot import SlotClock
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.protocol import PLAN_DOMAIN, PROGRAM_DOMAIN, pack_request, to_bytes, unpack_parts
from intraward_shared.signing import SigningKey, canonical_json, digest

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
Table = dict[str, Any]
Change = Callable[[Table, Table, np.random.Generator], None]
NUMBERS: tuple[Any, ...] = (
    "nan",
    "inf",
    "-inf",
    "1e400",
    "-0.5",
    "0.0",
    "0.50",
    "",
    "abc",
    None,
    True,
    [],
    {},
    "0x1",
    10**30,
)


def real(value: float) -> str:
    return repr(float(value))


def of_mechanism(name: str, pick: Callable[[np.random.Generator], Any]) -> Change:
    """Set a field of the mechanism in plan and schedule alike."""

    def change(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
        value = pick(draw)
        for holder in (plan, *schedule["slots"]):
            holder["mechanism"][name] = value

    return change


def of_plan(name: str, pick: Callable[[np.random.Generator], Any]) -> Change:
    def change(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
        plan[name] = pick(draw)

    return change


def one_of(*values: Any) -> Callable[[np.random.Generator], Any]:
    return lambda draw: values[int(draw.integers(len(values)))]


def between(low: float, high: float) -> Callable[[np.random.Generator], Any]:
    return lambda draw: real(draw.uniform(low, high))


def whole(low: int, high: int) -> Callable[[np.random.Generator], Any]:
    return lambda draw: int(draw.integers(low, high))


def drop_mechanism_field(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    name = sorted(plan["mechanism"])[int(draw.integers(len(plan["mechanism"])))]
    for holder in (plan, *schedule["slots"]):
        holder["mechanism"].pop(name, None)


def unknown_key(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    name = one_of("delta", "epsilon", "private", "accountant", "clip", "debug")(draw)
    one_of(plan, plan["mechanism"], plan["training"], plan["lora"])(draw)[name] = "1.0"


def other_outputs(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    outputs = plan["outputs"]
    kind = int(draw.integers(5))
    if kind == 0:
        outputs.append({"name": "embed_tokens.weight", "shape": [24, 32], "dtype": "float32"})
    elif kind == 1:
        outputs[0]["shape"] = [int(draw.integers(1, 4096)), 7]
    elif kind == 2:
        outputs[0]["dtype"] = one_of("float64", "int8", "text")(draw)
    elif kind == 3:
        outputs[0]["name"] = one_of("notes", "../../etc/passwd", "loss", "x" * 500)(draw)
    else:
        plan["outputs"] = outputs[:-1] if draw.random() < 0.5 else outputs[::-1]


def other_inputs(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    name = plan["inputs"]["reward"]
    plan["inputs"] = one_of({}, {"policy": name}, {"reward": "0" * 64}, {"reward": name, "policy": name})(
        draw
    )


def larger_adapter(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    plan["lora"]["r"] = one_of(65, 256, 257, 0, -1, "8", 10**12)(draw)


def longer_texts(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    plan["training"]["max_prompt_tokens"] = int(draw.integers(2048, 32_000))


def weaker_slot(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    """The plan keeps within the policy; its schedule says something else for this very round."""
    slot = schedule["slots"][0]
    asked = slot["mechanism"]
    noise, rate = float(asked["noise_multiplier"]), float(asked["sample_rate"])
    field, value = one_of(
        ("steps", asked["steps"] + 1),
        ("noise_multiplier", real(noise + 0.1)),
        ("sample_rate", real(rate / 2)),
    )(draw)
    slot["mechanism"] = {**asked, field: value}


def other_slots(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    slots = schedule["slots"]
    schedule["slots"] = one_of([], slots[1:], [slots[0], slots[0]], [{**slots[0], "stage": "sft"}])(draw)


def other_schedule(plan: Table, schedule: Table, draw: np.random.Generator) -> None:
    kind = int(draw.integers(3))
    if kind == 0:
        plan["schedule"] = digest(draw.bytes(8))
    elif kind == 1:
        schedule["run_id"] = "another"
    else:
        plan["stage_round"] = int(draw.integers(3, 100))


HOSTILE: tuple[Change, ...] = (
    of_mechanism("noise_multiplier", between(0.0001, 0.7999)),
    of_mechanism("noise_multiplier", one_of("0.0", "-1.0", "5e-324", *NUMBERS)),
    of_mechanism("sample_rate", between(0.5001, 1.0)),
    of_mechanism("sample_rate", one_of("2.0", "1.0000001", "-0.1", *NUMBERS)),
    of_mechanism("steps", whole(11, 100_001)),
    of_mechanism("steps", one_of(0, -1, 10**9, 2**70, "5", "5.0", *NUMBERS)),
    of_mechanism("max_records_per_unit", whole(3, 65)),
    of_mechanism("max_records_per_unit", one_of(0, -1, 65, 10**9, *NUMBERS)),
    of_mechanism("max_grad_norm", one_of("0.0", "-1.0", "1000.5", *NUMBERS[:5])),
    of_mechanism("nominal_batch", one_of(0, -4, 10**9, *NUMBERS)),
    of_mechanism("unit", one_of("record", "prompt", "rater", "note", "Patient", "", None, ["patient"])),
    of_mechanism("adjacency", one_of("replace_one", "zero_out", "none", None, "add-remove")),
    drop_mechanism_field,
    unknown_key,
    other_outputs,
    other_inputs,
    larger_adapter,
    longer_texts,
    weaker_slot,
    other_slots,
    other_schedule,
    of_plan("mechanism", one_of(None, {}, "none", [])),
    of_plan("public_data", one_of("e" * 64, "", "x")),
    of_plan("stage", one_of("sft", "ppo", "dpo", "label", "evaluate", None)),
    of_plan("cohort", one_of(["south"], [], "north", ["NORTH"])),
    of_plan("base_model", one_of("f" * 64, "", None)),
    of_plan("seed", whole(0, 2**31)),
    of_plan("simulated", one_of(True, "false", 0, None)),
    of_plan("expires", one_of("2029-12-31T23:59:59Z", "never", "", None, "2030-13-01T00:00:00Z")),
)
HARMLESS: tuple[Change, ...] = (
    of_mechanism("noise_multiplier", between(0.8, 5.0)),
    of_mechanism("sample_rate", between(0.001, 0.5)),
    of_mechanism("steps", whole(1, 11)),
    of_plan("nonce", lambda draw: draw.bytes(16).hex()),
)
"""Within the policy by themselves: a plan that is hostile in one place is often modest in the others."""


def signed(value: Table, domain: str) -> bytes:
    """An envelope around whatever ``value`` is, valid or not."""
    payload = canonical_json(value)
    signature = COORDINATOR.sign(domain, payload)
    return canonical_json({"payload": payload.decode(), "public": COORDINATOR.public, "signature": signature})


def hostile(honest: tuple[Table, Table], draw: np.random.Generator) -> tuple[Table, Table]:
    """An honest plan and schedule after changes; the hostile ones come last and stand."""
    plan, schedule = json.loads(json.dumps(honest))
    named = plan["schedule"]
    changes = [HARMLESS[int(i)] for i in draw.integers(len(HARMLESS), size=int(draw.integers(3)))]
    changes += [HOSTILE[int(draw.integers(len(HOSTILE)))]]
    for change in changes:
        change(plan, schedule, draw)
    if plan["schedule"] == named:
        plan["schedule"] = digest(canonical_json(schedule))
    return plan, schedule


@pytest.mark.parametrize(
    ("plans", "seed"), [(250, 20260301), pytest.param(1000, 20260302, marks=pytest.mark.faults)]
)
def test_hostile_plans_are_refused_before_a_row_is_read_or_a_charge_is_made(
    make_site: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch, plans: int, seed: int
) -> None:
    home, request = make_site(3), rounds()
    before = home.ledger.read_bytes(), home.vault.read_bytes()
    manifests = request.untouched(COORDINATOR)
    honest = (json.loads(to_bytes(request.plan)), json.loads(to_bytes(request.schedule)))
    draw, codes = np.random.default_rng(seed), Counter[str]()
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        read, trained = counted(monkeypatch, Vault, "open"), counted(monkeypatch, ward_module, "train")
        for _ in range(plans):
            plan, schedule = hostile(honest, draw)
            sent = signed(plan, PLAN_DOMAIN), signed(schedule, PROGRAM_DOMAIN)
            reply = unpack_parts(ward.execute(pack_request(*sent, None, request.blobs, manifests)))
            assert reply["code"] != b"OK" and reply["update"] == b"", plan
            codes[reply["code"].decode()] += 1
        assert read == trained == []
        assert (home.ledger.read_bytes(), home.vault.read_bytes()) == before
        assert list(home.outbox.iterdir()) == []
        sent = signed(honest[0], PLAN_DOMAIN), signed(honest[1], PROGRAM_DOMAIN)
        reply = unpack_parts(ward.execute(pack_request(*sent, None, request.blobs, manifests)))
        assert reply["code"] == b"OK"  # what the hostile ones were made of is taken
        assert len(read) == 2 and trained == ["train"]  # to fix the table, and to read it: the seams count
    assert set(codes) <= {"PLAN_REFUSED", "CONTRACT", "DIGEST", "LEDGER"}
    assert codes["PLAN_REFUSED"] > 0.3 * plans and codes["CONTRACT"] > 0.2 * plans


def counted(patch: pytest.MonkeyPatch, owner: Any, name: str) -> list[str]:
    """Calls of a function from now on; it is called all the same."""
    real, calls = getattr(owner, name), list[str]()

    def call(*given: Any, **named: Any) -> Any:
        calls.append(name)
        return real(*given, **named)

    patch.setattr(owner, name, call)
    return calls
