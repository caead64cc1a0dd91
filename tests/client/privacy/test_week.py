"""The weekly cap: what a stolen coordinator key can spend before somebody looks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from intraward_client.privacy.budget import tight_epsilon
from intraward_client.privacy.week import WEEK, charged_lately, check_week
from intraward_client.slot import instant
from intraward_shared.errors import BudgetExhausted
from intraward_shared.protocol import Mechanism, Slot
from intraward_shared.stages import Stage

DELTA = 1e-5
NOW = instant("2030-01-10T12:00:00Z")


class Entry:
    """What of a ledger entry the week looks at."""

    def __init__(self, time: datetime, *mechanisms: Mechanism) -> None:
        self.time = time.strftime("%Y-%m-%dT%H:%M:%SZ")
        self.charges = tuple(Slot(stage=Stage.SFT, round=1, mechanism=one) for one in mechanisms)


@pytest.fixture
def mechanism() -> Mechanism:
    return Mechanism(
        unit="patient",
        adjacency="add_remove",
        sample_rate=0.1,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        steps=5,
        nominal_batch=8,
        max_records_per_unit=2,
    )


def _entries(*entries: Entry) -> Any:
    return entries


def test_what_counts_is_the_week_before_and_all_that_lies_ahead(mechanism: Mechanism) -> None:
    old, late, ahead = NOW - WEEK, NOW - WEEK + timedelta(seconds=1), NOW + timedelta(days=30)
    entries = _entries(Entry(old, mechanism), Entry(late, mechanism), Entry(NOW), Entry(ahead, mechanism))
    assert charged_lately(entries, NOW) == (mechanism, mechanism)


def test_the_week_is_full_at_its_cap_and_opens_again(mechanism: Mechanism) -> None:
    two = tight_epsilon((mechanism, mechanism), DELTA)
    entries = _entries(Entry(NOW - timedelta(days=6), mechanism))
    check_week(entries, (mechanism,), two, DELTA, NOW)
    with pytest.raises(BudgetExhausted, match="weekly_epsilon"):
        check_week(entries, (mechanism,), two - 1e-6, DELTA, NOW)
    check_week(entries, (mechanism,), two - 1e-6, DELTA, NOW + timedelta(days=1))


def test_a_whole_schedule_counts_at_once(mechanism: Mechanism) -> None:
    cap = 1.01 * tight_epsilon((mechanism,), DELTA)
    check_week(_entries(), (mechanism,), cap, DELTA, NOW)
    with pytest.raises(BudgetExhausted):
        check_week(_entries(), (mechanism,) * 6, cap, DELTA, NOW)


def test_no_cap_and_nothing_new_pass(mechanism: Mechanism) -> None:
    check_week(_entries(Entry(NOW, *(mechanism,) * 9)), (mechanism,), None, DELTA, NOW)
    check_week(_entries(Entry(NOW, *(mechanism,) * 9)), (), 1e-3, DELTA, NOW)
