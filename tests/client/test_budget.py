"""The site's gate: Opacus PRV against the auditor's PLD, and what is refused before a row is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import intraward_client.privacy.budget as budget_module
from intraward_client.privacy.budget import Budget, prv_epsilon, tight_epsilon
from intraward_client.privacy.picture import draw
from intraward_client.privacy.statement import statement
from intraward_shared.certificates import certify
from intraward_shared.errors import BudgetExhausted, LedgerError
from intraward_shared.gate import Book, read_book
from intraward_shared.ledger import Kind, Ledger
from intraward_shared.ledger_entry import Burn
from intraward_shared.privacy import (
    TOLERANCE,
    epsilon_at_order,
    events_to_epsilon,
    filter_order,
    rdp_epsilon,
)
from intraward_shared.protocol import Mechanism, ProgramSchedule, RoundPlan, Slot, to_bytes
from intraward_shared.signing import SigningKey, digest
from intraward_shared.spending import charges_of
from intraward_shared.stages import Stage

TIME = "2030-01-01T00:00:00Z"
KEY = SigningKey.from_seed(b"s" * 32)
OFFICER = SigningKey.from_seed(b"o" * 32)
Stages = tuple[tuple[int, float, float], ...]
SCHEDULES: tuple[tuple[float, Stages, float, float], ...] = (  # delta, (steps, noise, rate), PRV, PLD
    (1e-5, ((200, 1.0, 0.05),), 4.7672, 4.7660),
    (1e-4, ((60, 0.8, 0.1),), 7.2891, 7.2874),
    (1e-6, ((1000, 1.2, 0.02),), 3.1778, 3.1773),
    (1e-3, ((100, 2.0, 0.25),), 4.6133, 4.6118),
    (1e-5, ((20, 5.0, 1.0),), 3.8496, 3.8486),
    (1e-6, ((50, 3.0, 0.5),), 6.2953, 6.2943),
    (1e-5, ((120, 0.8, 0.2),), 24.1868, 24.1846),
    (1e-5, ((10, 50.0, 0.02),), 0.0036, 0.0039),
    (1e-5, ((10, 1.0, 0.001),), 0.0245, 0.0237),
    (1e-5, ((500, 1.1, 0.02), (200, 1.3, 0.05), (300, 1.0, 0.01)), 3.898, 3.897),
    (1e-5, ((200, 1.0, 0.05), (60, 0.8, 0.1), (1000, 1.2, 0.02)), 10.4116, 10.4102),
)
"""The first four, and the first of three stages, as in the project's measured facts."""


def mechanism(steps: int = 50, noise: float = 1.0, rate: float = 0.05) -> Mechanism:
    return Mechanism(
        sample_rate=rate,
        noise_multiplier=noise,
        max_grad_norm=1.0,
        steps=steps,
        nominal_batch=32,
        max_records_per_unit=4,
    )


def schedule_of(rounds: int, run: str = "run", each: Mechanism | None = None) -> ProgramSchedule:
    slots = (Slot(stage=Stage.REWARD, round=i + 1, mechanism=each or mechanism()) for i in range(rounds))
    return ProgramSchedule(run_id=run, slots=tuple(slots))


@pytest.fixture
def charged_plan(plan_of: Callable[..., RoundPlan]) -> Callable[..., RoundPlan]:
    """``charged_plan(number, mechanism, schedule)``."""

    def make(
        number: int, each: Mechanism | None, schedule: ProgramSchedule | None = None, **changes: Any
    ) -> RoundPlan:
        fields: dict[str, Any] = {"round": number, "stage_round": number}
        fields |= {"schedule": digest(to_bytes(schedule)) if schedule else None}
        return plan_of(Stage.REWARD, mechanism=each).model_copy(update=fields | changes)

    return make


def new_ledger(path: Path, cap: float = 8.0) -> Ledger:
    fields: dict[str, Any] = {"site": "north", "policy": "c" * 64, "delta": 1e-5, "time": TIME}
    fields["officer"] = OFFICER.public
    return Ledger.create(path, KEY, lifetime_epsilon=cap, simulated=True, **fields)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "ledger.jsonl") as opened:
        yield opened


