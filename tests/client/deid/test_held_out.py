"""Floors under detection, on templates that nobody wrote rules by: a regression fails here, in figures only.

Generous, for few rows; the figures themselves are ``make bench``'s. What failed is told by class and count:
the held-out half keeps its worth only as long as its text is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.evaluate import DeidReport, evaluate
from intraward_client.deid.gold import parse_gold
from intraward_simulation.deid_corpus.rows import Kind, write_rows

COUNTS: dict[Kind, int] = {"notes": 60, "queries": 120, "clean": 120, "lines": 119}
SEED = 11


@pytest.fixture(scope="module")
def report(deidentifier: Deidentifier) -> Callable[[Kind], DeidReport]:
    def measure(kind: Kind) -> DeidReport:
        rows = write_rows(kind, "held-out", COUNTS[kind], SEED)
        return evaluate([parse_gold(row) for row in rows], deidentifier)

    return measure


def test_notes(report: Callable[[Kind], DeidReport]) -> None:
    found = report("notes")
    assert found.entity_recall.value >= 0.96
    assert found.by_role["PATIENT"].value >= 0.98
    assert min(found.by_class[name].value for name in ("MRN", "EMAIL", "URL", "IP")) >= 0.97
    assert found.over_redaction.value <= 0.02
    assert found.released.value >= 0.9


def test_queries(report: Callable[[Kind], DeidReport]) -> None:
    found = report("queries")
    assert found.entity_recall.value >= 0.92 and found.over_redaction.value <= 0.03
    assert found.released.value >= 0.95


def test_text_that_names_nobody(report: Callable[[Kind], DeidReport]) -> None:
    found = report("clean")
    assert found.over_redaction.value <= 0.015 and found.released.value >= 0.98


def test_eponyms_drugs_and_vital_signs(report: Callable[[Kind], DeidReport]) -> None:
    found = report("lines")
    assert found.touched_notes.hits <= 8 and found.released.value >= 0.98
