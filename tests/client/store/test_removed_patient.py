"""One patient taken out of a file: everybody else is imported, split and ordered as before, byte for byte.

Section 6 of DESIGN.md (what couples patients): no cross-patient deduplication, no name gazetteer, no
vocabulary, no split and no order that another patient decides. The file is full of traps: two patients
with the same note, one named in another's note, one with the same name.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.importing import import_file
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.sampler import PatientSampler
from intraward_client.store.datasets import TrainingTable, in_holdout
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.notes import note_records
from intraward_client.store.prompts import add_prompts
from intraward_client.store.vault import Vault
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

GONE = "P-3"
NOTE = "Patient: {first} {last}\nMRN: {mrn}\nSeen on 2021-03-14 for {why}.\nQuestion: what helps with {why}?"
PEOPLE = (
    ("P-1", "Ada", "Quillfeather", "a cough", "4410021"),
    ("P-2", "Boris", "Quillfeather", "a cough", "4410022"),
    (GONE, "Clara", "Marlowick", "a headache", "4410023"),
    ("P-4", "Clara", "Marlowick", "a headache", "4410024"),
    ("P-5", "Dora", "Estermann", "hay fever, as her neighbour Clara Marlowick", "4410025"),
)
MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=2,
    nominal_batch=4,
    max_records_per_unit=2,
)


def rows(kind: str, without: str | None) -> list[dict[str, Any]]:
    made = []
    for patient, first, last, why, mrn in PEOPLE:
        for number in range(3):
            row: dict[str, Any] = {"patient": patient, "known": {"first": first, "last": last, "mrn": mrn}}
            if kind == "notes":
                text = NOTE.format(first=first, last=last, mrn=mrn, why=why)
                row |= {"id": f"{patient}-{number}", "text": f"{text}\nVisit {number % 2}."}
            else:
                told = f"{first} {last} has {why}"
                row |= {"prompt": f"{told}, visit {number}", "chosen": "rest and drink", "rejected": told}
            made.append(row)
    return [row for row in made if row["patient"] != without]


def imported(home: SiteHome, without: str | None, folder: Path) -> dict[str, Any]:
    """What stands in the vault for everybody but the patient who is gone."""
    for kind in ("notes", "preferences"):
        path = folder / f"{home.root.name}-{kind}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(kind, without)))
        import_file(home, load_policy(home.policy), path, kind)
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        add_prompts(vault)
        gone = vault.unit_of(GONE)
        tables = {}
        for number, stage in enumerate((Stage.REWARD, Stage.PPO)):
            freeze(vault, str(number) * 64, stage)
            tables[stage] = frozen_table(vault, str(number) * 64, stage)
        notes = [(n.unit, n.note_id, n.text) for n in note_records(vault) if n.unit != gone]
        key = vault.derive("holdout")
    return {"notes": notes} | {stage: seen(table, gone, key) for stage, table in tables.items()}


def seen(table: TrainingTable[Any], gone: str, key: bytes) -> dict[str, Any]:
    """Rows in order, weights, splits and the batches of ten steps."""
    units = {unit: rows for unit, rows in table.by_unit.items() if unit != gone}
    sampler = PatientSampler(NoiseSource.seeded(1, "north", "0" * 64, 1), MECHANISM)
    batches = [sampler.draw(step, table.by_unit) for step in range(10)]
    texts = [[getattr(row, name) for name in row.__slots__] for row in table.rows if row.unit != gone]
    return {
        "rows": texts,
        "weights": {unit: 1 / len(rows) for unit, rows in units.items()},
        "held out": [unit for unit in units if in_holdout(unit, key, 0.4)],
        "batches": [[r for unit in batch for r in unit if r.unit != gone] for batch in batches],
    }


def test_everybody_else_is_as_before(make_site: Any, tmp_path: Path) -> None:
    whole = imported(make_site(0, name="whole"), None, tmp_path)
    less = imported(make_site(0, name="less"), GONE, tmp_path)
    assert whole == less
    assert len(whole["notes"]) == 12 and len(whole[Stage.REWARD]["rows"]) == 12
    assert any(whole[Stage.REWARD]["batches"])
