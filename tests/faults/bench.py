"""One hospital and its coordinator in one process: real ward, vault and ledger, real round and admission.

A request goes through Flower messages, the thin ClientApp and ``run_round`` to the ward and back; ``Wire`` is
the gateway between them, where messages can be spoiled. The clock stands in the slot before the plan's.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.faults.outcome import Answer, Seen, Site, classify
from tests.faults.phases import Phase, Strike, at_phases, once

from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock, instant
from intraward_client.ward import Ward
from intraward_server.admission import admit, norm_bound
from intraward_server.rounds import Inbox, RoundTerms, find_nodes, run_round
from intraward_shared.adapters import decode, l2_norm
from intraward_shared.errors import IntrawardError, RoundFailed
from intraward_shared.protocol import (
    RECEIPT_DOMAIN,
    Receipt,
    RoundPlan,
    open_update,
    sign_value,
    unpack_parts,
)
from intraward_shared.signing import SigningKey, digest
from intraward_simulation.federation import InProcessGrid

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
SLOT, EXPIRES = "2030-01-01T00:00:00Z", "2030-01-01T01:00:00Z"
NORTH = "north"
Spoil = Callable[[bytes], bytes]


class Clock:
    """The ward's clock. Waiting passes at once; ``shift`` sets the clock wrong."""

    def __init__(self) -> None:
        self.shift = timedelta()
        self._time = instant(SLOT) - timedelta(minutes=30)

    def __call__(self) -> datetime:
        """What the ward believes."""
        return self._time + self.shift

    def set_right(self) -> None:
        """Somebody sets the clock."""
        self.shift = timedelta()

    def wait(self, seconds: float) -> bool:
        """Let time pass; nobody stops the ward."""
        self._time += timedelta(seconds=seconds)
        return False


@dataclass
class Wire:
    """The gateway: a ward port that may spoil what goes in and what comes out, once each."""

    ward: Ward
    going: Spoil | None = None
    coming: Spoil | None = None

    def describe(self) -> bytes:
        """Who the site is."""
        return self.ward.describe()

    def execute(self, request: bytes) -> bytes:
        """A request and its answer."""
        going, self.going = self.going, None
        reply = self.ward.execute(going(request) if going else request)
        coming, self.coming = self.coming, None
        return coming(reply) if coming else reply


@dataclass
class Bench:
    """A hospital's folder, two rounds that a coordinator may ask for, and the clock of both."""

    home: SiteHome
    model: Path
    requests: dict[int, Any]
    site: Site = field(init=False)
    aside: Path = field(init=False)
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.site = Site(self.home)
        self.aside = self.home.root.parent

    def plan(self, number: int = 1) -> RoundPlan:
        """A round's plan."""
        plan: RoundPlan = self.requests[number].plan
        return plan

    def request(self, number: int = 1, receipt: bytes | None = None) -> bytes:
        """A round's request as the coordinator sends it."""
        data: bytes = self.requests[number].bytes_by(COORDINATOR, receipt=receipt)
        return data

    @contextmanager
    def ward(self, home: SiteHome | None = None) -> Iterator[Ward]:
        """A ward process: it opens the site's folder and gives it back."""
        slots = SlotClock(virtual=False, now=self.clock, wait=self.clock.wait)
        with closing(Ward(home or self.home, slots=slots)) as ward:
            yield ward

    def asked(
        self,
        number: int = 1,
        *,
        home: SiteHome | None = None,
        receipt: bytes | None = None,
        going: Spoil | None = None,
        coming: Spoil | None = None,
        request: bytes | None = None,
        strike: Strike | None = None,
    ) -> Answer:
        """What the coordinator has after it asked a fresh ward for a round: an admitted update, or a code."""
        data = request if request is not None else self.request(number, receipt)
        try:
            with self.ward(home) as ward, at_phases(strike or (lambda phase: None)):
                return self.exchange(Wire(ward, going, coming), number, data)
        except IntrawardError as error:  # the ward does not even open: its operator is told
            return Answer(error.code)

    def exchange(self, wire: Wire, number: int, request: bytes) -> Answer:
        """One round with this site alone, over Flower messages."""
        plan, folder = self.plan(number), self.aside / "inbox"
        shutil.rmtree(folder, ignore_errors=True)
        bound = norm_bound(plan, l2_norm(decode(self.requests[number].blobs[0])))
        keys = {NORTH: self.site.public}
        inbox = Inbox(folder, lambda data, seen: admit(data, plan, keys, seen, max_norm=bound))
        terms = RoundTerms(quorum=1, deadline_s=60.0, resends=0, sleep=lambda seconds: None)
        grid = InProcessGrid({NORTH: wire})
        nodes = find_nodes(grid, keys, {}, terms, 1.0)
        try:
            run_round(grid, nodes, (NORTH,), lambda site: request, inbox, terms)
        except RoundFailed as failed:
            (code,) = re.findall(rf"\b{NORTH} (\w+)", failed.message)
            return Answer(str(code))
        return Answer("OK", digest((folder / f"{NORTH}.sealed").read_bytes()))

    def receipt(self, number: int = 1, home: SiteHome | None = None) -> bytes:
        """The coordinator's countersignature under the update of a round, as it lies in the outbox."""
        update = ((home or self.home).outbox / f"{self.plan(number).digest}.sealed").read_bytes()
        header, _ = open_update(update, self.site.public)
        names = {"site", "run_id", "round", "plan", "ledger_sequence", "ledger_entry"}
        value = Receipt(update=digest(update), **header.model_dump(include=names))
        return sign_value(value, RECEIPT_DOMAIN, COORDINATOR)

    def move_to(self, folder: Path) -> None:
        """The site's folder lies on another disk."""
        shutil.copytree(self.home.root, folder / "site")
        self.home = SiteHome(folder / "site")
        self.site = Site(self.home)

    def copy(self, name: str) -> SiteHome:
        """The site's folder as it is now, a second time."""
        root = self.aside / name
        shutil.copytree(self.home.root, root, ignore=shutil.ignore_patterns("*.sock"))
        return SiteHome(root)

    def story(
        self,
        phase: Phase,
        act: Callable[[], None],
        *,
        mend: Callable[[], None] = lambda: None,
        number: int = 1,
    ) -> Seen:
        """A fault strikes at ``phase`` of a round, is mended, and the round is asked for again.

        After upload there is nothing left to strike but the next asking, which is then the struck one.
        """
        plan = self.plan(number).digest
        if phase is Phase.UPLOADED:
            first = self.asked(number)
            act()
            struck, sealed = self.asked(number), self.site.sealed(plan)
            assert first.code == "OK" and sealed == first.update
        else:
            struck, sealed = self.asked(number, strike=once(phase, act)), self.site.sealed(plan)
        mend()
        return self.judged(struck, sealed, self.asked(number), number)

    def judged(self, struck: Answer, sealed: str, again: Answer, number: int = 1) -> Seen:
        """Outcome of a finished story; labels and charges are counted."""
        self.site.check()
        return classify(self.site, self.plan(number).digest, struck, sealed, again)


def code_of(reply: bytes) -> Answer:
    """What a ward's reply says by itself."""
    parts = unpack_parts(reply)
    update = parts["update"]
    return Answer(parts["code"].decode(), digest(update) if update else "")
