"""How the researcher's commands on the pages are tried: runs, studies and attacks, small ones."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
from tests.e2e.desk import Desk
from tests.e2e.study_rows import lay_study

from intraward_simulation import models
from intraward_simulation import scenario as scenarios
from intraward_simulation.attacks import poisoning
from intraward_simulation.studies import dealing

SHIPPED = scenarios.scenario_path


def studies(desk: Desk, words: list[str]) -> bool:
    """The shipped study of that name, cut down to one step and the desk's model, on a few made-up rows."""
    out, name = Path(words[words.index("--out") + 1]), words[2]
    path = lay_study(Path(f"{name}-small"), SHIPPED(name), desk.model)
    words = ["intraward-simulate", "run", str(path), "--data", str(path.parent / "data"), "--out", str(out)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scenarios, "scenario_path", SHIPPED)
        patch.setattr(dealing, "TEST_PAIRS", 8)
        good = desk.call(words) == 0
    return good and bool(json.loads((out / "study.json").read_text(encoding="utf-8"))["sets"])


def runs(desk: Desk, line: str) -> bool:
    """A small run that lacks its report goes on to its end; ``--model`` and ``--processes`` are obeyed."""
    words = desk.words(line, DIR=".")
    if words[2].startswith("study-"):
        return studies(desk, words)
    out = Path(words[words.index("--out") + 1])
    model = words[words.index("--model") + 1] if "--model" in words else None
    desk.lay_run(out, model)
    if desk.call(words) != 0:
        return False
    figures = json.loads((out / "report.json").read_text(encoding="utf-8"))["run"]
    return (figures["processes"], figures["model"]["name"] == model) == (
        "--processes" in words,
        model is not None,
    )


def poisons(desk: Desk, line: str) -> bool:
    """One round under one rule, of hospitals with a few patients and the desk's model."""
    small = partial(poisoning.run_poisoning, rules=("mean",), rounds=1, patients=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poisoning, "run_poisoning", small)
        patch.setattr(poisoning, "TOLERANCE", 1.0)
        patch.setattr(poisoning, "PAIRS", 20)
        patch.setattr(models, "build_tiny", lambda *_: desk.model)
        words = desk.words(line)
        good = desk.call(words) == 0
    found = json.loads(Path(words[words.index("--out") + 1]).read_text())
    return good and [row["refused"] for row in found["rows"]] == [[], [11], []]


def attacks(desk: Desk, line: str) -> bool:
    """At one claim and with one seed, to save time; the result is written and passes."""
    words = [*desk.words(line), *(() if "--seed" in line else ("--epsilon", "8", "--seed", "1"))]
    return desk.call(words) == 0 and json.loads(Path(words[words.index("--out") + 1]).read_text())["passed"]


def correlates(desk: Desk, line: str) -> bool:
    """Rated summaries of the fewest dialogues that are enough."""
    counted = dict.fromkeys(("factual_precision", "hallucination_rate", "factual_recall", "score"), 0.5)
    rows = [
        {"id": f"d{n}", "prompt": f"Patient: I am {n}.", "answers": [counted | {"text": f"Aged {n % 7}."}]}
        for n in range(20)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (desk.root / "ranked.jsonl").write_text(text, encoding="utf-8")
    return desk.call(desk.words(line)) == 0
