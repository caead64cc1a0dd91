"""Rules and critique on a file of answers, for researchers who choose among candidates or tune a program.

The same functions that shape rewards in a ward, so what is tried here is what a plan would do. Prints scores,
names of principles and rules, and line numbers; never a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intraward_server.publicdata import read_records
from intraward_shared.answer_rules import Verdict, judge
from intraward_shared.config import load_toml
from intraward_shared.critique import ALL_PRINCIPLES, QUESTIONS, Critique, critique
from intraward_shared.shaping import ShapingTerms


def critique_file(file: Path, shaping: Path | None = None) -> dict[str, Any]:
    """Critique every ``{"prompt", "answer"}`` of a JSONL file, by the terms of ``[stages.training.shaping]``.

    Args:
        shaping: TOML with the keys of that table; without it, every principle with weight 1 and no rule.

    Raises:
        ConfigError, InputError: a file is missing or wrong; names key or line.
    """
    terms = ShapingTerms() if shaping is None else load_toml(shaping, ShapingTerms)
    principles = ALL_PRINCIPLES if shaping is None else terms.critique
    rows = read_records(file, ("prompt", "answer"))
    found = [
        (critique(principles, row["prompt"], row["answer"]), judge(terms.rules, row["prompt"], row["answer"]))
        for row in rows
    ]
    return {
        "answers": len(found),
        "critique": sum(praise.score for praise, _ in found) / len(found),
        "kept": _kept([praise for praise, _ in found]),
        "questions": {principle.name: QUESTIONS[principle.name].text for principle in principles},
        "fired": {rule.name: sum(rule.name in verdict.fired for _, verdict in found) for rule in terms.rules},
        "each": [_line(*pair) for pair in found],
    }


def _kept(critiques: Sequence[Critique]) -> dict[str, list[int]]:
    """Of each principle: in how many answers it was kept, and to how many it applied."""
    out: dict[str, list[int]] = {}
    for praise in critiques:
        for name, kept in praise.kept.items():
            kept_of = out.setdefault(name, [0, 0])
            kept_of[0] += kept
            kept_of[1] += 1
    return out


def _line(praise: Critique, verdict: Verdict) -> dict[str, Any]:
    return {
        "critique": praise.score,
        "broken": [name for name, kept in praise.kept.items() if not kept],
        "rules": list(verdict.fired),
        "penalty": verdict.penalty,
        "vetoed": verdict.vetoed,
    }
