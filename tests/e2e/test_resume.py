"""``start --resume`` after SIGKILL of the ServerApp, of the SuperLink, and of both: real processes.

Three hospitals with wards and gateways of their own; each kill falls into another round and phase. No round
is repeated and no hospital charged twice (``tests.faults.processes`` counts after each).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
from tests.client.conftest import tiny_folder  # noqa: F401
from tests.faults import processes
from tests.faults.conftest import consortium, make_simulated, short_folder  # noqa: F401
from tests.faults.outcome import Outcome, Seen
from tests.faults.phases import Phase
from tests.faults.plant import SITES, Plant

from intraward_shared.ledger import Kind, charged

pytestmark = pytest.mark.timeout(1800)
BOTH = (processes.both_killed, Phase.UPLOADED)
EACH = (processes.serverapp_killed, Phase.TRAINING), (processes.superlink_killed, Phase.SEALED), BOTH
Kills = tuple[tuple[Callable[[Plant, Phase, int], Seen], Phase], ...]


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param((BOTH,), id="both", marks=[pytest.mark.e2e, pytest.mark.slow]),
        pytest.param(EACH, id="each, then both", marks=pytest.mark.faults),
    ],
)
def test_a_killed_coordinator_goes_on_without_repeating_or_charging_twice(
    consortium: Callable[[int], AbstractContextManager[Plant]],  # noqa: F811
    kills: Kills,
) -> None:
    with consortium(len(kills)) as plant:
        for number, (kill, phase) in enumerate(kills, start=1):
            assert kill(plant, phase, number) == Seen(Outcome.SAME_BYTES, "OK")
        assert plant.await_end("start") == 0
        assert plant.rounds_done() == list(range(1, len(kills) + 1))
        for site in SITES:
            entries = plant.ledger(site)
            (schedule,) = [entry for entry in entries if entry.is_schedule]
            assert charged(entries) == tuple(slot.mechanism for slot in schedule.charges)
            kinds = [entry.kind for entry in entries]
            assert kinds.count(Kind.RELEASE) == len(kills) and Kind.ABORT not in kinds
        assert "of an earlier start was stopped" in plant.log("start")  # Flower lists the dead SuperLink's
