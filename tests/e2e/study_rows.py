"""A shipped study cut down to a small model and a few made-up rows, so that its command can be tried."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from intraward_simulation.studies import judged, sft

TOGETHER = {"depth": 1, "sites": 2, "patients": 4, "rounds": 1, "steps": 1, "privacy": ["off"], "r": 2}
DPO = {"dpo_rounds": 1, "dpo_steps": 1}
FEW: dict[str, dict[str, Any]] = {
    "reward": {"folds": 2, "epochs": 1, "warm_rankings": 4, "warm_pairs": 2, "depth": 1},
    "sft": {"held_out": 4},
    "policy": {"judge_questions": 2, "prompts": 2, "held_out": 2, "rounds": 1},
    "federated": {"folds": 2, **TOGETHER, "variants": {}},
    "federated-policy": {"prompts": 8, "examples": 8, "held_out": 8, "ppo_rounds": 1, **TOGETHER, **DPO},
}
TAILS = ("federated", "federated-policy")
ANSWERS = {"Rest it and cool it.": 4.0, "No.": 1.0, "Rest it.": 2.0}


def lay_study(folder: Path, shipped: Path, model: Path) -> Path:
    """Write the cut-down file and ``data/`` below ``folder``; the file's path."""
    raw = tomllib.loads(shipped.read_text(encoding="utf-8"))
    raw["run"] |= {"model": str(model), "threads": 1}
    kind = raw["study"]["kind"]
    raw["study"] |= {"seeds": [1], **({} if kind in TAILS else {"first_block": 0, "blocks": 1}), **FEW[kind]}
    for training in raw.get("stages", {"": raw.get("training")}).values():
        training |= {"max_prompt_tokens": 16, "max_completion_tokens": 16, "overlong": "cut"}
        if "steps" in training:
            training |= {"steps": 1, "batch": 2}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.toml"
    path.write_text(tomli_w.dumps(raw), encoding="utf-8")
    lay_rows(folder / "data")
    return path


def lay_rows(data: Path) -> None:
    """A dozen judged questions a set, general pairs and demonstrations."""
    best, *others = ANSWERS
    for source in judged.STEPS:
        most = judged.GRADES[source][1] / 4
        answers = [{"text": text, "score": score * most} for text, score in ANSWERS.items()]
        ranked = [{"id": f"{source}-{n}", "prompt": f"Question {n}?", "answers": answers} for n in range(12)]
        pairs = [
            {"prompt_id": row["id"], "prompt": row["prompt"], "chosen": best, "rejected": other}
            for row in ranked
            for other in others
        ]
        _write(data / source / "ranked.jsonl", ranked)
        _write(data / source / "pairs.jsonl", pairs)
    general = [
        {"id": f"g{n}", "prompt": f"Ask {n}.", "chosen": "Yes, safely.", "rejected": "No."} for n in range(24)
    ]
    _write(data / "hh_harmless_filtered" / "pairs.jsonl", general)
    for source, key in sft.SETS.items():
        told = "Rest, and call if it is worse after day"
        rows = [
            {key: f"u{n // 2}", "prompt": f"Note {n}.", "response": f"{told} {n}."}
            | {"focus": f"topic {n // 2}", "qtype": "information"}
            for n in range(80)
        ]
        _write(data / source / "sft.jsonl", rows)


def _write(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
