"""Synthetic notes: spans that hit, sizes, questions in the public shape, fictional numbers only."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from intraward_simulation.complaints import COMPLAINTS
from intraward_simulation.corpus import is_held_out
from intraward_simulation.names import REGIONS
from intraward_simulation.notes import (
    ENTITY,
    MAX_CHARACTERS,
    TODAY,
    make_patient,
    render,
    write_date,
    write_note,
)

QUESTION = re.compile(
    r"Patient: (\d{1,2}) year old (man|woman|boy|girl) with [a-z ]+ for \d (days|weeks)\. Advice:"
)


def _notes(count: int, ages: tuple[int, int] = (18, 89)) -> list[dict[str, Any]]:
    rows = []
    for number in range(count):
        draw = np.random.default_rng([1, number])
        patient = make_patient(draw, f"p{number}", ages, None)
        complaint = COMPLAINTS[number % len(COMPLAINTS)]
        rows.append(write_note(draw, patient, f"n{number}", "Northfield General Hospital", complaint))
    return rows


@pytest.fixture(scope="module")
def notes() -> list[dict[str, Any]]:
    return _notes(400)


def test_spans_cover_the_identifiers(notes: list[dict[str, Any]]) -> None:
    for note in notes:
        last_end = 0
        for span in note["spans"]:
            piece = note["text"][span["start"] : span["end"]]
            assert piece and piece == piece.strip() and span["start"] >= last_end
            assert span["entity"] in set(ENTITY.values())
            last_end = span["end"]
        outside = _outside(note)
        for key in ("mrn", "phone", "ssn", "nhs", "email", "address", "dob"):
            assert note["known"].get(key, "\0") not in outside
        assert not re.search(r"\b\d{6,}\b", outside)


def _outside(note: dict[str, Any]) -> str:
    text = note["text"]
    for span in reversed(note["spans"]):
        text = text[: span["start"]] + "#" + text[span["end"] :]
    return str(text)


def test_size_variety_and_shape(notes: list[dict[str, Any]]) -> None:
    assert max(len(note["text"]) for note in notes) <= MAX_CHARACTERS
    assert len({note["text"] for note in notes}) == len(notes)
    entities = {span["entity"] for note in notes for span in note["spans"]}
    assert entities == set(ENTITY.values())
    assert len({note["known"]["last"] for note in notes}) > 120


def test_one_question_in_the_public_shape(notes: list[dict[str, Any]]) -> None:
    for note in notes:
        [question] = [line for line in note["text"].splitlines() if line.startswith("Question:")]
        prompt = question.removeprefix("Question: ")
        found = QUESTION.fullmatch(prompt)
        assert found and not is_held_out(prompt)
        start = note["text"].index("Question:")
        late = [span["entity"] for span in note["spans"] if span["start"] > start]
        assert late == (["AGE_OVER_89"] if int(found.group(1)) > 89 else [])


def test_children_are_children() -> None:
    rows = _notes(60, ages=(2, 17))
    assert all(re.search(r"Question: Patient: \d{1,2} year old (boy|girl) ", row["text"]) for row in rows)


def test_header_names_what_the_system_knows(notes: list[dict[str, Any]]) -> None:
    for note in notes:
        assert {"first", "last", "mrn", "dob", "phone", "address"} <= set(note["known"])
        head = note["text"][:250].lower()
        assert note["known"]["last"].lower() in head and note["known"]["mrn"] in note["text"][:250]


def test_numbers_are_fictional(notes: list[dict[str, Any]]) -> None:
    for note in notes:
        for span in note["spans"]:
            piece = note["text"][span["start"] : span["end"]]
            if span["entity"] == "PHONE":
                assert re.fullmatch(
                    r"\(\d{3}\) 555-01\d\d|020 7946 0\d{3}|01632 960\d{3}|07700 900\d{3}", piece
                )
            if span["entity"] == "SSN":
                assert piece.startswith("9")
            if span["entity"] == "EMAIL":
                assert re.fullmatch(r"[a-z]+\.[a-z]+@example\.(org|com|net)", piece)


def test_render_counts_from_start() -> None:
    text, spans = render("Seen {how} by [[name]].", {"how": "early", "name": "A B"}, start=10)
    assert text == "Seen early by A B."
    assert spans == [{"start": 24, "end": 27, "entity": "PERSON"}]


def test_dates_follow_the_style() -> None:
    draw = np.random.default_rng(0)
    assert {write_date(TODAY, "uk", draw) for _ in range(40)} == {
        "21/11/2025",
        "21 November 2025",
        "21.11.2025",
    }
    assert {write_date(TODAY, "us", draw) for _ in range(40)} == {
        "11/21/2025",
        "November 21, 2025",
        "2025-11-21",
    }


def test_names_come_from_twenty_regions() -> None:
    assert len(REGIONS) == 20
    given = {name for region in REGIONS.values() for name in region.women + region.men}
    assert len(given) > 300 and len({n for r in REGIONS.values() for n in r.surnames}) > 200
