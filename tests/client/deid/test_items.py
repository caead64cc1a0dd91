"""Prompt, chosen and rejected of one row: one surrogate map, one search for names, one quarantine."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import regex

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.items import batches, items_of
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.store.importers import read_rows

SECRET = bytes(range(32))
PROMPT = "Patient: Zebulon Quarrington, seen 13/03/2021 by Dr. Deshmukh. Is he fit to go home?"
CHOSEN = "Yes. Zebulon may go; Quarrington's daughter comes on 04/03/2021."
REJECTED = "No, Deshmukh should see QUARRINGTON again on 05/04/2021."


def row(*texts: str, item: str = "row", patient: str = "p") -> list[RawNote]:
    return [ingest(f"{item}|{n}", patient, text, {}, item) for n, text in enumerate(texts)]


def test_one_row_has_one_map() -> None:
    engine = Deidentifier(DeidSettings(profile="research"), SECRET)
    outcomes = engine.deidentify_together(row(PROMPT, CHOSEN, REJECTED))
    prompt, chosen, rejected = (note.text for note in outcomes if isinstance(note, DeidentifiedNote))
    first, last = regex.search(r"Patient: (\w+) (\w+)", prompt).groups()
    assert first in chosen and f"{last}'s" in chosen and last.upper() in rejected
    days = [int(text) for text in regex.findall(r"(\d\d)/\d\d/\d{4}", prompt + chosen + rejected)]
    assert len(days) == 3
    for word in ("zebulon", "quarrington", "deshmukh"):
        assert word not in (prompt + chosen + rejected).lower()


def test_the_order_of_day_and_month_is_read_from_all_texts() -> None:
    """13/03 in the prompt says that 04/03 in the answer is the fourth of March: nine days before."""
    engine = Deidentifier(DeidSettings(profile="research"), SECRET)
    outcomes = engine.deidentify_together(row(PROMPT, CHOSEN))
    found = [
        tuple(map(int, part))
        for note in outcomes
        if isinstance(note, DeidentifiedNote)
        for part in regex.findall(r"(\d\d)/(\d\d)/(\d{4})", note.text)
    ]
    (d1, m1, y1), (d2, m2, y2) = found
    assert (date(y1, m1, d1) - date(y2, m2, d2)).days == 9


def test_a_row_is_held_back_whole_and_alone() -> None:
    engine = Deidentifier(DeidSettings(), SECRET)
    notes = [
        *row("cough?", "rest", item="a"),
        *row("fever?", "bad \x00 byte", item="b"),
        *row("pain?", item="c"),
    ]
    outcomes = list(engine.deidentify_many(notes))
    assert [outcome.note_id for outcome in outcomes] == [note.note_id for note in notes]
    reasons = [outcome.reason if isinstance(outcome, Quarantined) else None for outcome in outcomes]
    assert reasons == [None, None, "encoding", "encoding", None]


def test_no_batch_parts_an_item() -> None:
    notes = [note for number in range(5) for note in row("a", "b", "c", item=str(number))]
    assert [len(item) for item in items_of(notes)] == [3] * 5
    assert [len(batch) for batch in batches(notes, 4)] == [6, 6, 3]
    assert [len(item) for item in items_of(row("a", item="") * 3)] == [1, 1, 1]
    assert [len(item) for item in items_of([*row("a", patient="p"), *row("b", patient="q")])] == [1, 1]


def test_the_importers_name_the_item_of_each_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        json.dumps({"patient": "p", "prompt": "a?", "chosen": "b", "rejected": "c", "id": "r"}) + "\n"
    )
    (imported,) = read_rows(path, "preferences")
    assert {note.item for note in imported.texts} == {"r"}
    assert len(list(items_of(imported.texts))) == 1
