"""The researcher's critique command: scores per answer, and nobody's words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.cli import app
from intraward_simulation.critique import critique_file

ROWS = [
    {"prompt": "Crushing zebulon chest pain.", "answer": "Drink zebulon tea, you will be fine."},
    {"prompt": "A zebulon cold.", "answer": "It may last a week; see a doctor if not."},
]
SHAPING = """
veto_reward = -10.0
[[rules]]
kind = "avoid"
name = "no-tea"
terms = ["tea"]
veto = true
[[rules]]
kind = "mention"
name = "doctor"
terms = ["doctor"]
penalty = 0.5
"""


@pytest.fixture
def answers(tmp_path: Path) -> Path:
    file = tmp_path / "answers.jsonl"
    file.write_text("\n".join(map(json.dumps, ROWS)), encoding="utf-8")
    return file


def test_every_answer_gets_a_score_and_the_names_of_what_it_broke(answers: Path) -> None:
    found = critique_file(answers)
    assert found["answers"] == 2 and found["fired"] == {}
    bad, good = found["each"]
    assert bad["broken"] == ["uncertainty", "urges-care", "no-promises"] and good["broken"] == []
    assert bad["critique"] == 0.4 and good["critique"] == 1.0 and found["critique"] == 0.7
    assert found["kept"]["urges-care"] == [0, 1] and found["kept"]["no-promises"] == [1, 2]


def test_a_plans_own_terms_can_be_tried(answers: Path, tmp_path: Path) -> None:
    terms = tmp_path / "shaping.toml"
    terms.write_text(SHAPING, encoding="utf-8")
    found = critique_file(answers, terms)
    assert found["fired"] == {"no-tea": 1, "doctor": 1} and found["kept"] == {}
    assert [row["vetoed"] for row in found["each"]] == [True, False]
    assert [row["penalty"] for row in found["each"]] == [0.5, 0.0]


def test_the_command_prints_json_without_a_word_of_the_file(answers: Path) -> None:
    told = CliRunner().invoke(app, ["critique", str(answers)])
    assert told.exit_code == 0 and json.loads(told.stdout)["answers"] == 2
    assert "zebulon" not in told.output


def test_what_is_wrong_is_named_by_line_and_key(tmp_path: Path, answers: Path) -> None:
    file = tmp_path / "wrong.jsonl"
    file.write_text('{"prompt": "zebulon", "answer": ""}', encoding="utf-8")
    with pytest.raises(InputError, match="line 1: field 'answer' is empty") as caught:
        critique_file(file)
    assert "zebulon" not in str(caught.value)
    file.write_text('{"prompt": "zebulon", "answer": 7}', encoding="utf-8")
    with pytest.raises(InputError, match="not text"):
        critique_file(file)
    terms = tmp_path / "shaping.toml"
    terms.write_text("overlong = 1", encoding="utf-8")
    with pytest.raises(ConfigError, match="overlong"):
        critique_file(answers, terms)


def test_rows_can_be_ranked_by_what_the_terms_add(answers: Path, tmp_path: Path) -> None:
    assert [row["reward"] for row in critique_file(answers)["each"]] == [0.4, 1.0]
    terms = tmp_path / "shaping.toml"
    named = 'critique_coef = 2.0\ncritique = [{name = "uncertainty"}]\n'
    terms.write_text(named + SHAPING, encoding="utf-8")
    answers.write_text("\ufeff\n" + answers.read_text(encoding="utf-8"), encoding="utf-8")
    found = critique_file(answers, terms)["each"]
    assert [(row["line"], row["reward"]) for row in found] == [(2, -10.0), (3, 2.0)]


def test_terms_that_a_program_would_refuse_are_refused(answers: Path, tmp_path: Path) -> None:
    terms = tmp_path / "shaping.toml"
    terms.write_text(SHAPING.replace("-10.0", "-1.0"), encoding="utf-8")
    with pytest.raises(ConfigError, match="veto_reward") as caught:
        critique_file(answers, terms)
    assert "-4.5" in str(caught.value)
    terms.write_text("[stages.training.shaping]\ncritique_coef = 1.0", encoding="utf-8")
    with pytest.raises(ConfigError, match="at the top of the file"):
        critique_file(answers, terms)


def test_a_file_that_cannot_be_read_is_told_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        critique_file(tmp_path / "nope.jsonl")
    with pytest.raises(ConfigError, match="is a folder"):
        critique_file(tmp_path)
    file = tmp_path / "latin.jsonl"
    file.write_bytes(b'\n{"prompt": "caf\xe9"}')
    with pytest.raises(InputError, match="line 2: not UTF-8"):
        critique_file(file)
