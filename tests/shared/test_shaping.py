"""Shaping of rewards in a plan: contradictions are refused in words, and the signed bytes are one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.program import StageConfig
from intraward_shared.protocol import TrainingSpec, from_bytes, to_bytes
from intraward_shared.shaping import ShapingTerms

TOML = """
[[rules]]
kind = "dose"
name = "paracetamol"
drugs = ["paracetamol", "acetaminophen"]
unit = "mg"
low = 100
high = 1000
veto = true

[[rules]]
kind = "mention"
name = "safety-net"
terms = ["see a doctor", "seek care"]
when = ["fever"]
penalty = 0.5

[[rules]]
kind = "refusal"
name = "no-refusal"
expected = false
unless = ["overdose"]
penalty = 1

[[rules]]
kind = "identifiers"
name = "identifiers"
veto = true

[[rules]]
kind = "repetition"
name = "repetition"
penalty = 1.0
"""
TOPS = """
veto_reward = -9.5
critique_coef = 0.5
critique = [{ name = "uncertainty" }]
overlong_tokens = 8
overlong_penalty = 1.0
"""
AVOID = {"kind": "avoid", "name": "a", "terms": ["x"]}


def training(**shaping: Any) -> dict[str, Any]:
    return {"learning_rate": 0.01, "steps": 1, "shaping": shaping}


def test_terms_come_from_toml_and_survive_the_signed_bytes() -> None:
    table = tomllib.loads(TOPS + TOML)
    spec = parse(training(**table), TrainingSpec, Path("program.toml"))
    assert [rule.kind for rule in spec.shaping.rules] == [
        "dose",
        "mention",
        "refusal",
        "identifiers",
        "repetition",
    ]
    assert from_bytes(to_bytes(spec), TrainingSpec) == spec


@pytest.mark.parametrize(
    ("shaping", "said"),
    [
        ({"rules": [AVOID]}, "either a penalty above 0 or veto"),
        ({"rules": [AVOID | {"veto": True, "penalty": 1.0}]}, "either a penalty above 0 or veto"),
        ({"rules": [AVOID | {"veto": True}]}, "veto_reward is needed"),
        ({"veto_reward": -10.0}, "veto_reward is needed"),
        ({"rules": [AVOID | {"veto": True}], "veto_reward": -3.9}, "at most -4"),
        ({"rules": [AVOID | {"penalty": 1.0}] * 2}, "two rules have the same name"),
        ({"rules": [AVOID | {"penalty": 1.0, "terms": ["--"]}]}, "pattern"),
        ({"rules": [AVOID | {"penalty": 1.0, "terms": []}]}, "at least 1 item"),
        ({"rules": [AVOID | {"penalty": 1.0, "regex": "a+"}]}, "unknown key"),
        ({"rules": [{"kind": "code", "name": "a"}]}, "does not match any"),
        (
            {"rules": [{"kind": "refusal", "name": "a", "expected": True, "penalty": 1.0}]},
            "needs when",
        ),
        (
            {
                "rules": [
                    {"kind": "dose", "name": "d", "drugs": ["x"], "unit": "mg", "low": 2, "high": 1}
                    | {"penalty": 1.0}
                ]
            },
            "low is above high",
        ),
        ({"critique_coef": 0.5}, "given together"),
        ({"critique": [{"name": "uncertainty"}]}, "given together"),
        ({"critique": [{"name": "kindness"}], "critique_coef": 1.0}, "Input should be"),
        ({"overlong_tokens": 4}, "given together"),
        ({"overlong_tokens": 33, "overlong_penalty": 1.0}, "above max_completion_tokens"),
    ],
)
def test_what_contradicts_itself_is_refused_in_words(shaping: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(training(**shaping), TrainingSpec, Path("program.toml"))
    assert said in str(caught.value)


def test_a_veto_is_below_every_other_reward() -> None:
    rules = [AVOID | {"veto": True}, AVOID | {"name": "b", "penalty": 2.0}]
    more = {"overlong_tokens": 4, "overlong_penalty": 0.5}
    floor = -3.0 - 1.0 - 0.5 - 2.0
    TrainingSpec.model_validate(training(rules=rules, veto_reward=floor, **more))
    with pytest.raises(ValueError, match="lowest reward without a veto"):
        TrainingSpec.model_validate(training(rules=rules, veto_reward=floor + 0.01, **more))


def test_only_stages_that_sample_answers_are_shaped() -> None:
    shaping = {"overlong_tokens": 4, "overlong_penalty": 0.5}
    table = {"stage": "ppo", "public": "prompts.jsonl", "training": training(**shaping)}
    assert parse(table, StageConfig, "program.toml").training.shaping == ShapingTerms.model_validate(shaping)
    for stage in ("sft", "reward", "dpo"):
        with pytest.raises(ConfigError, match="only stages ppo and rloo"):
            parse(table | {"stage": stage}, StageConfig, "program.toml")