LONG = (6, 9)
"""Of these PRV alone takes seconds; the last of several stages is kept among the fast tests."""


@pytest.mark.parametrize(
    ("delta", "stages", "golden_prv", "golden_pld"),
    [
        pytest.param(*schedule, marks=pytest.mark.exhaustive if number in LONG else ())
        for number, schedule in enumerate(SCHEDULES)
    ],
)
def test_both_accountants_agree_and_rdp_bounds_them(
    delta: float, stages: Stages, golden_prv: float, golden_pld: float
) -> None:
    events = [mechanism(*stage) for stage in stages]
    prv, pld = prv_epsilon(events, delta), events_to_epsilon(events, delta)
    assert [prv, pld] == pytest.approx([golden_prv, golden_pld], abs=0.001)
    assert abs(prv - pld) <= TOLERANCE and tight_epsilon(events, delta) == prv
    assert prv <= rdp_epsilon(events, delta)


def test_equal_mechanisms_are_accounted_as_one_run() -> None:
    assert prv_epsilon([mechanism(10)] * 5, 1e-5) == prv_epsilon([mechanism(50)], 1e-5)
    assert prv_epsilon([], 1e-5) == 0


def test_there_is_no_way_to_ask_for_the_gdp_accountant() -> None:
    assert not any("gdp" in name.lower() for name in vars(budget_module))


def test_what_cannot_be_accounted_is_refused() -> None:
    with pytest.raises(LedgerError, match="delta"):
        prv_epsilon([mechanism()], 0.0)
    with pytest.raises(LedgerError, match="steps"):
        prv_epsilon([mechanism(100_000)] * 6, 1e-5)
    with pytest.raises(LedgerError, match="noise multiplier below"):
        prv_epsilon([mechanism(1, 0.01)], 1e-5)


def test_where_prv_reports_too_little_neither_accountant_is_believed() -> None:
    """Noise 1000 over 20,000 full batches: the exact Gaussian figure is 0.5406, PRV says 0.4980."""
    events = [mechanism(20_000, 1000.0, 1.0)]
    assert events_to_epsilon(events, 1e-5) == pytest.approx(0.5406, abs=0.001)
    assert prv_epsilon(events, 1e-5) < 0.50
    with pytest.raises(LedgerError, match="disagree"):
        tight_epsilon(events, 1e-5)


def test_a_schedule_is_gated_as_a_whole_and_charged_once(ledger: Ledger, charged_plan: Any) -> None:
    gate, schedule = Budget(ledger, 8.0, 1e-5), schedule_of(4)
    entry = gate.admit_schedule(schedule, TIME)
    assert entry.kind is Kind.RESERVE and gate.admit_schedule(schedule, TIME) == entry
    assert prv_epsilon(ledger.charges(), 1e-5) == pytest.approx(4.767, abs=0.001)
    before = ledger.head
    for number in range(1, 5):
        gate.admit(charged_plan(number, mechanism(), schedule))
    gate.admit(charged_plan(9, None, public_data="d" * 64))
    assert ledger.head == before


def test_a_schedule_over_the_cap_leaves_no_trace(ledger: Ledger) -> None:
    before = ledger.head
    for rounds in (16, 4000):
        with pytest.raises(BudgetExhausted):
            Budget(ledger, 8.0, 1e-5).admit_schedule(schedule_of(rounds), TIME)
    with pytest.raises(BudgetExhausted):
        Budget(ledger, 4.7, 1e-5).admit_schedule(schedule_of(4), TIME)
    assert ledger.head == before and ledger.charges() == ()


