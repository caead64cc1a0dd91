"""The scoring of a detector: what leaks, what is lost, bad gold rows, and the command."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.evaluate import Score, evaluate, wilson
from intraward_client.deid.gold import GoldNote, parse_gold, read_gold
from intraward_client.deid.scorecard import write_card
from intraward_shared.errors import InputError

TEXT = "Ottoline Varga came on 2021-03-14 with cough."
SPANS: list[dict[str, Any]] = [
    {"start": 0, "end": 14, "entity": "PERSON", "role": "PATIENT", "text": "Ottoline Varga"},
    {"start": 23, "end": 33, "entity": "DATE"},
]


def gold(text: str = TEXT, spans: list[dict[str, Any]] = SPANS, **more: Any) -> GoldNote:
    return parse_gold({"text": text, "spans": spans, **more})


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_half_a_name_is_a_leak_and_a_held_back_note_is_none() -> None:
    score = Score()
    score.add(gold(), [(0, 14), (23, 33), (39, 44)])  # all, and "cough"
    score.add(gold(), [(0, 8), (23, 33)])  # the surname is left
    score.hold_back("residue:date")
    report = score.report()
    assert (report.notes, report.quarantined, dict(report.by_reason)) == (3, 1, {"residue:date": 1})
    assert (report.leaked_entities, report.leaked_direct, report.leaked_tokens) == (1, 1, 1)
    assert (report.entity_recall.hits, report.entity_recall.total) == (3, 4)
    assert (report.token_recall.hits, report.token_recall.total) == (9, 10)
    assert (report.token_precision.hits, report.token_precision.total) == (9, 10)
    assert (report.over_redaction.hits, report.over_redaction.total) == (1, 8)
    assert (report.clean_notes.hits, report.touched_notes.hits, report.released.total) == (1, 1, 3)
    assert report.leaks_per_thousand == report.direct_leaks_per_thousand == 500
    assert (report.by_class["PERSON"].hits, report.by_role["PATIENT"].total) == (1, 2)
    assert report.f2 == pytest.approx(0.9)


def test_a_missed_date_is_no_direct_leak() -> None:
    score = Score()
    score.add(gold(), [(0, 14)])
    report = score.report()
    assert (report.leaked_entities, report.leaked_direct) == (1, 0)


def test_punctuation_of_an_identifier_may_stay() -> None:
    score = Score()
    score.add(gold(), [(0, 8), (9, 14), (23, 27), (28, 30), (31, 33)])
    assert score.report().leaked_entities == 0


def test_what_is_scored_is_what_would_leave(deidentifier: Deidentifier) -> None:
    """Spans are of the original text, also where normalising moves it; what is held back is counted."""
    moved = "\u200bPatient:\t" + TEXT
    shifted = [{**span, "start": span["start"] + 10, "end": span["end"] + 10} for span in SPANS]
    told: list[tuple[int, int]] = []
    notes = [gold(moved, shifted), gold("odd \x00 text", [])]
    report = evaluate(notes, deidentifier, progress=lambda done, total: told.append((done, total)))
    assert (report.leaked_entities, report.entity_recall.total) == (0, 2)
    assert dict(report.by_reason) == {"encoding": 1}
    assert told[-1] == (2, 2)


def test_what_is_known_can_be_left_out(deidentifier: Deidentifier) -> None:
    text = "The bowl of plum was zorvan too."
    notes = [gold(text, [{"start": 21, "end": 27, "entity": "PERSON"}], known={"last": "Zorvan"})]
    assert evaluate(notes, deidentifier).leaked_entities == 0
    assert evaluate(notes, deidentifier, use_known=False).leaked_entities == 1


@pytest.mark.parametrize(
    ("bad", "rule"),
    [
        ({"spans": []}, "'text' is missing"),
        ({"text": TEXT}, "'spans' is missing"),
        ({"text": TEXT, "spans": [7]}, "a span is not an object"),
        ({"text": TEXT, "spans": [{"start": 0, "end": 8, "entity": " "}]}, "a span is not an object"),
        ({"text": TEXT, "spans": [{"start": 0, "end": 99, "entity": "X"}]}, "does not lie within"),
        ({"text": TEXT, "spans": [{"start": -1, "end": 2, "entity": "X"}]}, "does not lie within"),
        ({"text": TEXT, "spans": [{"start": 3, "end": 3, "entity": "X"}]}, "does not lie within"),
        ({"text": TEXT, "spans": [{"start": True, "end": 2, "entity": "X"}]}, "does not lie within"),
        ({"text": TEXT, "spans": [{"start": 0, "end": "2", "entity": "X"}]}, "does not lie within"),
        ({"text": TEXT, "spans": [{"start": 8, "end": 9, "entity": "X"}]}, "no letter and no digit"),
        ({"text": TEXT, "spans": [{"start": 0, "end": 8, "entity": "X", "role": 1}]}, "role"),
        ({"text": TEXT, "spans": [{"start": 1, "end": 9, "entity": "X", "text": "Ottoline"}]}, "own text"),
        ({"text": TEXT, "spans": [], "known": [7]}, "'known' is not"),
        ({"text": TEXT, "spans": [], "patient": 7}, "'patient' is not"),
    ],
)
def test_a_bad_gold_row_is_refused_by_file_and_line(tmp_path: Path, bad: object, rule: str) -> None:
    good = {"text": TEXT, "spans": SPANS, "known": {}}
    assert len(read_gold(write(tmp_path / "g.jsonl", good))) == 1
    with pytest.raises(InputError, match=f"(?s)g.jsonl.*2.*{rule}") as caught:
        read_gold(write(tmp_path / "g.jsonl", good, bad))
    assert "Ottoline" not in str(caught.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row"):
        read_gold(write(tmp_path / "g.jsonl"))


def test_gold_does_not_show_its_text() -> None:
    assert "Ottoline" not in repr(gold(known={"first": "Ottoline"}, patient="Ottoline"))


def test_the_card_names_the_worst_class_first_and_the_direct_ones() -> None:
    score = Score()
    score.add(gold(), [(0, 14)])
    score.hold_back("residue:date")
    card = write_card(score.report())
    classes = card.split("removed, by class")[1].split("removed, by role")[0]
    assert classes.index("DATE ") < classes.index("PERSON *")
    assert "1 held back (residue:date 1)" in card and "1,000.0" in card and "164.514(e)(2)" in card
    assert max(map(len, card.splitlines())) <= 110


def test_wilson_interval_by_hand() -> None:
    low, high = wilson(10, 10)
    assert (round(low, 4), round(high, 9)) == (0.7225, 1.0)
    assert wilson(0, 0) == (0.0, 1.0)
