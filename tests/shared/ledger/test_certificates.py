"""Certificates: recomputed figures, what several hospitals mean, the words, the gate's own figure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intraward_shared.certificates import PROMISE, certify, gate_epsilon, privacy_report
from intraward_shared.errors import LedgerError
from intraward_shared.gate import worst_of
from intraward_shared.ledger import Ledger, read_ledger
from intraward_shared.privacy import epsilon_at_order, events_to_epsilon, filter_order
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"


def test_a_certificate_is_recomputed_from_the_entries(spent_file: Path, mechanism_of: Any) -> None:
    value = certify(read_ledger(spent_file))
    events = [mechanism_of()] * 3
    assert value.epsilon == events_to_epsilon(events, 1e-5)
    assert value.epsilon_replace_one == events_to_epsilon(events, 1e-5, "replace_one") > value.epsilon
    assert (value.unit, value.adjacency, value.delta, value.lifetime_epsilon) == (
        *("patient", "add_remove"),
        *(1e-5, 8.0),
    )
    assert (value.reserved_rounds, value.released_rounds, value.aborted_rounds) == (1, 2, 1)
    (stage,) = value.stages
    assert stage.stage == "reward" and stage.epsilon == value.epsilon and stage.events[0].steps == 60
    assert value.within_cap and not value.warning and value.policy_changes == 0


def test_a_patient_of_three_hospitals_has_the_events_of_three(mechanism_of: Any) -> None:
    events = [mechanism_of(500, 1.1, 0.02), mechanism_of(200, 1.3, 0.05), mechanism_of(300, 1.0, 0.01)]
    assert events_to_epsilon(events, 1e-5) == pytest.approx(3.90, abs=0.005)
    assert events_to_epsilon(events * 3, 1e-5) == pytest.approx(7.10, abs=0.005)


def test_a_report_composes_the_patient_of_all_sites(
    spent_file: Path, tmp_path: Path, mechanism_of: Any, round_of: Any
) -> None:
    key = SigningKey.from_seed(b"o" * 32)
    fields: dict[str, Any] = {"site": "south", "policy": "c" * 64, "lifetime_epsilon": 4.0, "delta": 1e-6}
    with Ledger.create(tmp_path / "south.jsonl", key, simulated=False, time=TIME, **fields) as south:
        south.reserve(round_of(1, mechanism_of(30, 1.5)))
        ledgers = [read_ledger(spent_file), south.entries]
    report = privacy_report(ledgers)
    assert report.delta == 1e-6 and [item.site for item in report.certificates] == ["north", "south"]
    events = [*[mechanism_of()] * 3, mechanism_of(30, 1.5)]
    order = filter_order(mechanism_of(), 8.0, 1e-6)  # a plan without a schedule: no tight figure is claimed
    assert report.all_sites_epsilon == epsilon_at_order(events, order, 1e-6) > events_to_epsilon(events, 1e-6)
    whole = privacy_report(ledgers[:1])
    assert whole.all_sites_epsilon == events_to_epsilon(events[:3], 1e-6 * 10)
    for wrong in ([], [ledgers[0], ledgers[0]]):
        with pytest.raises(LedgerError, match="different sites"):
            privacy_report(wrong)


def test_the_promise_is_the_designs_and_claims_no_more(spent_file: Path) -> None:
    value = certify(read_ledger(spent_file))
    assert value.promise == PROMISE and PROMISE.startswith("Raw notes, prompts, labels")
    text = value.model_dump_json().lower()
    for word in ("hipaa", "anonymous", "cannot be reconstructed", "protects labellers", "prevents backdoors"):
        assert word not in text


def test_a_simulated_ledger_says_so(make_ledger: Any) -> None:
    with make_ledger(simulated=True) as ledger:
        assert "NOT PRIVATE" in certify(ledger.entries).warning


def test_the_gates_figure_is_tight_for_a_schedule_alone_and_the_filters_afterwards(
    make_ledger: Any, schedule_of: Any, mechanism_of: Any, round_of: Any
) -> None:
    with make_ledger() as ledger:
        ledger.reserve_schedule(schedule_of(3), TIME)
        assert gate_epsilon(ledger.entries) == ("filter", events_to_epsilon([mechanism_of()] * 3, 1e-5))
        ledger.reserve(round_of(9, mechanism_of(), run_id="other"))
        order = filter_order(mechanism_of(), 8.0, 1e-5)
        expected = epsilon_at_order([mechanism_of()] * 4, order, 1e-5)
        gate, figure = gate_epsilon(ledger.entries)
        assert gate == "filter" and figure == pytest.approx(expected)


def test_a_cap_that_is_raised_afterwards_covers_nothing(
    make_ledger: Any, round_of: Any, mechanism_of: Any
) -> None:
    officer = SigningKey.from_seed(b"o" * 32)
    with make_ledger(lifetime_epsilon=3.0, officer=officer.public) as ledger:
        ledger.reserve(round_of(1, mechanism_of()))
        assert certify(ledger.entries).within_cap
        ledger.reserve(round_of(2, mechanism_of(200)))
        assert not certify(ledger.entries).within_cap
        ledger.amend_policy("d" * 64, 20.0, TIME, officer=officer)
        value = certify(ledger.entries)
        assert value.epsilon_if_fixed < value.gate_epsilon == value.epsilon < value.lifetime_epsilon
        assert not value.within_cap


def test_near_the_cap_retries_count_as_the_worst_and_nothing_else_is_let_through(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path, schedule_of: Any, mechanism_of: Any, round_of: Any
) -> None:
    schedule = schedule_of(4, mechanism=mechanism_of(50))
    plan = round_of(1, mechanism_of(50), schedule)
    with make_ledger(lifetime_epsilon=5.5) as ledger:
        ledger.reserve_schedule(schedule, TIME)
        ledger.reserve(plan)
    with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
        ledger.abort_dead_attempt(plan.digest)
        ledger.reserve(plan)
        gate, figure = gate_epsilon(ledger.entries)
        fixed = [mechanism_of(50)] * 4
        assert gate == "program" and figure == events_to_epsilon([*fixed, worst_of(fixed)], 1e-5)
        ledger.reserve(round_of(7, mechanism_of(1)))
        with pytest.raises(LedgerError, match="room for retries only"):
            gate_epsilon(ledger.entries)


def test_passing_the_cap_is_said(make_ledger: Any, round_of: Any, mechanism_of: Any) -> None:
    with make_ledger(lifetime_epsilon=1.0) as ledger:
        ledger.reserve(round_of(1, mechanism_of(200)))
        assert certify(ledger.entries).within_cap is False


def test_what_was_chosen_after_results_is_never_stated_as_if_it_had_been_fixed(
    ledger: Ledger, round_of: Any, mechanism_of: Any
) -> None:
    ledger.reserve(round_of(1, mechanism_of(100)))
    ledger.reserve(round_of(2, mechanism_of(50, 0.9)))
    value, events = certify(ledger.entries), [mechanism_of(100), mechanism_of(50, 0.9)]
    assert value.epsilon_if_fixed == events_to_epsilon(events, 1e-5) < value.epsilon == value.gate_epsilon
    order = filter_order(mechanism_of(100), 8.0, 1e-5)
    assert value.several_hospitals[0].epsilon == value.epsilon
    assert value.several_hospitals[2].epsilon == epsilon_at_order(events * 3, order, 1e-5)