def test_plans_one_by_one_stop_where_the_fixed_order_filter_stops(ledger: Ledger, charged_plan: Any) -> None:
    gate, count = Budget(ledger, 8.0, 1e-5), 0
    with pytest.raises(BudgetExhausted) as caught:
        while count < 100:
            plan = charged_plan(count + 1, mechanism())
            gate.admit(plan)
            ledger.reserve(plan)
            count += 1
    spent = ledger.charges()
    assert count == len(spent) and caught.value.remedy
    book = read_book(ledger.entries)
    assert book.figure(prv_epsilon) <= 8.0 < book.with_plan(mechanism()).figure(prv_epsilon)
    assert prv_epsilon((*spent, mechanism()), 1e-5) < 8.0  # the tight figure would have let it through


def test_a_second_schedule_was_chosen_after_results_and_passes_the_filter(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "l.jsonl") as ledger:
        gate = Budget(ledger, 8.0, 1e-5)
        gate.admit_schedule(schedule_of(4), TIME)
        both = ledger.charges() + tuple(slot.mechanism for slot in schedule_of(6).slots)
        assert prv_epsilon(both, 1e-5) < 8.0 < rdp_epsilon(both, 1e-5)
        with pytest.raises(BudgetExhausted):
            gate.admit_schedule(schedule_of(6, "second"), TIME)
        gate.admit_schedule(schedule_of(2, "third"), TIME)
        assert len(ledger.charges()) == 6


def kill_first_attempt(path: Path, plan: RoundPlan, cap: float, schedule: ProgramSchedule) -> Ledger:
    """A ledger whose first attempt of ``plan`` died with its process."""
    with new_ledger(path, cap) as ledger:
        gate = Budget(ledger, cap, 1e-5)
        gate.admit_schedule(schedule, TIME)
        gate.admit(plan)
        ledger.reserve(plan)
    ledger = Ledger.open(path, KEY)
    ledger.abort_dead_attempt(plan.digest)
    return ledger


def test_a_retry_is_charged_and_gated(tmp_path: Path, charged_plan: Any) -> None:
    schedule = schedule_of(4)
    plan = charged_plan(1, mechanism(), schedule)
    with kill_first_attempt(tmp_path / "a.jsonl", plan, 8.0, schedule) as ledger:
        gate = Budget(ledger, 8.0, 1e-5)
        gate.admit(plan)
        assert len(ledger.reserve(plan).charges) == 1 and len(ledger.charges()) == 5
        with pytest.raises(BudgetExhausted):
            Budget(ledger, 5.0, 1e-5).admit(charged_plan(7, mechanism()))


def test_near_the_cap_only_retries_of_the_schedule_pass_and_each_counts_as_the_worst(
    tmp_path: Path, charged_plan: Any
) -> None:
    schedule = schedule_of(4)
    plan = charged_plan(1, mechanism(), schedule)
    five = [slot.mechanism for slot in schedule_of(5).slots]
    cap = prv_epsilon(five, 1e-5) + 0.01
    assert Book(cap, 1e-5).with_schedule(five[:4]).gate == "program"
    with kill_first_attempt(tmp_path / "a.jsonl", plan, cap, schedule) as ledger:
        gate = Budget(ledger, cap, 1e-5)
        for refused in (charged_plan(5, mechanism(1)), charged_plan(6, mechanism(1), run_id="other")):
            with pytest.raises(BudgetExhausted):
                gate.admit(refused)
        with pytest.raises(BudgetExhausted):
            gate.admit_schedule(schedule_of(1, "second", mechanism(1)), TIME)
        gate.admit(plan)
        ledger.reserve(plan)
    with Ledger.open(tmp_path / "a.jsonl", KEY) as ledger:
        ledger.abort_dead_attempt(plan.digest)
        with pytest.raises(BudgetExhausted, match="retry"):
            Budget(ledger, cap, 1e-5).admit(plan)


def test_the_policy_file_cannot_loosen_what_the_ledger_records(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="constant of the site"):
        Budget(ledger, 8.0, 1e-6)
    with pytest.raises(LedgerError, match="above the one that the ledger records"):
        Budget(ledger, 8.1, 1e-5)
    ledger.amend_policy("d" * 64, 9.0, TIME, officer=OFFICER)
    Budget(ledger, 9.0, 1e-5)


