"""A file de-identified outside any site: outputs appear together, with offsets of the original."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.files import (
    deidentify_file,
    journal_path,
    quarantine_path,
    read_notes,
)
from intraward_client.deid.intake_checks import normalise
from intraward_client.deid.journal import Journal
from intraward_client.deid.offsets import original_spans
from intraward_client.deid.raw import reveal
from intraward_shared.errors import ConfigError, InputError

MARKER = "Ottoline Varga"
KNOWN = {"first": "Ottoline", "last": "Varga"}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_rows_spans_and_quarantine_account_for_every_row(deidentifier: Deidentifier, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    text = f"\u200bPatient:\t{MARKER}.\r\nCough for 3 days, seen 2021-03-14."
    source = write(
        tmp_path / "in.jsonl",
        {"id": "a", "text": text, "known": KNOWN},
        {"id": "b", "text": f"{MARKER} \x00 odd"},
        {"id": "c", "text": "cough for 3 days"},
    )
    out, spans = tmp_path / "out.jsonl", tmp_path / "spans.jsonl"
    report = deidentify_file(
        source, out, deidentifier, spans=spans, progress=lambda done, total: told.append((done, total))
    )
    assert (report.rows, report.released, report.quarantined, told[-1]) == (3, 2, 1, (3, 3))
    assert [row["id"] for row in read(out)] == [row["id"] for row in read(spans)] == ["a", "c"]
    assert read(quarantine_path(out)) == [{"id": "b", "reason": "encoding"}]
    found = {
        row["id"]: [(text[s["start"] : s["end"]], s["label"]) for s in row["spans"]] for row in read(spans)
    }
    assert (MARKER, "NAME") in found["a"] and ("2021-03-14", "DATE") in found["a"] and found["c"] == []
    assert read(out)[1]["text"] == "cough for 3 days"
    assert MARKER not in "".join(path.read_text() for path in tmp_path.iterdir() if path != source)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "in.jsonl",
        "out.jsonl",
        "out.quarantine.jsonl",
        "spans.jsonl",
    ]
    assert out.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("line", "where"),
    [
        (b'{"id": "b"}', "'text' is missing"),
        (b'{"id": "a", "text": "x"}', "used before"),
        (b'{"id": "b", "text": "x", "text": "y"}', "given twice"),
        (b'{"id": 7, "text": "x"}', "not a non-empty string"),
        (b'{"id": "b", "text": "x", "knwon": {}}', "unknown key"),
        (b'{"id": "b", "text": "x", "known": {"age": 1.5}}', "object of strings"),
        (b'{"id": "b", "text": "x", "known": {"kin": [{}]}}', "object of strings"),
        (b'{"id": "b", "text": "\xff"}', "not UTF-8"),
        (b'{"id": "b", "text": "Ottoline', "not JSON"),
        (b'["b"]', "not a JSON object"),
        (b'{"id": "b", "text": "x", "known": {"n": NaN}}', "not finite"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(
    deidentifier: Deidentifier, tmp_path: Path, line: bytes, where: str
) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b'{"id": "a", "text": "Ottoline coughs"}\n\n' + line + b"\n")
    with pytest.raises(InputError, match=where) as caught:
        deidentify_file(source, tmp_path / "out.jsonl", deidentifier)
    assert (caught.value.file, caught.value.line) == ("in.jsonl", 3)
    assert "Ottoline" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_the_input_is_never_an_output(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", {"id": "a", "text": "cough"})
    before, other, linked = source.read_bytes(), tmp_path / "o.jsonl", tmp_path / "linked.jsonl"
    linked.hardlink_to(source)
    for output, spans in ((source, None), (linked, None), (other, source), (other, other)):
        with pytest.raises(ConfigError):
            deidentify_file(source, output, deidentifier, spans=spans)
    with pytest.raises(ConfigError):
        deidentify_file(source, tmp_path / "no" / "out.jsonl", deidentifier)
    held = write(tmp_path / "x.quarantine.jsonl", {"id": "a", "text": "cough"})
    with pytest.raises(ConfigError):
        deidentify_file(held, tmp_path / "x.jsonl", deidentifier)
    assert source.read_bytes() == before and not other.exists()


def stop_after(rows: int) -> Callable[[int, int], None]:
    def stop(done: int, _total: int) -> None:
        if done == rows:
            raise KeyboardInterrupt

    return stop


def test_a_stopped_run_leaves_clean_rows_only_and_goes_on_where_it_was(
    deidentifier: Deidentifier, tmp_path: Path
) -> None:
    rows = [
        {"id": str(n), "text": f"Dr. {MARKER} saw cough {n} \x00" if n == 1 else f"cough {n}"}
        for n in range(5)
    ]
    source, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    with pytest.raises(KeyboardInterrupt):
        deidentify_file(source, out, deidentifier, spans=tmp_path / "s.jsonl", progress=stop_after(3))
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", journal_path(out).name}
    assert journal_path(out).stat().st_mode & 0o077 == 0
    assert "Ottoline" not in journal_path(out).read_text()
    told: list[int] = []
    report = deidentify_file(
        source, out, deidentifier, spans=tmp_path / "s.jsonl", progress=lambda done, _total: told.append(done)
    )
    assert (report.rows, report.released, report.resumed, told) == (5, 4, 3, [3, 4, 5])
    assert [row["id"] for row in read(out)] == ["0", "2", "3", "4"] and not journal_path(out).exists()
    assert read(quarantine_path(out)) == [{"id": "1", "reason": "encoding"}]


def test_a_journal_of_another_run_or_a_torn_line_is_done_again(
    deidentifier: Deidentifier, tmp_path: Path
) -> None:
    rows = [{"id": str(n), "text": f"cough {n}"} for n in range(4)]
    source, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"

    def stop() -> Path:
        with pytest.raises(KeyboardInterrupt):
            deidentify_file(source, out, deidentifier, progress=stop_after(3))
        return journal_path(out)

    torn = stop().read_bytes()[:-5]
    journal_path(out).write_bytes(torn)
    assert deidentify_file(source, out, deidentifier).resumed == 2
    stop()
    write(source, *rows[:-1], {"id": "3", "text": "fever"})
    assert deidentify_file(source, out, deidentifier).resumed == 0
    assert [row["text"] for row in read(out)] == ["cough 0", "cough 1", "cough 2", "fever"]
    write(source, *rows)
    stop()
    research = Deidentifier(DeidSettings(profile="research"), bytes(32))
    assert deidentify_file(source, out, research).resumed == 0


def test_a_forgotten_secret_leaves_no_journal(tmp_path: Path) -> None:
    """Going on with another one would give a person two surrogates."""
    source = write(tmp_path / "in.jsonl", *({"id": str(n), "text": "cough"} for n in range(3)))
    research = Deidentifier(DeidSettings(profile="research"), bytes(32))
    other = Deidentifier(research.settings, bytes([1]) * 16)
    assert research.keyed and research.fingerprint() != other.fingerprint()
    with pytest.raises(KeyboardInterrupt):
        deidentify_file(source, tmp_path / "o.jsonl", research, progress=stop_after(2), keep=False)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_two_runs_do_not_write_one_output(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source, out = write(tmp_path / "in.jsonl", {"id": "a", "text": "cough"}), tmp_path / "out.jsonl"
    other = Journal.open(journal_path(out), "0" * 64)
    with pytest.raises(ConfigError, match="another run"):
        deidentify_file(source, out, deidentifier)
    other.remove()


def test_a_file_that_changes_as_it_is_read_is_refused(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source = write(tmp_path / "in.jsonl", *({"id": str(n), "text": "cough"} for n in range(3)))

    def change(done: int, _total: int) -> None:
        if done == 2:
            write(source, *({"id": str(n), "text": "fever"} for n in range(3)))

    with pytest.raises(InputError, match="changed while it was read"):
        deidentify_file(source, tmp_path / "out.jsonl", deidentifier, progress=change)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


def test_known_values_may_be_missing_numbers_or_several(tmp_path: Path) -> None:
    known = {"first": "Ottoline", "dob": None, "mrn": 48120957, "kin": ["Anjali Deshmukh", "Bo Rask"]}
    (note,) = read_notes(write(tmp_path / "in.jsonl", {"id": "a", "text": "x", "known": known}))
    assert note.patient_id == "48120957"
    assert dict(reveal(note)[1]) == {
        "first": "Ottoline",
        "mrn": "48120957",
        "kin": "Anjali Deshmukh",
        "kin_2": "Bo Rask",
    }


def test_an_empty_file_gives_empty_files(deidentifier: Deidentifier, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_bytes(b"")
    assert deidentify_file(source, tmp_path / "out.jsonl", deidentifier).rows == 0
    assert (tmp_path / "out.jsonl").read_bytes() == b""


def test_one_patient_keeps_one_surrogate_and_its_intervals(
    deidentifier: Deidentifier, tmp_path: Path
) -> None:
    known = {**KNOWN, "mrn": "48120957"}
    rows = [
        {"id": f"n{day}", "text": f"Patient: {MARKER}. Seen on 2021-03-{day}.", "known": known}
        for day in (14, 19)
    ]
    source, out = write(tmp_path / "in.jsonl", *rows), tmp_path / "out.jsonl"
    research = Deidentifier(DeidSettings(profile="research"), bytes(32))
    deidentify_file(source, out, research)
    first, second = (row["text"] for row in read(out))
    assert first.split(". Seen")[0] == second.split(". Seen")[0] and MARKER not in first
    days = [date.fromisoformat(text[-11:-1]) for text in (first, second)]
    assert (days[1] - days[0]).days == 5 and days[0] != date(2021, 3, 14)


def test_the_self_test_passes_in_both_profiles_whatever_the_secret() -> None:
    """Surrogates may hold an at-sign, or by chance the day of the canary's date."""
    for secret in range(4):
        Deidentifier(DeidSettings(profile="research"), bytes([secret]) * 16).self_test()


