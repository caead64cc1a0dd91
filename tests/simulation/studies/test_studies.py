"""Studies: splits that never part a prompt, literal baselines and intervals, strict files, resumed runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from intraward_server import baselines
from intraward_shared import intervals
from intraward_shared.errors import ConfigError
from intraward_simulation.scenario import scenario_path
from intraward_simulation.studies import judged, run, sft
from intraward_simulation.studies.folder import UNITS
from intraward_simulation.studies.judged import Prompt
from intraward_simulation.studies.terms import is_study

TRAINING = (
    "learning_rate = 0.001\nbatch = 2\nmicro_batch = 2\n"
    "max_prompt_tokens = 16\nmax_completion_tokens = 16\noverlong = 'cut'\n"
)


def prompt(name: str, answers: tuple[str, ...], scores: tuple[float, ...]) -> Prompt:
    pairs = tuple(
        (a, b) for a in range(len(answers)) for b in range(len(answers)) if scores[a] >= scores[b] + 1
    )
    return Prompt(name, "medquad_judged", f"what is {name}", answers, scores, pairs)


PROMPTS = tuple(
    prompt(f"q{place}", ("the good long answer", "bad", "a middling one"), (4.0, 1.0, 2.0))
    for place in range(12)
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Both judged sets, the general pairs and both demonstration sets, a few rows each."""
    folder = tmp_path / "data"
    for source in judged.STEPS:
        best = judged.GRADES[source][1]
        ranked = [
            {
                "id": f"{source}-{p.name}",
                "prompt": p.text,
                "answers": [
                    {"text": t, "score": best * s / 4} for t, s in zip(p.answers, p.scores, strict=True)
                ],
            }
            for p in PROMPTS
        ]
        pairs = [
            {"prompt_id": f"{source}-{p.name}", "chosen": p.answers[a], "rejected": p.answers[b]}
            for p in PROMPTS
            for a, b in p.pairs
        ]
        _lay(folder / source / "ranked.jsonl", ranked)
        _lay(folder / source / "pairs.jsonl", pairs)
    general = [{"id": f"g{n}", "prompt": "ask", "chosen": "yes, safely", "rejected": "no"} for n in range(6)]
    _lay(folder / "hh_harmless_filtered" / "pairs.jsonl", general)
    for source, key in sft.SETS.items():
        rows = [
            {key: f"u{n // 2}", "prompt": f"{source} note {n}", "response": f"It is {n}. It rests {n}."}
            | {"focus": f"topic {n // 2}", "qtype": ("causes", "symptoms")[n % 2]}
            for n in range(80)
        ]
        _lay(folder / source / "sft.jsonl", rows)
    return folder


