"""Online RLHF: what follows sft is repeated, each time with a new version of reward model and policy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_server import program as program_module
from intraward_server.checkpoint import ProgramState, load_state, read_history
from intraward_server.cli import describe
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.registry import Registry
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import PLAN_DOMAIN, RoundPlan, open_signed
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part, Stage

_LOOP = [Stage.LABEL, Stage.REWARD, Stage.PPO, Stage.PPO]
_ROUNDS = 2 + 2 * len(_LOOP)
Table = dict[str, Any]


def _twice(table: Table) -> None:
    """Two iterations with an odd number of reward rounds, so that parts would change places if they could."""
    table["program"]["iterations"] = 2
    table["stages"][2]["rounds"] = 1


def _gold(prompt: str, answer: str) -> float:
    return float(len(answer.split()))


def _plans(federation: Any) -> list[RoundPlan]:
    home = ServerHome(federation.home)
    public = SigningKey.load(home.key).public
    return [
        open_signed(home.plan(n).read_bytes(), PLAN_DOMAIN, RoundPlan, public) for n in range(1, _ROUNDS + 1)
    ]


Opened = tuple[Any, list[RoundPlan], Registry]


def _opened(federation: Any, change: Callable[[Table], None] = _twice) -> Opened:
    made = federation(change=change)
    run(made.grid(), made.home, gold=_gold)
    plans, home = _plans(made), ServerHome(made.home)
    return made, plans, Registry(home.adapters, SigningKey.load(home.key), plans[0].lora)


def _state(made: Any) -> ProgramState:
    state = load_state(ServerHome(made.home).state)
    assert state is not None
    return state


def test_later_iterations_label_with_and_go_on_from_the_newest_policy(federation: Any) -> None:
    made, plans, registry = _opened(federation)
    state = _state(made)
    assert [p.stage for p in plans] == [Stage.SFT, Stage.SFT, *_LOOP, *_LOOP]
    assert [p.stage_round for p in plans] == [1, 2, 1, 1, 1, 2, 2, 2, 3, 4]
    sft, first_reward, first_policy = (state.rounds[n].adapter for n in (1, 3, 5))
    assert plans[6].inputs["policy"] == plans[8].inputs["policy"] == first_policy
    assert plans[4].inputs["reference"] == plans[8].inputs["reference"] == sft == state.sft
    assert plans[8].inputs["reward"] == state.rounds[7].adapter != first_reward == plans[4].inputs["reward"]
    assert plans[3].inputs == plans[7].inputs  # both reward models start from the same public numbers
    value = registry.load(plans[8].inputs["policy"])["value_head.weight"]
    assert np.abs(value).max() > 0  # the value head goes on, too
    assert plans[4].training.score_mean != plans[8].training.score_mean


def test_the_first_round_of_every_iteration_trains_b(federation: Any) -> None:
    _, plans, _ = _opened(federation)
    assert [p.part for p in plans if p.stage is Stage.REWARD] == [Part.B, Part.B]
    assert [p.part for p in plans if p.stage is Stage.PPO] == [Part.B, Part.A, Part.B, Part.A]


def test_every_charged_slot_of_all_iterations_is_signed_before_the_first_row(federation: Any) -> None:
    made, plans, _ = _opened(federation)
    (schedule,) = {s for ward in made.wards.values() for s in ward.schedules}
    assert [(s.stage, s.round) for s in schedule.slots] == [(Stage.REWARD, 1), (Stage.REWARD, 2)]
    assert all(p.mechanism == schedule.slots[0].mechanism for p in plans if p.stage is Stage.REWARD)


def test_previous_starts_and_references_are_those_of_the_iteration_before(federation: Any) -> None:
    def change(table: Table) -> None:
        _twice(table)
        table["stages"][2]["initial"] = table["stages"][3]["reference"] = "previous"

    made, plans, _ = _opened(federation, change)
    state = _state(made)
    assert plans[7].inputs["reward"] == state.rounds[3].adapter
    assert plans[4].inputs["reference"] == state.sft
    assert plans[8].inputs["reference"] == plans[8].inputs["policy"] == state.rounds[5].adapter


def test_a_reward_model_from_a_later_policy_has_no_value_head(federation: Any) -> None:
    def change(table: Table) -> None:
        _twice(table)
        table["stages"][2]["initial"] = "policy"

    _, plans, registry = _opened(federation, change)
    manifest, start = registry.read(plans[7].inputs["reward"])
    assert manifest.parents == (plans[6].inputs["policy"],) and manifest.iteration == 2
    assert {name for name in start if ".lora_" not in name} == {"score.weight"}


def test_versions_stand_in_manifest_card_history_and_status(federation: Any) -> None:
    made, _, registry = _opened(federation)
    state, told = _state(made), describe(made.home)
    assert told["versions"] == state.versions() and set(told["versions"]) == {1, 2}
    assert told["versions"][2] == {"reward": state.reward, "policy": state.policy}
    for number, roles in told["versions"].items():
        for role, kind in (("reward", "reward model"), ("policy", "policy")):
            manifest, _ = registry.read(roles[role])
            assert manifest.iteration == number
            assert f"{kind} v{number}" in (registry.path(roles[role]) / "README.md").read_text()
    history = read_history(ServerHome(made.home).history)
    assert [line["iteration"] for line in history] == [1] * 6 + [2] * 4
    compared = [line["figures"]["over_sft"] for line in history if "over_sft" in line["figures"]]
    assert [line["round"] for line in history if "over_sft" in line["figures"]] == [6, 10]
    assert all(0 <= figures["win_rate"] <= 1 and figures["judge"] == "gold" for figures in compared)


def test_lineage_of_the_last_policy_names_every_version(federation: Any) -> None:
    made, _, registry = _opened(federation)
    found, waiting = set(), [str(_state(made).policy)]
    while waiting:
        manifest, _ = registry.read(waiting.pop())
        found.add((manifest.stage, manifest.iteration, manifest.round))
        waiting += manifest.parents
    assert {(Stage.PPO, 2, 10), (Stage.REWARD, 2, 8), (Stage.PPO, 1, 6), (Stage.REWARD, 1, 4)} <= found


class _Killed(Exception):
    pass


def _files(home: Path) -> dict[str, bytes]:
    """Everything that a run left, but how long its rounds took."""
    kept = (path for path in sorted(home.rglob("*")) if path.is_file() and path.name != "history.jsonl")
    return {path.relative_to(home).as_posix(): path.read_bytes() for path in kept}


def test_stopped_after_every_round_it_ends_as_if_never_stopped(
    federation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = federation("whole", _twice)
    run(whole.grid(), whole.home, gold=_gold)
    made, real = federation("stopped", _twice), program_module.Program._round

    def once(self: Any, at: Any) -> None:
        real(self, at)
        raise _Killed

    monkeypatch.setattr(program_module.Program, "_round", once)
    for _ in range(_ROUNDS):
        with pytest.raises(_Killed):
            run(made.grid(), made.home, gold=_gold)
    run(made.grid(), made.home, gold=_gold)
    assert _files(made.home) == _files(whole.home)
    lines = [read_history(ServerHome(each.home).history) for each in (whole, made)]
    bare = [
        [{key: v for key, v in line.items() if key not in ("seconds", "finished")} for line in each]
        for each in lines
    ]
    assert bare[0] == bare[1]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t["stages"][2].update(initial="previous"), "iterations above 1"),
        (lambda t: t["stages"][3].update(reference="previous"), "iterations above 1"),
        (lambda t: t["stages"][3].update(initial="policy"), "no other stage has it"),
        (lambda t: t["stages"][2].update(reference="previous"), "has no reference"),
        (lambda t: (t["program"].update(iterations=2), t.update(stages=t["stages"][:1])), "there are none"),
        (lambda t: t["program"].update(iteration=2), "iterations"),
        (lambda t: t["program"].update(iterations=0), "iterations"),
    ],
)
def test_contradictory_iterations_are_refused(program: Table, change: Any, words: str) -> None:
    change(program)
    with pytest.raises(ConfigError, match=words):
        parse(program, ProgramConfig, Path("program.toml"))
