"""An import killed at any moment, then started again, gives the vault of one that was never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.store import intake
from intraward_client.store.importers import Kind
from intraward_client.store.notes import note_records, quarantine_reasons
from intraward_client.store.preferences import preference_table
from intraward_client.store.vault import Vault

ROWS = 22
KILLED = """
import os, signal, sys
from pathlib import Path
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.store import intake
from intraward_client.store.vault import Vault
folder, kind, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
intake.BATCH = 4
def die(done, total):
    if done == last:
        os.kill(os.getpid(), signal.SIGKILL)
vault = Vault.open(folder / "vault.db", folder / "keys")
engine = Deidentifier(DeidSettings(profile="research"), vault.derive("deid"))
intake.run_import(folder / "rows.jsonl", vault, engine, 1, die, kind)
"""


def lay(folder: Path, kind: Kind) -> Path:
    """A vault of known secrets, and a file with a quarantined row, a patient of two rows, and names."""
    folder.mkdir()
    Vault.create(folder / "vault.db", folder / "keys", index_key=bytes(32)).close()
    rows = []
    for n in range(ROWS):
        text = f"Seen by Dr. Varga on 2021-03-{n % 9 + 10}; cough {n}." + ("\x00" if n == 5 else "")
        patient = {"patient": f"p{n // 2}"}
        if kind == "notes":
            rows.append({"id": f"n{n}", "text": text, **patient})
        else:
            rows.append(
                {"prompt": text, "chosen": "Ask Dr. Varga.", "rejected": f"Wait {n} days.", **patient}
            )
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return folder


def contents(folder: Path, kind: Kind) -> tuple[object, ...]:
    with closing(Vault.open(folder / "vault.db", folder / "keys")) as vault:
        released = note_records(vault) if kind == "notes" else preference_table(vault).rows
        return released, dict(quarantine_reasons(vault)), dict(vault.count())


def resume(folder: Path, kind: Kind) -> intake.ImportReport:
    with closing(Vault.open(folder / "vault.db", folder / "keys")) as vault:
        engine = Deidentifier(DeidSettings(profile="research"), vault.derive("deid"))
        return intake.run_import(folder / "rows.jsonl", vault, engine, kind=kind)


@pytest.mark.parametrize(
    ("kind", "last"), [("notes", 13), pytest.param("preferences", 25, marks=pytest.mark.exhaustive)]
)
def test_a_killed_import_goes_on_to_the_same_vault(tmp_path: Path, kind: Kind, last: int) -> None:
    whole, torn = lay(tmp_path / "whole", kind), lay(tmp_path / "torn", kind)
    resume(whole, kind)
    command = [sys.executable, "-c", KILLED, str(torn), kind, str(last)]
    assert subprocess.run(command, capture_output=True, timeout=300).returncode == -signal.SIGKILL
    report = resume(torn, kind)
    assert 0 < report.skipped < ROWS and report.released + report.quarantined == ROWS - report.skipped
    assert contents(torn, kind) == contents(whole, kind)
    assert resume(torn, kind).skipped == ROWS
