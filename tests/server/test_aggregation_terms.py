"""``[aggregation]`` in a whole program: rules, server optimizer over a crash, what plain averaging lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.server.conftest import drawn

import intraward_server.program as program_module
from intraward_server.checkpoint import load_state, read_history, save_state
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.registry import Registry
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ConfigError
from intraward_shared.program import load_program
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part


class _Killed(Exception):
    pass


def asking(**terms: Any) -> Any:
    """A program of two short stages with these terms."""

    def change(table: dict[str, Any]) -> None:
        table["stages"] = table["stages"][:1] + table["stages"][2:3]
        table["program"]["quorum"] = 3
        table["aggregation"] = terms

    return change


def files(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for folder in ("adapters", "moments")
        for path in (home / folder).rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("optimizer", ["fedavgm", "fedadam"])
def test_a_program_with_a_server_optimizer_goes_on_after_a_crash(
    federation: Any, monkeypatch: pytest.MonkeyPatch, optimizer: str
) -> None:
    change = asking(optimizer=optimizer, momentum=0.5)
    whole, made = federation("whole", change), federation("killed", change)
    run(whole.grid(), whole.home)
    real = save_state

    def dies(path: Path, state: Any) -> None:
        if state.next_round == 3 and state.status != "finished":  # after the adapter and its moments
            monkeypatch.undo()
            raise _Killed
        real(path, state)

    monkeypatch.setattr(program_module, "save_state", dies)
    with pytest.raises(_Killed):
        run(made.grid(), made.home)
    run(made.grid(), made.home)
    assert files(made.home) == files(whole.home)
    plain = federation("plain", asking())
    run(plain.grid(), plain.home)
    assert set(files(plain.home)) != set(files(whole.home))


def test_moments_that_are_gone_stop_the_program_aloud(
    federation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = federation("home", asking(optimizer="fedavgm"))
    real = program_module.Program._round

    def once(self: Any, at: Any) -> None:
        real(self, at)
        raise _Killed

    with monkeypatch.context() as patch, pytest.raises(_Killed):
        patch.setattr(program_module.Program, "_round", once)
        run(made.grid(), made.home)
    for path in ServerHome(made.home).moments.iterdir():
        path.unlink()
    with pytest.raises(ConfigError, match="moments are missing"):
        run(made.grid(), made.home)


def test_a_median_program_takes_the_median_of_each_coordinate(federation: Any) -> None:
    made = federation("home", asking(rule="median"))
    run(made.grid(), made.home)
    home = ServerHome(made.home)
    public = SigningKey.load(home.key).public
    plan = open_signed(home.plan(3).read_bytes(), PLAN_DOMAIN, RoundPlan, public)
    state = load_state(home.state)
    assert state is not None
    registry = Registry(home.adapters, SigningKey.load(home.key), plan.lora)
    before, after = registry.load(plan.inputs["reward"]), registry.load(str(state.rounds[2].adapter))
    for output in plan.outputs:
        middle = np.median([drawn(plan, site)[output.name] for site in made.wards], axis=0)
        wanted = (before[output.name].astype(np.float64) + middle).astype(np.float32)
        np.testing.assert_array_equal(after[output.name], wanted)


def test_the_history_tells_what_plain_averaging_lost_and_nothing_where_it_is_exact(federation: Any) -> None:
    def both(table: dict[str, Any]) -> None:
        asking()(table)
        table["stages"][0]["parts"] = "both"

    made = federation("home", both)
    run(made.grid(), made.home)
    lines = read_history(ServerHome(made.home).history)
    assert all(0 < line["product_gap"] < 1 for line in lines if line["stage"] == "sft")
    assert not any("product_gap" in line for line in lines if line["stage"] == "reward")


def test_frozen_a_trains_b_in_every_round(federation: Any) -> None:
    def frozen(table: dict[str, Any]) -> None:
        asking()(table)
        for stage in table["stages"]:
            stage["parts"] = "freeze_a"

    made = federation("home", frozen)
    run(made.grid(), made.home)
    assert {line["part"] for line in read_history(ServerHome(made.home).history)} == {Part.B.value}


@pytest.mark.parametrize(("terms", "least"), [({"rule": "krum"}, 5), ({"rule": "trimmed_mean"}, 3)])
def test_a_rule_needs_its_quorum(federation: Any, terms: dict[str, Any], least: int) -> None:
    def change(table: dict[str, Any]) -> None:
        table["aggregation"] = terms

    made = federation("home", change)
    with pytest.raises(ConfigError, match=f"quorum of at least {least}"):
        load_program(ServerHome(made.home).program)


def test_a_program_without_the_table_keeps_the_digest_of_earlier_releases(federation: Any) -> None:
    made = federation()
    path = ServerHome(made.home).program
    plain = load_program(path)
    assert plain.aggregation == AggregationTerms()
    path.write_text(path.read_text() + '\n[aggregation]\nrule = "mean"\n')
    assert load_program(path).agreed_digest == plain.agreed_digest
    path.write_text(
        path.read_text().replace('rule = "mean"', 'rule = "median"').replace("quorum = 2", "quorum = 3")
    )
    assert load_program(path).agreed_digest != plain.agreed_digest
