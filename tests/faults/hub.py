"""Faults of the coordinator's machine: three real wards and the real program, all in this process.

The disk of the coordinator fails while one hospital's ward is at the phase; after upload is when its update
is there and the next hospital is asked. The program stops, the disk is mended, and the program is run again.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import tomli_w
from tests.faults.node import Failing
from tests.faults.outcome import NONE, Answer, Outcome, Seen, Site, classify
from tests.faults.phases import Phase, Strike, at_phases
from tests.faults.plant import SITES, program
from tests.faults.processes import SITE, SLOW, plan_of, received

from intraward_client.home import SiteHome
from intraward_client.ward import Ward
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_shared.errors import RoundFailed
from intraward_shared.signing import SigningKey
from intraward_simulation.federation import InProcessGrid


@dataclass
class Hub:
    """A coordinator and its hospitals in one process. ``hub`` is its folder, as a plant has one."""

    hub: ServerHome
    homes: dict[str, SiteHome]

    def run(self, strike: Callable[[str], Strike] = lambda site: lambda phase: None) -> int:
        """Run or continue the program; ``strike(site)`` is told of the phases of that site's ward."""
        with ExitStack() as stack:
            wards = {site: stack.enter_context(closing(Ward(home))) for site, home in self.homes.items()}
            asked = {site: _Asked(ward, strike(site)) for site, ward in wards.items()}
            return run(InProcessGrid(asked), self.hub.root).rounds


@dataclass
class _Asked:
    """A ward whose phases are told while it is the one that is asked."""

    ward: Ward
    strike: Strike

    def describe(self) -> bytes:
        return self.ward.describe()

    def execute(self, request: bytes) -> bytes:
        with at_phases(self.strike):
            return self.ward.execute(request)


def lay_hub(folder: Path, model: Path, make_site: Callable[[Path, str, str], SiteHome]) -> Hub:
    """A program of one private round, ready to run."""
    hub, key = ServerHome(folder / "hub"), SigningKey.generate()
    hub.make()
    key.save(hub.key)
    homes = {site: make_site(folder / site, site, key.public) for site in SITES}
    table = program(model, 1)
    table["sites"] = [
        {"name": site, "public_key": SigningKey.load(home.signing_key).public} for site, home in homes.items()
    ]
    table["program"]["poll_s"] = 0.01
    hub.program.write_text(tomli_w.dumps(table))
    return Hub(hub, homes)


def hub_disk_full(hub: Hub, phase: Phase) -> Seen:
    """Writes below the coordinator's folder fail with ENOSPC."""
    return _failing(hub, phase, errno.ENOSPC)


def hub_disk_read_only(hub: Hub, phase: Phase) -> Seen:
    """Writes below the coordinator's folder, and opening for them, fail with EROFS."""
    return _failing(hub, phase, errno.EROFS)


def _failing(hub: Hub, phase: Phase, number: int) -> Seen:
    sites = {name: Site(home) for name, home in hub.homes.items()}
    disk = Failing(hub.hub.root, number)
    struck_site, at = (SLOW, Phase.BEFORE_RESERVE) if phase is Phase.UPLOADED else (SITE, phase)

    def strike(site: str) -> Strike:
        return lambda come: disk.fail() if (site, come) == (struck_site, at) else None

    with disk.installed():
        try:
            hub.run(strike)
            raise AssertionError("the program did not notice that its disk had failed")
        except RoundFailed as failed:
            assert "disk" in failed.message and "--resume" in (failed.remedy or "")
        plan = plan_of(hub.hub, 1)
        sealed = {name: site.sealed(plan) for name, site in sites.items()}
        disk.mend()
        assert hub.run() == 1
    for name, site in sites.items():
        site.check()
        assert len(site.attempts(plan)) == 1
        assert received(hub.hub, name, 1) == (sealed[name] or site.sealed(plan))
    seen = classify(sites[SITE], plan, NONE, sealed[SITE], Answer("OK", received(hub.hub, SITE, 1)))
    assert seen.outcome is Outcome.SAME_BYTES
    return seen
