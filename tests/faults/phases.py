"""The five phases of a round at a hospital, and a way to be there when a ward comes to one.

They are the moments at which rule 4 of DESIGN.md has promised something different: nothing is charged; the
charge is on disk; sealed bytes are on disk; they are RELEASEd; they have left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from enum import StrEnum
from typing import Any
from unittest.mock import patch

import intraward_client.ward as ward_module
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.ledger import Ledger


class Phase(StrEnum):
    """When a fault strikes."""

    BEFORE_RESERVE = "before reserve"
    TRAINING = "in training"
    SEALED = "after reserve, before release"
    RELEASED = "before upload"
    UPLOADED = "after upload"


Strike = Callable[[Phase], None]


@contextmanager
def at_phases(strike: Strike) -> Iterator[None]:
    """``strike`` is called whenever a ward of this process comes to one of the first four phases.

    ``TRAINING`` is after the first step, with rows read; ``SEALED`` is after the sealed bytes are on disk.
    """
    reserve, train, release, hold = Ward._reserve, vars(ward_module)["train"], Ledger.release, SlotClock.hold

    def reserving(ward: Ward, request: Any, now: datetime) -> Any:
        strike(Phase.BEFORE_RESERVE)
        return reserve(ward, request, now)

    def training(inputs: Any, noise: Any, report: Callable[[float], None]) -> Any:
        struck: list[bool] = []

        def told(share: float) -> None:
            if not struck:
                struck.append(True)
                strike(Phase.TRAINING)
            report(share)

        return train(inputs, noise, told)

    def releasing(ledger: Ledger, plan: str, output: str) -> Any:
        strike(Phase.SEALED)
        return release(ledger, plan, output)

    def holding(slots: SlotClock, plan: Any) -> None:
        strike(Phase.RELEASED)
        hold(slots, plan)

    with ExitStack() as stack:
        stack.enter_context(patch.object(Ward, "_reserve", reserving))
        stack.enter_context(patch.object(ward_module, "train", training))
        stack.enter_context(patch.object(Ledger, "release", releasing))
        stack.enter_context(patch.object(SlotClock, "hold", holding))
        yield


def once(wanted: Phase, act: Callable[[], None]) -> Strike:
    """A strike that acts the first time that a ward comes to ``wanted``."""
    left = [wanted]

    def strike(phase: Phase) -> None:
        if phase in left:
            left.clear()
            act()

    return strike
