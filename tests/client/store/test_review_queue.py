"""The review queue: encrypted, decided once, recorded without text; the audit nobody chooses; forgetting."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from intraward_client import reviewing
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.raw import reveal
from intraward_client.store import audit, intake, notes, preferences, prompts, review
from intraward_client.store.importers import Kind
from intraward_client.store.vault import Vault
from intraward_shared.errors import DeidError, InputError, VaultError

CLEAN = "Cough for 3 days, no fever."
DATED = "Cough since the 14/15/2021 visit, no fever."


class Blind(Deidentifier):
    """The first look finds known identifiers alone, so that the second has something to find."""

    def self_test(self) -> None:
        pass

    def __init__(self, settings: DeidSettings, secret: bytes) -> None:
        super().__init__(settings, secret)
        self._engine.detector.of_view = lambda seen: []  # type: ignore[method-assign]


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Blind(DeidSettings(), bytes(32))


@pytest.fixture(scope="module")
def sighted() -> Deidentifier:
    return Deidentifier(DeidSettings(), bytes(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = Vault.create(tmp_path / "vault" / "vault.db", tmp_path / "keys", index_key=bytes(32))
    yield made
    made.close()


def take_in(
    vault: Vault, engine: Deidentifier, tmp_path: Path, rows: list[dict[str, object]], kind: Kind = "notes"
) -> None:
    path = tmp_path / f"{kind}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    intake.run_import(path, vault, engine, kind=kind)


def note(number: int, text: str, **known: str) -> dict[str, object]:
    return {"id": f"note-{number}", "patient": f"PAT-{number}", "text": text, "known": known}


def held(vault: Vault, engine: Deidentifier, tmp_path: Path, text: str = DATED, **known: str) -> str:
    take_in(vault, engine, tmp_path, [note(1, text, **known)])
    (row,) = review.waiting(vault)
    return row.row_id


def on_disk(tmp_path: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((tmp_path / "vault").iterdir()))


def test_what_is_held_back_waits_encrypted_and_as_it_was(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    row_id = held(vault, engine, tmp_path, f"Ottoline Varga. {DATED}", first="Ottoline", last="Varga")
    (row,) = review.waiting(vault)
    assert (row.kind, row.reason) == ("notes", "residue:date") and "Varga" not in repr(row)
    taken, raw = review.take(vault, row_id[:8])
    assert taken == row and reveal(raw.texts[0]) == (
        f"Ottoline Varga. {DATED}",
        {"first": "Ottoline", "last": "Varga"},
    )
    assert not any(word in on_disk(tmp_path) for word in (b"Varga", b"PAT-1", b"note-1", b"fever"))
    for prefix in ("", row_id[:3], "f" * 32):
        with pytest.raises(InputError):
            review.take(vault, prefix)


def test_release_lets_through_what_it_was_held_for_and_nothing_else(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    row_id = held(vault, engine, tmp_path, f"{DATED} Code 12 345 678901.")
    with pytest.raises(DeidError, match="residue:date"):
        reviewing.decide(vault, engine, row_id, user="nora")
    assert len(review.waiting(vault)) == 1 and notes.note_records(vault) == ()
    reviewing.decide(vault, engine, row_id, accepted=frozenset({"date"}), user="nora")
    (stored,) = notes.note_records(vault)
    assert stored.text.startswith(DATED) and review.waiting(vault) == () == tuple(
        notes.quarantine_reasons(vault)
    )
    (decision,) = review.decisions(vault)
    assert (decision["decision"], decision["user"], decision["row"]) == ("release", "nora", row_id)
    assert decision["codes"].split()[0] in {"residue:date", "residue:digits"} and decision["time"].endswith(
        "Z"
    )
    assert not any(word in json.dumps(dict(decision)) for word in ("14/15", "Cough", "PAT", "678901"))
    assert b"nora" not in on_disk(tmp_path)


def test_a_known_identifier_or_a_canary_is_nobody_s_to_release(vault: Vault, tmp_path: Path) -> None:
    strict = Blind(DeidSettings(canaries=("purple walrus",)), bytes(32))
    row_id = held(vault, strict, tmp_path, "He drew a purple walrus.")
    for accepted in (frozenset[str](), frozenset({"canary"})):
        with pytest.raises(DeidError, match="residue:canary"):
            reviewing.decide(vault, strict, row_id, accepted=accepted)
    assert len(review.waiting(vault)) == 1


def test_correct_marks_more_and_is_looked_at_again(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    row_id = held(vault, engine, tmp_path)
    start = DATED.index("14/15/2021")
    seen = reviewing.show(vault, engine, row_id)
    assert seen.texts["text"].text == DATED and (start, start + 10, "date") in seen.texts["text"].findings
    assert "Cough" not in repr(seen) + repr(seen.texts)
    marks = reviewing.parse_marks([f"{start}:{start + 10}:DATE"], "notes")
    reviewing.decide(vault, engine, row_id, marks=marks, user="nora")
    (stored,) = notes.note_records(vault)
    assert stored.text == "Cough since the 2021 visit, no fever."
    assert review.decisions(vault)[0]["decision"] == "correct"


def test_a_text_given_anew_is_deidentified_like_any_other(
    vault: Vault, engine: Deidentifier, sighted: Deidentifier, tmp_path: Path
) -> None:
    row_id = held(vault, engine, tmp_path, "Odd \x07 byte")
    with pytest.raises(DeidError, match="encoding"):
        reviewing.decide(vault, engine, row_id)
    reviewing.decide(vault, sighted, row_id, texts={"text": "Seen by Dr. Varga for a cough."}, user="nora")
    assert notes.note_records(vault)[0].text == "Seen by Dr. [NAME] for a cough."
    with pytest.raises(InputError):
        reviewing.decide(vault, engine, row_id)


@pytest.mark.parametrize(
    "mark", ["text:1:2", "text:1:2:DOG", "other:1:2:NAME", "text:2:1:NAME", "text:a:2:NAME"]
)
def test_a_wrong_mark_is_refused(mark: str) -> None:
    with pytest.raises(InputError):
        reviewing.parse_marks([mark], "notes")


def test_reject_destroys_the_text_and_no_import_takes_it_again(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    row_id = held(vault, engine, tmp_path)
    review.reject(vault, review.take(vault, row_id)[0], "nora")
    assert review.waiting(vault) == () and notes.quarantine_reasons(vault) == {"residue:date": 1}
    take_in(vault, engine, tmp_path, [note(1, DATED)])
    assert review.waiting(vault) == () and notes.note_records(vault) == ()
    with pytest.raises(VaultError):
        review.reject(vault, review.Held(row_id, "notes", "x", "y"), "nora")


def test_rows_of_several_texts_wait_and_leave_whole(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    pair: dict[str, object] = {
        **{"id": "pair", "patient": "PAT-1", "prompt": "Cough?", "chosen": "rest", "rejected": "wait"},
        **{"margin": 2, "ratings": {"chosen": {"safety": 5}}},
    }
    take_in(vault, engine, tmp_path, [pair | {"rejected": "since 14/15/2021"}], "preferences")
    shown: dict[str, object] = {
        "id": "shown",
        "patient": "PAT-1",
        "prompt": "Cough?",
        "completion": "since 14/15/2021",
    }
    take_in(vault, engine, tmp_path, [shown], "demonstrations")
    for row in review.waiting(vault):
        reviewing.decide(vault, engine, row.row_id, user="nora")
    (kept,) = preferences.preference_table(vault).rows
    assert (kept.rejected, kept.margin, kept.marks[0].ratings) == (
        "since 14/15/2021",
        2.0,
        (("safety", 5.0),),
    )
    assert preferences.sft_table(vault).rows[0].completion == "since 14/15/2021"
    take_in(vault, engine, tmp_path, [pair | {"rejected": "since 14/15/2021"}], "preferences")
    assert review.waiting(vault) == () and len(preferences.preference_table(vault).rows) == 1


def test_the_sample_follows_the_keyed_hash_and_its_order_is_not_chosen(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    take_in(vault, engine, tmp_path, [note(number, CLEAN) for number in range(40)])
    drawn = [row.note_id for row in notes.note_records(vault) if audit.in_sample(vault, row.note_id, 0.5)]
    assert 8 < len(drawn) < 32
    read = []
    while (due := audit.next_audit(vault, 0.5)) is not None:
        assert "Cough" not in repr(due) and due.texts == {"text": CLEAN}
        other = next(row for row in drawn if row != due.row_id)
        with pytest.raises(InputError, match="turn"):
            audit.finish_audit(vault, 0.5, other, (), "nora")
        audit.finish_audit(vault, 0.5, due.row_id, (), "nora")
        read.append(due.row_id)
    assert sorted(read) == sorted(drawn) != read
    figures = audit.leak_bound(vault, 0.5)
    assert (figures.released, figures.sampled, figures.audited, figures.leaks) == (
        40,
        len(drawn),
        len(drawn),
        0,
    )
    assert figures.upper == pytest.approx(1 - 0.05 ** (1 / len(drawn)))


def test_a_leak_withdraws_the_row_and_all_that_was_made_of_it(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    take_in(
        vault, engine, tmp_path, [note(number, f"{CLEAN}\nQuestion: rest or not?") for number in range(3)]
    )
    prompts.add_prompts(vault)
    due = audit.next_audit(vault, 1.0)
    assert due is not None
    task = next(record for record in prompts.prompt_records(vault) if record.unit == due.unit)
    one, two = prompts.add_candidates(vault, {task.prompt_id: ["rest", "wait"]}, "adapter")
    preferences.add_judgment(vault, task.prompt_id, one, two, 2, "rater")
    audit.finish_audit(vault, 1.0, due.row_id, ["NAME", "DATE", "NAME"], "nora")
    left = vault.count()
    assert [left[name] for name in ("notes", "prompts", "candidates", "judgments")] == [2, 2, 0, 0]
    assert notes.quarantine_reasons(vault) == {"audit:leak": 1}
    assert review.decisions(vault)[0]["codes"] == "DATE NAME"
    figures = audit.leak_bound(vault, 1.0)
    assert (figures.released, figures.audited, figures.leaks) == (3, 1, 1) and figures.upper == 1.0


def test_clopper_pearson_by_hand() -> None:
    """No leak among n: 1 - 0.05^(1/n), the rule of three; others by the binomial tail that it inverts."""
    from math import comb

    assert (
        audit.leak_upper_bound(0, 300)
        == pytest.approx(1 - 0.05 ** (1 / 300))
        == pytest.approx(0.00994, abs=1e-5)
    )
    assert audit.leak_upper_bound(0, 0) == audit.leak_upper_bound(4, 4) == 1.0
    for leaks, audited in ((1, 20), (3, 50), (7, 400)):
        share = audit.leak_upper_bound(leaks, audited)
        tail = sum(comb(audited, k) * share**k * (1 - share) ** (audited - k) for k in range(leaks + 1))
        assert tail == pytest.approx(0.05, rel=1e-9)


def test_forgetting_covers_queue_decisions_and_sample(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    take_in(vault, engine, tmp_path, [note(1, DATED), note(2, CLEAN), note(3, DATED)])
    audit.finish_audit(vault, 1.0, audit.next_audit(vault, 1.0).row_id, (), "nora")  # type: ignore[union-attr]
    for number in (1, 2):
        assert vault.forget(f"PAT-{number}")
    (left,) = review.waiting(vault)
    assert review.take(vault, left.row_id)[1].patient_id == "PAT-3" and review.decisions(vault) == ()
    figures = audit.leak_bound(vault, 1.0)
    assert (figures.released, figures.audited) == (0, 0)
    take_in(vault, engine, tmp_path, [note(1, DATED), note(2, CLEAN)])
    assert len(review.waiting(vault)) == 1 and notes.note_records(vault) == ()


def test_a_full_disk_keeps_nothing_half_and_shows_nothing(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    """SQLite refuses to grow; neither quarantine nor queue knows the row, and a later import takes it."""
    with vault.transaction() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
    long = f"{DATED} " + "Ottoline coughs. " * 900
    with pytest.raises(VaultError) as caught:
        held(vault, engine, tmp_path, long)
    assert not any(word in str(caught.value) + repr(caught.value) for word in ("Ottoline", "Cough", "PAT-1"))
    assert (
        caught.value.__cause__ is None and review.waiting(vault) == () and not notes.quarantine_reasons(vault)
    )
    with vault.transaction() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=100000")
    assert len(held(vault, engine, tmp_path, long)) == 32
    assert reveal(review.take(vault, review.waiting(vault)[0].row_id)[1].texts[0])[0] == long


def test_a_vault_of_version_four_gains_the_tables_and_keeps_its_rows(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    take_in(vault, engine, tmp_path, [note(1, CLEAN)])
    vault.close()
    path = tmp_path / "vault" / "vault.db"
    with sqlite3.connect(path) as raw:
        for table in ("review_queue", "review_decisions"):
            raw.execute(f"DROP TABLE {table}")
        raw.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", (b"4",))
    again = Vault.open(path, tmp_path / "keys")
    assert notes.note_records(again)[0].text == CLEAN and review.waiting(again) == ()
    again.close()
    Vault.open(path, tmp_path / "keys").close()
