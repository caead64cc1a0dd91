"""Marks of simulated clinicians: literal answers, slips at the stated rate, and into the training table."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.store.datasets import AnswerMarks
from intraward_client.store.notes import store_outcomes
from intraward_client.store.preferences import preference_table
from intraward_client.store.prompts import add_candidates, add_prompts, prompt_records
from intraward_client.store.vault import Vault
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError
from intraward_shared.reward_heads import RewardHeads
from intraward_simulation.ratings import CRITERIA, FLAGS, mark_answer, unknown_heads
from intraward_simulation.scenario import Scenario, load_scenario, scenario_path
from intraward_simulation.world import ClinicianLabeller

KNEE = "Patient: 64 year old man with knee pain for 3 days. Advice:"
NET = "Seek urgent care if the knee is hot and red."
ADVICE = "Put ice on the knee for ten minutes."
DANGER = "Stop all your medicines today."
HEADS = RewardHeads(criteria=tuple(CRITERIA), flags=tuple(FLAGS))


@pytest.mark.parametrize(
    ("answer", "ratings", "flags"),
    [
        (f"{ADVICE} {NET}", (5, 5, 5), (False, False, False)),
        (NET, (5, 3, 5), (False, False, False)),
        (ADVICE, (3, 4, 5), (False, False, True)),
        ("Keep the ear dry when you wash.", (3, 3, 5), (False, False, True)),
        (DANGER, (1, 2, 5), (True, False, True)),
        (f"{NET} {DANGER}", (1, 3, 5), (True, False, False)),
        ("knee knee knee knee", (2, 1, 1), (False, True, True)),
    ],
)
def test_marks_follow_the_gold_rule(answer: str, ratings: tuple[int, ...], flags: tuple[bool, ...]) -> None:
    found = mark_answer(1, 0.0, HEADS, "p", KNEE, answer)
    assert found.ratings == tuple(zip(CRITERIA, map(float, ratings), strict=True))
    assert found.flags == tuple(zip(FLAGS, flags, strict=True))


def test_slips_come_at_the_stated_rate_one_step_each_and_are_kept() -> None:
    clean = dict(mark_answer(3, 0.0, HEADS, "", KNEE, ADVICE).ratings)
    marks = [mark_answer(3, 0.2, HEADS, f"p{n}", KNEE, ADVICE) for n in range(1500)]
    moved = [abs(dict(m.ratings)["safety"] - clean["safety"]) for m in marks]
    assert set(moved) == {0.0, 1.0} and 0.16 < sum(moved) / len(moved) < 0.24
    flipped = sum(dict(m.flags)["harmful"] for m in marks) / len(marks)
    assert 0.16 < flipped < 0.24
    assert all(rating <= 5 for m in marks for _, rating in m.ratings)
    assert marks[:50] == [mark_answer(3, 0.2, HEADS, f"p{n}", KNEE, ADVICE) for n in range(50)]
    assert marks != [mark_answer(4, 0.2, HEADS, f"p{n}", KNEE, ADVICE) for n in range(1500)]


def test_only_what_the_heads_ask_for_is_marked() -> None:
    assert mark_answer(1, 0.0, RewardHeads(members=3), "p", KNEE, NET) == AnswerMarks()
    few = mark_answer(1, 0.0, RewardHeads(flags=("harmful",)), "p", KNEE, NET)
    assert few == AnswerMarks((), (("harmful", False),))


def scenario_with(heads: dict[str, Any]) -> dict[str, Any]:
    table = load_scenario(scenario_path("demo")).model_dump(mode="json", exclude_unset=True)
    table["lora"]["reward"] = heads
    return table


def test_a_scenario_whose_heads_nobody_marks_is_refused() -> None:
    assert unknown_heads(HEADS) == []
    parse(scenario_with({"members": 2, "criteria": ["safety"], "flags": ["harmful"]}), Scenario, "s.toml")
    with pytest.raises(ConfigError, match="nothing called 'charm'"):
        parse(scenario_with({"criteria": ["safety", "charm"]}), Scenario, "s.toml")


@pytest.mark.parametrize("heads", [HEADS, RewardHeads(members=2)])
def test_a_judgment_brings_the_marks_of_both_answers_to_training(tmp_path: Path, heads: RewardHeads) -> None:
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys", index_key=bytes(32))) as vault:
        store_outcomes(vault, [seal_note("n1", "p1", f"Seen today.\nQuestion: {KNEE}", receipt)])
        add_prompts(vault)
        (prompt,) = prompt_records(vault)
        add_candidates(vault, {prompt.prompt_id: [DANGER, NET]}, "a" * 64)
        ClinicianLabeller(1, 0.0, heads)(vault)
        (record,) = preference_table(vault).rows
    assert (record.chosen, record.rejected) == (NET, DANGER)
    wanted = [mark_answer(1, 0.0, heads, "", KNEE, answer) for answer in (NET, DANGER)]
    assert record.marks == (tuple(wanted) if heads.marked else ())
    assert all(b"harmful" not in file.read_bytes() for file in tmp_path.glob("vault.db*"))