@pytest.mark.parametrize(
    "text",
    ["plain", "\ufeffa\u00adb\tc", "e\u0301tude\u200d x", "a\r\n\u0301b\r", "\u1100\u1161\u11a8 \u2014 k"],
)
def test_offsets_follow_normalisation(text: str) -> None:
    plain = normalise(text)
    every = [(index, index + 1, "X") for index in range(len(plain))]
    for (start, end, _), (index, _, _) in zip(original_spans(text, plain, every), every, strict=True):
        assert plain[index] in normalise(text[start:end])
    (start, end, _), *_ = original_spans(text, plain, [(0, len(plain), "X")])
    assert normalise(text[start:end]) == plain


def test_notes_do_not_show_their_text(tmp_path: Path) -> None:
    (note,) = read_notes(write(tmp_path / "in.jsonl", {"id": "a", "text": MARKER}))
    assert "Ottoline" not in repr(note)


def test_odd_notes_are_each_done_or_held_back_with_a_code(deidentifier: Deidentifier, tmp_path: Path) -> None:
    texts = {
        "megabyte": f"{MARKER} coughs. " * 60_000,
        "nul": "cough\x00cough",
        "surrogate": "cough \ud800",
        "mojibake": "caf\u00c3\u00a9 cough",
        "rtl": "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd",
        "override": "cough \u202egnissim",
        "spanish": "la paciente acude por dolor en el pecho desde hace tres semanas y no puede dormir bien",
        "html": f"<p>Patient: <b>{MARKER}</b></p><br/>cough for 3 days",
        "empty": "",
    }
    source = write(tmp_path / "in.jsonl", *({"id": name, "text": text} for name, text in texts.items()))
    out = tmp_path / "out.jsonl"
    report = deidentify_file(source, out, deidentifier)
    held = {row["id"]: row["reason"] for row in read(quarantine_path(out))}
    done = {row["id"]: row["text"] for row in read(out)}
    assert held == {
        "megabyte": "too-long",
        "nul": "encoding",
        "surrogate": "encoding",
        "mojibake": "encoding",
        "rtl": "language",
        "override": "encoding",
        "spanish": "language",
    }
    assert (
        set(done) == {"html", "empty"} and "Varga" not in done["html"] and "cough for 3 days" in done["html"]
    )
    assert (report.released, report.quarantined) == (len(done), len(held))
