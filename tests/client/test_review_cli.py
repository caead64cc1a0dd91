"""``deid review`` and ``deid canary``: lists hold no text, and texts go to terminals alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from intraward_client.cli import app
from intraward_client.deid.raw import ingest
from intraward_client.home import SiteHome
from intraward_client.planted import marks_of, planted
from intraward_client.store.audit import next_audit
from intraward_client.store.importers import RawRow
from intraward_client.store.review import hold_back
from intraward_client.store.vault import Vault

TEXT = "Patient: Ottoline Varga has a cough."


@pytest.fixture
def site(make_site: Callable[..., SiteHome]) -> SiteHome:
    home = make_site(3, more={"deid": {"audit_share": 1.0, "canaries": 2}})
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        for number, reason in enumerate(("residue:date", "encoding")):
            note = ingest(f"note {number}", f"P-{number}", TEXT)
            hold_back(vault, RawRow(note.note_id, note.patient_id, (note,)), "notes", reason)
    return home


def call(*words: object) -> Result:
    return CliRunner().invoke(app, ["deid", *map(str, words)])


def listed(site: SiteHome) -> dict[str, Any]:
    told = call("review", "--home", site.root, "--json")
    assert told.exit_code == 0, told.output
    value: dict[str, Any] = json.loads(told.stdout)
    return value


def test_the_list_holds_no_text_and_the_row_only_goes_to_a_terminal(site: SiteHome) -> None:
    value = listed(site)
    assert value["by_reason"] == {"encoding": 1, "residue:date": 1} and value["audit_due"]
    row = value["waiting"][0]["row_id"]
    refused = call("review", "show", row, "--home", site.root)
    audit = call("review", "audit", "--home", site.root)
    assert refused.exit_code == audit.exit_code == 1
    told = call("review", "show", row, "--home", site.root, "--show-text")
    assert told.exit_code == 0 and "Ottoline Varga" in told.stdout and "9:23:NAME" in told.stdout
    for output in (json.dumps(value), refused.output, audit.output, str(refused.exception)):
        assert "Varga" not in output and "cough" not in output and "P-0" not in output


def test_a_person_releases_corrects_and_rejects(site: SiteHome, tmp_path: Path) -> None:
    first, second = (row["row_id"] for row in listed(site)["waiting"])
    nothing = call("review", "correct", first, "--home", site.root)
    assert nothing.exit_code == 1
    fresh = tmp_path / "fresh.txt"
    fresh.write_text("Seen by Dr. Varga for a cough.", encoding="utf-8")
    told = call("review", "correct", first, "--text", f"text={fresh}", "--home", site.root)
    assert told.exit_code == 0 and "corrected" in told.output
    assert call("review", "reject", second[:10], "--home", site.root).exit_code == 0
    assert listed(site)["waiting"] == [] and listed(site)["bound"]["released"] == 7


def test_the_bound_comes_from_audits_in_their_own_order(site: SiteHome) -> None:
    for found in ("--clean", "--leak"):
        with closing(Vault.open(site.vault, site.vault_keys)) as vault:
            due = next_audit(vault, 1.0)
        assert due is not None
        assert call("review", "audit", due.row_id, "--home", site.root).exit_code == 1
        words = [found] if found == "--clean" else [found, "NAME"]
        assert call("review", "audit", due.row_id, *words, "--home", site.root).exit_code == 0
    told = json.loads(call("review", "--bound", "--home", site.root, "--json").stdout)
    assert (told["released"], told["audited"], told["leaks"]) == (6, 2, 1) and 0.9 < told["upper"] < 1
    assert "Clopper-Pearson" in call("review", "--bound", "--home", site.root).stdout


def test_planted_patients_are_found_and_nobody_else(site: SiteHome, tmp_path: Path) -> None:
    notes = tmp_path / "planted.jsonl"
    told = call("canary", "--write", notes, "--home", site.root, "--json")
    assert told.exit_code == 0 and json.loads(told.stdout)["planted"] == 2
    rows = [json.loads(line) for line in notes.read_text(encoding="utf-8").splitlines()]
    assert notes.stat().st_mode & 0o077 == 0 and len({row["patient"] for row in rows}) == 2
    clean = tmp_path / "clean.txt"
    clean.write_text("nobody", encoding="utf-8")
    assert call("canary", "--search", clean, "--home", site.root).exit_code == 0
    found = call("canary", "--search", notes, "--search", clean, "--home", site.root, "--json")
    assert found.exit_code == 1 and sorted(json.loads(found.stdout)["found"].values()) == [0, 2]
    assert call("canary", "--write", notes, "--home", site.root).exit_code == 1
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        assert (
            rows[0]["known"]["mrn"] in marks_of(planted(vault, 2))
            and planted(vault, 2) == planted(vault, 3)[:2]
        )
        assert rows[0]["known"]["last"] not in repr(planted(vault, 2))


def test_control_characters_of_a_note_do_not_reach_the_terminal() -> None:
    from intraward_client.deid.ruling import Examined
    from intraward_client.review_cli import _page

    text = "a\x1b]0;pwn\x07\x00b\x9bc\td"
    shown = _page("text", Examined(text, (), ())).plain
    assert not any(sign in shown for sign in "\x1b\x07\x00\x9b")
    assert "\u241b]0;pwn" in shown and "\td" in shown
