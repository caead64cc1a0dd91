"""The policy study: sides that share no topic, literal win rates, ties of equal policies, resumed runs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_shared import winrates
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import initial_state, load_base
from intraward_shared.protocol import LoraSpec, TrainingSpec
from intraward_shared.stages import Stage
from intraward_simulation.scenario import scenario_path
from intraward_simulation.studies import answers, judged, judges, questions, run
from intraward_simulation.studies.answers import AnswerFigures, Judges
from intraward_simulation.studies.folder import UNITS
from intraward_simulation.studies.policytable import policy_table
from intraward_simulation.studies.questions import Question

LORA = LoraSpec(r=2, lora_alpha=4, target_modules=("layers.0.mlp.up_proj",))
SPEC = TrainingSpec(learning_rate=0.001, max_prompt_tokens=24, max_completion_tokens=8, temperature=0.7)
SENTENCE = "It is a rare illness of the skin that number {} has, and it goes away by itself."


def question(topic: str, kind: str = "information", answer: str = "a b c d") -> Question:
    return Question(topic, kind, f"What is {topic}?", answer)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty topics of two questions each, and both judged sets."""
    folder = tmp_path / "data"
    rows = [
        {
            "prompt": f"What {asked} of topic {number}?",
            "response": f"{SENTENCE.format(number)} More is known.",
            "focus": f"Topic {number}",
            "qtype": asked,
        }
        for number in range(60)
        for asked in ("causes", "symptoms")
    ]
    rows.append({"prompt": "What?", "response": "What is it? It is this.", "focus": "x", "qtype": "causes"})
    _lay(folder / questions.FILE, rows)
    for source in judged.STEPS:
        best = judged.GRADES[source][1]
        graded = [{"text": f"answer {grade}", "score": best * grade / 4} for grade in (1, 2, 4)]
        ranked = [{"id": f"{source}-{n}", "prompt": f"ask {n}", "answers": graded} for n in range(8)]
        pairs = [{"prompt_id": row["id"], "chosen": "answer 4", "rejected": "answer 1"} for row in ranked]
        _lay(folder / source / "ranked.jsonl", ranked)
        _lay(folder / source / "pairs.jsonl", pairs)
    return folder


