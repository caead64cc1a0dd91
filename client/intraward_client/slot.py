"""When the ward may speak: answers about rows leave at the plan's slot time, whatever the rows were.

"What else could speak" in section 6 of DESIGN.md: how long training takes tells how many patients
there are, so an answer that was ready early waits. One that is late is given up (ABORTED, the charge
stays) and leaves at the end of a later slot: answers leave on the plan's grid of slots and at no other
moment. Labelling, which may be cut off at the slot and says the same either way, answers when the plan
expires. A refusal before any row was read need not wait. A simulated site lives by the programme's
virtual clock and never waits.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from intraward_shared.errors import TrainingAborted
from intraward_shared.protocol import RoundPlan
from intraward_shared.stages import Stage

SHORTEST_SLOT = timedelta(minutes=1)
_LOOK_EVERY = 60.0
"""Seconds; a machine that slept, or whose clock was set, is noticed so late at most."""


class Stopping(RuntimeError):
    """The ward is being stopped while an answer waits; it is sent when it is asked for again."""


class SlotClock:
    """The ward's time and its waiting."""

    def __init__(
        self,
        *,
        virtual: bool,
        now: Callable[[], datetime] | None = None,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        """Make the clock.

        Args:
            virtual: every plan is executed at its own slot time.
            now: another clock than the machine's.
            wait: waits some seconds, true when the ward stops meanwhile; tests give their own.
        """
        self._virtual, self._stop = virtual, threading.Event()
        self._now = now or (lambda: datetime.now(UTC))
        self._wait = wait or self._stop.wait

    def now(self, plan: RoundPlan) -> datetime:
        """The time by which a plan is judged."""
        return instant(plan.slot_time) if self._virtual else self._now()

    def check_in_time(self, plan: RoundPlan) -> None:
        """Give up a plan whose slot is over.

        Raises:
            TrainingAborted: it is later than the slot time.
        """
        if self.now(plan) > instant(plan.slot_time):
            raise TrainingAborted(
                "training was not done by the plan's slot time",
                remedy="ask for longer slots (program.slot_s), or give this node a faster device",
            )

    def hold(self, plan: RoundPlan) -> None:
        """Return when an answer about rows may leave: at the slot time, or a whole number of slots later.

        Raises:
            Stopping: the ward stops first.
        """
        first = instant(plan.expires if plan.stage is Stage.LABEL else plan.slot_time)
        length = max(instant(plan.expires) - instant(plan.slot_time), SHORTEST_SLOT)
        late = math.ceil((self.now(plan) - first) / length)
        leaves = first + max(0, late) * length
        if self._virtual:
            return
        while (left := (leaves - self.now(plan)).total_seconds()) > 0:
            if self._wait(min(left, _LOOK_EVERY)):
                raise Stopping

    def stop(self) -> None:
        """Let waiting answers go unsent."""
        self._stop.set()


def instant(time: str) -> datetime:
    """A protocol time as a moment."""
    return datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
