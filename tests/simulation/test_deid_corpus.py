"""The corpus for the de-identifier: exact spans, nothing unmarked, two halves apart, invented numbers."""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from intraward_simulation import cli
from intraward_simulation.deid_corpus import noise
from intraward_simulation.deid_corpus.half import Half, HalfName, load_half
from intraward_simulation.deid_corpus.rendering import ENTITY, Piece, Story
from intraward_simulation.deid_corpus.rows import KINDS, LONGEST, SHORTEST, Kind, spell, write_rows
from intraward_simulation.deid_corpus.values import CHECKED

HALVES: tuple[HalfName, ...] = get_args(HalfName)
WORDLIKE = {"words", "eponyms"}
"""Areas whose names are words or diseases too."""
EPONYMS = {
    "Murphy",
    "Hashimoto",
    "Katz",
    "Barlow",
    "Harris",
    "Wagner",
    "Jackson",
    "Clark",
    "Bouchard",
    "Marie",
    "Walker",
}
"""Names of the other areas that a template also says of a disease or a tool."""
SLOT = re.compile(r"\{[^{}]*\}")
UNMARKED = (
    re.compile(r"@"),
    re.compile(r"\d{6}"),
    re.compile(r"https?:|www\.|example\.(?:com|org|net)"),
    re.compile(r"\b\d{1,2}[/-]\d{1,2}[/-]\d{2,4}\b|\b\d{4}-\d\d-\d\d\b"),
    re.compile(r"555.?01|\b\d{3}-\d{4}\b|\(\d{3}\)"),
    re.compile(r"\b(?:January|February|April|June|July|August|September|October|November|December)\b"),
)


def names(half: Half, *, wordlike: bool) -> set[str]:
    """Every word of the half's names."""
    return {
        word
        for area in half.areas
        if wordlike or area.name not in WORDLIKE
        for name in (*area.women, *area.men, *area.family)
        for word in re.findall(r"[\w'-]{3,}", name)
        if word[0].isupper()
    }


@pytest.fixture(scope="module", params=HALVES)
def half(request: pytest.FixtureRequest) -> Half:
    return load_half(request.param)


@pytest.fixture(scope="module")
def rows(half: Half) -> dict[Kind, list[dict[str, Any]]]:
    return {kind: list(write_rows(kind, half.name, 300, 7)) for kind in KINDS}


def outside(row: dict[str, Any]) -> str:
    """The text with its marked parts taken out."""
    text = row["text"]
    for span in reversed(row["spans"]):
        text = text[: span["start"]] + "\u25a1" + text[span["end"] :]
    return str(text)