def _lay(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _file(folder: Path, kind: str, study: str = "", training: str = "") -> Path:
    path = folder / f"{kind}.toml"
    path.write_text(
        f'[run]\nname = "small"\nseed = 3\n[study]\nkind = "{kind}"\nseeds = [1]\nblocks = 1\n{study}'
        f"[training]\n{TRAINING}{training}",
        encoding="utf-8",
    )
    return path


def _with_model(path: Path, model: Path) -> Path:
    path.write_text(path.read_text().replace("seed = 3", f'seed = 3\nmodel = "{model}"'), encoding="utf-8")
    return path


def test_no_prompt_is_in_two_folds_and_every_prompt_is_tested_once() -> None:
    tested: list[str] = []
    for fold in range(4):
        training, test = judged.split(PROMPTS, fold, 4, seed=1)
        assert not {p.name for p in training} & {p.name for p in test}
        tested += [p.name for p in test]
    assert sorted(tested) == sorted(p.name for p in PROMPTS)


def test_a_fold_depends_on_the_prompt_and_the_seed_alone() -> None:
    before = {p.name: baselines.fold_of(p.name, 5, 1) for p in PROMPTS}
    assert before == {p.name: baselines.fold_of(p.name, 5, 1) for p in reversed(PROMPTS)}
    assert before != {p.name: baselines.fold_of(p.name, 5, 2) for p in PROMPTS}


def test_a_ranking_has_the_best_first_and_ties_within_a_step() -> None:
    made = judged.ranking(prompt("q", ("a", "b", "c"), (1.0, 4.0, 1.2)))
    assert made.answers[0] == "b"
    assert dict(zip(made.answers, made.ranks, strict=True)) == {"b": 1, "a": 2, "c": 2}


def test_a_long_ranking_keeps_best_and_worst() -> None:
    answers = tuple(f"answer {n}" for n in range(30))
    made = judged.ranking(prompt("q", answers, tuple(float(n) for n in range(30))))
    assert len(made.answers) == judged.MOST_ANSWERS
    assert {"answer 0", "answer 29"} <= set(made.answers)


def test_longer_wins_in_literal_numbers() -> None:
    asked = Prompt("q", "medquad_judged", "q", ("four", "a", "five"), (3, 1, 1), ((0, 1), (1, 0), (0, 2)))
    assert baselines.longer(asked) == [1.0, 0.0, 0.5]


def test_features_that_tell_the_better_answer_are_learnt() -> None:
    features = {p.name: np.array([[2.0, 0.0], [0.0, 0.0], [1.0, 0.0]]) for p in PROMPTS}
    found = baselines.fit_and_judge(PROMPTS[:8], PROMPTS[8:], features, 1.0)
    assert set(found) == {p.name for p in PROMPTS[8:]}
    assert all(value == 1.0 for values in found.values() for value in values)


def test_the_bootstrap_draws_groups_not_rows() -> None:
    mean, (low, high) = intervals.grouped_mean([1.0] * 99 + [0.0], ["a"] * 99 + ["b"], seed=0)
    assert mean == 0.99
    assert (low, high) == (0.0, 1.0)
    names = [str(number) for number in range(100)]
    _, (low, high) = intervals.grouped_mean([0.0, 1.0] * 50, names, seed=0)
    assert 0.35 < low < 0.45 and 0.55 < high < 0.65
    assert intervals.grouped_mean([0.5] * 4, ["a", "b", "c", "d"], seed=0) == (0.5, (0.5, 0.5))


def test_no_document_is_on_both_sides(data: Path) -> None:
    rows = sft.Demonstrations(data, 80, seed=3)
    outside = {_document(record.prompt) for records in rows.held_out.values() for record in records}
    inside = {_document(record.prompt) for record in rows.training}
    assert outside and inside and not outside & inside
    assert outside == {name.replace("/u", " ") for names in rows.documents.values() for name in names}


def _document(text: str) -> str:
    source, number = text.split(" note ")
    return f"{source} {int(number) // 2}"


@pytest.mark.parametrize(
    ("kind", "study", "training", "told"),
    [
        ("reward", "fold = 5\n", "", "did you mean folds"),
        ("reward", "", "steps = 4\n", "counts study.epochs"),
        ("sft", "", "", "needs the number of steps"),
        ("reward", "folds = 1\n", "", "study.folds"),
        ("sft", "folds = 5\n", "steps = 4\n", "unknown key"),
        ("other", "", "", "study.kind"),
    ],
)
def test_a_wrong_file_is_refused_in_clear_words(
    tmp_path: Path, kind: str, study: str, training: str, told: str
) -> None:
    with pytest.raises(ConfigError, match=told):
        run.load_study(_file(tmp_path, kind, study, training))


@pytest.mark.parametrize("name", ["study-reward", "study-sft"])
def test_shipped_studies_are_whole(name: str) -> None:
    path = scenario_path(name)
    assert is_study(path)
    assert run.load_study(path).run.name == name
    assert not is_study(scenario_path("demo"))


@pytest.mark.parametrize(
    ("kind", "study", "training"),
    [
        ("reward", "folds = 2\nwarm_pairs = 2\nwarm_rankings = 4\n", ""),
        ("sft", "held_out = 4\n", "steps = 1\n"),
    ],
)
def test_a_rerun_takes_finished_units_and_gives_the_same(
    tmp_path: Path, data: Path, small_llama: Path, kind: str, study: str, training: str
) -> None:
    path = _with_model(_file(tmp_path, kind, study, training), small_llama)
    out, told = tmp_path / "out", list[str]()
    first = run.run_study(path, out, data=data, say=told.append)
    assert told[0].startswith("estimate: ") and "minutes" in told[0]
    units = sorted((out / UNITS).glob("*.json"))
    stamps = {unit: unit.stat().st_mtime_ns for unit in units}
    lost = units.pop()
    lost.unlink()
    again = run.run_study(path, out, data=data)
    assert again["sets"] == first["sets"]
    assert {unit: unit.stat().st_mtime_ns for unit in units} == {unit: stamps[unit] for unit in units}
    path.write_text(path.read_text().replace("learning_rate = 0.001", "learning_rate = 0.002"))
    with pytest.raises(ConfigError, match="other settings"):
        run.run_study(path, out, data=data)
    assert "ask" not in "".join(file.read_text() for file in out.rglob("*.json"))


def test_data_that_is_not_there_is_named(tmp_path: Path, small_llama: Path) -> None:
    path = _with_model(_file(tmp_path, "sft", "", "steps = 1\n"), small_llama)
    with pytest.raises(ConfigError, match="cannot be read"):
        run.run_study(path, tmp_path / "out", data=tmp_path)
    with pytest.raises(ConfigError, match="open data"):
        run.run_study(path, tmp_path / "out")
