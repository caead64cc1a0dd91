"""The training table of a plan is fixed once, before it is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, seal_note
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.preferences import add_preference, add_sft
from intraward_client.store.vault import Vault
from intraward_shared.errors import VaultError
from intraward_shared.stages import Stage

PLAN, OTHER = "1" * 64, "2" * 64


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys")) as made:
        yield made


def note(patient: str, text: str) -> DeidentifiedNote:
    return seal_note("n", patient, text, DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {}))


def prefer(vault: Vault, row: str, patient: str) -> None:
    add_preference(vault, row, note(patient, "w1"), note(patient, "w2"), note(patient, "w3"))


def rows(vault: Vault, plan: str = PLAN, stage: Stage = Stage.REWARD) -> list[str]:
    return [row.row_id for row in frozen_table(vault, plan, stage).rows]


def test_what_comes_later_is_in_no_attempt_of_the_plan(vault: Vault) -> None:
    prefer(vault, "a", "p1")
    freeze(vault, PLAN, Stage.REWARD)
    before = rows(vault)
    prefer(vault, "b", "p1")
    prefer(vault, "c", "p2")
    freeze(vault, PLAN, Stage.REWARD)  # an attempt after a crash
    assert rows(vault) == before and len(before) == 1
    freeze(vault, OTHER, Stage.REWARD)
    assert len(rows(vault, OTHER)) == 3


def test_an_empty_table_is_fixed_too(vault: Vault) -> None:
    freeze(vault, PLAN, Stage.REWARD)
    prefer(vault, "a", "p1")
    assert rows(vault) == []


def test_what_is_forgotten_leaves_the_table(vault: Vault) -> None:
    prefer(vault, "a", "p1")
    prefer(vault, "b", "p2")
    freeze(vault, PLAN, Stage.REWARD)
    vault.forget("p1")
    assert len(rows(vault)) == 1
    assert vault.count()["frozen_rows"] == 1


def test_stages_have_their_own_rows(vault: Vault) -> None:
    prefer(vault, "a", "p1")
    add_sft(vault, "d", note("p1", "w1"), note("p1", "w2"))
    freeze(vault, PLAN, Stage.SFT)
    freeze(vault, OTHER, Stage.DPO)
    assert len(rows(vault, PLAN, Stage.SFT)) == len(rows(vault, OTHER, Stage.DPO)) == 1
    assert rows(vault, PLAN, Stage.SFT) != rows(vault, OTHER, Stage.DPO)


def test_nothing_is_trained_on_a_table_that_was_not_fixed(vault: Vault) -> None:
    prefer(vault, "a", "p1")
    with pytest.raises(VaultError, match="no training table was fixed"):
        frozen_table(vault, PLAN, Stage.REWARD)