def test_nothing_that_identifies_stands_outside_a_span(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    for row in (row for kind in KINDS for row in rows[kind]):
        left, last = outside(row), 0
        found = [pattern.pattern for pattern in UNMARKED if pattern.search(left)]
        assert not found, (row["id"], row["template"], found)
        for span in row["spans"]:
            piece = row["text"][span["start"] : span["end"]]
            assert span["start"] >= last and any(map(str.isalnum, piece)) and piece == piece.strip()
            last = span["end"]
            digits = "".join(filter(str.isdigit, piece))
            assert len(digits) < 5 or piece not in left, (row["id"], row["template"])


def test_templates_name_nobody(half: Half) -> None:
    """What is no slot holds no name of the half, but in an eponym."""
    listed = names(half, wordlike=False) - EPONYMS
    for file, templates in half.texts.items():
        for template in templates:
            assert not set(re.findall(r"[\w'-]+", SLOT.sub(" ", template))) & listed, (file, template)


def test_known_values_are_marked(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    """What the record system knows of the patient is never left unmarked in the note."""
    for row in rows["notes"]:
        assert {"first", "last", "dob"} <= row["known"].keys() and row["patient"]
        left = outside(row)
        for key in ("mrn", "phone", "email", "ssn"):
            assert row["known"].get(key, "\u25a1\u25a1") not in left


def test_kinds_are_what_they_are_called(rows: dict[Kind, list[dict[str, Any]]], half: Half) -> None:
    lengths = [len(row["text"]) for row in rows["notes"]]
    assert min(lengths) >= SHORTEST and max(lengths) <= LONGEST * 1.1 and len(set(lengths)) > 200
    assert all(row["spans"] and "known" not in row for row in rows["queries"])
    assert max(len(row["text"]) for row in rows["queries"]) < 500
    assert all(row["spans"] == [] for kind in ("clean", "lines") for row in rows[kind])
    assert len(set(half.texts["lines"])) >= 119


def test_every_class_of_safe_harbor_is_there_in_many_formats(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    seen: Counter[str] = Counter()
    shapes: dict[str, set[str]] = {}
    for row in rows["notes"]:
        for span in row["spans"]:
            entity, value = span["entity"], row["text"][span["start"] : span["end"]]
            seen[entity] += 1
            shapes.setdefault(entity, set()).add(re.sub(r"\d", "9", re.sub(r"[^\W\d_]+", "a", value)))
    assert set(seen) >= set(ENTITY.values()) | {"PERSON", "DATE", "AGE_OVER_89", "EMAIL"}
    assert min(seen.values()) >= 20
    assert all(len(shapes[entity]) >= 4 for entity in ("MRN", "PHONE", "DEVICE_ID", "LICENSE", "ADDRESS"))
    assert len(shapes["DATE"]) >= 10 and len(shapes["PERSON"]) >= 8
    assert {span.get("role") for row in rows["notes"] for span in row["spans"]} >= {
        "PATIENT",
        "STAFF",
        "RELATIVE",
    }


def test_numbers_are_of_ranges_kept_for_examples(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    for row in rows["notes"] + rows["queries"]:
        for span in row["spans"]:
            value = row["text"][span["start"] : span["end"]].lower()
            if span["entity"] == "EMAIL":
                assert re.search(r"@(?:[\w-]+\.)*example\.(?:com|org|net)$", value)
            elif span["entity"] == "SSN" and value[0].isdigit():
                assert value[0] == "9"
            elif span["entity"] == "NHS":
                assert value.startswith("999")
            elif span["entity"] == "URL":
                assert re.search(r"\bexample\.(?:com|org|net)/", value)
            elif span["entity"] == "IP" and "." in value:
                assert value.startswith(("192.0.2.", "198.51.100.", "203.0.113."))


def test_halves_share_no_name_no_template_and_no_place() -> None:
    dev, held = (load_half(name) for name in HALVES)
    folded = [{name.lower() for name in names(half, wordlike=True)} for half in (dev, held)]
    assert len(dev.areas) >= 20 and len(held.areas) >= 20 and min(map(len, folded)) > 600
    assert folded[0] & folded[1] == set()
    for file in dev.texts:
        assert not set(dev.texts[file]) & set(held.texts[file])
    for section in ("town", "street", "saint", "firm", "ward", "heading", "foreigntown", "county"):
        assert not {*dev.words.get(section, ())} & {*held.words.get(section, ())}
    codes = ("mrn", "device", "accession", "otherid", "license", "bio", "hospital", "url", "plate")
    for section in codes:
        assert len({*dev.values[section]} & {*held.values[section]}) <= 1


def test_rows_follow_from_seed_and_number_alone() -> None:
    few, many = (list(write_rows("notes", "dev", count, 3)) for count in (4, 9))
    assert few == many[:4] and few != list(write_rows("notes", "dev", 4, 4))
    assert len({row["text"] for row in many}) == 9


def test_noise_moves_spans_with_the_text() -> None:
    draw = np.random.Generator(np.random.Philox(1))
    name = Piece("Anna Maria Storm", "PERSON", "PATIENT")
    pieces = [Piece("Seen, " + "again and again " * 9), name, Piece(", with cough & fever.\nStable. Home.")]
    for _, change in noise.CHANGES:
        changed = pieces if change is None else change(pieces, draw)
        row = spell(changed)
        (span,) = row["spans"]
        marked = row["text"][span["start"] : span["end"]]
        assert re.sub(r"\s", " ", marked).lower().replace("0", "o").startswith("anna m")
        assert noise.narrow is not change or "\n" in row["text"].split("cough")[0]
        assert noise.marked_up is not change or "&amp;" in row["text"]
        assert noise.capitals is not change or row["text"].isupper()


def test_check_digits_by_hand() -> None:
    draw = np.random.Generator(np.random.Philox(2))
    for _ in range(50):
        nhs = [int(digit) for digit in CHECKED["NHS"](draw)]
        assert sum(digit * weight for digit, weight in zip(nhs, range(10, 0, -1), strict=True)) % 11 == 0
        npi = [int(digit) for digit in "80840" + CHECKED["NPI"](draw)]
        doubled = [d if place % 2 == 0 else sum(divmod(2 * d, 10)) for place, d in enumerate(reversed(npi))]
        assert sum(doubled) % 10 == 0
        dea = [int(digit) for digit in CHECKED["DEA"](draw)[2:]]
        assert (sum(dea[0:6:2]) + 2 * sum(dea[1:6:2])) % 10 == dea[6]


def test_the_age_fits_the_birth_date_and_great_ages_are_marked() -> None:
    half = load_half("dev")
    stories = [Story(half, np.random.Generator(np.random.Philox(seed))) for seed in range(200)]
    for story in stories:
        birthday = story.birth.replace(year=story.day.year)
        assert story.age == story.day.year - story.birth.year - (story.day < birthday)
        assert (story.render("{age}")[0].entity is not None) == (story.age > 89)
    assert 8 <= sum(story.old for story in stories) <= 50


def test_the_command_writes_gold_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def call(*arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["intraward-simulate", "notes", *arguments])
        cli.main()

    out = tmp_path / "gold.jsonl"
    with pytest.raises(SystemExit) as stop:
        call("--kind", "queries", "--half", "held-out", "--count", "6", "--output", str(out), "--json")
    assert not stop.value.code
    told = json.loads(capsys.readouterr().out)
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert rows == list(write_rows("queries", "held-out", 6, 1))
    assert told["rows"] == 6 and told["entities"]["PERSON"] >= 5
    with pytest.raises(SystemExit) as stop:
        call("--output", str(tmp_path / "no" / "gold.jsonl"))
    assert stop.value.code == 1 and "cannot be written" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["gold.jsonl"]
