"""Labelling costs nothing, so its answer says nothing: the same whatever the prompts do to the model."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import intraward_client.ward as ward_module
from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.home import SiteHome
from intraward_client.privacy.noise import NoiseSource
from intraward_client.slot import SlotClock
from intraward_client.store.notes import store_outcomes
from intraward_client.store.prompts import candidates_of, prompt_records
from intraward_client.store.vault import Vault
from intraward_client.training.label import generate_candidates
from intraward_client.ward import Ward
from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.protocol import TrainingSpec, unpack_parts
from intraward_shared.stages import Part, Stage

SLOT, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)


def add_notes(home: SiteHome, patients: int) -> None:
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    notes = [seal_note(f"n{p}", f"p{p}", f"Question: w{p} w{2 * p} w1", receipt) for p in range(patients)]
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        store_outcomes(vault, notes)


@pytest.fixture
def label_request(rounds: Any, adapter_of: Any, tiny: Any) -> Any:
    made = rounds()
    inputs = {"policy": made.plan.inputs["reward"]}
    training = TrainingSpec(learning_rate=0.1, max_prompt_tokens=4, max_completion_tokens=4)
    changes = {"stage": Stage.LABEL, "part": Part.BOTH, "mechanism": None, "schedule": None, "outputs": ()}
    plan = made.plan.model_copy(update=changes | {"inputs": inputs, "training": training})
    return replace(made, plan=plan, schedule=None)


def executed(home: SiteHome, request: Any) -> tuple[dict[str, bytes], datetime]:
    times = [SLOT - timedelta(hours=1)]

    def wait(seconds: float) -> bool:
        times.append(times[-1] + timedelta(seconds=seconds))
        return False

    slots = SlotClock(virtual=False, now=lambda: times[-1], wait=wait)
    with closing(Ward(home, slots=slots)) as ward:
        return unpack_parts(ward.execute(request.bytes_by())), times[-1]


def test_the_answer_is_the_same_when_generation_fails(
    make_site: Any, label_request: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fine, broken = make_site(0, name="fine"), make_site(0, name="broken")
    for home in (fine, broken):
        add_notes(home, 3)
    told = [executed(fine, label_request)]

    def fail(*_: object) -> None:
        raise RuntimeError("probability tensor contains nan")

    with monkeypatch.context() as patch:
        patch.setattr(ward_module, "generate_candidates", fail)
        told.append(executed(broken, label_request))
    assert told[0] == told[1] and told[0][0]["code"] == b"OK" and told[0][1] == EXPIRES
    entries = [[e.model_dump() for e in read_ledger(home.ledger)] for home in (fine, broken)]
    assert entries[0] == entries[1] and read_ledger(fine.ledger)[-1].kind is Kind.RELEASE
    assert charged(read_ledger(fine.ledger)) == ()
    assert "RuntimeError" in broken.log.read_text() and "nan" not in broken.log.read_text()
    assert executed(broken, label_request) == told[0]  # asked again, it does what was left over
    with closing(Vault.open(broken.vault, broken.vault_keys)) as vault:
        assert all(len(candidates_of(vault, p.prompt_id)) == 2 for p in prompt_records(vault))


def test_one_patients_candidates_do_not_change_when_another_leaves(
    make_site: Any, label_request: Any, tiny: Any, adapter_of: Any
) -> None:
    policy = adapter_of(tiny("llama"), "llama", Stage.SFT, scale=0.3)
    found: list[dict[str, tuple[str, ...]]] = []
    for patients in (8, 7):
        home = make_site(0, name=f"site{patients}")
        add_notes(home, patients)
        with closing(Vault.open(home.vault, home.vault_keys)) as vault:
            noise = NoiseSource.seeded(1, "north", "0" * 64, 1)
            generate_candidates(label_request.plan, tiny("llama"), policy, vault, noise)
            names = [prompt.prompt_id for prompt in prompt_records(vault)]
            found.append({name: tuple(c.answer for c in candidates_of(vault, name)) for name in names})
    whole, less = found
    assert len(whole) == 8 and len(less) == 7 and set(less) < set(whole)
    assert {name: whole[name] for name in less} == less