def _lay(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _file(folder: Path, model: Path, change: tuple[str, str] = ("", "")) -> Path:
    sampled = "max_prompt_tokens = 16\nmax_completion_tokens = 6\noverlong = 'cut'\ntemperature = 0.7\n"
    common = f"learning_rate = 0.01\nsteps = 1\nbatch = 2\nmicro_batch = 4\n{sampled}"
    stages = "".join(f"[stages.{name}]\n{common}" for name in ("sft", "reward", "dpo", "ppo", "rloo"))
    text = (
        f'[run]\nname = "small"\nseed = 3\nmodel = "{model}"\n[study]\nkind = "policy"\nseeds = [1, 2]\n'
        f"judge_questions = 3\nprompts = 4\nheld_out = 4\nrounds = 2\nblocks = 1\n{stages}"
    )
    path = folder / "policy.toml"
    path.write_text(text.replace(*change) if change[0] else text, encoding="utf-8")
    return path


def test_an_answer_is_cut_to_whole_sentences() -> None:
    text = "One two three. Four five (e.g. six). Seven."
    assert questions.shorten(text, 6) == "One two three."
    assert questions.shorten(text, 7) == "One two three. Four five (e.g. six)."
    assert questions.shorten(text, 2) == ""


def test_no_topic_is_on_two_sides_and_headings_are_left_out(data: Path) -> None:
    sides = questions.read_questions(data, 24, seed=3)
    topics = [{question.topic for question in side} for side in sides.values()]
    assert sum(map(len, topics)) == len(set.union(*topics)) == 60
    assert all(topics)
    assert all(question.answer.endswith("by itself. More is known.") for question in sides["gold"])


def test_constructed_pairs_prefer_the_reference_of_the_same_question() -> None:
    others = [question("a", answer="same topic"), question("c", "causes", "other kind")]
    others += [question("b", answer="wrong topic"), question("a", answer="same topic again")]
    pairs = questions.constructed_pairs(question("a"), others, seed=1)
    assert [(pair.chosen, pair.rejected) for pair in pairs] == [
        ("a b c d", "a b"),
        ("a b c d", "wrong topic"),
    ]
    assert {pair.unit for pair in pairs} == {PUBLIC_UNIT}


def test_of_two_answers_the_nearer_one_is_preferred() -> None:
    asked = [question("a"), question("b")]
    made = judges.comparisons(asked, [("x y", "a b"), ("c d", "c d")], seed=1)
    sampled = [(pair.chosen, pair.rejected) for pair in made[4:]]
    assert sampled == [("a b c d", "x y"), ("a b", "x y"), ("a b c d", "c d")]


def test_the_judges_share_no_judged_prompt(data: Path) -> None:
    proxy, gold = (judges.judged_half(data, judge, seed=3) for judge in judges.JUDGES)
    assert proxy and gold and not {row.prompt for row in proxy} & {row.prompt for row in gold}
    assert len(proxy) + len(gold) == 8


def test_best_and_worst_and_no_pair_of_ties() -> None:
    texts = [("ask", "one"), ("ask", "two"), ("ask", "three")]
    (pair,) = judges.best_and_worst(texts, (0.5, -1.0, 2.0))
    assert (pair.chosen, pair.rejected) == ("three", "two")
    assert judges.best_and_worst(texts, (1.0, 1.0, 1.0)) == []


def test_constants_are_mean_and_deviation() -> None:
    assert judges.score_constants([1.0, 3.0]) == {"score_mean": 2.0, "score_std": 1.0}
    assert judges.score_constants([1.0, 1.0]) == {"score_mean": 1.0, "score_std": 1.0}


def test_unigram_f1_in_literal_numbers() -> None:
    assert winrates.unigram_f1("The flu, the flu.", "the flu") == pytest.approx(2 * 2 / 6)
    assert winrates.unigram_f1("flu flu", "flu flu the") == pytest.approx(2 * 2 / 5)
    assert winrates.unigram_f1("", "the flu") == 0.0
    assert winrates.unigram_f1("Flu the", "the flu") == 1.0


def test_ties_count_half() -> None:
    assert winrates.outcomes([1, 2, 3], [1, 3, 2]).tolist() == [0.5, 0.0, 1.0]
    found = winrates.win_rate(np.array([[0.5] * 20]), np.zeros((1, 20)), seed=0)
    assert (found.rate, found.interval) == (0.5, (0.5, 0.5))
    assert found.controlled == pytest.approx(0.5)


def test_a_win_by_length_alone_is_no_win_at_equal_length() -> None:
    draw = np.random.default_rng(0)
    longer = draw.normal(4, 4, size=(2, 200))
    won = (draw.uniform(size=(2, 200)) < 1 / (1 + np.exp(-2 * np.tanh(longer / 4)))).astype(float)
    found = winrates.win_rate(won, longer, seed=0)
    assert found.interval[0] > 0.65
    low, high = found.controlled_interval
    assert low < 0.5 < high and high - low < 0.4


def test_at_equal_length_both_rates_are_one() -> None:
    won = np.array([[1.0] * 70 + [0.0] * 30])
    found = winrates.win_rate(won, np.zeros((1, 100)), seed=0)
    assert found.rate == 0.7
    assert found.controlled == pytest.approx(0.7, abs=0.005)
    low, high = found.interval
    assert 0.57 < low < 0.65 and 0.75 < high < 0.83


def test_a_policy_ties_with_itself_and_moves_away_from_it(small_llama: Path) -> None:
    base = load_base(small_llama)
    sft = initial_state(base, LORA, Stage.SFT, 1)
    draw = np.random.default_rng(0)
    moved = {name: draw.normal(0, 0.5, value.shape).astype(np.float32) for name, value in sft.items()}
    both = Judges(*(initial_state(base, LORA, Stage.REWARD, seed) for seed in (1, 2)))
    asked = [question(f"t{number}") for number in range(5)]
    same, other = (answers.measure(base, LORA, p, sft, both, asked, SPEC, 7) for p in (sft, moved))
    alone = answers.measure(base, LORA, moved, sft, both, asked[:1], SPEC, 7)
    assert same.kl == (0.0,) * 5
    assert min(other.kl) > 0.001
    assert other.rule[:1] == alone.rule and other.proxy[0] == pytest.approx(alone.proxy[0], abs=1e-5)
    assert same.proxy != same.gold
    table = policy_table({"ppo": [[same], [same]]}, same, seed=1)
    assert {judge: rate["rate"] for judge, rate in table["ppo"]["win_rate"].items()} == {
        "gold": 0.5,
        "rule": 0.5,
        "proxy": 0.5,
    }


def test_the_table_has_seeds_apart_and_a_point_for_each_round() -> None:
    def figures(proxy: float, gold: float, kl: float) -> AnswerFigures:
        each = (proxy, proxy + 2)
        return AnswerFigures(each, (gold, gold), (0.1, 0.3), (5, 7), (kl, kl), (1, 1))

    sft = figures(0, 0, 0)
    runs = [[figures(1, 1, 0.5), figures(2, -1, 1)], [figures(1, 1, 0.5), figures(3, 1, 2)]]
    row = policy_table({"dpo": runs}, sft, seed=1)["dpo"]
    assert row["by_seed"] == {"gold": [0.0, 1.0], "rule": [0.5, 0.5], "proxy": [1.0, 1.0]}
    assert row["kl"] == 1.5 and row["words"] == 6.0
    points = row["curve"]["points"]
    assert [(point["iteration"], point["round"], point["kl"], point["proxy"]) for point in points] == [
        (1, 0, 0.0, 0.0),
        (1, 1, 0.5, 1.0),
        (1, 2, 1.0, 2.0),
        (2, 0, 0.0, 0.0),
        (2, 1, 0.5, 1.0),
        (2, 2, 2.0, 3.0),
    ]
    assert [point["gold"] for point in points] == [0.0, 1.0, -1.0, 0.0, 1.0, 1.0]
    assert [verdict["outcome"] for verdict in row["curve"]["verdicts"]] == ["over-optimised", "not seen"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("seeds = [1, 2]", "seeds = [1]\nrloo_seeds = 2"), "rloo_seeds"),
        (
            ("[stages.ppo]\nlearning_rate = 0.01\nsteps = 1", "[stages.ppo]\nlearning_rate = 0.01"),
            "ppo.steps",
        ),
        (("[stages.dpo]\n", "[stages.dpo]\ngamma = 0.9\nscore_mean = 2.0\n"), "score constants"),
        (("temperature = 0.7\n[stages.reward]", "temperature = 0.9\n[stages.reward]"), "those of ppo"),
    ],
)
def test_a_wrong_policy_file_is_refused(tmp_path: Path, change: tuple[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        run.load_study(_file(tmp_path, tmp_path, change))


def test_the_shipped_policy_study_is_whole() -> None:
    assert run.load_study(scenario_path("study-policy")).run.name == "study-policy"


def test_a_policy_study_is_resumed_and_writes_no_text(tmp_path: Path, data: Path, small_llama: Path) -> None:
    path = _file(tmp_path, small_llama)
    out, told = tmp_path / "out", list[str]()
    first = run.run_study(path, out, data=data, say=told.append)
    assert told[0].startswith("estimate: ") and "5 policies" in told[0]
    assert set(first["sets"]) == {"sft", "dpo", "ppo", "rloo"}
    points = {method: len(first["sets"][method]["curve"]["points"]) for method in ("ppo", "rloo")}
    assert points == {"ppo": 6, "rloo": 3}
    assert set(first["judges"]) == {"proxy", "gold", "correlation"}
    units = sorted((out / UNITS).iterdir())
    lost = [unit for unit in units if unit.name.startswith("dpo-seed-2-round-2")]
    for unit in lost:
        unit.unlink()
    stamps = {unit: unit.stat().st_mtime_ns for unit in units if unit not in lost}
    again = run.run_study(path, out, data=data)
    assert again["sets"] == first["sets"]
    assert lost and {unit: unit.stat().st_mtime_ns for unit in stamps} == stamps
    written = b"".join(file.read_bytes() for file in out.rglob("*") if file.is_file())
    assert b"illness" not in written and b"symptoms" not in written
