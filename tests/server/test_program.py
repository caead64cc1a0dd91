"""The stage machine: a whole program, its continuation after crashes, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from intraward_server import program as program_module
from intraward_server.checkpoint import load_state, read_history
from intraward_server.home import ServerHome
from intraward_server.program import ProgramEvent, run
from intraward_server.registry import Registry
from intraward_shared.adapters import decode
from intraward_shared.errors import ConfigError, InputError, ModelError, RoundFailed
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    PROGRAM_DOMAIN,
    ProgramSchedule,
    RoundPlan,
    open_signed,
    open_update,
)
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Part, Stage

_ROUNDS = 7


def _gold(prompt: str, answer: str) -> float:
    return float(len(answer.split()))


def _plans(federation: Any) -> list[RoundPlan]:
    home = ServerHome(federation.home)
    public = SigningKey.load(home.key).public
    return [
        open_signed(home.plan(n).read_bytes(), PLAN_DOMAIN, RoundPlan, public) for n in range(1, _ROUNDS + 1)
    ]


def test_a_program_runs_through_every_stage(federation: Any) -> None:
    made = federation()
    events: list[ProgramEvent] = []
    result = run(made.grid(), made.home, gold=_gold, progress=events.append)
    home, plans = ServerHome(made.home), _plans(made)
    assert result.rounds == _ROUNDS and events[-1].kind == "done"
    assert [p.stage for p in plans] == [
        Stage.SFT, Stage.SFT, Stage.LABEL, Stage.REWARD, Stage.REWARD, Stage.PPO, Stage.PPO,
    ]  # fmt: skip
    assert [p.part for p in plans] == [Part.B, Part.A, Part.BOTH, Part.B, Part.A, Part.B, Part.A]
    assert plans[2].outputs == () and all(".lora_B." in o.name for o in plans[0].outputs)
    state = load_state(home.state)
    assert state is not None and state.status == "finished" and state.score is not None
    assert plans[5].inputs["reference"] == plans[2].inputs["policy"] == state.reference
    assert plans[5].inputs["reward"] == state.reward
    assert (plans[5].training.score_mean, plans[5].training.score_std) == state.score
    assert {o.name for o in plans[5].outputs} >= {"value_head.weight", "value_head.bias"}
    assert [line["stage"] for line in read_history(home.history)] == [p.stage.value for p in plans]
    figures = json.loads(home.evaluation.read_text())
    assert figures["reward_model"]["length_baseline"] == 1.0
    assert figures["policy"]["judge"] == "gold" and 0 <= figures["policy"]["win_rate"] <= 1
    assert figures["policy"]["kl"] >= 0 and len(figures["samples"]) == 2
    assert figures["heldout"]["perplexity_sft"] > 1 and figures["closed"]["majority"] == 0.5
    assert not list((made.home / "inbox").iterdir())


def test_schedule_holds_every_charged_slot_before_the_first_request(federation: Any) -> None:
    made = federation()
    run(made.grid(), made.home)
    home = ServerHome(made.home)
    public = SigningKey.load(home.key).public
    schedule = open_signed(home.schedule.read_bytes(), PROGRAM_DOMAIN, ProgramSchedule, public)
    assert [(s.stage, s.round) for s in schedule.slots] == [(Stage.REWARD, 1), (Stage.REWARD, 2)]
    assert [p.schedule is not None for p in _plans(made)] == [p.mechanism is not None for p in _plans(made)]
    assert len(made.wards["alpha"].schedules) == 2


def test_the_new_adapter_is_the_old_plus_the_mean_in_site_order(federation: Any) -> None:
    made = federation()
    run(made.grid(), made.home)
    home, plan = ServerHome(made.home), _plans(made)[3]
    state = load_state(home.state)
    assert state is not None
    registry = Registry(home.adapters, SigningKey.load(home.key), plan.lora)
    before, after = registry.load(plan.inputs["reward"]), registry.load(str(state.rounds[3].adapter))
    total = {output.name: np.zeros(output.shape) for output in plan.outputs}
    for site in sorted(made.wards):
        _, tensors = open_update(made.wards[site].sealed[plan.digest], made.wards[site].key.public)
        for name, array in decode(tensors).items():
            total[name] = total[name] + array.astype(np.float64)
    for name, array in before.items():
        wanted = (array.astype(np.float64) + total.get(name, np.zeros(1)) / 3).astype(np.float32)
        np.testing.assert_array_equal(after[name], wanted)


def test_same_seed_same_bytes(federation: Any) -> None:
    first, second = federation("one"), federation("two")
    a, b = run(first.grid(), first.home), run(second.grid(), second.home)
    assert (a.policy, a.reward, a.run_id) == (b.policy, b.reward, b.run_id)
    assert [p.digest for p in _plans(first)] == [p.digest for p in _plans(second)]
    assert a.evaluation == b.evaluation


def test_without_a_seed_two_runs_share_nothing(federation: Any) -> None:
    def change(table: dict[str, Any]) -> None:
        del table["program"]["seed"]

    first, second = federation("one", change), federation("two", change)
    a, b = run(first.grid(), first.home), run(second.grid(), second.home)
    assert a.run_id != b.run_id
    assert _plans(first)[0].nonce != _plans(second)[0].nonce


def test_receipts_come_back_with_the_next_request(federation: Any) -> None:
    made = federation()
    run(made.grid(), made.home)
    ward = made.wards["beta"]
    assert [r.round for r in ward.receipts] == list(range(1, _ROUNDS))
    assert [r.ledger_sequence for r in ward.receipts] == [2 * n for n in range(1, _ROUNDS)]


class _Killed(Exception):
    pass


_WHOLE: dict[str, Any] = {}


@pytest.mark.parametrize(
    ("place", "at"),
    [("append_history", 3), ("save_state", 1), ("save_state", 10), ("save_state", 12)]
    + [("write_durably", at) for at in (1, 2, 5, 15, 24, 29)],
)
def test_killed_anywhere_it_goes_on_and_asks_no_round_twice(
    federation: Any, monkeypatch: pytest.MonkeyPatch, place: str, at: int
) -> None:
    if not _WHOLE:
        whole = federation("whole")
        _WHOLE["result"] = run(whole.grid(), whole.home)
    wanted = _WHOLE["result"]
    made = federation("killed")
    _kill_once(monkeypatch, place, at)
    with pytest.raises(_Killed):
        run(made.grid(), made.home)
    monkeypatch.undo()
    result = run(made.grid(), made.home)
    assert (result.policy, result.reward, result.evaluation) == (
        wanted.policy, wanted.reward, wanted.evaluation,
    )  # fmt: skip
    for ward in made.wards.values():
        assert ward.sequence == 2 * _ROUNDS  # nothing was charged twice
        assert len({p.digest for p in ward.plans}) == _ROUNDS
    history = read_history(ServerHome(made.home).history)
    assert [line["round"] for line in history] == list(range(1, _ROUNDS + 1))


def test_a_site_that_refuses_is_left_out_and_named(federation: Any) -> None:
    made = federation()
    made.wards["beta"].code = "BUDGET"
    run(made.grid(), made.home)
    lines = read_history(ServerHome(made.home).history)
    assert all(line["sites"] == ["alpha", "gamma"] for line in lines)
    assert all(line["missing"] == {"beta": "BUDGET"} for line in lines)


def test_no_quorum_fails_and_the_same_plan_is_sent_again(federation: Any) -> None:
    made = federation()
    made.wards["alpha"].code = made.wards["beta"].code = "ABORTED"
    with pytest.raises(RoundFailed, match="alpha ABORTED, beta ABORTED"):
        run(made.grid(), made.home)
    made.wards["alpha"].code = made.wards["beta"].code = "OK"
    run(made.grid(), made.home)
    assert {p.digest for p in made.wards["alpha"].plans if p.round == 1} == {_plans(made)[0].digest}
    assert len([p for p in made.wards["gamma"].plans if p.round == 1]) == 1  # its bytes were here already


def test_a_finished_program_does_nothing_more(federation: Any) -> None:
    made = federation()
    first = run(made.grid(), made.home)
    asked = len(made.wards["alpha"].plans)
    assert run(made.grid(), made.home) == first
    assert len(made.wards["alpha"].plans) == asked


def _rewrite(federation: Any, old: str, new: str) -> None:
    path = ServerHome(federation.home).program
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_changed_program_is_not_continued(federation: Any) -> None:
    made = federation()
    run(made.grid(), made.home)
    _rewrite(made, "noise_multiplier = 1.0", "noise_multiplier = 0.5")
    with pytest.raises(ConfigError, match="changed since the run began"):
        run(made.grid(), made.home)


def test_waiting_times_may_change(federation: Any) -> None:
    made = federation()
    run(made.grid(), made.home)
    _rewrite(made, "round_deadline_s = 20.0", "round_deadline_s = 30.0")
    run(made.grid(), made.home)


@pytest.mark.parametrize(
    ("file", "content", "error", "match"),
    [
        ("sft.jsonl", '{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n', InputError, "line 2"),
        ("sft.jsonl", "not json\n", InputError, "line 1"),
        ("pairs.jsonl", "", ConfigError, "no record"),
        ("closed.jsonl", '{"prompt": "a", "label": "perhaps"}\n', InputError, "line 1"),
    ],
)
def test_bad_public_data_stops_before_anything_is_written(
    federation: Any, file: str, content: str, error: type[Exception], match: str
) -> None:
    made = federation()
    (made.home / file).write_text(content)
    with pytest.raises(error, match=match) as caught:
        run(made.grid(), made.home)
    assert "perhaps" not in str(caught.value) and "not json" not in str(caught.value)
    assert not ServerHome(made.home).state.exists() and not made.wards["alpha"].plans


def test_a_wrong_model_pin_is_refused(federation: Any) -> None:
    made = federation(change=lambda table: table["model"].update(sha256="0" * 64))
    with pytest.raises(ModelError, match="pinned"):
        run(made.grid(), made.home)


def test_a_tampered_adapter_stops_the_program(federation: Any) -> None:
    made = federation()
    made.wards["alpha"].before = made.wards["beta"].before = lambda plan: _stop_at(plan, 5)
    with pytest.raises(RoundFailed):
        run(made.grid(), made.home)
    for ward in made.wards.values():
        ward.before = None
    state = load_state(ServerHome(made.home).state)
    assert state is not None and state.reward is not None
    path = made.home / "adapters" / state.reward[:16] / "adapter_model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(Exception, match="changed after signing"):
        run(made.grid(), made.home)


def _stop_at(plan: RoundPlan, number: int) -> None:
    if plan.round == number:
        raise RuntimeError("ward died")


def test_dpo_starts_from_sft_and_a_reward_model_may_too(federation: Any) -> None:
    def change(table: dict[str, Any]) -> None:
        charged = {key: table["stages"][2][key] for key in ("mechanism", "training")}
        table["stages"][2]["initial"] = "policy"
        table["stages"][3] = {"stage": "dpo", "rounds": 2, "parts": "both", **charged}

    made = federation(change=change)
    result = run(made.grid(), made.home)
    plans, home = _plans(made), ServerHome(made.home)
    registry = Registry(home.adapters, SigningKey.load(home.key), plans[0].lora)
    sft = plans[2].inputs["policy"]
    assert plans[5].inputs == {"policy": sft, "reference": sft} and plans[5].part is Part.BOTH
    assert plans[6].inputs["reference"] == sft != plans[6].inputs["policy"]
    start = registry.load(plans[3].inputs["reward"])
    for name, array in registry.load(sft).items():
        np.testing.assert_array_equal(start[name], array)
    assert set(start) - set(registry.load(sft)) == {"score.weight"}
    assert registry.read(plans[3].inputs["reward"])[0].parents == (sft,)
    assert "value_head.weight" not in registry.load(str(result.policy))


def test_charged_ppo_calibrates_on_public_prompts(federation: Any) -> None:
    def change(table: dict[str, Any]) -> None:
        del table["stages"][3]["public"]
        table["stages"][3]["mechanism"] = table["stages"][2]["mechanism"]

    made = federation(change=change)
    run(made.grid(), made.home)
    plan = _plans(made)[5]
    assert plan.public_data is None and plan.mechanism is not None and plan.schedule is not None
    assert plan.training.score_std != 1.0
    assert len(made.wards["alpha"].schedules[0].slots) == 4


def test_lineage_leads_from_the_policy_back_to_an_untouched_adapter(federation: Any) -> None:
    made = federation()
    result = run(made.grid(), made.home)
    home = ServerHome(made.home)
    registry = Registry(home.adapters, SigningKey.load(home.key), _plans(made)[0].lora)
    stages, seen, left = set(), set(), [str(result.policy)]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        manifest, _ = registry.read(name)
        stages.add((manifest.stage, manifest.round))
        assert manifest.simulated and bool(manifest.plans) == bool(manifest.round)
        assert set(manifest.ledger_heads) == (set(made.wards) if manifest.round else set())
        left += manifest.parents
    assert stages >= {(Stage.SFT, n) for n in (0, 1, 2)} | {(Stage.REWARD, n) for n in (0, 4, 5)}
    assert stages >= {(Stage.PPO, n) for n in (0, 6, 7)}


def _kill_once(monkeypatch: pytest.MonkeyPatch, place: str, at: int) -> None:
    real, calls = getattr(program_module, place), [0]

    def dies(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] == at:
            raise _Killed
        return real(*args, **kwargs)

    monkeypatch.setattr(program_module, place, dies)


def test_after_a_crash_the_same_random_plan_is_sent(federation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def change(table: dict[str, Any]) -> None:
        del table["program"]["seed"]
        table["stages"] = table["stages"][:1]

    made = federation(change=change)
    _kill_once(monkeypatch, "append_history", 1)
    made.wards["beta"].code = "ABORTED"  # asked in both attempts
    with pytest.raises(_Killed):
        run(made.grid(), made.home)
    monkeypatch.undo()
    run(made.grid(), made.home)
    for ward in made.wards.values():
        assert len({p.digest for p in ward.plans}) == 2


def test_a_closed_round_keeps_its_sites_although_another_is_back(
    federation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = federation(change=lambda table: table.update(stages=table["stages"][:1]))
    _kill_once(monkeypatch, "append_history", 1)
    made.wards["beta"].code = "ABORTED"
    with pytest.raises(_Killed):
        run(made.grid(), made.home)
    monkeypatch.undo()
    made.wards["beta"].code = "OK"
    run(made.grid(), made.home)
    lines = read_history(ServerHome(made.home).history)
    assert [line["sites"] for line in lines] == [["alpha", "gamma"], ["alpha", "beta", "gamma"]]
    assert [p.round for p in made.wards["beta"].plans] == [1, 2]
