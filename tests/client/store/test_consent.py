"""Patients who opted out: refused at import, in no later table, named nowhere; others are as they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, seal_note
from intraward_client.store import intake
from intraward_client.store.consent import listing, opt_in, opt_out, read_patient_ids
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.notes import note_records, store_outcomes
from intraward_client.store.preferences import (
    add_judgment,
    add_preference,
    add_sft,
    preference_table,
    sft_table,
)
from intraward_client.store.prompts import add_candidates, add_prompts, prompt_records, unlabelled
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError
from intraward_shared.stages import Stage

PATIENTS = ("P-10023", "P-10024", "P-10025")
OUT = PATIENTS[1]


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys")) as made:
        yield made


def note(name: str, patient: str, text: str = "w1") -> DeidentifiedNote:
    return seal_note(name, patient, text, DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {}))


def fill(vault: Vault) -> None:
    """A note with a question, a judgment, a preference and a demonstration of each patient."""
    for patient in PATIENTS:
        store_outcomes(vault, [note(patient, patient, "Question: what now?")])
        add_sft(vault, f"demo {patient}", note("p", patient), note("c", patient, "w2"))
        texts = (note("p", patient), note("a", patient, "w2"), note("b", patient, "w3"))
        add_preference(vault, f"pair {patient}", *texts)
    add_prompts(vault)
    for prompt in prompt_records(vault):
        chosen, rejected = add_candidates(vault, {prompt.prompt_id: ["rest", "see a doctor"]}, "adapter")
        add_judgment(vault, prompt.prompt_id, chosen, rejected, 1, "rater")


def tables(vault: Vault) -> dict[str, set[str]]:
    """Units in everything that training or labelling reads."""
    every: dict[str, Any] = {
        "notes": note_records(vault),
        "prompts": prompt_records(vault),
        "sft": sft_table(vault).rows,
        "preferences": preference_table(vault).rows,
    }
    return {name: {row.unit for row in rows} for name, rows in every.items()}


def frozen_units(vault: Vault, plan: str, stage: Stage) -> set[str]:
    return {row.unit for row in frozen_table(vault, plan, stage).rows}


def test_an_opt_out_leaves_every_table_and_can_be_taken_back(vault: Vault) -> None:
    fill(vault)
    everybody = {vault.unit_of(patient) for patient in PATIENTS}
    before = {name: tuple(rows) for name, rows in (("sft", sft_table(vault).rows),)}
    assert tables(vault) == dict.fromkeys(("notes", "prompts", "sft", "preferences"), everybody)
    assert opt_out(vault, iter([OUT])) == 1 and opt_out(vault, iter([OUT])) == 0
    rest = everybody - {vault.unit_of(OUT)}
    assert tables(vault) == dict.fromkeys(("notes", "prompts", "sft", "preferences"), rest)
    for number, stage in enumerate((Stage.SFT, Stage.REWARD, Stage.DPO, Stage.PPO, Stage.RLOO)):
        freeze(vault, str(number) * 64, stage)
        assert frozen_units(vault, str(number) * 64, stage) == rest
        with vault.transaction() as connection:
            query = f"SELECT unit FROM frozen_rows WHERE plan = '{str(number) * 64}'"
            assert set(connection.exec_driver_sql(query).scalars()) == rest
    assert opt_in(vault, OUT) and not opt_in(vault, OUT)
    assert tables(vault)["sft"] == everybody and tuple(sft_table(vault).rows) == before["sft"]


def test_a_table_that_was_fixed_loses_who_opts_out(vault: Vault) -> None:
    fill(vault)
    freeze(vault, "1" * 64, Stage.REWARD)
    opt_out(vault, iter([OUT]))
    assert vault.unit_of(OUT) not in frozen_units(vault, "1" * 64, Stage.REWARD)


def test_nobody_is_asked_to_label_for_who_opted_out(vault: Vault) -> None:
    fill(vault)
    opt_out(vault, iter([OUT]))
    store_outcomes(vault, [note("later", OUT, "Question: and then?")])
    assert add_prompts(vault) == 0
    opt_in(vault, OUT)
    assert add_prompts(vault) == 1
    (task,) = (p for p in prompt_records(vault) if p.prompt == "and then?")
    add_candidates(vault, {task.prompt_id: ["rest", "see a doctor"]}, "adapter")
    assert [one.prompt.unit for one in unlabelled(vault)] == [vault.unit_of(OUT)]
    opt_out(vault, iter([OUT]))
    assert unlabelled(vault) == ()


def test_rows_are_refused_at_import_counted_and_taken_once_they_opt_in(vault: Vault, tmp_path: Path) -> None:
    engine, path = Deidentifier(DeidSettings(), bytes(32)), tmp_path / "notes.jsonl"
    rows = [{"id": f"n{n}", "patient": p, "text": "Knee pain."} for n, p in enumerate((*PATIENTS, OUT))]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    opt_out(vault, iter([OUT]))
    report = intake.run_import(path, vault, engine)
    assert (report.notes_in, report.released, report.skipped) == (4, 2, 0)
    assert report.left_out == {"opted-out": 2}
    assert intake.run_import(path, vault, engine).left_out == {"opted-out": 2}
    opt_in(vault, OUT)
    again = intake.run_import(path, vault, engine)
    assert (again.released, again.skipped, again.left_out) == (2, 2, {})


def test_the_list_on_disk_names_nobody(vault: Vault, tmp_path: Path) -> None:
    opt_out(vault, iter(PATIENTS))
    content = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert all(patient.encode() not in content for patient in PATIENTS)
    assert {tag for tag, _ in listing(vault)} == {vault.unit_of(patient) for patient in PATIENTS}


@pytest.mark.parametrize("bad", [b"P-1\tVarga\n", b"\xffVarga\n", b"V" * 201 + b"\n"])
def test_a_file_with_a_bad_line_puts_nobody_on_the_list(vault: Vault, tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "optouts.txt"
    path.write_bytes(b"P-1\n\n" + bad)
    with pytest.raises(InputError, match="no patient id") as refused:
        opt_out(vault, read_patient_ids(path))
    assert refused.value.line == 3 and "V" not in refused.value.message and listing(vault) == ()


def test_a_vault_of_the_version_before_gains_the_list(vault: Vault, tmp_path: Path) -> None:
    fill(vault)
    with vault.transaction() as connection:
        for table in ("optouts", "flags", "flag_batches"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
        connection.exec_driver_sql("UPDATE meta SET value = X'35' WHERE key = 'schema_version'")
    vault.close()
    with closing(Vault.open(tmp_path / "vault.db", tmp_path / "keys")) as again:
        assert opt_out(again, iter([OUT])) == 1 and len(tables(again)["sft"]) == 2


def test_the_commands(make_site: Any, call: Any, tmp_path: Path) -> None:
    home = make_site(3)
    (tmp_path / "list.txt").write_text("p1\np2\np1\n")
    where = ("--home", home.root)
    assert call("consent", "add", "p0", *where)[0] == 0
    code, told = call("consent", "import", tmp_path / "list.txt", *where, "--json")
    assert code == 0 and json.loads(told) == {"added": 2}
    assert call("consent", "list", "p1", *where)[0] == 0
    assert call("consent", "remove", "p1", *where)[0] == 0
    assert call("consent", "list", "p1", *where)[0] == 1
    code, told = call("consent", "list", *where)
    assert code == 0 and told.count("\n") == 2 and "p0" not in told
    assert call("consent", "add", " ", *where)[0] == 1
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        assert {row.unit for row in preference_table(vault).rows} == {vault.unit_of("p1")}
