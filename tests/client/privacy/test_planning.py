"""What a program would cost, and the noise for a target: the accountants' figures, admitted by the gate."""

from __future__ import annotations

import pytest
from tests.client.programs import FILE, SCHEDULE, program, program_table

from intraward_client.privacy.budget import tight_epsilon
from intraward_client.privacy.planning import calibrate, most_that_fit, program_cost
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.gate import Book
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.program import ProgramConfig


def test_a_program_costs_what_the_gate_will_count() -> None:
    told: list[float] = []
    cost = program_cost(program(), FILE, 1e-5, told.append)
    every = [slot.mechanism for slot in SCHEDULE.slots]
    assert cost.total.epsilon == tight_epsilon(every, 1e-5)
    assert cost.total.epsilon_replace_one == events_to_epsilon(every, 1e-5, "replace_one")
    assert [(s.stage, s.key, s.rounds) for s in cost.stages] == [
        ("sft", "stages.0.mechanism", 2),
        ("reward", "stages.1.mechanism", 3),
    ]
    assert cost.stages[0].cost.epsilon == tight_epsilon(every[:2], 1e-5)
    assert cost.sites == tuple(events_to_epsilon(every * k, 1e-5) for k in (1, 2, 3))
    assert told == sorted(told) and told[-1] == 1.0


def test_the_cost_is_that_of_all_iterations() -> None:
    table = program_table()
    table["program"]["iterations"] = 3
    cost = program_cost(parse(table, ProgramConfig, FILE), FILE, 1e-5)
    every = [slot.mechanism for slot in SCHEDULE.slots]
    assert cost.iterations == 3 and [stage.rounds for stage in cost.stages] == [2, 9]  # sft comes once
    assert cost.total.epsilon == tight_epsilon(every[:2] + every[2:] * 3, 1e-5)


@pytest.mark.parametrize("epsilon", [1.0, pytest.param(4.0, marks=pytest.mark.exhaustive)])
def test_calibration_finds_the_least_noise_that_the_gate_admits(epsilon: float) -> None:
    found = calibrate(program(), FILE, 1e-5, epsilon)
    (noise,) = {slot.mechanism.noise_multiplier for slot in found.charged_slots}
    assert noise == round(noise, 4)
    book = Book(epsilon, 1e-5).with_schedule([slot.mechanism for slot in found.charged_slots])
    assert book.admits(epsilon, tight_epsilon) and epsilon - 0.004 < book.figure(tight_epsilon) <= epsilon


def test_a_target_that_any_noise_meets_gets_the_least_a_policy_may_allow() -> None:
    table = program_table(sample_rate=1e-4, steps=1)
    found = calibrate(parse(table, ProgramConfig, FILE), FILE, 1e-5, 500.0)
    assert {slot.mechanism.noise_multiplier for slot in found.charged_slots} == {0.3}


def test_what_cannot_be_reached_is_said_by_file_and_key() -> None:
    with pytest.raises(ConfigError, match=r"program\.toml: stages: no noise multiplier"):
        calibrate(program(sample_rate=1.0, steps=50_000), FILE, 1e-5, 0.05)
    free = program_table()
    free["stages"] = [{"stage": "label", "training": {"learning_rate": 0.1}}]
    with pytest.raises(ConfigError, match="no stage is charged"):
        calibrate(parse(free, ProgramConfig, FILE), FILE, 1e-5, 1.0)


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_most_that_fit(most: int) -> None:
    for limit in (0, 1, 2, 3, 6, 7, 8, 200):
        assert most_that_fit(lambda n, limit=limit: n <= limit, most) == min(limit, most)  # type: ignore[misc]
