"""The reward study's own parts: synthetic rankings, ratings of judged answers, tables in literal numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from intraward_client.store.datasets import AnswerMarks, RankingRecord
from intraward_simulation.studies import accuracy, judged, reward, synthetic
from intraward_simulation.studies.judged import Prompt

NOTE = "Pain is {0}. Fever since day {0}. No cough at {0}."
SECTION = "{0} text that says much. More of {1}."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Twelve articles of two sections each, and twelve dialogues with notes."""
    articles = [
        {
            "doc": f"d{number}",
            "focus": f"topic {number}",
            "qtype": asked,
            "prompt": f"{asked} of {number}?",
            "response": SECTION.format(asked, number),
        }
        for number in range(12)
        for asked in ("causes", "symptoms")
    ]
    _lay(tmp_path / synthetic.ARTICLES, articles)
    dialogues = [{"prompt": f"talk {n}", "response": NOTE.format(n)} for n in range(12)]
    _lay(tmp_path / synthetic.DIALOGUES, dialogues)
    return tmp_path


def _lay(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def by_rank(ranking: RankingRecord) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for rank, text in zip(ranking.ranks, ranking.answers, strict=True):
        found.setdefault(rank, []).append(text)
    return found


def test_a_section_is_above_its_part_another_section_and_another_article(data: Path) -> None:
    made = synthetic.article_rankings(data, 20, seed=1)
    assert len(made) == 20
    for ranking in made:
        asked, number = ranking.prompt.rstrip("?").split(" of ")
        levels = by_rank(ranking)
        assert levels[1] == [SECTION.format(asked, number)]
        assert len(levels[2]) == 2 and levels[2][0] in levels[1][0]
        assert levels[2][1].startswith("symptoms" if asked == "causes" else "causes")
        foreign = levels.get(3, [])
        assert all(text.startswith(asked) and not text.endswith(f"of {number}.") for text in foreign)
    assert sum(3 in by_rank(ranking) for ranking in made) > 10


def test_a_note_is_above_its_part_a_stranger_s_sentence_and_a_stranger(data: Path) -> None:
    made = synthetic.dialogue_rankings(data, 10, (), seed=1)
    assert len(made) == 10
    for ranking in made:
        own = NOTE.format(ranking.prompt.split()[1])
        sentences, levels = set(synthetic._sentences(own)), by_rank(ranking)
        assert levels[1] == [own] and len(levels[2]) == 2
        part, mixed = (set(synthetic._sentences(text)) for text in levels[2])
        assert part < sentences and len(mixed - sentences) == 1 and len(mixed) == len(sentences)
        assert all(not set(synthetic._sentences(text)) & sentences for text in levels[3])


def test_no_worse_answer_is_longer_than_the_reference(data: Path) -> None:
    made = synthetic.article_rankings(data, 24, seed=3) + synthetic.dialogue_rankings(data, 12, (), seed=3)
    assert len(made) == 36
    for ranking in made:
        assert max(map(len, ranking.answers)) == len(ranking.answers[0])


def test_no_judged_prompt_is_among_them_and_a_seed_repeats(data: Path) -> None:
    known = {f"talk {n}" for n in range(8)}
    made = synthetic.dialogue_rankings(data, 40, known, seed=1)
    assert {ranking.prompt for ranking in made} == {f"talk {n}" for n in range(8, 12)}
    assert made == synthetic.dialogue_rankings(data, 40, known, seed=1)
    assert made != synthetic.dialogue_rankings(data, 40, known, seed=2)
    assert synthetic.article_rankings(data, 9, 1) != synthetic.article_rankings(data, 9, 2)


def test_grades_and_fact_counts_become_ratings_from_1_to_5(tmp_path: Path) -> None:
    counted = {"factual_precision": 1.0, "factual_recall": 0.5}
    graded = {
        "medquad_judged": [{"text": "good", "score": 4}, {"text": "poor", "score": 1}],
        "mts_summary_ratings": [{"text": "good", "score": 0.75} | counted, {"text": "poor", "score": 0.0}],
    }
    for source, answers in graded.items():
        _lay(tmp_path / source / "ranked.jsonl", [{"id": "p", "prompt": "ask", "answers": answers}])
        _lay(tmp_path / source / "pairs.jsonl", [{"prompt_id": "p", "chosen": "good", "rejected": "poor"}])
    articles, notes = judged.read_judged(tmp_path)
    assert articles.marks == (AnswerMarks((("quality", 5.0),)), AnswerMarks((("quality", 1.0),)))
    assert notes.marks[0] == AnswerMarks((("quality", 4.0), ("precision", 5.0), ("recall", 3.0)))
    assert judged.ranking(notes).marks == notes.marks


def test_accuracy_in_literal_numbers() -> None:
    prompts = [
        Prompt(
            "a",
            "medquad_judged",
            "q",
            ("one", "two", "six words are in this one"),
            (3, 2, 1),
            ((0, 1), (0, 2)),
        ),
        Prompt("b", "medquad_judged", "q", ("one", "two"), (2, 1), ((0, 1),)),
    ]
    ours = accuracy.outcomes_of(prompts, {"a": [2.0, 2.0, 1.0], "b": [1.0, 3.0]})
    assert ours == {"a": [0.5, 1.0], "b": [0.0]}
    columns = {"reward_model": [ours], "longer_wins": [{"a": [0.5, 0.0], "b": [0.5]}]}
    columns["tfidf_length_overlap"] = [{"a": [1.0, 1.0], "b": [1.0]}]
    table = accuracy.accuracy_table(prompts, columns, seed=0)["medquad_judged"]
    assert (table["prompts"], table["pairs"], table["length_matched_pairs"]) == (2, 3, 2)
    assert table["reward_model"]["accuracy"] == 0.5
    assert table["reward_model"]["mean_over_prompts"] == 0.375
    assert table["reward_model"]["length_matched"] == 0.25
    assert table["reward_model"]["interval"] == [0.0, 0.75]
    assert table["gain_over_longer_wins"]["mean"] == pytest.approx(0.5 - 1 / 3)
    assert table["gain_over_tfidf_length_overlap"]["mean"] == -0.5


def test_seeds_are_averaged_each_on_its_own_scale() -> None:
    found = reward.mean_scores([{"a": [0.0, 2.0]}, {"a": [300.0, 100.0]}, {"a": [7.0, 7.0]}])
    assert found["a"][0] == found["a"][1]  # the first two disagree alike, the third says nothing
