"""A site key, plans, schedules and an open ledger, for the tests of ledger, certificates and audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.ledger import Ledger
from intraward_shared.protocol import (
    LoraSpec,
    Mechanism,
    ProgramSchedule,
    Receipt,
    RoundPlan,
    Slot,
    TrainingSpec,
    UpdateHeader,
    seal_bytes,
    to_bytes,
)
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Part, Stage

TIME = "2030-01-01T00:00:00Z"


@pytest.fixture(scope="session")
def site_key() -> SigningKey:
    """The site's key."""
    return SigningKey.from_seed(b"s" * 32)


@pytest.fixture(scope="session")
def mechanism_of() -> Callable[..., Mechanism]:
    """``mechanism_of(steps, noise, rate)``."""

    def make(steps: int = 20, noise: float = 1.0, rate: float = 0.05) -> Mechanism:
        return Mechanism(
            sample_rate=rate,
            noise_multiplier=noise,
            max_grad_norm=1.0,
            steps=steps,
            nominal_batch=32,
            max_records_per_unit=4,
        )

    return make


@pytest.fixture(scope="session")
def schedule_of(mechanism_of: Callable[..., Mechanism]) -> Callable[..., ProgramSchedule]:
    """``schedule_of(rounds)``: that many reward rounds, all alike."""

    def make(rounds: int = 3, run: str = "run", mechanism: Mechanism | None = None) -> ProgramSchedule:
        each = mechanism or mechanism_of()
        slots = tuple(Slot(stage=Stage.REWARD, round=i + 1, mechanism=each) for i in range(rounds))
        return ProgramSchedule(run_id=run, slots=slots)

    return make


@pytest.fixture(scope="session")
def round_of() -> Callable[..., RoundPlan]:
    """``round_of(number, mechanism, schedule)``: a reward plan; free without a mechanism."""

    def make(
        number: int = 1,
        mechanism: Mechanism | None = None,
        schedule: ProgramSchedule | None = None,
        **changes: Any,
    ) -> RoundPlan:
        fields: dict[str, Any] = {
            "run_id": "run",
            "round": number,
            "stage": Stage.REWARD,
            "stage_round": number,
            "part": Part.B,
            "cohort": ("north",),
            "base_model": "a" * 64,
            "lora": LoraSpec(r=4, lora_alpha=8, target_modules=("q_proj",)),
            "inputs": {},
            "training": TrainingSpec(learning_rate=0.01),
            "mechanism": mechanism,
            "schedule": digest(to_bytes(schedule)) if schedule else None,
            "outputs": (),
            "slot_time": TIME,
            "expires": "2030-01-02T00:00:00Z",
            "nonce": "0" * 32,
        }
        return RoundPlan(**(fields | changes))

    return make


def new_ledger(path: Path, key: SigningKey, **changes: Any) -> Ledger:
    """A fresh ledger with a cap of 8 at delta 1e-5."""
    fields: dict[str, Any] = {
        "site": "north",
        "policy": "c" * 64,
        "lifetime_epsilon": 8.0,
        "delta": 1e-5,
        "simulated": False,
        "time": TIME,
    }
    return Ledger.create(path, key, **(fields | changes))


@pytest.fixture
def make_ledger(tmp_path: Path, site_key: SigningKey) -> Callable[..., Ledger]:
    """``make_ledger(name, **terms)``: a fresh ledger file; the caller closes it."""
    return lambda name="ledger.jsonl", **terms: new_ledger(tmp_path / name, site_key, **terms)


@pytest.fixture
def ledger(make_ledger: Callable[..., Ledger]) -> Iterator[Ledger]:
    """An open, fresh ledger."""
    with make_ledger() as opened:
        yield opened


@pytest.fixture
def sealed_of(site_key: SigningKey) -> Callable[..., bytes]:
    """``sealed_of(plan, entry)``: sealed bytes that the entry paid for."""

    def make(plan: RoundPlan, entry: Any, tensors: bytes = b"tensors") -> bytes:
        header = UpdateHeader(
            site="north",
            run_id=plan.run_id,
            round=plan.round,
            stage=plan.stage,
            plan=plan.digest,
            tensors=digest(tensors),
            ledger_sequence=entry.sequence,
            ledger_entry=entry.hash,
            simulated=False,
        )
        return seal_bytes(header, tensors, site_key)

    return make


@pytest.fixture
def receipt_of() -> Callable[..., Receipt]:
    """``receipt_of(entry)``: the coordinator's receipt for a RESERVE entry."""

    def make(entry: Any, **changes: Any) -> Receipt:
        fields = {
            "site": entry.site,
            "run_id": entry.run_id,
            "round": entry.round,
            "plan": entry.plan,
            "update": "e" * 64,
            "ledger_sequence": entry.sequence,
            "ledger_entry": entry.hash,
        }
        return Receipt(**(fields | changes))

    return make


@pytest.fixture
def spent_file(
    tmp_path: Path,
    make_ledger: Callable[..., Ledger],
    schedule_of: Callable[..., ProgramSchedule],
    round_of: Callable[..., RoundPlan],
) -> Path:
    """A closed ledger: a schedule of three rounds, two released, one open, one free round aborted."""
    schedule = schedule_of(3)
    with make_ledger("spent.jsonl") as opened:
        opened.reserve_schedule(schedule, TIME)
        for number in (1, 2, 3):
            plan = round_of(number, schedule.slots[0].mechanism, schedule)
            opened.reserve(plan)
            if number < 3:
                opened.release(plan.digest, "f" * 64)
        free = round_of(4, public_data="d" * 64)
        opened.reserve(free)
        opened.abort(free.digest)
    return tmp_path / "spent.jsonl"
