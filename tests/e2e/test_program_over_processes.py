"""A whole small program over a SuperLink and three wards: the same bits as in process, and it survives.

The small run of ``conftest``: three hospitals, five rounds.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.relay import behind_relays

from intraward_shared.errors import RoundFailed
from intraward_shared.ledger import Kind, LedgerEntry, charged, first_schedule, read_ledger
from intraward_simulation import processes
from intraward_simulation.processes import WardCommand, run_with_processes
from intraward_simulation.run import run_scenario
from intraward_simulation.supervision import processes_of, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SITES = ("alder", "birch", "cedar")
ROUNDS = 5


def state(run: Path) -> dict[str, Any]:
    """What the coordinator knows at the end."""
    value = json.loads((run / "server" / "state.json").read_text())
    assert value["status"] == "finished"
    return dict(value)


def ledger(run: Path, site: str) -> tuple[LedgerEntry, ...]:
    """A site's verified ledger."""
    return read_ledger(run / "sites" / site / "ledger.jsonl")


@pytest.fixture
def relayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs with processes have a relay before each ward, which records below the run's ``socket``."""

    def run_relayed(run: Path, *, sites: Mapping[str, Path], ward_command: WardCommand, **rest: Any) -> None:
        homes = {site: home.resolve() for site, home in sites.items()}
        (run / "tmp").mkdir()
        monkeypatch.setenv("TMPDIR", str((run / "tmp").resolve()))  # of the processes: searched too
        doors, command = behind_relays(homes, ward_command, run / "doors", run / "socket")
        run_with_processes(run, sites=doors, ward_command=command, **rest)

    monkeypatch.setattr(processes, "run_with_processes", run_relayed)


def check_nothing_planted_left(run: Path) -> None:
    """200 identifiers were planted; none is in what crossed sockets and Flower, in a log or a file outside.

    ``report.json`` tells of the search, which covers every file below the run; what the relays recorded is
    whole: every sealed update is in it.
    """
    found = json.loads((run / "report.json").read_text())["egress"]
    assert (found["identifiers_planted"], found["control_found"]) == (200, 200)
    assert found["identifiers_found"] == 0
    said = {site: b"".join(p.read_bytes() for p in (run / "socket" / site).glob("*.out")) for site in SITES}
    for site in SITES:
        sealed = [path.read_bytes() for path in (run / "sites" / site / "outbox").iterdir()]
        assert len(sealed) == ROUNDS
        assert all(data in said[site] for data in sealed)
    messages = list((run / "recorded").glob("*.in.bin"))
    assert len(messages) >= (ROUNDS + 1) * len(SITES)
    assert {"alder.log", "flower.alder.log", "flower.superlink.log"} <= {
        p.name for p in (run / "logs").iterdir()
    }


@pytest.mark.usefixtures("relayed")
def test_processes_give_the_bits_of_the_run_in_process_and_nothing_planted_leaves(
    tmp_path: Path, scenario: Path, inside: tuple[Path, Path]
) -> None:
    (run, prepared), outside = inside, tmp_path / "outside"
    shutil.copytree(prepared, outside)
    run_scenario(scenario, outside, processes=True)
    check_nothing_planted_left(outside)
    told, expected = state(outside), state(run)
    assert len(told["rounds"]) == ROUNDS
    assert told == expected  # among it the digests of every adapter and every ledger head
    for site in SITES:
        assert ledger(outside, site) == ledger(run, site)
    assert processes_of(outside) == []


@pytest.mark.faults  # `test_resume` and `test_faults` hold the same of each alone, in CI
def test_a_killed_coordinator_and_ward_cost_no_round_and_no_double_charge(
    tmp_path: Path, scenario: Path, inside: tuple[Path, Path]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(inside[1], run)
    killed: list[int] = []

    def training() -> bool:
        """Whether the ward has reserved its round and is at work."""
        return b'"round":3' in (run / "sites" / SITES[1] / "ledger.jsonl").read_bytes()

    def kill(phase: str, what: str, share: float) -> None:
        if phase == "program" and what.startswith("reward round 3") and not killed:
            coordinator = processes_of(run, "flwr-serverapp")
            wards = [p for p in processes_of(run, "ward") if any(SITES[1] in a for a in p.cmdline())]
            wait_until(training, seconds=60, poll=0.005, what=f"{SITES[1]} did not reserve", remedy="")
            for process in (*wards, *coordinator):
                process.kill()
                killed.append(process.pid)

    with pytest.raises(RoundFailed, match="coordinator's program was lost") as caught:
        run_scenario(scenario, run, processes=True, show=kill)
    assert len(killed) == 2
    assert "goes on" in caught.value.remedy
    assert processes_of(run) == []

    run_scenario(scenario, run, processes=True)
    assert [done["round"] for done in state(run)["rounds"]] == list(range(1, ROUNDS + 1))
    for site in SITES:
        entries = ledger(run, site)
        schedule = first_schedule(entries)
        assert schedule is not None
        retries = [e for e in entries if e.kind is Kind.RESERVE and e.attempt is not None and e.attempt > 1]
        died = [e for e in entries if e.kind is Kind.ABORT and e.process_died]
        assert len(retries) == 1 or site != SITES[1]
        assert len(charged(entries)) == len(schedule.charges) + sum(len(e.charges) for e in retries)
        assert [e.plan for e in retries] == [e.plan for e in died]
        released = Counter(e.plan for e in entries if e.kind is Kind.RELEASE)
        assert set(released.values()) == {1}
        assert len(released) == ROUNDS
    assert processes_of(run) == []
