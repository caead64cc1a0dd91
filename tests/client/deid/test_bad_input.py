"""The table of bad input in client/README.md: one outcome a row, no text in any error, no row lost."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from intraward_client.cli import app
from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.files import deidentify_file, journal_path, quarantine_path, survey
from intraward_client.deid.intake_checks import normalise, reason_to_refuse
from intraward_client.deid.model import BATCH
from intraward_client.deid.note import DeidentifiedNote
from intraward_client.deid.pool import _AHEAD, _CHUNK
from intraward_client.deid.raw import RawNote, ingest
from intraward_shared.errors import InputError

MARKER = "Zebulonquist"
GOOD = {"id": "good", "text": "cough for 3 days"}
SPANISH = (
    f"Paciente {MARKER} de 54 años refiere dolor en el pecho desde hace dos días, sin fiebre. "
    "Niega disnea. Se indica paracetamol y control en una semana."
)
HELD: dict[str, tuple[str, str]] = {
    "a note of 1 MB": ("too-long", f"{MARKER} has a cough. " * 50_000),
    "NUL bytes": ("encoding", f"Dr. {MARKER}\x00 saw a cough"),
    "UTF-8 read as Latin-1": ("encoding", f"{MARKER} said it\u00c3\u00a9 hurts"),
    "a lone surrogate": ("encoding", f"{MARKER} \ud83d coughs"),
    "replacement characters": ("encoding", f"{MARKER} \ufffd\ufffd coughs"),
    "letters of two scripts": ("encoding", "V\u0430rga has a cough"),
    "Arabic": (
        "language",
        "\u0627\u0644\u0645\u0631\u064a\u0636 \u0623\u062d\u0645\u062f \u064a\u0633\u0639\u0644",
    ),
    "Hebrew in English": ("language", f"{MARKER} said \u05db\u05d5\u05d0\u05d1 about the chest"),
    "a right-to-left override": ("encoding", f"Name: {MARKER} \u202egnirb"),
    "HTML with a script": ("markup", f"<p>Seen</p><script>name('{MARKER}')</script>"),
    "a nested document": ("markup", f"<p>Seen</p><iframe srcdoc='{MARKER}'></iframe>"),
    "a picture": ("markup", f"<p>{MARKER}</p><img src='data:image/png;base64,iVBOR'/>"),
    "HTML attributes": ("markup", f'<p title="{MARKER}">Seen for a cough</p>'),
    "HTML with a class of a name": ("markup", f'<p class="{MARKER}">Seen for a cough</p>'),
    "HTML comments": ("markup", f"Seen for a cough <!-- {MARKER} -->"),
    "an entity nobody knows": ("markup", "Seen by Dr. V&qwertz;rga for a cough"),
    "RTF": ("markup", "{\\rtf1\\ansi Name: " + MARKER + "}"),
    "Spanish": ("language", SPANISH),
    "German": (
        "language",
        f"Patientin {MARKER} klagt seit gestern und wird nicht entlassen.",
    ),
}


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", HELD)
def test_a_note_that_cannot_be_judged_is_held_back_by_code(
    deidentifier: Deidentifier, tmp_path: Path, name: str
) -> None:
    reason, text = HELD[name]
    source, out = write(tmp_path / "in.jsonl", {"id": "bad", "text": text}, GOOD), tmp_path / "out.jsonl"
    report = deidentify_file(source, out, deidentifier, spans=tmp_path / "spans.jsonl")
    assert (report.rows, report.released, dict(report.by_reason)) == (2, 1, {reason: 1})
    assert json.loads(quarantine_path(out).read_text()) == {"id": "bad", "reason": reason}
    assert [json.loads(line)["id"] for line in out.read_text().splitlines()] == ["good"]
    assert MARKER not in "".join(path.read_text() for path in tmp_path.iterdir() if path != source)


def test_plain_markup_is_read_through_with_offsets_of_the_original(deidentifier: Deidentifier) -> None:
    name, within = "V<b>a</b>rga", "O&#39;Br&iacute;en"
    text = f"<html><body><div class='note'>Seen by Dr. {name}<br/>\r\n"
    text += f"and Mr.&nbsp;{within} &amp; son</div></body></html>"
    outcome = deidentifier.deidentify_text(text, "p", {})
    assert isinstance(outcome, DeidentifiedNote) and "<" not in outcome.text
    assert [text[start:end] for start, end, _ in outcome.spans] == [name, within]


@pytest.mark.parametrize(
    "text",
    [
        "WBC < 5, Hb > 10 and CRP <5; BP 120/80 & pulse 88.",
        "Mail <o.varga@example.org>, see <PERSON> and [NAME]; R&D; AT&T;",
        "Mr. de la Cruz and Mrs. von der Heide came with the para-medic; per os, pro re nata.",
        "<p>Patient: <b>seen</b></p><br/>10<sup>9</sup>/L &amp; fine<td>",
        "Sono la prima volta: reported by the Italian daughter; las vegas trip.",
    ],
)
def test_english_notes_are_not_taken_for_markup_or_another_language(
    deidentifier: Deidentifier, text: str
) -> None:
    assert reason_to_refuse(normalise(text), 20_000, deidentifier._engine.words) is None


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b'{"id": "a"}\n', 1, "'text' is missing"),
        (b'{"text": "Zebulonquist"}\n', 1, "'id' is missing"),
        (b'{"id": "a", "text": "x"}\n\n{"id": "a", "text": "Zebulonquist"}\n', 3, "used before"),
        ('{"id": "a", "text": "Zebulonquist é"}\n'.encode("latin-1"), 1, "not UTF-8"),
        ('{"id": "a", "text": "Zebulonquist"}\n'.encode("utf-16"), 1, "not UTF-8"),
        (b'{"id": "a", "text": "Zebulonquist"}\n{"id": "b", "text": "Zebu', 2, "not JSON"),
        (b'{"id": "a", "text": "' + b"Z" * 4_000_001 + b'"}\n', 1, "too long"),
        (b'[{"id": "a", "text": "Zebulonquist"}]\n', 1, "not a JSON object"),
    ],
    ids=["no-text", "no-id", "twice", "latin-1", "utf-16", "cut-off", "4-MB-line", "array"],
)
def test_a_file_that_is_wrong_is_refused_by_line_before_anything_is_written(
    tmp_path: Path, content: bytes, line: int, words: str
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        survey(source)
    assert (caught.value.file, caught.value.line) == ("in.jsonl", line)
    assert MARKER not in str(caught.value) and caught.value.__cause__ is None
    result = CliRunner().invoke(app, ["deid", "run", str(source), "--output", str(tmp_path / "out.jsonl")])
    assert result.exit_code == 1 and MARKER not in result.output + repr(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_an_empty_file_is_done_and_said(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_bytes(b"\n \n")
    result = CliRunner().invoke(app, ["deid", "run", str(source), "--output", str(out)])
    assert result.exit_code == 0 and "holds no row" in result.output
    assert out.read_bytes() == quarantine_path(out).read_bytes() == b""


@pytest.mark.slow
def test_a_hundred_thousand_lines_are_checked_in_little_memory(tmp_path: Path) -> None:
    """60 MB of rows; what is kept of each is 16 bytes of its id."""
    source = tmp_path / "in.jsonl"
    with source.open("w") as file:
        for number in range(100_000):
            file.write(f'{{"id": "n{number}", "text": "{"cough " * 95}"}}\n')
    tracemalloc.start()
    try:
        rows, _ = survey(source)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 100_000 and peak < 20_000_000 < source.stat().st_size


@pytest.mark.slow
def test_notes_are_taken_a_few_at_a_time(deidentifier: Deidentifier) -> None:
    taken = 0

    def notes() -> Iterator[RawNote]:
        nonlocal taken
        for number in range(10_000):
            taken += 1
            yield ingest(f"n{number}", "p", "cough")

    next(deidentifier.deidentify_many(notes()))
    assert taken <= BATCH + 1
    taken, pooled = 0, deidentifier.deidentify_many(notes(), 2)
    next(pooled)
    pooled.close()  # type: ignore[attr-defined]
    assert taken <= 2 * _AHEAD * _CHUNK + 1


def test_no_journal_stays_behind(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", GOOD), tmp_path / "out.jsonl"
    deidentify_file(source, out, deidentifier)
    assert not journal_path(out).exists()
