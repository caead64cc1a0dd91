"""The ward with real parts: what it answers, what it charges, and what it never reads or says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import policy_table

import intraward_client.ward as ward_module
from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.store.datasets import TrainingTable
from intraward_client.store.frozen import frozen_table
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward, site_status
from intraward_shared.errors import ConfigError, LedgerError
from intraward_shared.ledger import Kind, Ledger, charged, read_ledger
from intraward_shared.ledger_file import LedgerFile
from intraward_shared.protocol import PROGRAM_DOMAIN, open_update, unpack_parts
from intraward_shared.signing import SigningKey, canonical_json, digest
from intraward_shared.stages import Stage

MARKER = "Zebulonquist"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


class Died(BaseException):
    """The process is killed at this point."""


@pytest.fixture
def open_ward() -> Iterator[Callable[[SiteHome], Ward]]:
    """Wards that are closed at the end; a site's earlier ward gives way, as a dead process does."""
    with ExitStack() as stack:
        last: dict[Path, Ward] = {}

        def make(home: SiteHome) -> Ward:
            if home.root in last:
                last[home.root].close()
            last[home.root] = ward = Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))
            stack.callback(ward.close)
            return ward

        yield make


@pytest.fixture
def sealed_vault(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on opening a vault fails the test."""

    def seal() -> None:
        monkeypatch.setattr(Vault, "open", lambda *_: pytest.fail("the vault was opened"))

    return seal


def parts(reply: bytes) -> tuple[str, bytes]:
    found = unpack_parts(reply)
    assert set(found) == {"code", "update"}
    return found["code"].decode(), found["update"]


def kinds(home: SiteHome) -> list[Kind]:
    return [entry.kind for entry in read_ledger(home.ledger)]


def test_a_round_is_charged_sealed_and_sent_again_byte_for_byte(
    make_site: Any, open_ward: Any, rounds: Any
) -> None:
    home = make_site()
    ward, request = open_ward(home), rounds()
    first = ward.execute(request.bytes_by())
    code, update = parts(first)
    header, _ = open_update(update, ward.public_key)
    assert code == "OK" and (header.site, header.plan) == ("north", request.plan.digest)
    entries = read_ledger(home.ledger)
    assert [e.kind for e in entries] == [Kind.POLICY, Kind.RESERVE, Kind.RESERVE, Kind.RELEASE]
    assert entries[1].is_schedule and len(charged(entries)) == 2 and entries[2].charges == ()
    assert (header.ledger_sequence, header.ledger_entry) == (2, entries[2].hash)
    assert ward.execute(request.bytes_by()) == first
    assert open_ward(home).execute(request.bytes_by()) == first
    assert read_ledger(home.ledger) == entries
    assert parts(open_ward(home).execute(rounds(2).bytes_by()))[0] == "OK"
    assert len(charged(read_ledger(home.ledger))) == 2
    assert MARKER not in home.log.read_text() and MARKER.encode() not in first


def test_further_devices_share_the_work_and_a_missing_one_costs_nothing(
    make_site: Any, open_ward: Any, rounds: Any, tiny_folder: Any
) -> None:
    model = policy_table(tiny_folder("llama"))["model"]
    for number, (device, fits) in enumerate({"cpu:0": True, "cuda:77": False}.items()):
        home = make_site(name=f"s{number}", more={"model": model | {"more_devices": [device]}})
        ward = open_ward(home)
        before = home.ledger.read_bytes()
        code, _ = parts(ward.execute(rounds().bytes_by()))
        assert (code == "OK") is fits and (home.ledger.read_bytes() == before) is not fits
        assert set(ward._bases) >= ({"cpu", "cpu:0"} if fits else set())
    with pytest.raises(ConfigError, match="more_devices names a device twice"):
        make_site(name="twice", more={"model": model | {"more_devices": ["cpu"]}})


def test_a_site_without_patients_cannot_be_told_from_one_with_five(
    make_site: Any, open_ward: Any, rounds: Any
) -> None:
    said = []
    for patients in (0, 5):
        home = make_site(patients, name=f"site{patients}")
        ward = open_ward(home)
        before = (ward.describe(), site_status(home))
        code, update = parts(ward.execute(rounds().bytes_by()))
        said.append((before, ward.describe(), site_status(home), code, len(update), home.log.read_bytes()))
    assert said[0] == said[1] and said[0][3] == "OK"


@pytest.mark.parametrize(
    "lora",
    [{"target_modules": ("no_such_proj",)}, {"r": 3}, {"target_modules": ("q_proj", "k_proj", "v_proj")}],
)
def test_an_adapter_that_does_not_fit_the_model_is_refused_uncharged(
    make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any, lora: dict[str, Any]
) -> None:
    home = make_site(2)
    before = home.ledger.read_bytes()
    request = rounds(lora=rounds().plan.lora.model_copy(update=lora))
    ward = open_ward(home)
    sealed_vault()
    code, update = parts(ward.execute(request.bytes_by()))
    assert code in ("MODEL", "CONTRACT") and not update
    assert home.ledger.read_bytes() == before


@pytest.mark.parametrize(
    ("weaker", "rule"),
    [
        ({"noise_multiplier": 0.79}, "mechanism"),
        ({"sample_rate": 0.6}, "mechanism"),
        ({"steps": 11}, "mechanism"),
    ],
)
def test_a_plan_below_the_policy_reads_nothing_and_costs_nothing(
    make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any, weaker: dict[str, Any], rule: str
) -> None:
    home = make_site(2)
    before = home.ledger.read_bytes()
    sealed_vault()
    mechanism = rounds().plan.mechanism.model_copy(update=weaker)
    request = rounds(mechanism=mechanism).bytes_by()
    assert parts(open_ward(home).execute(request)) == ("PLAN_REFUSED", b"")
    assert json.loads(home.log.read_text())["rule"] == rule
    assert home.ledger.read_bytes() == before and list(home.outbox.iterdir()) == []


def test_only_the_pinned_coordinator_is_heard(
    make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any
) -> None:
    home = make_site(2)
    before = home.ledger.read_bytes()
    sealed_vault()
    ward, request, other = open_ward(home), rounds(), SigningKey.from_seed(b"\x0e" * 32)
    good = request.bytes_by()
    envelope = unpack_parts(good)["plan"]
    changed = envelope.replace(b"2030-01-02T00:00:00Z", b"2031-01-02T00:00:00Z")
    assert changed != envelope
    for bad, code in (
        (request.bytes_by(other), "SIGNATURE"),
        (good.replace(envelope, changed), "SIGNATURE"),
        (request.bytes_by(schedule_key=other), "SIGNATURE"),
        (request.bytes_by(domain=PROGRAM_DOMAIN), "SIGNATURE"),
        (good[:-1], "CONTRACT"),
        (b"", "CONTRACT"),
        (good.replace(b'"signature"', b'"signatura"'), "CONTRACT"),
    ):
        assert parts(ward.execute(bad)) == (code, b"")
    assert home.ledger.read_bytes() == before


def test_a_spent_budget_reads_nothing(make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any) -> None:
    home = make_site(2, lifetime_epsilon=1.0)
    before = home.ledger.read_bytes()
    sealed_vault()
    assert parts(open_ward(home).execute(rounds().bytes_by())) == ("BUDGET", b"")
    assert home.ledger.read_bytes() == before


def test_a_full_week_reads_nothing(make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any) -> None:
    home = make_site(2, weekly_epsilon=0.01)
    before = home.ledger.read_bytes()
    sealed_vault()
    assert parts(open_ward(home).execute(rounds().bytes_by())) == ("BUDGET", b"")
    assert home.ledger.read_bytes() == before


def test_another_model_is_refused_by_plan_and_by_disk(
    make_site: Any, open_ward: Any, rounds: Any, sealed_vault: Any, tiny_folder: Any, tmp_path: Path
) -> None:
    copy = tmp_path / "model"
    shutil.copytree(tiny_folder("llama"), copy)
    home = make_site(2, model=copy)
    before = home.ledger.read_bytes()
    sealed_vault()
    ward = open_ward(home)
    assert parts(ward.execute(rounds(base_model="f" * 64).bytes_by()))[0] == "PLAN_REFUSED"
    config = copy / "config.json"
    config.write_text(config.read_text() + "\n")
    assert parts(ward.execute(rounds().bytes_by())) == ("MODEL", b"")
    assert home.ledger.read_bytes() == before


def test_death_while_training_is_retried_once_more_and_charged(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, request = make_site(), rounds().bytes_by()
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise Died

        patch.setattr(ward_module, "train", die)
        with pytest.raises(Died):
            open_ward(home).execute(request)
    assert kinds(home)[-1] is Kind.RESERVE and list(home.outbox.iterdir()) == []
    assert parts(open_ward(home).execute(request))[0] == "OK"
    entries = read_ledger(home.ledger)
    assert [e.kind for e in entries][-4:] == [Kind.RESERVE, Kind.ABORT, Kind.RESERVE, Kind.RELEASE]
    assert entries[-3].process_died and entries[-2].attempt == 2
    assert len(entries[-2].charges) == 1 and len(charged(entries)) == 3


def test_death_between_seal_and_release_sends_the_very_bytes(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, request = make_site(), rounds().bytes_by()
    with monkeypatch.context() as patch:

        def die(*_: object) -> None:
            raise Died

        patch.setattr(Ledger, "release", die)
        with pytest.raises(Died):
            open_ward(home).execute(request)
    (kept,) = home.outbox.iterdir()
    before = charged(read_ledger(home.ledger))
    bytes_before = kept.read_bytes()
    assert parts(open_ward(home).execute(request)) == ("OK", bytes_before)
    assert kinds(home)[-2:] == [Kind.RESERVE, Kind.RELEASE] and charged(read_ledger(home.ledger)) == before


def test_an_exception_in_training_is_one_word_outside_and_final(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, request = make_site(), rounds().bytes_by()
    read = frozen_table

    def choke(vault: Vault, plan: str, stage: Stage) -> TrainingTable[Any]:
        raise ValueError(f"cannot read {read(vault, plan, stage).rows[0].prompt}")

    with monkeypatch.context() as patch:
        patch.setattr(ward_module, "frozen_table", choke)
        reply = open_ward(home).execute(request)
    assert parts(reply) == ("ABORTED", b"")
    assert json.loads(home.log.read_text())["operator"] == "ValueError"
    assert MARKER not in home.log.read_text() and kinds(home)[-1] is Kind.ABORT
    assert parts(open_ward(home).execute(request)) == ("LEDGER", b"")
    assert len(charged(read_ledger(home.ledger))) == 2 and list(home.outbox.iterdir()) == []


def test_a_ledger_that_cannot_be_written_still_gets_an_answer(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, request = make_site(), rounds().bytes_by()
    append = LedgerFile.append

    def full(file: LedgerFile, line: bytes) -> None:
        if b'"RELEASE"' in line.upper() or b'"ABORT"' in line.upper():
            raise LedgerError("the disk is full")
        append(file, line)

    with monkeypatch.context() as patch:
        patch.setattr(LedgerFile, "append", full)
        assert parts(open_ward(home).execute(request)) == ("ABORTED", b"")
    (kept,) = home.outbox.iterdir()
    assert parts(open_ward(home).execute(request)) == ("OK", kept.read_bytes())
    assert len(charged(read_ledger(home.ledger))) == 2


def test_released_bytes_leave_although_the_log_is_full(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site(2)

    def full(*_: object) -> None:
        raise OSError("no space")

    monkeypatch.setattr(SiteHome, "note", full)
    ward = open_ward(home)
    assert parts(ward.execute(rounds().bytes_by()))[0] == "OK"
    assert parts(ward.execute(b"junk"))[0] == "CONTRACT"


def test_interruption_is_not_an_answer(
    make_site: Any, open_ward: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward = open_ward(make_site(1))
    for stop in (KeyboardInterrupt, SystemExit):

        def halt(*_: object, stop: type[BaseException] = stop) -> None:
            raise stop

        monkeypatch.setattr(ward_module, "check_plan", halt)
        with pytest.raises(stop):
            ward.execute(rounds().bytes_by())


def test_a_free_stage_needs_no_vault(make_site: Any, open_ward: Any, rounds: Any) -> None:
    home = make_site(2)
    home.vault.unlink()
    rows = canonical_json([{"prompt": "w1", "chosen": "w2 w3", "rejected": "w4"}])
    request = rounds()
    training = request.plan.training.model_copy(update={"steps": 1, "batch": 1})
    changes = {"mechanism": None, "schedule": None, "public_data": digest(rows), "training": training}
    plan = request.plan.model_copy(update=changes)
    free = replace(request, plan=plan, schedule=None, blobs=(*request.blobs, rows))
    assert parts(open_ward(home).execute(free.bytes_by()))[0] == "OK"
    assert charged(read_ledger(home.ledger)) == ()
    assert parts(open_ward(home).execute(rounds(2).bytes_by()))[0] == "PLAN_REFUSED"
    assert kinds(home)[-1] is Kind.RESERVE and read_ledger(home.ledger)[-1].is_schedule  # and no round's
