"""Gold rows of four kinds: notes with a header, queries without, text without identifiers, and single lines.

A row is ``{"id", "text", "spans": [{"start", "end", "entity", "role"?}], "known"?, "patient"?, "template"}``,
the format of ``intraward-client deid evaluate``. A row depends on seed, half, kind and its number only, by
numpy's Philox (Salmon et al. 2011), so that a longer file starts with the rows of a shorter one.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from intraward_shared.errors import ConfigError
from intraward_simulation.deid_corpus.half import Author, HalfName, load_half
from intraward_simulation.deid_corpus.noise import change
from intraward_simulation.deid_corpus.rendering import Piece, Story
from intraward_simulation.deid_corpus.values import write_date

Kind = Literal["notes", "queries", "clean", "lines"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SHORTEST, LONGEST = 600, 4000
"""Characters of a note, before it is changed on its way."""
_WHOLE_SHARE = 0.25
_PHI_SHARE = 0.4
_MORE_KNOWN = ("phone", "address", "email", "ssn", "next_of_kin", "clinician")
_MORE_SHARE = 0.25
_STRIDE = 61
"""Between the lines of a short file, so that it holds some of every kind."""


def write_rows(kind: Kind, half: HalfName, count: int, seed: int) -> Iterator[dict[str, Any]]:
    """``count`` gold rows, of a half's authors in turn; the same arguments give the same rows."""
    authors = load_half(half)
    for number in range(count):
        author, own = authors[number % len(authors)], number // len(authors)
        key = np.random.SeedSequence([seed, KINDS.index(kind), half == "dev", number])
        draw = np.random.Generator(np.random.Philox(key))
        template, story, pieces = _WRITERS[kind](author, draw, own)
        row: dict[str, Any] = {"id": f"{half}-{kind}-{seed}-{number}", **spell(pieces)}
        row["template"] = f"{author.letter} {template}"
        if kind == "notes":
            row["known"], row["patient"] = _known(story), f"p{number}"
        yield row


def write_gold(output: Path, kind: Kind, half: HalfName, count: int, seed: int) -> dict[str, Any]:
    """Write the rows to a file, which appears whole; returns counts of rows and of marked entities.

    Raises:
        ConfigError: the file cannot be written.
    """
    entities: Counter[str] = Counter()
    part = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            for row in write_rows(kind, half, count, seed):
                entities.update(span["entity"] for span in row["spans"])
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
        part.replace(output)
    except OSError:
        raise ConfigError(output, "", "cannot be written", remedy="name a file in a folder") from None
    finally:
        part.unlink(missing_ok=True)
    settings = {"kind": kind, "half": half, "seed": seed, "rows": count}
    return settings | {"entities": dict(sorted(entities.items()))}


def spell(pieces: Sequence[Piece]) -> dict[str, Any]:
    """Text and spans of pieces."""
    text, spans = "", []
    for piece in pieces:
        if piece.entity is not None:
            span = {"start": len(text), "end": len(text) + len(piece.text), "entity": piece.entity}
            spans.append(span | ({"role": piece.role} if piece.role else {}))
        text += piece.text
    return {"text": text, "spans": spans}


def _note(author: Author, draw: np.random.Generator, _number: int) -> tuple[str, Story, list[Piece]]:
    """A whole note, or a header, sections and a footer."""
    story = Story(author, draw)
    length = int(np.exp(draw.uniform(np.log(SHORTEST + 100), np.log(LONGEST - 400))))
    file = "notes" if draw.random() < _WHOLE_SHARE else "headers"
    at = int(draw.integers(len(author.texts[file])))
    pieces = [*story.render(author.texts[file][at]), Piece("\n")]
    headed = bool(draw.random() < 0.7)
    while _length(pieces) < length:
        pieces += _section(story, headed, length - _length(pieces))
    if file == "headers":
        pieces += [Piece("\n"), *story.render(_one(draw, author.texts["footers"]))]
    return f"{file} {at}", story, change(pieces, draw)


