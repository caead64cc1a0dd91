"""The vault: encryption in place, forgetting, interrupted rotations, permissions."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.note import Quarantined
from intraward_client.store import intake, notes, preferences, prompts
from intraward_client.store.datasets import PairRecord, SftRecord, TrainingTable, in_holdout
from intraward_client.store.importers import import_jsonl, read_rows
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError, VaultError


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier(DeidSettings(), bytes(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault.create(tmp_path / "vault" / "vault.db", tmp_path / "keys", index_key=bytes(32))
    yield made
    made.close()


def write(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def note_rows(patients: int) -> list[dict[str, object]]:
    return [
        {
            "id": f"n{number}",
            "patient": f"PAT-{number // 2}",
            "text": f"Patient: Ottoline Varga. She keeps a kettle in the kitchen.\n"
            f"Question: man with cough for {number + 2} days?",
            "known": {"first": "Ottoline", "last": "Varga"},
        }
        for number in range(2 * patients)
    ]


def fill(vault: Vault, engine: Deidentifier, tmp_path: Path, patients: int = 4) -> Path:
    path = write(tmp_path / "notes.jsonl", note_rows(patients))
    intake.run_import(path, vault, engine)
    prompts.add_prompts(vault)
    return path


def label_one(vault: Vault) -> str:
    task = prompts.prompt_records(vault)[0]
    first, second = prompts.add_candidates(vault, {task.prompt_id: ["rest", "see a doctor"]}, "adapter")
    preferences.add_judgment(vault, task.prompt_id, second, first, 2, "rater")
    return task.unit


def test_import_resumes_and_adds_nothing_twice(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    path = fill(vault, engine, tmp_path)
    again = intake.run_import(path, vault, engine)
    assert (again.notes_in, again.released, again.skipped) == (8, 0, 8)
    assert prompts.add_prompts(vault) == 0 and len(prompts.prompt_records(vault)) == 8
    assert notes.class_counts(vault) == {"NAME": 8}


def test_an_interrupted_import_goes_on(
    vault: Vault, engine: Deidentifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "notes.jsonl", note_rows(4))
    monkeypatch.setattr(intake, "BATCH", 2)

    def die(done: int, _total: int) -> None:
        if done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        intake.run_import(path, vault, engine, progress=die)
    assert len(notes.note_records(vault)) == 4
    assert intake.run_import(path, vault, engine).released == 4


def test_nothing_readable_on_disk(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    fill(vault, engine, tmp_path)
    label_one(vault)
    for file in (tmp_path / "vault").iterdir():
        content = file.read_bytes()
        assert not any(word in content for word in (b"kettle", b"cough", b"PAT-", b"Varga", b"doctor"))
        assert file.stat().st_mode & 0o077 == 0


def test_forget_leaves_no_row_and_an_old_backup_is_dead(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    path = fill(vault, engine, tmp_path)
    unit = label_one(vault)
    patient = next(f"PAT-{n}" for n in range(4) if vault.unit_of(f"PAT-{n}") == unit)
    with vault.transaction() as connection:
        backup = connection.exec_driver_sql("SELECT wrapped_key FROM patients").scalars().all()
    assert vault.forget(patient) is True
    left = dict(vault.count())
    assert left | {"patients": 3, "judgments": 0, "candidates": 0, "notes": 6} == left
    content = b"".join(file.read_bytes() for file in (tmp_path / "vault").iterdir())
    assert not any(bytes(wrapped) in content for wrapped in backup)
    assert intake.run_import(path, vault, engine).skipped == 8
    assert unit not in {record.unit for record in notes.note_records(vault)}
    assert len(notes.note_records(vault)) == 6
    vault.close()
    with sqlite3.connect(tmp_path / "vault" / "vault.db") as raw:
        raw.execute("UPDATE patients SET wrapped_key = ?", (backup[0],))
    reopened = Vault.open(tmp_path / "vault" / "vault.db", tmp_path / "keys")
    with pytest.raises(VaultError, match="does not decrypt"):
        notes.note_records(reopened)


@pytest.mark.parametrize("moment", ["staged", "committed"])
def test_a_killed_rotation_is_settled_at_opening(
    vault: Vault, engine: Deidentifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    fill(vault, engine, tmp_path)

    def die(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(vault, "_rewrap" if moment == "staged" else "_scrub", die)
    if moment == "committed":
        monkeypatch.setattr(vault._keys, "finish_rotation", die)
    with pytest.raises(KeyboardInterrupt):
        vault.forget("PAT-1")
    assert (tmp_path / "keys" / "site.key.next").exists()
    vault.close()
    reopened = Vault.open(tmp_path / "vault" / "vault.db", tmp_path / "keys")
    assert len(notes.note_records(reopened)) == (8 if moment == "staged" else 6)
    assert not (tmp_path / "keys" / "site.key.next").exists()


def test_swapped_and_changed_fields_are_refused(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    fill(vault, engine, tmp_path)
    with sqlite3.connect(tmp_path / "vault" / "vault.db") as raw:
        raw.execute(
            "UPDATE notes SET text = (SELECT text FROM notes other"
            " WHERE other.unit = notes.unit AND other.note_id != notes.note_id)"
        )
    with pytest.raises(VaultError, match="does not decrypt"):
        notes.note_records(vault)


def test_open_refuses_lax_files_wrong_keys_and_versions(vault: Vault, tmp_path: Path) -> None:
    database, keys = tmp_path / "vault" / "vault.db", tmp_path / "keys"
    Vault.create(tmp_path / "other.db", tmp_path / "other").close()
    with pytest.raises(VaultError, match="not those of this vault"):
        Vault.open(database, tmp_path / "other")
    (keys / "site.key").chmod(0o644)
    with pytest.raises(VaultError, match="read by others"):
        Vault.open(database, keys)
    (keys / "site.key").chmod(0o600)
    with sqlite3.connect(database) as raw:
        raw.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (b"99",))
    with pytest.raises(VaultError, match="schema version"):
        Vault.open(database, keys)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"id": "b", "patient": "p"}',
        '{"id": "b", "patient": "p", "text": 5}',
        '{"id": "b", "patient": "p", "patient": "q", "text": "t"}',
        '{"id": "b", "patient": ["p", "q"], "text": "t"}',
        '{"id": "a", "patient": "p", "text": "t"}',
        '{"id": "b", "patient": "p", "text": "t", "zebra": "x"}',
    ],
    ids=["json", "list", "missing", "type", "twice", "two", "duplicate", "unknown"],
)
def test_a_bad_line_is_named_and_nothing_is_given_out(tmp_path: Path, line: str) -> None:
    path = tmp_path / "notes.jsonl"
    path.write_text('{"id": "a", "patient": "p", "text": "t"}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2") as caught:
        import_jsonl(path)
    assert "zebra" not in str(caught.value)


def test_empty_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "none.jsonl").write_bytes(b"")
    assert list(import_jsonl(tmp_path / "none.jsonl")) == []
    with pytest.raises(InputError, match="no such file"):
        read_rows(tmp_path / "gone.jsonl", "notes")


def test_imported_rows_pass_the_deidentifier(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    pairs: list[dict[str, object]] = [
        {"patient": "a", "prompt": "cough?", "chosen": "Call Dr. Varga.", "rejected": "wait", "margin": 2},
        {"patient": "b", "prompt": "fever?", "chosen": "rest", "rejected": "bad \x00 byte"},
    ]
    report = intake.run_import(write(tmp_path / "p.jsonl", pairs), vault, engine, kind="preferences")
    assert (report.released, report.quarantined, dict(report.by_reason)) == (1, 1, {"encoding": 1})
    (row,) = preferences.preference_table(vault).rows
    assert (row.chosen, row.margin) == ("Call Dr. [NAME].", 2.0)
    shown: list[dict[str, object]] = [{"patient": "a", "prompt": "cough?", "completion": "rest"}]
    path = write(tmp_path / "s.jsonl", shown)
    assert intake.run_import(path, vault, engine, kind="demonstrations").released == 1
    assert intake.run_import(path, vault, engine, kind="demonstrations").skipped == 1
    assert preferences.sft_table(vault).rows[0].completion == "rest"


def test_judgments_stay_with_their_prompt(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    fill(vault, engine, tmp_path)
    label_one(vault)
    one, two = prompts.prompt_records(vault)[:2]
    (mine, _) = prompts.add_candidates(vault, {one.prompt_id: ["x", "y"]}, "other")
    (theirs, _) = prompts.add_candidates(vault, {two.prompt_id: ["x", "y"]}, "other")
    with pytest.raises(VaultError, match="its own prompt"):
        preferences.add_judgment(vault, one.prompt_id, mine, theirs, 1, "rater")
    waiting = [
        (t.prompt.prompt_id, {c.adapter_digest for c in t.candidates}) for t in prompts.unlabelled(vault)
    ]
    assert waiting == [(one.prompt_id, {"other"}), (two.prompt_id, {"other"})]  # a new policy, judged anew
    assert len(prompts.unlabelled(vault, 1)) == 1
    (pair,) = preferences.preference_table(vault).rows
    assert (pair.chosen, pair.rejected, pair.unit) == ("see a doctor", "rest", one.unit)


def test_tables_are_ordered_split_by_patient_and_refuse_shared_rows() -> None:
    rows = [SftRecord(f"u{i % 5}", "p", "c", row_id=f"r{i}") for i in range(20)]
    table = TrainingTable.freeze(reversed(rows))
    assert table == TrainingTable.freeze(rows) and table.units == ("u0", "u1", "u2", "u3", "u4")
    kept, held = table.split(b"key", 0.5)
    assert not set(kept.units) & set(held.units) and len(kept.rows) + len(held.rows) == 20
    share = sum(in_holdout(f"x{i}", b"key", 0.25) for i in range(4000)) / 4000
    assert 0.22 < share < 0.28
    with pytest.raises(VaultError, match="two patients"):
        TrainingTable.freeze(
            [PairRecord("a", "p", "c", "r", row_id="1"), PairRecord("b", "p", "c", "r", row_id="1")]
        )


def test_quarantine_keeps_a_reason_only(vault: Vault) -> None:
    notes.store_outcomes(vault, [Quarantined("note-7", "PAT-9", "residue:date")])
    assert notes.quarantine_reasons(vault) == {"residue:date": 1}
    vault.forget("PAT-9")
    assert notes.quarantine_reasons(vault) == {}
