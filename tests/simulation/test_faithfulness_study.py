"""Metrics against counted facts: right on made-up ratings, and what the real ones gave stands in RESULTS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intraward_shared.errors import ConfigError
from intraward_simulation import faithfulness


def _rated(path: Path, dialogues: int) -> Path:
    """Dialogues with a summary that is right and one with a wrong number; people counted just that."""
    rows = []
    for n in range(dialogues):
        age = 20 + n
        answers = [
            {"text": f"Aged {age}, with fever.", "factual_precision": 1.0, "hallucination_rate": 0.0},
            {"text": f"Aged {age + 30}, with fever.", "factual_precision": 0.5, "hallucination_rate": 0.5},
        ]
        answers = [answer | {"factual_recall": n % 3 / 2, "score": 0.5} for answer in answers]
        rows.append({"id": f"d{n}", "prompt": f"Patient: I am {age} and have fever.", "answers": answers})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_metric_that_counts_what_people_counted_correlates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faithfulness, "DRAWS", 20)
    found = faithfulness.validate(_rated(tmp_path / "ranked.jsonl", 24))
    assert (found["summaries"], found["dialogues"]) == (48, 24)
    numbers = found["metrics"]["numbers"]
    assert numbers["precision"]["spearman"] == pytest.approx(1.0) and numbers["precision"]["kendall"] == 1.0
    assert numbers["no_hallucination"]["spearman"] == pytest.approx(1.0)
    assert numbers["precision"]["spearman_interval"] == pytest.approx([1.0, 1.0])
    assert abs(numbers["recall"]["spearman"]) < 0.2 and numbers["f1"]["spearman"] == 0.0
    assert found["metrics"]["polarity"]["precision"]["spearman"] == 0.0  # always right, so it says nothing


def test_too_few_dialogues_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="fewer than 20"):
        faithfulness.validate(_rated(tmp_path / "ranked.jsonl", 3))


def test_a_metric_that_no_summary_has_says_so_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faithfulness, "DRAWS", 20)
    counted = {"factual_precision": 1.0, "hallucination_rate": 0.0, "factual_recall": 1.0, "score": 1.0}
    rows = [
        {"id": f"d{n}", "prompt": "Patient: fever.", "answers": [counted | {"text": "Fever."}]}
        for n in range(24)
    ]
    path = tmp_path / "ranked.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert faithfulness.validate(path)["metrics"]["numbers"]["precision"] == {"summaries": 0}
