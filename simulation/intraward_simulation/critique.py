"""Rules and critique on a file of answers, for researchers who choose among candidates or tune a program.

The same functions that shape rewards in a ward, so what is tried here is what a plan would do. Prints scores,
names of principles and rules, and line numbers; never a prompt or an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intraward_server.publicdata import numbered_records
from intraward_shared.answer_rules import Verdict, judge
from intraward_shared.config import load_toml
from intraward_shared.critique import ALL_PRINCIPLES, QUESTIONS, Critique, critique
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import TrainingSpec
from intraward_shared.shaping import ShapingTerms

_DIGITS = 6


def critique_file(file: Path, shaping: Path | None = None) -> dict[str, Any]:
    """Critique every ``{"prompt", "answer"}`` of a JSONL file, by the terms of ``[stages.training.shaping]``.

    Args:
        shaping: TOML with the keys of that table; without it, every principle with weight 1, a coefficient
            of 1, and no rule.

    ``reward`` of a row is all that the terms add to an answer's score but for length, or the veto's reward:
    by it answers to one prompt can be ranked.

    Raises:
        ConfigError, InputError: a file is missing or wrong; names key or line.
    """
    terms = ShapingTerms(critique=ALL_PRINCIPLES, critique_coef=1.0) if shaping is None else _terms(shaping)
    principles = terms.critique
    rows = numbered_records(file, ("prompt", "answer"))
    found = [
        (critique(principles, row["prompt"], row["answer"]), judge(terms.rules, row["prompt"], row["answer"]))
        for _, row in rows
    ]
    each = [_line(terms, number, *pair) for (number, _), pair in zip(rows, found, strict=True)]
    return {
        "answers": len(found),
        "critique": round(sum(praise.score for praise, _ in found) / len(found), _DIGITS),
        "kept": _kept([praise for praise, _ in found]),
        "questions": {principle.name: QUESTIONS[principle.name].text for principle in principles},
        "fired": {rule.name: sum(rule.name in verdict.fired for _, verdict in found) for rule in terms.rules},
        "each": each,
    }


def _terms(shaping: Path) -> ShapingTerms:
    """Terms that a program with the defaults of ``score_clip`` and ``missing_eos_penalty`` would take."""
    try:
        terms = load_toml(shaping, ShapingTerms)
    except ConfigError as error:
        if error.key not in ("stages", "training", "shaping"):
            raise
        raise ConfigError(
            shaping,
            error.key,
            "is a table of a whole program",
            remedy="put the keys of [stages.training.shaping] at the top of the file, without that heading",
        ) from None
    default = TrainingSpec.model_fields
    try:
        terms.check(
            default["score_clip"].default, default["missing_eos_penalty"].default, terms.overlong_tokens
        )
    except ValueError as error:
        raise ConfigError(
            shaping,
            "veto_reward",
            f"{error} (with the defaults of score_clip and missing_eos_penalty)",
            remedy="lower it: a program would refuse it",
        ) from None
    return terms


def _kept(critiques: Sequence[Critique]) -> dict[str, list[int]]:
    """Of each principle: in how many answers it was kept, and to how many it applied."""
    out: dict[str, list[int]] = {}
    for praise in critiques:
        for name, kept in praise.kept.items():
            kept_of = out.setdefault(name, [0, 0])
            kept_of[0] += kept
            kept_of[1] += 1
    return out


def _line(terms: ShapingTerms, number: int, praise: Critique, verdict: Verdict) -> dict[str, Any]:
    reward = terms.reward(
        0.0, praise.score if terms.critique else 0.0, verdict.penalty, vetoed=verdict.vetoed
    )
    return {
        "line": number,
        "reward": round(reward, _DIGITS),
        "critique": round(praise.score, _DIGITS),
        "broken": [name for name, kept in praise.kept.items() if not kept],
        "rules": list(verdict.fired),
        "penalty": round(verdict.penalty, _DIGITS),
        "vetoed": verdict.vetoed,
    }
