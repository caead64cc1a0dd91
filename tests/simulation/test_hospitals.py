"""Synthetic hospitals: independent patients, case mix, and canaries that are really there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from intraward_shared.errors import ConfigError
from intraward_simulation.hospitals import (
    CASE_MIXES,
    MOST_CANARIES,
    Hospital,
    make_canary,
    make_hospital,
    make_hospitals,
    plant,
    write_jsonl,
)

SITES = [("north", 120, "cardiology"), ("river", 130, "general"), ("brigid", 140, "paediatrics")]


@pytest.fixture(scope="module")
def world() -> tuple[Hospital, ...]:
    return make_hospitals(SITES, seed=5, canaries=200)


def test_deterministic_and_sized(world: tuple[Hospital, ...]) -> None:
    assert make_hospitals(SITES, seed=5, canaries=200) == world
    assert make_hospitals(SITES, seed=6, canaries=200) != world
    for hospital, (name, patients, _) in zip(world, SITES, strict=True):
        counts = Counter(note["patient"] for note in hospital.notes)
        assert hospital.name == name and len(counts) == patients
        assert set(counts.values()) == {1, 2, 3, 4}
        assert len({note["id"] for note in hospital.notes}) == len(hospital.notes)


def test_removing_a_patient_changes_nobody_else() -> None:
    more, fewer = (make_hospital("north", 5, n, "general", 20) for n in (60, 59))
    assert more.notes[: len(fewer.notes)] == fewer.notes and more.canaries == fewer.canaries
    assert {note["patient"] for note in more.notes[len(fewer.notes) :]} == {"north-0059"}


def test_two_hundred_canaries_each_verbatim_in_a_note(world: tuple[Hospital, ...]) -> None:
    canaries = [canary for hospital in world for canary in hospital.canaries]
    assert len(canaries) == len(set(canaries)) == 200
    for hospital in world:
        texts = "\n".join(note["text"] for note in hospital.notes)
        others = "\n".join(note["text"] for other in world if other is not hospital for note in other.notes)
        assert all(canary in texts for canary in hospital.canaries)
        assert not any(canary in others for canary in hospital.canaries)


def test_canaries_are_gold_spans_and_half_are_structured(world: tuple[Hospital, ...]) -> None:
    spans = {
        note["text"][span["start"] : span["end"]]
        for hospital in world
        for note in hospital.notes
        for span in note["spans"]
    }
    known = {value for hospital in world for note in hospital.notes for value in note["known"].values()}
    canaries = {canary for hospital in world for canary in hospital.canaries}
    assert canaries <= spans
    assert 0.35 <= len(canaries & known) / len(canaries) <= 0.55


def test_more_canaries_than_patients_still_fit() -> None:
    hospital = make_hospital("small", 1, 4, "general", 12)
    texts = "\n".join(note["text"] for note in hospital.notes)
    assert all(canary in texts for canary in hospital.canaries)


def test_canary_numbers_never_repeat_a_text() -> None:
    assert len({make_canary(number).value for number in range(MOST_CANARIES)}) == MOST_CANARIES


def test_case_mix_shifts_complaints(world: tuple[Hospital, ...]) -> None:
    def share(hospital: Hospital, words: tuple[str, ...]) -> float:
        questions = [note["text"].rsplit("Question:", 1)[1] for note in hospital.notes]
        return sum(any(f"with {word} for" in question for word in words) for question in questions) / len(
            questions
        )

    heart, ears = CASE_MIXES["cardiology"].frequent, CASE_MIXES["paediatrics"].frequent
    assert share(world[0], heart) > 2 * share(world[1], heart)
    assert share(world[2], ears) > 2 * share(world[1], ears)


def test_plant_spreads_evenly() -> None:
    assert plant(200, 3) == (67, 67, 66) and plant(0, 0) == ()


def test_a_site_without_patients_is_a_site() -> None:
    empty, full = make_hospitals([("empty", 0, "general"), ("full", 30, "general")], seed=1, canaries=10)
    assert empty.notes == () and empty.canaries == () and len(full.canaries) == 10


def test_jsonl_has_no_gold_spans(world: tuple[Hospital, ...], tmp_path: Path) -> None:
    path = write_jsonl(world[0], tmp_path / "notes.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
    assert len(rows) == len(world[0].notes)
    assert {tuple(row) for row in rows} == {("id", "patient", "text", "known")}


def test_repr_hides_text(world: tuple[Hospital, ...]) -> None:
    assert repr(world[0]) == "Hospital(name='north')"


@pytest.mark.parametrize(
    ("patients", "mix", "canaries"),
    [(10, "dentistry", 0), (0, "general", 3), (10, "general", MOST_CANARIES + 1)],
)
def test_what_cannot_be_made_is_refused(patients: int, mix: str, canaries: int) -> None:
    with pytest.raises(ConfigError):
        make_hospital("north", 1, patients, mix, canaries)
