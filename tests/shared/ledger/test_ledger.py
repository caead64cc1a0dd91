"""The ledger's meaning: what is charged when, what is refused, what a crash leaves."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from intraward_shared.errors import DigestError, LedgerError, SignatureError
from intraward_shared.ledger import Kind, Ledger, charged, policy_entry, read_ledger, stage_charges
from intraward_shared.ledger_file import LedgerFile
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"


def test_first_entry_is_the_policy_and_holds_the_sites_constants(
    ledger: Ledger, site_key: SigningKey
) -> None:
    (first,) = ledger.entries
    assert (first.kind, first.sequence, first.previous) == (Kind.POLICY, 0, "0" * 64)
    terms = policy_entry(ledger.entries)
    assert terms == ledger.privacy
    assert (terms.site, terms.delta, terms.lifetime_epsilon) == ("north", 1e-5, 8.0)
    assert terms.public == site_key.public and ledger.head == (0, first.hash)


def test_an_entry_has_no_field_for_counts_ids_or_metrics(ledger: Ledger) -> None:
    assert set(ledger.entries[0].model_dump()) == {
        *("schema_version", "sequence", "previous", "kind", "site", "run_id", "round", "stage", "plan"),
        *("attempt", "mechanism", "charges", "schedule", "slot", "output", "process_died", "terms", "unit"),
        *("adjacency", "delta", "simulated", "time", "key_id", "signature"),
    }


def test_a_schedule_is_charged_once_as_a_whole_and_its_slots_draw_for_nothing(
    ledger: Ledger, schedule_of: Any, round_of: Any
) -> None:
    schedule = schedule_of(3)
    entry = ledger.reserve_schedule(schedule, TIME)
    assert ledger.reserve_schedule(schedule, TIME) == entry
    assert ledger.charges() == tuple(slot.mechanism for slot in schedule.slots)
    drawn = ledger.reserve(round_of(2, schedule.slots[1].mechanism, schedule))
    assert (drawn.slot, drawn.charges, drawn.mechanism) == (1, (), schedule.slots[1].mechanism)
    assert len(ledger.charges()) == 3 and stage_charges(ledger.entries) == {"reward": list(ledger.charges())}


def test_a_plan_without_schedule_is_charged_and_a_free_one_is_not(
    ledger: Ledger, mechanism_of: Any, round_of: Any
) -> None:
    plan = round_of(1, mechanism_of())
    assert ledger.pending_charges(plan) == (mechanism_of(),) and ledger.charges() == ()
    ledger.reserve(plan)
    ledger.reserve(round_of(2, public_data="d" * 64))
    assert ledger.charges() == (mechanism_of(),)


def test_a_dead_attempt_may_be_made_again_at_its_price_at_most_three_times(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path, schedule_of: Any, round_of: Any
) -> None:
    schedule = schedule_of(2)
    plan = round_of(1, schedule.slots[0].mechanism, schedule)
    with make_ledger() as ledger:
        ledger.reserve_schedule(schedule, TIME)
        ledger.reserve(plan)
    for attempt in (2, 3):
        with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
            with pytest.raises(LedgerError, match="rule 6"):
                ledger.reserve(plan)
            gone = ledger.abort_dead_attempt(plan.digest)
            assert gone is not None and gone.process_died is True
            again = ledger.reserve(plan)
            assert (again.attempt, again.slot) == (attempt, 0)
            assert [slot.mechanism for slot in again.charges] == [plan.mechanism]
            assert len(ledger.charges()) == 1 + attempt
    with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
        ledger.abort_dead_attempt(plan.digest)
        with pytest.raises(LedgerError, match="tried 3 times"):
            ledger.reserve(plan)


def test_an_attempt_given_up_while_its_process_lived_is_final(ledger: Ledger, round_of: Any) -> None:
    failed, left = round_of(1), round_of(2)
    for plan in (failed, left):
        ledger.reserve(plan)
    ledger.abort(failed.digest)
    entry = ledger.abort_dead_attempt(left.digest)
    assert entry is not None and entry.process_died is False
    for plan in (failed, left):
        assert ledger.state_of(plan.digest) is Kind.ABORT
        assert ledger.abort_dead_attempt(plan.digest) is None
        with pytest.raises(LedgerError, match="did not die"):
            ledger.reserve(plan)


def test_another_plan_for_the_same_round_is_refused(ledger: Ledger, round_of: Any) -> None:
    ledger.reserve(round_of(1))
    with pytest.raises(LedgerError, match="another plan"):
        ledger.reserve(round_of(1, nonce="1" * 32))
    assert ledger.state_of(round_of(1, nonce="1" * 32).digest) is None


def test_schedules_are_refused_when_they_are_second_late_unknown_or_ambiguous(
    ledger: Ledger, schedule_of: Any, round_of: Any, mechanism_of: Any
) -> None:
    schedule, other = schedule_of(2), schedule_of(3)
    plan = round_of(1, mechanism_of(), schedule)
    with pytest.raises(LedgerError, match="not reserved"):
        ledger.reserve(plan)
    ledger.reserve_schedule(schedule, TIME)
    with pytest.raises(LedgerError, match="already has a schedule"):
        ledger.reserve_schedule(other, TIME)
    with pytest.raises(LedgerError, match="no slot"):
        ledger.reserve(round_of(9, mechanism_of(), schedule))
    with pytest.raises(LedgerError, match="not the slot's"):
        ledger.reserve(round_of(1, mechanism_of(steps=999), schedule))
    ledger.reserve(round_of(1, mechanism_of(), run_id="late"))
    with pytest.raises(LedgerError, match="charged before its schedule"):
        ledger.reserve_schedule(schedule_of(2, run="late"), TIME)
    twice = schedule.model_copy(update={"run_id": "twice", "slots": (schedule.slots[0],) * 2})
    with pytest.raises(LedgerError, match="two slots"):
        ledger.reserve_schedule(twice, TIME)


def test_a_slot_is_drawn_once(ledger: Ledger, schedule_of: Any, round_of: Any) -> None:
    schedule = schedule_of(2)
    ledger.reserve_schedule(schedule, TIME)
    ledger.reserve(round_of(1, schedule.slots[0].mechanism, schedule))
    with pytest.raises(LedgerError, match="drawn before"):
        ledger.reserve(round_of(5, schedule.slots[0].mechanism, schedule, stage_round=1))


def test_release_needs_its_open_reserve_and_happens_once(ledger: Ledger, round_of: Any) -> None:
    plan = round_of(1)
    with pytest.raises(LedgerError, match="no RESERVE"):
        ledger.release(plan.digest, "f" * 64)
    ledger.reserve(plan)
    released = ledger.release(plan.digest, "f" * 64)
    assert (released.output, released.time, released.charges) == ("f" * 64, plan.slot_time, ())
    with pytest.raises(LedgerError, match="no open RESERVE"):
        ledger.release(plan.digest, "f" * 64)
    with pytest.raises(LedgerError, match="no open RESERVE"):
        ledger.abort(plan.digest)
    with pytest.raises(LedgerError, match="rule 6"):
        ledger.reserve(plan)


def test_simulated_plans_and_ledgers_do_not_mix(ledger: Ledger, round_of: Any) -> None:
    with pytest.raises(LedgerError, match="simulation"):
        ledger.reserve(round_of(1, simulated=True))


def test_sealed_bytes_are_released_once_and_sent_again_for_nothing(
    ledger: Ledger, round_of: Any, sealed_of: Any
) -> None:
    plan = round_of(1)
    sealed = sealed_of(plan, ledger.reserve(plan))
    entry = ledger.ensure_released(plan.digest, sealed)
    assert entry.kind is Kind.RELEASE and ledger.ensure_released(plan.digest, sealed) == entry
    assert len(ledger.entries) == 3


def test_sealed_bytes_that_were_not_paid_are_not_released(
    ledger: Ledger, round_of: Any, sealed_of: Any
) -> None:
    plan, other = round_of(1), round_of(2)
    entry = ledger.reserve(plan)
    sealed = sealed_of(plan, entry)
    with pytest.raises(LedgerError, match="paid by another"):
        ledger.ensure_released(plan.digest, sealed_of(plan, ledger.entries[0]))
    with pytest.raises(LedgerError, match="no open or released"):
        ledger.ensure_released(other.digest, sealed)
    with pytest.raises((SignatureError, DigestError)):
        ledger.ensure_released(plan.digest, sealed[:-1] + bytes([sealed[-1] ^ 1]))
    ledger.ensure_released(plan.digest, sealed)
    with pytest.raises(LedgerError, match="another output"):
        ledger.ensure_released(plan.digest, sealed_of(plan, entry, b"other"))
    ledger.reserve(other)
    ledger.abort(other.digest)
    with pytest.raises(LedgerError, match="no open or released"):
        ledger.ensure_released(other.digest, sealed_of(other, ledger.entries[-2]))


def test_the_cap_may_be_lowered_by_a_recorded_decision_and_nothing_else_changes(
    ledger: Ledger, mechanism_of: Any, round_of: Any
) -> None:
    ledger.reserve(round_of(1, mechanism_of()))
    ledger.amend_policy("d" * 64, 7.0, TIME)
    assert ledger.privacy.lifetime_epsilon == 7.0 and ledger.privacy.delta == 1e-5
    assert charged(ledger.entries) == (mechanism_of(),)


def test_create_never_overwrites_and_needs_its_folder(make_ledger: Any) -> None:
    make_ledger().close()
    with pytest.raises(LedgerError, match="already"):
        make_ledger()
    with pytest.raises(LedgerError, match="cannot be made"):
        make_ledger("missing/ledger.jsonl")


def test_one_writer_at_a_time(make_ledger: Any, site_key: SigningKey, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with make_ledger() as ledger:
        with pytest.raises(LedgerError, match="another process writes") as caught:
            Ledger.open(path, site_key)
        assert caught.value.remedy
        code = (
            "import sys, pathlib; from intraward_shared.ledger import Ledger, LedgerEntry\n"
            "from intraward_shared.signing import SigningKey\n"
            "from intraward_shared.errors import LedgerError\n"
            "try: Ledger.open(pathlib.Path(sys.argv[1]), SigningKey.from_seed(b's' * 32))\n"
            "except LedgerError: sys.exit(7)"
        )
        child = subprocess.run([sys.executable, "-c", code, str(path)], env=_environment(), check=False)
        assert child.returncode == 7
        ledger.amend_policy("d" * 64, 7.0, TIME)
    Ledger.open(path, site_key).close()


def test_a_closed_ledger_takes_nothing(make_ledger: Any, round_of: Any) -> None:
    ledger = make_ledger()
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.reserve(round_of(1))
    assert repr(ledger) == "Ledger(1 entries)"


def test_open_needs_the_file_and_its_own_key(make_ledger: Any, site_key: SigningKey, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="nothing is trained"):
        Ledger.open(tmp_path / "none.jsonl", site_key)
    make_ledger().close()
    with pytest.raises(LedgerError):
        Ledger.open(tmp_path / "ledger.jsonl", SigningKey.generate())
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(LedgerError, match="empty"):
        Ledger.open(tmp_path / "empty.jsonl", site_key)


def test_a_torn_last_line_is_cut_off_and_a_whole_one_without_newline_kept(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path, round_of: Any
) -> None:
    path = tmp_path / "ledger.jsonl"
    with make_ledger() as ledger:
        whole = path.read_bytes()
        ledger.reserve(round_of(1))
    longer = path.read_bytes()
    for cut in (len(whole) + 1, len(whole) + 200, len(longer) - 2):
        path.write_bytes(longer[:cut])
        with pytest.raises(LedgerError, match="last line is not whole"):
            read_ledger(path)
        with Ledger.open(path, site_key) as ledger:
            assert len(ledger.entries) == 1
            ledger.amend_policy("d" * 64, 8.0, TIME)
        assert len(read_ledger(path)) == 2
        path.write_bytes(whole)
    path.write_bytes(longer[:-1])
    with Ledger.open(path, site_key) as ledger:
        assert ledger.state_of(round_of(1).digest) is Kind.RESERVE
    assert path.read_bytes() == longer
    path.write_bytes(longer[:-1] + b"J")
    with pytest.raises(LedgerError, match="entry 1: changed"):
        Ledger.open(path, site_key)


def test_zeros_after_a_power_cut_are_cut_off(make_ledger: Any, site_key: SigningKey, tmp_path: Path) -> None:
    make_ledger().close()
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 300)
    Ledger.open(path, site_key).close()
    assert path.read_bytes() == whole


def test_a_file_that_was_replaced_or_changed_under_the_writer_is_noticed(
    make_ledger: Any, tmp_path: Path, round_of: Any
) -> None:
    for name, act in (("a.jsonl", _replace), ("b.jsonl", _truncate)):
        with make_ledger(name) as ledger:
            ledger.reserve(round_of(1))
            act(tmp_path / name)
            with pytest.raises(LedgerError, match="replaced or changed"):
                ledger.reserve(round_of(2))
            with pytest.raises(LedgerError, match="a write to it failed"):
                ledger.reserve(round_of(3))


def test_a_full_disk_stops_the_ledger_and_reopening_goes_on(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path, round_of: Any
) -> None:
    path = tmp_path / "ledger.jsonl"
    make_ledger().close()
    limit = path.stat().st_size + 100
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Ledger.open(path, site_key) as ledger:
        # a limit on file size stands in for a full disk: the write is torn (Python ignores SIGXFSZ)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(LedgerError, match="cannot be written"):
                ledger.reserve(round_of(1))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.stat().st_size == limit
    with Ledger.open(path, site_key) as ledger:
        assert len(ledger.entries) == 1
        ledger.reserve(round_of(1))


def test_killed_at_any_moment_the_ledger_holds_all_that_was_acknowledged(
    make_ledger: Any, site_key: SigningKey, tmp_path: Path
) -> None:
    path, said = tmp_path / "ledger.jsonl", tmp_path / "acknowledged"
    make_ledger().close()
    code = (
        "import sys, os, pathlib; from intraward_shared.ledger import Ledger\n"
        "from intraward_shared.signing import SigningKey\n"
        "ledger = Ledger.open(pathlib.Path(sys.argv[1]), SigningKey.from_seed(b's' * 32))\n"
        "out = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)\n"
        "while True:\n"
        "    entry = ledger.amend_policy('d' * 64, 8.0, '2030-01-01T00:00:00Z')\n"
        "    os.write(out, b'%d ' % entry.sequence)\n"
    )
    for wait in (0.02, 0.05, 0.08):
        said.unlink(missing_ok=True)
        child = subprocess.Popen([sys.executable, "-c", code, str(path), str(said)], env=_environment())
        while not (said.exists() and said.stat().st_size) and child.poll() is None:
            sleep(0.005)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(wait)
        child.kill()
        child.wait()
        last = int(said.read_bytes().split()[-1])
        with Ledger.open(path, site_key) as ledger:
            assert ledger.head[0] >= last


def test_append_says_what_failed_without_any_content(tmp_path: Path, make_ledger: Any) -> None:
    make_ledger().close()
    file, *_ = LedgerFile.open(tmp_path / "ledger.jsonl")
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(LedgerError, match="cannot be written"):
        file.append(b"secret\n")
    file.close()


def _replace(path: Path) -> None:
    copy = path.with_suffix(".copy")
    copy.write_bytes(path.read_bytes())
    copy.replace(path)


def _truncate(path: Path) -> None:
    os.truncate(path, path.read_bytes().index(b"\n") + 1)


def _environment() -> dict[str, str]:
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
