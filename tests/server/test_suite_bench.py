"""The bench of suites on the tiny model: every suite, equal policies, nothing told that was not asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from intraward_server.suites.bench import Bench, Samples, Subject
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, initial_state
from intraward_shared.program import EvaluationConfig
from intraward_shared.protocol import LoraSpec
from intraward_shared.stages import Stage
from intraward_shared.suite_terms import SuiteTerms

LORA = LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj", "v_proj"))


@pytest.fixture
def files(tmp_path: Path) -> SuiteTerms:
    """Small files for every suite in words of the tiny model, and the terms that name them."""
    rows: dict[str, list[dict[str, Any]]] = {
        "refusals": [{"prompt": f"w{n} w1", "category": n % 2} for n in range(4)],
        "bias": [
            {"vignette": f"v{n}", "prompt": f"w{n} w{7 + k}", "attributes": {"race": f"r{k}"}}
            for n in range(3)
            for k in range(2)
        ],
        "source": [{"prompt": f"w{n} w1 w2"} for n in range(3)],
    }
    for name, lines in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return SuiteTerms(
        refusals="refusals.jsonl",
        bias="bias.jsonl",
        faithfulness="source.jsonl",
        limit=6,
        samples=2,
        max_prompt_tokens=8,
        max_completion_tokens=6,
        batch=8,
    )


def _bench(
    base: BaseModel, terms: SuiteTerms, folder: Path, samples: Samples | None = None
) -> dict[str, Any]:
    """Figures of two policies that are the same model."""
    (folder / "closed.jsonl").write_text(
        "".join(json.dumps({"prompt": f"w{n}", "label": ("yes", "no")[n % 2]}) + "\n" for n in range(4))
    )
    (folder / "records.jsonl").write_text(
        "".join(json.dumps({"prompt": f"w{n}", "completion": "w2 w3"}) + "\n" for n in range(4))
    )
    (folder / "prompts.jsonl").write_text("".join(json.dumps({"prompt": f"w{n}"}) + "\n" for n in range(5)))
    evaluation = EvaluationConfig(closed="closed.jsonl", records="records.jsonl", prompts="prompts.jsonl")
    start = initial_state(base, LORA, Stage.SFT, 0)
    judges = {"rule": lambda _, said: [float(len(text)) for text in said]}
    bench = Bench(base, LORA, terms, evaluation, folder, 3, judges, samples)
    return bench.run([Subject("policy", "d", start), Subject("sft", "d", {}), Subject("base", None, start)])


def test_every_suite_measures_policies_that_are_the_same_alike(
    base: BaseModel, files: SuiteTerms, tmp_path: Path
) -> None:
    names = ("refusals", "red-team", "bias", "phi", "closed", "perplexity", "win-rate", "faithfulness")
    samples = Samples(kept=True)
    found = _bench(base, files.model_copy(update={"run": names}), tmp_path, samples)
    assert tuple(found) == names
    for name in set(names) - {"win-rate"}:
        assert found[name]["policy"] == found[name]["base"] == found[name]["sft"], name
    assert [found["win-rate"][f"over_{it}"]["rule"]["win_rate"] for it in ("sft", "base")] == [0.5, 0.5]
    assert found["phi"]["policy"]["answers"] == 12 and found["closed"]["policy"]["majority"] == 0.5
    assert found["bias"]["policy"]["pairs"] == 3 and found["perplexity"]["policy"]["perplexity"] > 1
    assert found["refusals"]["policy"]["requests"] == 4 and found["red-team"]["policy"]["prompts"] == 6
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert {row["suite"] for row in samples.rows} == {
        "refusals",
        "red-team",
        "phi",
        "win-rate",
        "faithfulness",
    }


def test_no_answer_is_kept_unless_it_was_asked_for(
    base: BaseModel, files: SuiteTerms, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    samples = Samples()
    found = _bench(base, files.model_copy(update={"run": ("phi", "refusals")}), tmp_path, samples)
    assert samples.rows == [] and " w" not in json.dumps(found) + "".join(capfd.readouterr())


def test_a_wrong_file_is_refused_before_the_model_answers(
    base: BaseModel, files: SuiteTerms, tmp_path: Path
) -> None:
    (tmp_path / "bias.jsonl").write_text('{"vignette": "v", "prompt": "w1", "attributes": {"race": "a"}}\n')
    with pytest.raises(ConfigError, match="differ in one attribute"):
        _bench(base, files.model_copy(update={"run": ("bias",)}), tmp_path)
