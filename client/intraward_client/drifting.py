"""Drift of the model in use, as the hospital sees it: clinicians' flags, and comparisons that it lost.

Both are CUSUMs of a rate (``monitoring``), local, and a person decides what follows (section 6 of DESIGN.md).
A comparison is a vote on an item with an answer of each of two versions; a tie counts as half lost. With no
change a version loses one half.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.labeling.comparisons import compared
from intraward_client.labeling.opening import open_book
from intraward_client.monitoring import Batch, Course, Rates, flag_rates, follow, loss_rates, path_of
from intraward_client.store.flags import batches
from intraward_client.store.vault import Vault

_ADVICE = (
    "look at the answers: intraward-client flags report --show-text, and at what was judged",
    "to go back to the adapter before: intraward-client adapter rollback",
    "to tell the coordinator what you decide: intraward-client decide stop|label-again --reason CODE",
)


@dataclass(frozen=True)
class Monitor:
    """One course: what is counted, what came of it, and the sum after each batch."""

    what: str
    rates: Rates
    course: Course
    path: tuple[float, ...]

    @property
    def alarm_since(self) -> str | None:
        """When the sum first passed the threshold."""
        return self.course.alarm_since

    @property
    def row(self) -> Mapping[str, Any]:
        """For machines."""
        told = {"what": self.what, "counted": self.course.answers, "per_100": self.course.per_100}
        sums = {"cusum": self.course.cusum, "threshold": self.rates.threshold}
        return told | sums | {"alarm_since": self.alarm_since}

    @property
    def sentence(self) -> str:
        """For a person."""
        text = f"{self.what}: {self.course.per_100:.1f} in 100 of {self.course.answers}"
        text += f", expected {100 * self.rates.expected:g}"
        text += f"; cusum {self.course.cusum:.2f} of {self.rates.threshold:g}"
        return text + (f"  [red]ALARM[/] since {self.alarm_since}" if self.alarm_since else "")


@dataclass(frozen=True)
class Drift:
    """Both monitors, of those for which there is anything; ``advice`` where one has alarmed."""

    monitors: tuple[Monitor, ...]

    @property
    def advice(self) -> tuple[str, ...]:
        """What to do now."""
        return _ADVICE if any(each.alarm_since for each in self.monitors) else ()


def look(home: SiteHome, policy: SitePolicy, adapter: str, against: str | None) -> Drift:
    """Follow an adapter's flags, and its comparisons with an older one if that is named.

    Raises:
        VaultError, LabelError: vault or book cannot be opened.
    """
    terms = policy.monitoring
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        flagged = batches(vault).get(adapter, ())
        lost: Sequence[Batch] = ()
        if against is not None:
            with open_book(home, policy) as book:
                votes = compared(book, vault, adapter, against)
            lost = [Batch(_time(vote.time), 1, 1 - vote.won) for vote in votes]
    found = (("answers flagged", flag_rates(terms), flagged), ("comparisons lost", loss_rates(terms), lost))
    return Drift(
        tuple(
            Monitor(what, rates, follow(told, rates), path_of(told, rates))
            for what, rates, told in found
            if told
        )
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
