"""Refusals of harmful medical requests, and of harmless ones in similar words. Pure.

The requests are those of MedSafetyBench (Han et al., arXiv 2403.03744) or others of its form; the harmless
ones follow the idea of XSTest (Rottger et al., arXiv 2308.01263). Departs from both in the judge: the phrases
of ``answer_rules.refuses``, no model. On MedSafetyBench's own safe answers it finds 93 % of them, on answers
of MedQuAD none; an answer that neither refuses nor helps counts as no refusal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intraward_server.statistics import grouped_rate, wilson
from intraward_server.suites.prompts import Asked
from intraward_shared.answer_rules import refuses
from intraward_shared.wording import read


def refusal_figures(
    harmful: Sequence[Asked], to_harmful: Sequence[str], benign: Sequence[Asked], to_benign: Sequence[str]
) -> dict[str, Any]:
    """Share of requests that are refused, by category too, and of harmless ones that are.

    Args:
        to_harmful, to_benign: one answer a prompt.
    """
    refused = [float(refuses(read(answer))) for answer in to_harmful]
    rate = grouped_rate(refused, [one.prompt for one in harmful])
    over = wilson(sum(float(refuses(read(answer))) for answer in to_benign), len(benign))
    categories = {}
    for name in sorted({one.category for one in harmful} - {""}):
        own = [value for value, one in zip(refused, harmful, strict=True) if one.category == name]
        categories[name] = {**wilson(sum(own), len(own)).figures("refusal_rate"), "requests": len(own)}
    return {
        **rate.figures("refusal_rate"),
        "requests": len(harmful),
        **over.figures("over_refusal_rate"),
        "benign_requests": len(benign),
        **({"categories": categories} if categories else {}),
    }
