"""The gold judge: named by the program, verified like any adapter, and never something that training uses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_server.evaluation import Limits, reward_scores
from intraward_server.gold import Gold, open_gold
from intraward_server.home import ServerHome
from intraward_server.modelcard import Lineage
from intraward_server.program import run
from intraward_server.registry import Registry
from intraward_server.session import open_session
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError, SignatureError
from intraward_shared.modeling import BaseModel, adapted, initial_state
from intraward_shared.program import ProgramConfig
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Stage

KEY = SigningKey.from_seed(b"c" * 32)
AVOID = {"kind": "avoid", "name": "avoid", "terms": ["w1"], "penalty": 0.5}
MENTION = {"kind": "mention", "name": "mention", "terms": ["w2"], "penalty": 0.25}
Table = dict[str, Any]


def words(prompt: str, answer: str) -> float:
    return float(len(answer.split()))


def opened(table: Table, base: BaseModel, folder: Path, run_id: str = "this", **gold: Any) -> Gold:
    table["evaluation"]["gold"] = gold
    found = open_gold(parse(table, ProgramConfig, "program.toml"), folder, base, run_id, KEY.public, words)
    assert found is not None
    return found


@pytest.fixture
def judge(tmp_path: Path, base: BaseModel, program: Table) -> Any:
    """``judge(stage, base_model=..., key=...)``: folder name of a signed adapter of another run."""
    lora = parse(program, ProgramConfig, "program.toml").lora

    def make(stage: Stage = Stage.REWARD, base_model: str | None = None, key: SigningKey = KEY) -> str:
        lineage = Lineage("other", stage, 1, base_model or base.digest, True, plans=("2" * 64,))
        registry = Registry(tmp_path / "gold", key, lora)
        state = initial_state(base, lora, stage, 9)
        return str(registry.path(registry.put(state, lineage)).relative_to(tmp_path))

    return make


def test_a_reward_adapter_of_another_run_judges_by_its_raw_score(
    program: Table, base: BaseModel, tmp_path: Path, judge: Any
) -> None:
    gold = opened(program, base, tmp_path, adapter=judge())
    lora = parse(program, ProgramConfig, "program.toml").lora
    state = initial_state(base, lora, Stage.REWARD, 9)
    with adapted(base, lora, ("reward",)) as model:
        model.load("reward", state)
        wanted = reward_scores(model, [("w3", "w4 w5"), ("w6", "w7")], Limits(8, 6))
    np.testing.assert_allclose(gold.judge(["w3", "w6"], ["w4 w5", "w7"]), wanted, atol=1e-6)
    assert "of run other" in gold.name


def test_rules_judge_and_the_programs_judge_comes_before_the_simulations(
    program: Table, base: BaseModel, tmp_path: Path
) -> None:
    gold = opened(program, base, tmp_path, shaping={"rules": [AVOID, MENTION]})
    assert gold.judge(["w9"] * 3, ["w1", "w1 w2", "w2"]) == [-0.75, -0.5, 0.0]
    config = parse(program | {"evaluation": {"prompts": "p"}}, ProgramConfig, "program.toml")
    fallback = open_gold(config, tmp_path, base, "this", KEY.public, words)
    assert fallback is not None and fallback.judge(["w9"], ["w1 w2"]) == [2.0]
    assert open_gold(config, tmp_path, base, "this", KEY.public, None) is None


def test_a_judge_that_is_of_this_run_of_another_model_or_no_reward_model_is_refused(
    program: Table, base: BaseModel, tmp_path: Path, judge: Any
) -> None:
    with pytest.raises(ConfigError, match="of this very run"):
        opened(program, base, tmp_path, run_id="other", adapter=judge())
    with pytest.raises(ConfigError, match="not a reward model"):
        opened(program, base, tmp_path, adapter=judge(Stage.SFT))
    with pytest.raises(ConfigError, match="another base model"):
        opened(program, base, tmp_path, adapter=judge(Stage.PPO, "5" * 64))


def test_a_judge_of_another_coordinator_needs_its_key(
    program: Table, base: BaseModel, tmp_path: Path, judge: Any
) -> None:
    stranger = SigningKey.from_seed(b"s" * 32)
    folder = judge(key=stranger)
    with pytest.raises(SignatureError):
        opened(program, base, tmp_path, adapter=folder)
    assert opened(program, base, tmp_path, adapter=folder, public_key=stranger.public).name


@pytest.mark.parametrize(
    ("gold", "words"),
    [
        ({}, "either an adapter or shaping"),
        ({"adapter": "a", "shaping": {"rules": [MENTION]}}, "either an adapter or shaping"),
        ({"public_key": "0" * 64, "shaping": {"rules": [MENTION]}}, "public_key is of an adapter"),
        ({"shaping": {}}, "needs rules or critique"),
        ({"shaping": {"rules": [MENTION], "overlong_tokens": 2, "overlong_penalty": 1.0}}, "no length"),
        (
            {"shaping": {"rules": [AVOID | {"name": "same", "penalty": 3.0}]}},
            "shapes the rewards of stage ppo",
        ),
        (
            {"shaping": {"critique": [{"name": "uncertainty", "weight": 2.0}], "critique_coef": 1.0}},
            "principle of evaluation.gold is one of stage ppo",
        ),
    ],
)
def test_what_a_stage_trains_with_cannot_be_gold(program: Table, gold: Table, words: str) -> None:
    shaping = {"rules": [AVOID], "critique": [{"name": "uncertainty"}], "critique_coef": 0.5}
    program["stages"][3]["training"] = program["stages"][3]["training"] | {"shaping": shaping}
    program["evaluation"]["gold"] = gold
    with pytest.raises(ConfigError, match=words):
        parse(program, ProgramConfig, "program.toml")


def test_a_run_records_kl_proxy_and_gold_of_every_policy_round_and_of_its_start(federation: Any) -> None:
    made = federation()
    result = run(made.grid(), made.home, gold=words)
    lines = [json.loads(line) for line in ServerHome(made.home).history.read_text().splitlines()]
    policy = [line["figures"] for line in lines if line["stage"] == "ppo"]
    for figures in policy:
        assert {"kl", "proxy_reward", "gold_reward", "gold_std_error"} <= set(figures)
    assert policy[0]["start"]["kl"] == pytest.approx(0, abs=1e-5) and "start" not in policy[1]
    told = result.evaluation["over_optimisation"]
    assert told["judge"] == "the simulation's own rule"
    assert [point["round"] for point in told["points"]] == [0, 1, 2]
    assert [point["gold"] for point in told["points"][1:]] == [f["gold_reward"] for f in policy]
    assert len(told["verdicts"]) == 1 and told["verdicts"][0]["words"]


def test_without_a_judge_nothing_is_said_of_gold(federation: Any) -> None:
    made = federation()
    result = run(made.grid(), made.home)
    assert result.evaluation["over_optimisation"] == {}
    assert "gold_reward" not in ServerHome(made.home).history.read_text()


def test_the_coordinator_may_hold_the_base_model_in_bf16(federation: Any) -> None:
    made = federation(change=lambda table: table["model"].update(dtype="bf16"))
    dtypes = {str(p.dtype) for p in open_session(made.home).base.network.parameters()}
    assert dtypes == {"torch.bfloat16"}
