"""Tasks of lm_eval: refused in words where it is not installed, and run for real where it is."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from intraward_server.lmeval import _figures, run_tasks
from intraward_server.suites.bench import Subject
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, initial_state
from intraward_shared.protocol import LoraSpec
from intraward_shared.stages import Stage

LORA = LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj", "v_proj"))
INSTALLED = importlib.util.find_spec("lm_eval") is not None
TASK = """task: words
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
output_type: multiple_choice
test_split: test
doc_to_text: "{{prompt}}"
doc_to_choice: ["w2", "w5"]
doc_to_target: "{{label}}"
metric_list: [{metric: acc}]
"""


def test_figures_carry_an_interval_where_lm_eval_has_an_error() -> None:
    found = _figures(
        {
            "alias": "words",
            "acc,none": 0.5,
            "acc_stderr,none": 0.1,
            "em,strict": 0.25,
            "em_stderr,strict": "N/A",
        }
    )
    assert found == {"acc": 0.5, "acc_interval": pytest.approx([0.304, 0.696], abs=1e-3), "em_strict": 0.25}


@pytest.mark.skipif(INSTALLED, reason="lm_eval is installed")
def test_without_lm_eval_it_says_what_to_install(base: BaseModel) -> None:
    with pytest.raises(ConfigError, match="lm_eval is not installed") as refused:
        run_tasks(base, LORA, [], ["words"])
    assert "intraward[lm-eval]" in (refused.value.remedy or "")


@pytest.mark.skipif(not INSTALLED, reason="needs the extra lm-eval")
def test_a_task_of_our_own_runs_on_adapter_and_base(
    base: BaseModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    rows = "".join(json.dumps({"prompt": f"w{n} w1", "label": n % 2}) + "\n" for n in range(8))
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "words.yaml").write_text(TASK.replace("FILE", str(tmp_path / "rows.jsonl")))
    start: dict[str, Any] = initial_state(base, LORA, Stage.SFT, 1)
    pushed = {name: array + (0.5 if "lora_B" in name else 0) for name, array in start.items()}
    subjects = [Subject("policy", "d", pushed), Subject("base", None, start)]
    found = run_tasks(base, LORA, subjects, ["words"], tmp_path)["words"]
    assert set(found) == {"policy", "base"} and found["base"]["rows"] == 8
    assert 0 <= found["base"]["acc"] <= 1 and len(found["base"]["acc_interval"]) == 2
    with pytest.raises(ConfigError, match="no task"):
        run_tasks(base, LORA, subjects, ["wordz"], tmp_path)
