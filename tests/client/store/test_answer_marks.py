"""Ratings and failure flags of answers: read strictly, stored encrypted, back in the training table."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.store import intake, preferences
from intraward_client.store.datasets import AnswerMarks
from intraward_client.store.importers import read_rows
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

ROW: dict[str, Any] = {"patient": "p", "prompt": "cough?", "chosen": "see a doctor", "rejected": "wait"}


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_marks_come_back_from_the_vault_and_lie_in_it_encrypted(tmp_path: Path) -> None:
    marked = ROW | {
        "ratings": {"chosen": {"zebrasafety": 5, "accuracy": 3.5}, "rejected": {"zebrasafety": 1}},
        "flags": {"rejected": {"zebradose": True, "rude": False}},
    }
    path = write(tmp_path / "rows.jsonl", marked, ROW | {"patient": "q"})
    engine = Deidentifier(DeidSettings(), bytes(32))
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys", index_key=bytes(32))) as vault:
        intake.run_import(path, vault, engine, kind="preferences")
        rows = {row.unit: row for row in preferences.preference_table(vault).rows}
        assert rows[vault.unit_of("p")].marks == (
            AnswerMarks((("accuracy", 3.5), ("zebrasafety", 5.0))),
            AnswerMarks((("zebrasafety", 1.0),), (("rude", False), ("zebradose", True))),
        )
        assert rows[vault.unit_of("q")].marks == ()
    assert all(b"zebra" not in file.read_bytes() for file in tmp_path.glob("vault.db*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ratings": {"chosen": {"safety": 6}}}, "1 to 5"),
        ({"ratings": {"chosen": {"safety": 0.9}}}, "1 to 5"),
        ({"ratings": {"chosen": {"safety": True}}}, "1 to 5"),
        ({"ratings": {"chosen": {"safety": "zebra"}}}, "1 to 5"),
        ({"ratings": {"best": {"safety": 5}}}, "chosen and rejected"),
        ({"ratings": [5, 1]}, "chosen and rejected"),
        ({"ratings": {"chosen": 5}}, "names for each answer"),
        ({"ratings": {"chosen": {f"c{n}": 5 for n in range(17)}}}, "names for each answer"),
        ({"ratings": {"chosen": {"Mr. Zebra": 5}}}, "a name in"),
        ({"flags": {"chosen": {"rude": 1}}}, "true or false"),
        ({"rejected": " see  a doctor "}, "the same"),
        ({"rejected": " \n"}, "empty"),
        ({"chosen": ""}, "empty"),
    ],
)
def test_a_bad_mark_or_answer_is_refused_by_its_line_and_never_shown(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    path = write(tmp_path / "rows.jsonl", ROW, ROW | change)
    with pytest.raises(InputError, match="line 2") as caught:
        read_rows(path, "preferences")
    assert words in str(caught.value)
    assert "zebra" not in str(caught.value).lower() and "doctor" not in str(caught.value)


def test_raters_who_contradict_each_other_are_both_kept(tmp_path: Path) -> None:
    other = ROW | {"chosen": ROW["rejected"], "rejected": ROW["chosen"]}
    assert len(read_rows(write(tmp_path / "rows.jsonl", ROW, other), "preferences")) == 2
