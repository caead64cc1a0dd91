"""Answers about rows leave at the slot time; late ones are given up and leave when the plan expires."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import intraward_client.ward as ward_module
from intraward_client.slot import SlotClock, Stopping, instant
from intraward_client.training.train import train
from intraward_client.ward import Ward
from intraward_shared.ledger import Kind, charged, read_ledger
from intraward_shared.protocol import unpack_parts

SLOT, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)


class Hands:
    """A clock whose waits pass at once."""

    def __init__(self, start: datetime) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def wait(self, seconds: float) -> bool:
        self.time += timedelta(seconds=seconds)
        return False


def code(reply: bytes) -> str:
    return unpack_parts(reply)["code"].decode()


@pytest.fixture
def timed(make_site: Any) -> Callable[[datetime], tuple[Ward, Hands]]:
    def make(start: datetime) -> tuple[Ward, Hands]:
        hands = Hands(start)
        return Ward(make_site(2), slots=SlotClock(virtual=False, now=hands, wait=hands.wait)), hands

    return make


def test_an_early_answer_waits_for_its_slot_and_so_does_the_same_one_again(timed: Any, rounds: Any) -> None:
    ward, hands = timed(SLOT - timedelta(hours=2))
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "OK"
        assert hands.time == SLOT
        hands.time = SLOT - timedelta(minutes=5)  # asked again, before the slot
        assert code(ward.execute(rounds().bytes_by())) == "OK"
        assert hands.time == SLOT


def test_a_failure_after_rows_were_read_waits_as_well(
    timed: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward, hands = timed(SLOT - timedelta(hours=2))

    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(ward_module, "train", fail)
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "ABORTED"
    assert hands.time == SLOT


def test_a_refusal_before_rows_leaves_at_once(timed: Any, rounds: Any) -> None:
    start = SLOT - timedelta(hours=2)
    ward, hands = timed(start)
    with closing(ward):
        assert code(ward.execute(rounds(cohort=("south",)).bytes_by())) == "PLAN_REFUSED"
        assert code(ward.execute(b"junk")) == "CONTRACT"
    assert hands.time == start


def test_late_training_is_given_up_charged_and_leaves_when_the_plan_expires(
    timed: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward, hands = timed(SLOT - timedelta(minutes=1))

    def slow(inputs: Any, noise: Any, progress: Callable[[float], None]) -> Any:
        def step(share: float) -> None:
            hands.time += timedelta(minutes=1, seconds=1)
            progress(share)

        return train(inputs, noise, step)

    monkeypatch.setattr(ward_module, "train", slow)
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "ABORTED"
        assert hands.time == EXPIRES  # a whole slot later
        entries = read_ledger(ward.home.ledger)
        assert entries[-1].kind is Kind.ABORT and len(charged(entries)) == 2
        assert list(ward.home.outbox.iterdir()) == []
        assert code(ward.execute(rounds().bytes_by())) != "OK"


def test_an_expired_plan_and_a_clock_in_1970(timed: Any, rounds: Any) -> None:
    ward, hands = timed(EXPIRES + timedelta(seconds=1))
    before = ward.home.ledger.read_bytes()
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "PLAN_REFUSED"
        assert ward.home.ledger.read_bytes() == before
        hands.time = datetime(1970, 1, 1, tzinfo=UTC)  # a machine without its clock
        assert code(ward.execute(rounds().bytes_by())) == "PLAN_REFUSED"
        assert ward.home.ledger.read_bytes() == before


def test_stopping_lets_the_answer_go_and_it_is_there_for_the_next_process(
    make_site: Any, rounds: Any
) -> None:
    home = make_site(2)
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: SLOT - timedelta(days=1)))) as ward:
        stopper = threading.Timer(0.2, ward.stop)
        stopper.start()
        with pytest.raises(Stopping):
            ward.execute(rounds().bytes_by())
    (kept,) = home.outbox.iterdir()
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: SLOT))) as ward:
        found = unpack_parts(ward.execute(rounds().bytes_by()))
    assert found == {"code": b"OK", "update": kept.read_bytes()}


def test_a_virtual_clock_never_waits(rounds: Any) -> None:
    clock, plan = SlotClock(virtual=True, wait=lambda _: pytest.fail("it waited")), rounds().plan
    assert clock.now(plan) == instant(plan.slot_time) == SLOT
    clock.check_in_time(plan)
    clock.hold(plan)


def test_a_plan_that_comes_after_its_slot_is_not_begun_and_not_charged(timed: Any, rounds: Any) -> None:
    ward, _ = timed(SLOT + timedelta(seconds=1))  # a gateway held it back
    before = ward.home.ledger.read_bytes()
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "PLAN_REFUSED"
        assert ward.home.ledger.read_bytes() == before


def test_very_late_answers_leave_on_the_grid_of_slots(rounds: Any) -> None:
    for late in (timedelta(seconds=1), timedelta(hours=30), timedelta(days=2, minutes=3)):
        hands = Hands(SLOT + late)
        SlotClock(virtual=False, now=hands, wait=hands.wait).hold(rounds().plan)
        assert (hands.time - SLOT) % (EXPIRES - SLOT) == timedelta(0) and hands.time > SLOT + late


def test_training_is_given_up_before_the_next_pass_not_after_the_step(timed: Any, rounds: Any) -> None:
    ward, hands = timed(SLOT - timedelta(minutes=1))
    passes: list[datetime] = []
    check = ward._slots.check_in_time

    def each(plan: Any) -> None:
        passes.append(hands.time)
        hands.time += timedelta(seconds=31)
        check(plan)

    ward._slots.check_in_time = each
    training = rounds().plan.training.model_copy(update={"micro_batch": 1, "micro_batches": 50})
    with closing(ward):
        assert code(ward.execute(rounds(training=training).bytes_by())) == "ABORTED"
    assert len(passes) == 2  # of fifty passes of the first step


def test_while_an_answer_waits_nothing_else_is_answered(make_site: Any, rounds: Any) -> None:
    """How soon a junk request is refused must not tell how long training took."""
    home, said = make_site(2), []
    waiting, slot = threading.Event(), threading.Event()

    def wait(seconds: float) -> bool:
        waiting.set()
        slot.wait(10)
        return True

    clock = SlotClock(virtual=False, now=lambda: SLOT - timedelta(hours=1), wait=wait)
    with closing(Ward(home, slots=clock)) as ward:

        def plan() -> None:
            with pytest.raises(Stopping):
                ward.execute(rounds().bytes_by())
            said.append("plan")

        def junk() -> None:
            ward.execute(b"junk")
            said.append("junk")

        threads = [threading.Thread(target=plan)]
        threads[0].start()
        assert waiting.wait(60)
        threads.append(threading.Thread(target=junk))
        threads[1].start()
        threads[1].join(0.3)
        assert said == []
        slot.set()
        for thread in threads:
            thread.join()
    assert said == ["plan", "junk"]


def test_a_refusal_about_a_plan_that_was_charged_waits_too(
    timed: Any, rounds: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ward, hands = timed(SLOT - timedelta(hours=2))

    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(ward_module, "train", fail)
    with closing(ward):
        assert code(ward.execute(rounds().bytes_by())) == "ABORTED"
        hands.time = SLOT - timedelta(minutes=9)
        assert code(ward.execute(rounds().bytes_by())) == "LEDGER"
        assert hands.time == SLOT
