"""Rubric files: the shipped ones, what a hospital's own may not say, and what a vote must say under them."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from intraward_client.labeling.judgment import KINDS, Flag, Vote
from intraward_client.labeling.rubric import by_kind, check_vote, load_rubric, shipped_rubrics
from intraward_shared.errors import ConfigError, ContractError

ANSWERS = (files("intraward_client.labeling") / "rubrics" / "answers.toml").read_text(encoding="utf-8")
PLAIN = Vote("item", "mira", ranks=(1, 2), strength=1)


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_rubrics_cover_every_kind() -> None:
    rubrics = shipped_rubrics()
    assert set(rubrics) == set(KINDS)
    assert [c.key for c in rubrics["answers"].criteria] == ["accuracy", "completeness", "safety", "clarity"]
    assert [c.key for c in rubrics["summaries"].criteria] == [
        *("cited", "accurate", "thorough", "useful", "organized", "comprehensible"),
        *("succinct", "synthesized", "non-stigmatizing"),
    ]
    assert {"harmful", "omitted-warning", "phi-visible"} <= rubrics["safety"].critical


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('key = "clarity"', 'key = "accuracy"', "'accuracy' is named twice, as entries 0 and 3"),
        ('key = "harmful"', 'key = "safety"', "'safety' is a criterion too"),
        ('name = "answers"', 'name = "answers"\nname = "answers"', "line 3"),
        ('label = "Clarity"', 'label = "Clarity"\nlabel = "x"', "not valid TOML"),
        ('label = "Clarity"', 'labl = "Clarity"', "did you mean label"),
        ('"Safe, with the warnings that belong to it",', "", "criteria.2.anchors"),
        ('kinds = ["answers", "safety"]', 'kinds = ["essays"]', "kinds.0"),
    ],
)
def test_a_wrong_rubric_is_refused_by_name_and_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    path = _written(tmp_path, ANSWERS.replace(old, new, 1))
    with pytest.raises(ConfigError, match=r"own\.toml") as refusal:
        load_rubric(path)
    assert told in str(refusal.value)


def test_a_kind_has_one_rubric(tmp_path: Path) -> None:
    path = _written(tmp_path, ANSWERS)
    with pytest.raises(ConfigError, match="no rubric is for 'summaries'"):
        by_kind([path])
    with pytest.raises(ConfigError, match="'answers' has another rubric already"):
        by_kind([path, path])


@pytest.mark.parametrize(
    "vote",
    [
        replace(PLAIN, ratings=({"beauty": 3}, {})),
        replace(PLAIN, flags=((Flag("ugly"),), ()), rationale="why"),
        replace(PLAIN, flags=((Flag("harmful"),), ()), rationale="  "),
        replace(PLAIN, strength=3),
    ],
)
def test_a_vote_that_the_rubric_does_not_know_or_that_lacks_a_reason(vote: Vote) -> None:
    with pytest.raises(ContractError):
        check_vote(vote, shipped_rubrics()["answers"])


def test_a_vote_that_fits_the_rubric() -> None:
    rubric = shipped_rubrics()["safety"]
    check_vote(PLAIN, rubric)
    check_vote(replace(PLAIN, strength=3, rationale="the dose"), rubric)
    check_vote(Vote("item", "mira", skipped="not-my-field"), rubric)
