"""Faults of processes and of the line between them, struck while a real round is at a known phase.

One hospital's ward (``SITE``) is held at the phase; its gateway, the SuperLink or the ServerApp is killed, or
its line cut. The ward goes on by itself and seals. Then the dead one comes back and the round has to end:
with the very bytes that were sealed, and every hospital charged once. After upload is when the coordinator
has this hospital's update and still waits for another's.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.faults.outcome import NONE, Answer, Outcome, Seen, Site, classify
from tests.faults.phases import Phase
from tests.faults.plant import SITES, Plant

from intraward_server.home import ServerHome
from intraward_shared.ledger import Kind
from intraward_shared.protocol import PLAN_DOMAIN, RECEIPT_DOMAIN, Receipt, RoundPlan, open_signed
from intraward_shared.signing import SigningKey

SITE, SLOW = "birch", "cedar"
CUT_SECONDS = 8.0
Act = Callable[[Plant], None]


def gateway_killed(plant: Plant, phase: Phase, number: int) -> Seen:
    """SIGKILL of the hospital's gateway; it is started again."""
    return _story(plant, phase, number, lambda p: p.kill_gateway(SITE), lambda p: p.gateway_again(SITE))


def two_gateways(plant: Plant, phase: Phase, number: int) -> Seen:
    """A second gateway with the hospital's node key asks to be let in; the round goes on with the first."""
    codes: list[int] = []
    seen = _story(plant, phase, number, lambda p: codes.append(p.second_gateway(SITE)), lambda p: None)
    assert seen.outcome is Outcome.SAME_BYTES
    return Seen(Outcome.REFUSED, str(codes[0]))


def superlink_killed(plant: Plant, phase: Phase, number: int) -> Seen:
    """SIGKILL of the SuperLink, with which its ServerApp ends; both are started again."""

    def back(p: Plant) -> None:
        p.superlink()
        p.start("--resume")

    return _story(plant, phase, number, _kill_superlink, back)


def serverapp_killed(plant: Plant, phase: Phase, number: int) -> Seen:
    """SIGKILL of the coordinator's ServerApp; the program is resumed."""
    return _story(plant, phase, number, _kill_serverapp, lambda p: p.start("--resume"))


def both_killed(plant: Plant, phase: Phase, number: int) -> Seen:
    """SIGKILL of ServerApp and SuperLink at once."""

    def kill(p: Plant) -> None:
        p.kill_serverapp()
        p.kill_superlink()
        assert p.await_end("start") == 1

    def back(p: Plant) -> None:
        p.superlink()
        p.start("--resume")

    return _story(plant, phase, number, kill, back)


def start_killed(plant: Plant, phase: Phase, number: int) -> Seen:
    """SIGKILL of ``start``, which only follows; the next one stops the ServerApp that lives on."""
    return _story(plant, phase, number, lambda p: p.kill("start"), lambda p: p.start("--resume"))


def partition(plant: Plant, phase: Phase, number: int) -> Seen:
    """The line between the hospital's gateway and the SuperLink is cut, and mended some seconds later."""

    def mend(p: Plant) -> None:
        time.sleep(CUT_SECONDS)
        p.cables[SITE].mend()

    return _story(plant, phase, number, lambda p: p.cables[SITE].cut(), mend)


def _kill_superlink(plant: Plant) -> None:
    plant.kill_superlink()
    assert plant.await_end("start") == 1


def _kill_serverapp(plant: Plant) -> None:
    plant.kill_serverapp()
    assert plant.await_end("start") == 1


def _story(plant: Plant, phase: Phase, number: int, strike: Act, mend: Act) -> Seen:
    """A strike in round ``number``; returns when the round is finished and everything was counted."""
    sites = {site: Site(plant.homes[site]) for site in SITES}
    held = SLOW if phase is Phase.UPLOADED else SITE
    at = Phase.TRAINING if phase is Phase.UPLOADED else phase
    plant.stop_at(held, at)
    if number == 1:
        plant.start("--resume") if plant.hub.state.exists() else plant.start()
    plant.await_phase(held, at)
    if phase is Phase.UPLOADED:
        inbox = plant.hub.root / "inbox"
        plant.until(lambda: any(inbox.glob(f"*/{SITE}.sealed")), f"{SITE}'s update is there")
    plan = plan_of(plant.hub, number)
    strike(plant)
    plant.go_on(held, at)
    for site in sites.values():
        plant.until(lambda site=site: bool(site.ended(plan, Kind.RELEASE)), "every site released")  # type: ignore[misc]
    sealed = {name: site.sealed(plan) for name, site in sites.items()}
    mend(plant)
    plant.await_rounds(number)
    for name, site in sites.items():
        site.check()
        assert len(site.attempts(plan)) == 1
        assert received(plant.hub, name, number) == sealed[name]
    again = Answer("OK", received(plant.hub, SITE, number))
    return classify(sites[SITE], plan, NONE, sealed[SITE], again)


def received(hub: ServerHome, site: str, number: int) -> str:
    """Digest of the update that the coordinator countersigned for a round."""
    data = hub.receipt(site, number).read_bytes()
    return open_signed(data, RECEIPT_DOMAIN, Receipt, SigningKey.load(hub.key).public).update


def plan_of(hub: ServerHome, number: int) -> str:
    """Digest of a round's plan, as the coordinator signed it."""
    data = hub.plan(number).read_bytes()
    return open_signed(data, PLAN_DOMAIN, RoundPlan, SigningKey.load(hub.key).public).digest
