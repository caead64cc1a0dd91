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
from intraward_simulation.deid_corpus.half import Author, HalfName, load_half
from intraward_simulation.deid_corpus.rendering import ENTITY, Piece, Story
from intraward_simulation.deid_corpus.rows import KINDS, LONGEST, SHORTEST, Kind, spell, write_rows
from intraward_simulation.deid_corpus.values import CHECKED

HALVES: tuple[HalfName, ...] = get_args(HalfName)
ROWS = 100
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
    re.compile(r"@(?![\u25a1 ])"),
    re.compile(r"(?<![\w.])\d{6}"),
    re.compile(r"https?:|www\.|example\.(?:com|org|net)"),
    re.compile(r"\b(?:[0-2]?\d|3[01])([/-])[0-3]?\d\1(?:19|20)\d\d\b|\b\d{4}-\d\d-\d\d\b"),
    re.compile(r"555.?01|\b\d{3}-\d{4}\b|\(\d{3}\)"),
    re.compile(r"\b(?:January|February|April|June|July|August|September|October|November|December)\b"),
)


def names(author: Author, *, wordlike: bool) -> set[str]:
    """Every word of the author's names."""
    return {
        word
        for area in author.areas
        if wordlike or area.name not in WORDLIKE
        for name in (*area.women, *area.men, *area.family)
        for word in re.findall(r"[\w'-]{3,}", name)
        if word[0].isupper()
    }


AUTHORS = [author for half in HALVES for author in load_half(half)]


FIRST = [one for one in AUTHORS if one.letter == "a"]
EVERY = [one if one in FIRST else pytest.param(one, marks=pytest.mark.exhaustive) for one in AUTHORS]


@pytest.fixture(scope="module", params=EVERY, ids=lambda author: f"{author.half}-{author.letter}")
def author(request: pytest.FixtureRequest) -> Author:
    chosen: Author = request.param
    return chosen


@pytest.fixture(scope="module")
def rows(author: Author) -> dict[Kind, list[dict[str, Any]]]:
    """Rows of one author alone."""
    count = ROWS * len(load_half(author.half))
    return {
        kind: [row for row in write_rows(kind, author.half, count, 7) if row["template"][0] == author.letter]
        for kind in KINDS
    }


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


@pytest.mark.parametrize("author", [load_half("dev")[0], load_half("dev")[1]], ids=["a", "b"])
def test_templates_name_nobody(author: Author) -> None:
    """What is no slot holds no name of the author's, but in an eponym; the others use words as names too."""
    listed = names(author, wordlike=False) - EPONYMS
    for file, templates in author.texts.items():
        for template in templates:
            assert not set(re.findall(r"[\w'-]+", SLOT.sub(" ", template))) & listed, (file, template)


def test_known_values_are_marked(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    """What the record system knows of the patient is never left unmarked in the note."""
    for row in rows["notes"]:
        assert {"first", "last", "dob"} <= row["known"].keys() and row["patient"]
        left = outside(row)
        for key in ("mrn", "phone", "email", "ssn"):
            assert row["known"].get(key, "\u25a1\u25a1") not in left


def test_kinds_are_what_they_are_called(rows: dict[Kind, list[dict[str, Any]]], author: Author) -> None:
    lengths = [len(row["text"]) for row in rows["notes"]]
    assert min(lengths) >= SHORTEST and max(lengths) <= LONGEST * 1.1 and len(set(lengths)) > ROWS // 2
    assert all(row["spans"] and "known" not in row for row in rows["queries"])
    assert max(len(row["text"]) for row in rows["queries"]) < 500
    assert all(row["spans"] == [] for kind in ("clean", "lines") for row in rows[kind])
    assert len(set(author.texts["lines"])) >= 119


def test_every_class_of_safe_harbor_is_there_in_many_formats(rows: dict[Kind, list[dict[str, Any]]]) -> None:
    seen: Counter[str] = Counter()
    shapes: dict[str, set[str]] = {}
    for row in rows["notes"]:
        for span in row["spans"]:
            entity, value = span["entity"], row["text"][span["start"] : span["end"]]
            seen[entity] += 1
            shapes.setdefault(entity, set()).add(re.sub(r"\d", "9", re.sub(r"[^\W\d_]+", "a", value)))
    assert set(seen) >= (set(ENTITY.values()) | {"PERSON", "DATE", "AGE_OVER_89", "EMAIL"}) - {"NHS"}
    assert min(count for entity, count in seen.items() if entity != "NHS") >= 10
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
                assert re.search(r"@(?:[\w-]+\.)*[\w-]*example(?:\.[a-z]{2,3}){0,2}$", value)
            elif span["entity"] == "SSN" and value[0].isdigit() and len(value) > 4:
                assert value.startswith(("9", "000", "666"))
            elif span["entity"] == "NHS":
                assert value.startswith("999")
            elif span["entity"] == "URL":
                assert re.search(r"\bexample(?:\.[a-z]{2,3}){0,2}(?:/|$)", value)
            elif span["entity"] == "IP" and "." in value:
                kept = ("192.0.2.", "198.51.100.", "203.0.113.", "10.", "172.16.", "192.168.")
                assert value.startswith(kept)


def test_the_held_out_author_shares_no_template_and_no_format() -> None:
    (held,) = load_half("held-out")
    assert len(held.areas) >= 20 and len(names(held, wordlike=True)) > 600
    for author in load_half("dev"):
        for file in author.texts:
            shared = set(author.texts[file]) & set(held.texts[file])
            assert len(shared) <= 5, (author.letter, file)  # a short phrase of every chart
        for section in ("mrn", "device", "accession", "otherid", "license", "bio", "hospital"):
            shared = {*author.values[section]} & {*held.values[section]}
            assert len(shared) <= 5, (author.letter, section)


def test_two_authors_of_dev_share_no_name() -> None:
    """The first two knew of each other; the later ones wrote without a look at any."""
    first, second = load_half("dev")[:2]
    folded = [{name.lower() for name in names(author, wordlike=True)} for author in (first, second)]
    assert folded[0] & folded[1] == set()
    assert len(load_half("dev")) == 10


def test_rows_follow_from_seed_and_number_alone() -> None:
    few, many = (list(write_rows("notes", "dev", count, 3)) for count in (4, 9))
    assert [row["template"][0] for row in many] == list("abcdefghi")
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
    author = load_half("dev")[0]
    stories = [Story(author, np.random.Generator(np.random.Philox(seed))) for seed in range(200)]
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