@pytest.mark.exhaustive
def test_a_cap_raised_after_results_moves_neither_order_nor_gate(tmp_path: Path, charged_plan: Any) -> None:
    each = mechanism(200)
    with new_ledger(tmp_path / "filter.jsonl", 6.0) as ledger:
        gate = Budget(ledger, 6.0, 1e-5)
        gate.admit(charged_plan(1, each))
        ledger.reserve(charged_plan(1, each))
        ledger.amend_policy("d" * 64, 20.0, TIME, officer=OFFICER)
        order = filter_order(each, 6.0, 1e-5)
        assert order != filter_order(each, 20.0, 1e-5)
        number = 1
        with pytest.raises(BudgetExhausted):
            while number < 50:
                number += 1
                Budget(ledger, 20.0, 1e-5).admit(charged_plan(number, each))
                ledger.reserve(charged_plan(number, each))
        spent = ledger.charges()
        assert epsilon_at_order(spent, order, 1e-5) <= 20 < epsilon_at_order([*spent, each], order, 1e-5)
    with new_ledger(tmp_path / "program.jsonl", 5.0) as ledger:
        Budget(ledger, 5.0, 1e-5).admit_schedule(schedule_of(4), TIME)
        ledger.amend_policy("d" * 64, 20.0, TIME, officer=OFFICER)
        with pytest.raises(BudgetExhausted, match="retries of its own rounds"):
            Budget(ledger, 20.0, 1e-5).admit(charged_plan(9, mechanism(1), run_id="other"))


def test_a_lower_cap_in_the_policy_file_is_only_stricter(ledger: Ledger, charged_plan: Any) -> None:
    each = mechanism(100)
    Budget(ledger, 8.0, 1e-5).admit(charged_plan(1, each))
    ledger.reserve(charged_plan(1, each))
    Budget(ledger, 8.0, 1e-5).admit(charged_plan(2, each))
    with pytest.raises(BudgetExhausted):
        Budget(ledger, 4.5, 1e-5).admit(charged_plan(2, each))


def test_the_gate_refuses_what_the_ledger_would(ledger: Ledger, charged_plan: Any) -> None:
    plan = charged_plan(1, mechanism())
    ledger.reserve(plan)
    with pytest.raises(LedgerError, match="rule 6"):
        Budget(ledger, 8.0, 1e-5).admit(plan)
    with pytest.raises(LedgerError, match="another plan"):
        Budget(ledger, 8.0, 1e-5).admit(charged_plan(1, mechanism(), nonce="1" * 32))


@pytest.mark.parametrize("cap", [5.0, 8.0])
def test_a_burn_counts_under_either_gate(tmp_path: Path, charged_plan: Any, cap: float) -> None:
    """The order and the gate stay those of the first charge; the lost rounds are charged beside it."""
    with new_ledger(tmp_path / "ledger.jsonl", cap) as ledger:
        Budget(ledger, cap, 1e-5).admit_schedule(schedule_of(3), TIME)
        before = read_book(ledger.entries)
        lost = Burn(sequence=4, entry="a" * 64, evidence="second_head", rounds=2, mechanism=mechanism(20))
        ledger.burn(lost, TIME, OFFICER)
        after = read_book(ledger.entries)
        assert (after.gate, after.first, after.burned) == (before.gate, before.first, (mechanism(40),))
        assert after.figure(prv_epsilon) > before.figure(prv_epsilon)
        spent = [*before.schedule, *after.burned]
        if after.gate == "program":
            assert after.figure(prv_epsilon) == prv_epsilon(spent, 1e-5)
        value = statement(ledger.entries, cap)
        assert [stage["stage"] for stage in value["stages"]] == ["reward", "burn"]
        assert [stage["stage"] for stage in value["forecast"]["stages"]] == ["reward"]
        assert [charge.outcome for charge in charges_of(ledger.entries)] == ["paid"] * 3 + ["burned"]
        assert draw(ledger.entries, cap, tmp_path / "burn.png") == 4
        certificate = certify(ledger.entries)
        assert certificate.gate == after.gate
        assert certificate.epsilon_if_fixed == events_to_epsilon(spent, 1e-5)
