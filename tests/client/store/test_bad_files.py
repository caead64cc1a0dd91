"""What a hospital's export can have wrong: mended where that is safe, else refused by file and line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.importing import check_file
from intraward_client.store import intake, notes, preferences, prompts
from intraward_client.store.importers import Kind, read_rows
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError, VaultError

PAIR: dict[str, Any] = {"patient": "p", "prompt": "cough?", "chosen": "see a doctor", "rejected": "wait"}
DEMO: dict[str, Any] = {"patient": "p", "prompt": "cough?", "completion": "rest"}


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier(DeidSettings(), bytes(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault.create(tmp_path / "vault" / "vault.db", tmp_path / "keys", index_key=bytes(32))
    yield made
    made.close()


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["bom", "crlf", "both", "blank"])
def test_windows_line_ends_and_byte_order_marks_change_no_row(tmp_path: Path, form: str) -> None:
    """The ids, made of the content, stay the same: an export that is saved anew adds nothing twice."""
    plain = write(tmp_path / "plain.jsonl", PAIR, PAIR | {"patient": "q"})
    text = plain.read_bytes()
    text = text.replace(b"\n", b"\r\n" if form in ("crlf", "both") else b"\n")
    text = text.replace(b"\n", b"\n \t\n") if form == "blank" else text
    (tmp_path / "other.jsonl").write_bytes((b"\xef\xbb\xbf" if form in ("bom", "both") else b"") + text)
    rows = [read_rows(tmp_path / name, "preferences") for name in ("plain.jsonl", "other.jsonl")]
    assert [(row.row_id, row.patient_id) for row in rows[0]] == [(r.row_id, r.patient_id) for r in rows[1]]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(DEMO).encode("utf-16"), "not UTF-8"),
        (json.dumps(DEMO).encode("latin-1") + b" \xe9", "not UTF-8"),
        (b'{"patient": "p", "prompt": "zebra', "not JSON"),
        (b"\xef\xbb\xbf\xef\xbb\xbf" + json.dumps(DEMO).encode(), "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"patient": ' + b"9" * 10_000 + b"}", "not JSON"),
        (b'{"patient": "p"}\x00', "not JSON"),
        (b'"zebra"', "not a JSON object"),
        (b'{"patient": "' + b"z" * 9_000_000 + b'"}', "too long"),
    ],
    ids=["utf16", "latin1", "cut", "two-marks", "deep", "number", "nul", "string", "long"],
)
def test_a_line_that_cannot_be_read_is_named_and_never_shown(
    tmp_path: Path, content: bytes, words: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(DEMO | {"id": "first"}).encode() + b"\n" + content + b"\n")
    if words == "not UTF-8" and content[:2] == b"\xff\xfe":
        path.write_bytes(content)  # such a file is so from its first byte on
    with pytest.raises(InputError, match=r"rows\.jsonl: line [12]: ") as caught:
        read_rows(path, "demonstrations")
    assert words in str(caught.value) and "zebra" not in str(caught.value)
    assert "nothing of the file was stored" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "row", "words"),
    [
        ("demonstrations", DEMO | {"completion": ""}, "'completion' is not a non-empty"),
        ("demonstrations", DEMO | {"completion": " \n\t\u00a0"}, "'completion' is not a non-empty"),
        ("demonstrations", DEMO | {"prompt": " "}, "'prompt' is not a non-empty"),
        ("preferences", PAIR | {"prompt": ""}, "'prompt' is not a non-empty"),
        ("preferences", PAIR | {"chosen": ""}, "an answer is empty"),
        ("preferences", PAIR | {"rejected": "\u2003\n"}, "an answer is empty"),
        ("preferences", PAIR | {"rejected": "see  a\ndoctor"}, "both answers are the same"),
        ("preferences", PAIR | {"margin": -0.5}, "'margin' is not from 0"),
        ("preferences", PAIR | {"margin": 10**400}, "'margin' is not from 0"),
        ("preferences", PAIR | {"margin": 1e30}, "'margin' is not from 0"),
        ("preferences", PAIR | {"margin": "2"}, "'margin' is not a number"),
        ("preferences", PAIR | {"patient": "zebra\ud800"}, "'patient' is not valid Unicode"),
        ("demonstrations", DEMO | {"id": "\udfff"}, "'id' is not valid Unicode"),
        ("demonstrations", DEMO | {"id": "used"}, "used before in this file, on line 1"),
    ],
)
def test_a_row_that_teaches_nothing_or_wrongly_is_refused_by_its_line(
    tmp_path: Path, kind: Kind, row: dict[str, Any], words: str
) -> None:
    good = (PAIR if kind == "preferences" else DEMO) | {"id": "used"}
    path = write(tmp_path / "rows.jsonl", good, row)
    with pytest.raises(InputError, match=r"rows\.jsonl: line 2: ") as caught:
        read_rows(path, kind)
    assert words in str(caught.value) and "zebra" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("patient,prompt,chosen,rejected\np,zebra,a,b\n", "a table (CSV) is not read"),
        (json.dumps([PAIR]), "a JSON array is not read"),
        ("[\n" + json.dumps(PAIR) + "\n]", "a JSON array is not read"),
        (json.dumps({"id": "n", "patient": "p", "text": "zebra"}), "those of --kind notes"),
        (json.dumps(DEMO), "those of --kind demonstrations"),
    ],
)
def test_the_likely_mistake_is_named_for_a_file_of_another_sort(
    tmp_path: Path, content: str, hint: str
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match="line 1") as caught:
        read_rows(path, "preferences")
    assert hint in str(caught.value) and "zebra" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "\ufeff", "\n \n"])
def test_an_empty_file_is_refused_before_the_vault_is_opened(tmp_path: Path, content: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"rows\.jsonl: is empty: it holds no preferences"):
        check_file(path, "preferences")


def test_answers_that_de_identification_makes_alike_are_held_back_and_counted(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    """They differed by a name: as a pair they would say nothing, and as texts they must not stay apart."""
    alike = PAIR | {"chosen": "Call Dr. Varga today.", "rejected": "Call Dr. Moreau today."}
    path = write(tmp_path / "rows.jsonl", alike, PAIR | {"patient": "q"}, PAIR | {"chosen": "\u200b"})
    report = intake.run_import(path, vault, engine, kind="preferences")
    assert (report.released, report.quarantined) == (1, 2)
    assert report.by_reason == {"empty-text": 1, "same-answers": 1} == dict(notes.quarantine_reasons(vault))
    assert len(preferences.preference_table(vault).rows) == 1
    assert intake.run_import(path, vault, engine, kind="preferences").skipped == 3


def test_an_invisible_completion_is_held_back(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", DEMO | {"completion": "\u200b\u2060"}, DEMO)
    assert intake.run_import(path, vault, engine, kind="demonstrations").by_reason == {"empty-text": 1}
    assert len(preferences.sft_table(vault).rows) == 1


def test_a_judgment_between_equal_answers_is_refused_and_a_second_one_corrects_the_first(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    rows = [{"id": "n", "patient": "p", "text": "Question: cough for two days?"}]
    intake.run_import(write(tmp_path / "notes.jsonl", *rows), vault, engine)
    prompts.add_prompts(vault)
    (task,) = prompts.prompt_records(vault)
    one, same, two = prompts.add_candidates(vault, {task.prompt_id: ["rest", " rest\n", "call"]}, "adapter")
    with pytest.raises(VaultError, match="both answers are the same"):
        preferences.add_judgment(vault, task.prompt_id, one, same, 1, "rater")
    for chosen, rejected, rater in ((one, two, "a"), (two, one, "a"), (one, two, "b")):
        preferences.add_judgment(vault, task.prompt_id, chosen, rejected, 1, rater)
    found = sorted(row.chosen for row in preferences.preference_table(vault).rows)
    assert found == ["call", "rest"]  # rater a's second judgment, and rater b's that contradicts it
