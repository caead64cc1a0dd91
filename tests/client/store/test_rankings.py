"""Rankings in the vault: settled, replaced, dropped; what training reads of them, and who leaves it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, seal_note
from intraward_client.store.consent import opt_out
from intraward_client.store.corrections import drop_corrections, settle_correction
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.notes import store_outcomes
from intraward_client.store.preferences import add_preference, sft_table
from intraward_client.store.prompts import add_candidates, add_prompts, prompt_records
from intraward_client.store.rankings import (
    UNACCEPTABLE,
    Ranking,
    add_ranking,
    comparison_table,
    drop_ranking,
    pair_table,
    settle_ranking,
)
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError
from intraward_shared.stages import Stage

ANSWERS = ("rest and drink", "see a doctor today", "nothing at all")


def note(patient: str, text: str, name: str = "n") -> DeidentifiedNote:
    return seal_note(name, patient, text, DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {}))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys")) as made:
        notes = [note(f"p{n}", f"Seen today.\nQuestion: what about pain {n}?", f"n{n}") for n in range(2)]
        store_outcomes(made, notes)
        add_prompts(made)
        add_candidates(made, {prompt.prompt_id: ANSWERS for prompt in prompt_records(made)}, "a" * 64)
        yield made


def task(vault: Vault, patient: str) -> tuple[str, tuple[str, ...]]:
    """Prompt and candidates of a patient."""
    (prompt,) = [row for row in prompt_records(vault) if row.unit == vault.unit_of(patient)]
    return prompt.prompt_id, tuple(
        vault.tag("candidate", f"{prompt.prompt_id}|{'a' * 64}|{n}") for n in range(3)
    )


def settle(vault: Vault, patient: str, ranking: Ranking, answers: int = 3) -> bool:
    prompt, candidates = task(vault, patient)
    return settle_ranking(vault, f"item-{patient}", prompt, candidates[:answers], ranking)


def test_three_answers_are_one_record_and_two_a_pair(vault: Vault) -> None:
    marks = tuple(AnswerMarks((("safety", 4.5),), (("harmful", False),)) for _ in range(3))
    assert settle(vault, "p0", Ranking((2, 1, 3), 2.5, marks))
    assert settle(vault, "p1", Ranking((2, 1), 1.5, marks[:2]), answers=2)
    rows = {row.unit: row for row in comparison_table(vault).rows}
    ranked, pair = rows[vault.unit_of("p0")], rows[vault.unit_of("p1")]
    assert isinstance(ranked, RankingRecord)
    assert (ranked.answers, ranked.ranks, ranked.marks) == (ANSWERS, (2, 1, 3), marks)
    assert isinstance(pair, PairRecord)
    assert (pair.chosen, pair.rejected, pair.margin) == (ANSWERS[1], ANSWERS[0], 1.5)
    assert pair.prompt == "what about pain 1?" and pair.marks == marks[:2]


def test_marks_go_with_their_answer(vault: Vault) -> None:
    good, bad = AnswerMarks((("safety", 5.0),)), AnswerMarks((("safety", 1.0),))
    settle(vault, "p0", Ranking((2, 1), 1.0, (bad, good)), answers=2)
    (pair,) = comparison_table(vault).rows
    assert pair.marks == (good, bad)


def test_a_ranking_is_replaced_and_dropped(vault: Vault) -> None:
    settle(vault, "p0", Ranking((1, 2, 3)))
    settle(vault, "p0", Ranking((3, 2, 1)))
    (row,) = comparison_table(vault).rows
    assert isinstance(row, RankingRecord) and row.ranks == (3, 2, 1)
    assert drop_ranking(vault, "item-p0") and not drop_ranking(vault, "item-p0")
    assert comparison_table(vault).rows == ()


def test_dpo_reads_the_best_and_the_worst(vault: Vault) -> None:
    settle(vault, "p0", Ranking((2, 1, 2), 2.0))
    (pair,) = pair_table(vault).rows
    assert (pair.chosen, pair.rejected) == (ANSWERS[1], ANSWERS[2])
    settle(vault, "p0", Ranking((1, 1, 1)))
    assert pair_table(vault).rows == () and len(comparison_table(vault).rows) == 1


def test_answers_that_are_all_unacceptable_are_marked_and_no_pair_of_dpo(vault: Vault) -> None:
    refused = tuple(AnswerMarks(flags=((UNACCEPTABLE, True),)) for _ in range(2))
    settle(vault, "p0", Ranking((1, 2), 1.0, refused), answers=2)
    (row,) = comparison_table(vault).rows
    assert all(dict(marks.flags)[UNACCEPTABLE] for marks in row.marks)
    assert pair_table(vault).rows == ()


def test_who_is_forgotten_or_opted_out_trains_nothing(vault: Vault) -> None:
    for patient in ("p0", "p1"):
        settle(vault, patient, Ranking((1, 2, 3)))
    opt_out(vault, iter(["p1"]))
    assert [row.unit for row in comparison_table(vault).rows] == [vault.unit_of("p0")]
    prompt, candidates = task(vault, "p0")
    vault.forget("p0")
    assert comparison_table(vault).rows == () and vault.count()["rankings"] == 1
    assert not settle_ranking(vault, "item-p0", prompt, candidates, Ranking((1, 2, 3)))


def test_an_answer_to_another_prompt_is_refused(vault: Vault) -> None:
    (prompt, _), (_, others) = task(vault, "p0"), task(vault, "p1")
    with pytest.raises(VaultError, match="none to its prompt"):
        settle_ranking(vault, "item", prompt, others, Ranking((1, 2, 3)))
    with pytest.raises(VaultError):
        settle(vault, "p0", Ranking((1, 2)))  # three answers, two ranks
    assert comparison_table(vault).rows == ()


def test_an_imported_ranking_is_of_one_patient_and_comes_once(vault: Vault) -> None:
    texts = [note("p7", text) for text in ANSWERS]
    assert add_ranking(vault, "r", note("p7", "what now"), texts, Ranking((1, 2, 2)))
    assert not add_ranking(vault, "r", note("p7", "what now"), texts, Ranking((1, 2, 2)))
    with pytest.raises(VaultError, match="two patients"):
        add_ranking(vault, "s", note("p8", "what now"), texts, Ranking((1, 2, 2)))
    vault.forget("p9")
    assert not add_ranking(vault, "t", note("p9", "a"), [note("p9", "b"), note("p9", "c")], Ranking((1, 2)))
    assert len(comparison_table(vault).rows) == 1


def test_a_correction_becomes_a_demonstration_of_its_own_patient(vault: Vault) -> None:
    (prompt, _), unit = task(vault, "p0"), vault.unit_of("p0")
    assert settle_correction(vault, "vote", prompt, note(unit, "take rest, and call if it grows"))
    assert not settle_correction(vault, "vote", prompt, note(unit, "again"))
    (row,) = sft_table(vault).rows
    assert (row.unit, row.prompt, row.completion) == (unit, "what about pain 0?", "again")
    with pytest.raises(VaultError, match="another patient"):
        settle_correction(vault, "other", prompt, note(vault.unit_of("p1"), "x"))
    assert drop_corrections(vault, ["vote", "none"]) == 1 and sft_table(vault).rows == ()


@pytest.mark.parametrize(("stage", "found"), [(Stage.REWARD, 3), (Stage.DPO, 2)])
def test_a_plans_table_holds_rankings_beside_pairs(vault: Vault, stage: Stage, found: int) -> None:
    settle(vault, "p0", Ranking((1, 2, 3)))
    settle(vault, "p1", Ranking((1, 1, 1)))
    add_preference(vault, "a", note("p1", "w1"), note("p1", "w2"), note("p1", "w3"))
    freeze(vault, "1" * 64, stage)
    settle_later = Ranking((1, 2))
    add_ranking(vault, "later", note("p1", "x"), [note("p1", "y"), note("p1", "z")], settle_later)
    assert len(frozen_table(vault, "1" * 64, stage).rows) == found


def test_nothing_of_a_judgment_is_in_clear(vault: Vault, tmp_path: Path) -> None:
    settle(vault, "p0", Ranking((1, 2, 3), 2.0))
    vault.close()
    with closing(sqlite3.connect(tmp_path / "vault.db")) as raw:
        (row,) = raw.execute("SELECT prompt, answers, judgment FROM rankings").fetchall()
    assert all(isinstance(value, bytes) and b"[" not in value[:1] for value in row)
    assert not any(text.encode() in b"".join(row) for text in (*ANSWERS, "[1, 2, 3]"))


def test_a_vault_of_the_version_before_gains_the_table(vault: Vault, tmp_path: Path) -> None:
    with vault.transaction() as connection:
        connection.exec_driver_sql("DROP TABLE rankings")
        connection.exec_driver_sql("UPDATE meta SET value = X'36' WHERE key = 'schema_version'")
    vault.close()
    with closing(Vault.open(tmp_path / "vault.db", tmp_path / "keys")) as again:
        assert settle(again, "p0", Ranking((1, 2, 3))) and len(comparison_table(again).rows) == 1
