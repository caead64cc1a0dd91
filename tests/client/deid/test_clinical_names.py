"""Words that look like names and are none, and people whose names are eponyms, by class."""

from __future__ import annotations

import pytest

from intraward_client.deid.deidentifier import Deidentifier

LEFT_ALONE = {
    "a compound eponym": "Jackson-Pratt drain 20 mL, Epstein-Barr IgM sent, Le Fort II fracture.",
    "a compound alone": "Osgood-Schlatter, rest. Von Hippel-Lindau, annual MRI.",
    "a word nobody knows beside its noun": "Zavrikov sign absent, Quellmann-Ostrau index 4.",
    "a surname beside its noun": "Modified Hendersson score 3, Caldwell triangle opened.",
    "scores": "Tinetti 22/28, Berg 48/56, Weber B at the ankle, Forrest grade 2.",
    "coupled": "Rinne and Weber normal. McRoberts and Rubin II tried.",
    "a procedure with a first name": "Ivor Lewis, day 4. Austin Flint murmur not heard.",
    "a saint's plant": "Takes St. John's wort. No Sister Mary Joseph nodule.",
    "brands": "Started Pabrinex and Epilim, Entonox in labour.",
    "organisms": "Grew Strongyloides and Stenotrophomonas.",
    "countries": "Travel to Laos and Cambodia, then Saudi Arabia.",
    "a capital that opens a sentence": "PERLA, chest clear. May need a hoist.",
}
FOUND = {
    "a title": ("Dr. Tinetti agreed.", "Tinetti"),
    "a first name": ("Lisa Hodgkin called about refills.", "Lisa Hodgkin"),
    "a label": ("Patient: Austin Flint", "Austin Flint"),
    "an errand": ("Any update for Hashimoto?", "Hashimoto"),
    "a deed": ("Wells denies chest pain.", "Wells"),
    "a relative": ("Foley's daughter called this morning.", "Foley"),
    "small words before a noun": ("Asked Bochdalek about the drain.", "Bochdalek"),
}


@pytest.mark.parametrize("name", LEFT_ALONE)
def test_things_of_the_clinic_are_left_alone(deidentifier: Deidentifier, name: str) -> None:
    text = LEFT_ALONE[name]
    assert [text[start:end] for start, end, _ in deidentifier.find(text)] == []


@pytest.mark.parametrize("name", FOUND)
def test_a_person_of_that_name_is_found(deidentifier: Deidentifier, name: str) -> None:
    text, person = FOUND[name]
    assert person in [text[start:end].removesuffix("'s") for start, end, _ in deidentifier.find(text)]
