"""``intraward-client budget``: figures, a forecast held against the gate itself, program costs, pictures."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.client.programs import SCHEDULE, TIME, mechanism, program_table

from intraward_client import cli
from intraward_client.privacy.budget import Budget, prv_epsilon, tight_epsilon
from intraward_client.privacy.forecast import forecast, paid_rounds
from intraward_client.privacy.picture import draw
from intraward_client.privacy.planning import most_that_fit
from intraward_client.privacy.week import charged_lately, week_of
from intraward_client.slot import instant
from intraward_shared.errors import BudgetExhausted
from intraward_shared.gate import Book
from intraward_shared.ledger import Ledger
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import Mechanism, RoundPlan, Slot, to_bytes
from intraward_shared.signing import SigningKey, digest
from intraward_shared.spending import charges_of, thinned
from intraward_shared.stages import Stage

KEY = SigningKey.from_seed(b"s" * 32)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``call(*arguments)``: exit code, standard output, standard error."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-client", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        assert "Traceback" not in told.out + told.err and "defect" not in told.err
        return int(stop.value.code or 0), told.out, told.err

    return invoke


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., Path]:
    """``site(cap, **privacy)``: a folder with a policy and a fresh ledger."""

    def make(cap: float = 8.0, **privacy: Any) -> Path:
        home = tmp_path / "site"
        home.mkdir()
        terms = {
            "delta": 1e-5,
            "declared_max_patients": 1000,
            "lifetime_epsilon": cap,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.2,
            "max_steps_per_round": 50,
            "max_records_per_patient": 2,
        }
        table = {
            "site": "north",
            "privacy": terms | privacy,
            "model": {"path": "model", "sha256": "a" * 64},
            "coordinator": {"public_key": "d" * 64},
        }
        (home / "policy.toml").write_text(tomli_w.dumps(table), encoding="utf-8")
        fields: dict[str, Any] = {"site": "north", "policy": "c" * 64, "delta": 1e-5, "time": TIME}
        Ledger.create(home / "ledger.jsonl", KEY, lifetime_epsilon=cap, simulated=False, **fields).close()
        return home

    return make


@pytest.fixture
def spend(plan_of: Callable[..., RoundPlan]) -> Callable[..., None]:
    """``spend(home, rounds, later)``: charge ``SCHEDULE``, draw some rounds, then plans one by one."""

    def plan(number: int, slot: Slot, **changes: Any) -> RoundPlan:
        made = plan_of(slot.stage, mechanism=slot.mechanism, simulated=False)
        fields = {"round": number, "stage_round": slot.round, "schedule": digest(to_bytes(SCHEDULE))}
        return made.model_copy(update=fields | changes)

    def run(home: Path, rounds: int = 3, later: int = 0, cap: float = 8.0) -> None:
        path = home / "ledger.jsonl"
        with Ledger.open(path, KEY) as ledger:
            gate = Budget(ledger, cap, 1e-5)
            gate.admit_schedule(SCHEDULE, TIME)
            for number, slot in enumerate(SCHEDULE.slots[:rounds], start=1):
                made = plan(number, slot)
                ledger.reserve(made)
                if number == 2:
                    ledger.abort(made.digest)
                else:
                    ledger.release(made.digest, "f" * 64)
            for number in range(later):
                slot = Slot(stage=Stage.DPO, round=number + 1, mechanism=mechanism(0.05, 1.3, 20))
                made = plan(number + 1, slot, run_id="later", schedule=None)
                gate.admit(made)
                ledger.release(ledger.reserve(made).plan or "", "f" * 64)

    return run


def test_the_statement_is_the_accountants_and_says_what_is_paid(call: Any, site: Any, spend: Any) -> None:
    home = site()
    spend(home)
    code, out, _ = call("budget", "--home", home, "--json")
    value = json.loads(out)
    every = [slot.mechanism for slot in SCHEDULE.slots]
    assert code == 0 and value["spent"] == value["gated"] == prv_epsilon(every, 1e-5)
    assert value["spent_replace_one"] == events_to_epsilon(every, 1e-5, "replace_one") > value["spent"]
    assert value["left"] == pytest.approx(8.0 - value["spent"]) and value["cap"] == 8.0
    paid = {stage["stage"]: stage["paid"] for stage in value["forecast"]["stages"]}
    assert paid == {"sft": 0, "reward": 2}
    code, out, _ = call("budget", "--home", home)
    assert code == 0 and "2 rounds paid and not yet run" in out and "replace-one" in out


def test_an_empty_ledger_says_so(call: Any, site: Any) -> None:
    code, out, _ = call("budget", "--home", site())
    assert code == 0 and "nothing is charged yet" in out and "0.000" in out


@pytest.mark.exhaustive
def test_the_forecast_is_what_the_gate_then_lets_through(
    site: Any, spend: Any, plan_of: Callable[..., RoundPlan]
) -> None:
    home = site()
    spend(home, later=1)
    entries = read_ledger(home / "ledger.jsonl")
    told = next(stage for stage in forecast(entries, 6.0).stages if stage.stage == "reward")
    each = mechanism(told.sample_rate, told.noise_multiplier, told.steps)
    tight = most_that_fit(
        lambda n: events_to_epsilon([*map(_of, SCHEDULE.slots), *[each] * n], 1e-5) <= 6.0, 500
    )
    taken = 0
    with Ledger.open(home / "ledger.jsonl", KEY) as ledger, pytest.raises(BudgetExhausted):
        while taken < 500:
            plan = plan_of(Stage.REWARD, mechanism=each, simulated=False)
            plan = plan.model_copy(update={"run_id": "new", "round": taken + 1, "stage_round": taken + 1})
            Budget(ledger, 6.0, 1e-5).admit(plan)
            ledger.reserve(plan)
            taken += 1
    assert 0 < taken == told.more < tight


def _of(slot: Slot) -> Mechanism:
    return slot.mechanism


def test_a_tight_first_schedule_leaves_retries_only(call: Any, site: Any, spend: Any) -> None:
    every = [slot.mechanism for slot in SCHEDULE.slots]
    cap = round(tight_epsilon(every, 1e-5) + 0.25, 3)
    home = site(cap)
    spend(home, cap=cap)
    told = forecast(read_ledger(home / "ledger.jsonl"), cap)
    assert told.gate == "program" and [stage.more for stage in told.stages] == [0, 0]
    book = Book(cap, 1e-5).with_schedule(every)
    worst = mechanism(0.05, 1.1, 50)
    assert book.with_retry(*[worst] * told.retries).admits(cap, tight_epsilon)
    assert not book.with_retry(*[worst] * (told.retries + 1)).admits(cap, tight_epsilon)
    code, out, _ = call("budget", "--home", home)
    assert code == 0 and "gate: program" in out and "0 more reward rounds" in out


def test_a_lower_cap_of_the_policy_file_is_the_one_that_counts(call: Any, site: Any, spend: Any) -> None:
    home = site()
    spend(home)
    policy = home / "policy.toml"
    policy.write_text(policy.read_text("utf-8").replace("lifetime_epsilon = 8.0", "lifetime_epsilon = 3.2"))
    assert json.loads(call("budget", "--home", home, "--json")[1])["cap"] == 3.2


def test_paid_rounds_are_slots_that_no_plan_has_drawn(site: Any, spend: Any) -> None:
    home = site()
    spend(home, rounds=0)
    assert paid_rounds(read_ledger(home / "ledger.jsonl")) == {"sft": 2, "reward": 3}


def write_program(folder: Path, **changes: Any) -> Path:
    path = folder / "program.toml"
    path.write_text(tomli_w.dumps(program_table(**changes)), encoding="utf-8")
    return path


def test_plan_prints_and_pastes(call: Any, tmp_path: Path) -> None:
    path = write_program(tmp_path)
    code, out, _ = call("budget", "plan", path, "--epsilon", 2)
    assert code == 0 and "replace-one" in out and "1: 2.00, 2: " in out
    lines = [line.split("#")[0].strip() for line in out.splitlines() if "noise_multiplier =" in line]
    assert len(lines) == 2 and len(set(lines)) == 1
    noise = float(lines[0].partition("= ")[2])
    path = write_program(tmp_path, noise_multiplier=noise)
    code, out, _ = call("budget", "plan", path, "--json")
    assert code == 0 and 1.99 < json.loads(out)["total"]["epsilon"] <= 2.0


def test_a_site_says_whether_it_would_take_the_program(
    call: Any, site: Any, spend: Any, tmp_path: Path
) -> None:
    path, home = write_program(tmp_path), site()
    code, out, _ = call("budget", "plan", path, "--home", home, "--json")
    answer = json.loads(out)["answer"]
    assert code == 0 and answer["admitted"] and answer["reasons"] == [] and answer["gate"] == "filter"
    every = [slot.mechanism for slot in SCHEDULE.slots]
    book = Book(8.0, 1e-5).with_schedule(every)
    worst = mechanism(0.05, 1.1, 50)
    fit = [
        book.with_retry(*[worst] * (answer["retries"] + more)).admits(8.0, tight_epsilon) for more in (0, 1)
    ]
    assert fit == [True, False]
    spend(home)
    policy = home / "policy.toml"
    policy.write_text(policy.read_text("utf-8").replace("lifetime_epsilon = 8.0", "lifetime_epsilon = 4.0"))
    code, out, _ = call("budget", "plan", path, "--home", home)
    assert code == 1 and "would refuse it" in out and "lifetime epsilon" in out


def test_a_schedule_that_a_week_does_not_hold_is_said_beforehand(
    call: Any, site: Any, tmp_path: Path
) -> None:
    code, out, _ = call("budget", "plan", write_program(tmp_path), "--home", site(weekly_epsilon=0.1))
    assert code == 1 and "would refuse it" in out and "privacy.weekly_epsilon" in out


def test_the_week_is_told_where_the_policy_has_one(call: Any, site: Any, spend: Any) -> None:
    home = site(weekly_epsilon=5.0)
    spend(home)
    entries = read_ledger(home / "ledger.jsonl")
    at = instant(TIME)
    whole = week_of(entries, 5.0, 1e-5, at)
    assert whole["spent"] == tight_epsilon(charged_lately(entries, at), 1e-5) > 0
    assert whole["left"] == 5.0 - whole["spent"]
    assert week_of(entries, 5.0, 1e-5, at + timedelta(days=8))["left"] == 5.0
    _, out, _ = call("budget", "--home", home, "--json")
    assert json.loads(out)["week"]["cap"] == 5.0
    _, out, _ = call("budget", "--home", home)
    assert "this week" in out and "of 5 " in out


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"noise_multiplier": 0.79, "steps": 1}, "privacy.min_noise_multiplier"),
        ({"sample_rate": 0.21, "steps": 1}, "privacy.max_sample_rate"),
        ({"steps": 51, "noise_multiplier": 4.0}, "privacy.max_steps_per_round"),
        ({"max_records_per_unit": 3, "steps": 5}, "privacy.max_records_per_patient"),
    ],
)
def test_a_program_weaker_than_the_policy_is_named(
    call: Any, site: Any, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    code, out, _ = call("budget", "plan", write_program(tmp_path, **changes), "--home", site(50.0))
    assert code == 1 and "would refuse it" in out and told in out and "stages.0" in out


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"noise_multiplier": 0}, "mechanism.noise_multiplier"),
        ({"noise_multiplier": -1.0}, "mechanism.noise_multiplier"),
        ({"noise_multiplier": float("nan")}, "mechanism.noise_multiplier"),
        ({"noise_multiplier": float("inf")}, "mechanism.noise_multiplier"),
        ({"noise_multiplier": 1e-9}, "stages.0.mechanism"),
        ({"noise_multiplier": 0.1, "steps": 100_000}, "stages.0.mechanism"),
        ({"sample_rate": 2}, "mechanism.sample_rate"),
        ({"sample_rate": float("nan")}, "mechanism.sample_rate"),
        ({"steps": -1}, "mechanism.steps"),
        ({"steps": 0}, "mechanism.steps"),
        ({"steps": 10**9}, "mechanism.steps"),
        ({"sample_rate": 0.5, "steps": 100_000}, "stages.0.mechanism"),
    ],
)
def test_bad_mechanisms_are_refused_by_file_and_key(
    call: Any, tmp_path: Path, changes: dict[str, Any], key: str
) -> None:
    code, out, told = call("budget", "plan", write_program(tmp_path, **changes))
    assert code == 1 and out == ""
    assert "program.toml: stages.0" in told and key in told and " do" in told


@pytest.mark.parametrize(
    "option",
    [
        ("--delta", 1),
        ("--delta", 0),
        ("--delta", "nan"),
        ("--epsilon", 0),
        ("--epsilon", "nan"),
        ("--epsilon", -2),
    ],
)
def test_bad_options_are_refused_by_name(call: Any, tmp_path: Path, option: tuple[str, object]) -> None:
    code, _, told = call("budget", "plan", write_program(tmp_path), *option)
    assert code == (2 if option[1] == "nan" else 1) and option[0] in told


def test_a_policy_with_delta_one_is_refused(call: Any, site: Any) -> None:
    code, _, told = call("budget", "--home", site(delta=1.0))
    assert code == 1 and "policy.toml" in told and "privacy.delta" in told


def test_the_picture_shows_every_charge_with_its_outcome(site: Any, spend: Any, tmp_path: Path) -> None:
    home = site()
    spend(home, later=1)
    entries = read_ledger(home / "ledger.jsonl")
    charges = charges_of(entries)
    assert [(c.stage, c.outcome) for c in charges] == [
        ("sft", "released"),
        ("sft", "aborted"),
        ("reward", "released"),
        ("reward", "paid"),
        ("reward", "paid"),
        ("dpo", "released"),
    ]
    shown = thinned(charges, 1e-5)
    assert shown[-1].epsilon == events_to_epsilon([m for c in charges for m in c.mechanisms], 1e-5)
    assert [c.epsilon for c in shown] == sorted(c.epsilon for c in shown)
    for name, magic in (("b.png", b"\x89PNG"), ("b.svg", b"<?xml")):
        assert draw(entries, 8.0, tmp_path / name) == 6
        assert (tmp_path / name).read_bytes().startswith(magic)
    assert [c.stage for c in thinned(charges, 1e-5, most=4)] == ["sft", "reward", "dpo"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b.png", "b.svg", "site"]


def test_a_picture_of_nothing_and_one_that_cannot_be(call: Any, site: Any, tmp_path: Path) -> None:
    home = site()
    assert call("budget", "--home", home, "--plot", tmp_path / "e.png")[0] == 0
    assert (tmp_path / "e.png").stat().st_size > 5000
    for name in ("b.jpg", "nowhere/b.png"):
        code, _, told = call("budget", "--home", home, "--plot", tmp_path / name)
        assert code == 1 and " do" in told