def _section(story: Story, headed: bool, room: int) -> list[Piece]:
    """A heading now and then, and two to six sentences; some name somebody."""
    author, draw = story.author, story.draw
    pieces = [Piece("\n" + _one(draw, author.words["heading"]) + (":\n" if draw.random() < 0.5 else ": "))]
    pieces = pieces if headed else [Piece("\n")]
    apart = _one(draw, (" ", " ", "\n", "\n- "))
    for _ in range(int(draw.integers(2, 7))):
        if _length(pieces) > room:
            break
        source = "phi" if draw.random() < _PHI_SHARE else "clinical"
        pieces += [*story.render(story.fresh(author.texts[source])), Piece(apart)]
    return [*pieces[:-1], Piece("\n")]


def _query(author: Author, draw: np.random.Generator, number: int) -> tuple[str, Story, list[Piece]]:
    """A message to a colleague; one in three has a sentence of the clinic more."""
    story = Story(author, draw)
    at = number % len(author.texts["queries"])
    pieces = story.render(author.texts["queries"][at])
    if draw.random() < 0.35:
        more = story.render(_one(draw, author.texts["clinical"]))
        pieces = [*more, Piece(" "), *pieces] if draw.random() < 0.5 else [*pieces, Piece(" "), *more]
    if draw.random() < 0.12:
        pieces = [replace(piece, text=piece.text.lower()) for piece in pieces]
    return f"queries {at}", story, pieces


def _clean(author: Author, draw: np.random.Generator, number: int) -> tuple[str, Story, list[Piece]]:
    """Text that names nobody: a sentence, a query, or a note."""
    story = Story(author, draw)
    if number % 5 == 4:
        story.old = False
        pieces: list[Piece] = []
        for _ in range(int(draw.integers(3, 9))):
            heading = _one(draw, author.words["heading"])
            said = story.render(_one(draw, author.texts["clinical"]))
            pieces += [Piece(heading + ": "), *said, Piece("\n")]
        return "clean note", story, pieces[:-1]
    both = author.texts["clean"] + author.texts["clinical"]
    at = int(draw.integers(len(both)))
    return f"clean {at}", story, story.render(both[at])


def _line(author: Author, draw: np.random.Generator, number: int) -> tuple[str, Story, list[Piece]]:
    """A line with an eponym, a drug or a vital sign."""
    story = Story(author, draw)
    at = number * _STRIDE % len(author.texts["lines"])
    return f"lines {at}", story, story.render(author.texts["lines"][at])


_WRITERS = {"notes": _note, "queries": _query, "clean": _clean, "lines": _line}


def _known(story: Story) -> dict[str, str]:
    """What the record system says of the patient beside the note."""
    patient, draw = story.person("pt"), story.draw
    style = "YYYY-MM-DD" if draw.random() < 0.6 else story.birth_style
    known = {"first": patient.given, "last": patient.family, "dob": write_date(story.birth, style)}
    if "mrn" in story.stable:
        known["mrn"] = story.stable["mrn"]
    more = {
        "phone": story.stable.get("pt.phone") or story.stable.get("pt.ukphone"),
        "address": story.stable.get("pt.address") or story.stable.get("pt.ukaddress"),
        "email": patient.email,
        "ssn": story.stable.get("ssn"),
        "next_of_kin": story.people["kin"].full if "kin" in story.people else None,
        "clinician": story.people["doc"].full if "doc" in story.people else None,
    }
    for name in _MORE_KNOWN:
        if (given := more[name]) and draw.random() < _MORE_SHARE:
            known[name] = given
    return known


def _one(draw: np.random.Generator, choices: Sequence[str]) -> str:
    return choices[int(draw.integers(len(choices)))]


def _length(pieces: Sequence[Piece]) -> int:
    return sum(len(piece.text) for piece in pieces)
