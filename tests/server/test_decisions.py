"""A hospital's signed decision: taken in from members only, shown, and obeyed by release and rollback."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.shared.release.conftest import copy_of
from tests.shared.release.consortium import COORDINATOR, Finished, finish, signed, site_key

from intraward_server import cli
from intraward_server.checkpoint import load_state
from intraward_server.dashboard.view import read_view
from intraward_server.decisions import decisions
from intraward_server.home import ServerHome
from intraward_server.revocations import in_force, rollback
from intraward_shared.decision import DECISION_DOMAIN, Decision, Reason, Verdict
from intraward_shared.errors import ContractError, ReleaseRefused, SignatureError
from intraward_shared.protocol import sign_value
from intraward_shared.signing import SigningKey


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished coordinator; a test copies it first."""
    return finish(tmp_path_factory.mktemp("program"))


@pytest.fixture
def mine(done: Finished, tmp_path: Path) -> Finished:
    """A copy that may be changed."""
    return copy_of(done, tmp_path / "copy")


@pytest.fixture
def call(
    mine: Finished, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    def invoke(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-server", *map(str, words), "--home", str(mine.home)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out, " ".join(told.err.split())

    return invoke


def policy_of(made: Finished) -> str:
    state = load_state(ServerHome(made.home).state)
    assert state is not None and state.policy is not None
    return state.policy


def write(
    folder: Path, site: str, adapter: str, verdict: Verdict, number: int = 1, key: SigningKey | None = None
) -> Path:
    """A decision as the hospital's command writes it, or as somebody with another key does."""
    value = Decision(
        site=site,
        public=site_key(site).public,
        number=number,
        adapter=adapter,
        verdict=verdict,
        reason=Reason.FLAGS,
        time="2026-02-01T00:00:00Z",
    )
    path = folder / f"{site}-{number}.json"
    path.write_bytes(sign_value(value, DECISION_DOMAIN, key or site_key(site)))
    return path


def test_a_stop_bars_the_release_until_the_same_hospital_keeps_it(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    adapter = policy_of(mine)
    code, out, _ = call("decision", write(tmp_path, "beta", adapter, Verdict.STOP))
    assert code == 0 and "beta decided" in out and "released no more" in out
    with pytest.raises(ReleaseRefused, match="veto of beta: asked on 2026-02-01T00:00:00Z") as refused:
        signed(mine)
    assert "1 of the hospitals stopped this adapter" in str(refused.value)
    assert not ServerHome(mine.home).release.exists()
    assert f"decided: beta stop, adapter {adapter[:16]} (flags-rose)" in call("status")[1]
    assert "beta: stop" in call("registry", "show", adapter)[1]
    shown = {each.name: each.decisions for each in read_view(mine.home, COORDINATOR.public).adapters}
    assert shown[adapter] == ("beta: stop (flags-rose), 2026-02-01T00:00:00Z",)
    report = mine.home.parent / "report.html"
    assert call("dashboard", "--report", report)[0] == 0 and shown[adapter][0] in report.read_text()
    call("decision", write(tmp_path, "alpha", adapter, Verdict.KEEP))  # another hospital's word lifts nothing
    with pytest.raises(ReleaseRefused, match="veto of beta"):
        signed(mine)
    kept = write(tmp_path, "beta", adapter, Verdict.KEEP, number=2)
    (tmp_path / "link.json").symlink_to(kept)
    assert "which stands" not in call("decision", tmp_path / "link.json")[1]
    out = call("decision", tmp_path / "beta-1.json")[1]
    assert "older than decision 2, keep, which stands" in out and "released no more" not in out
    assert signed(mine).release.adapter == adapter


def test_an_older_decision_that_comes_late_does_not_lift_a_newer_stop(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    adapter = policy_of(mine)
    assert call("decision", write(tmp_path, "beta", adapter, Verdict.STOP, number=2))[0] == 0
    late = write(tmp_path, "beta", adapter, Verdict.KEEP, number=1)
    code, out, _ = call("decision", late)
    assert code == 0 and "older than decision 2, stop, which stands" in out
    with pytest.raises(ReleaseRefused, match="veto of beta"):
        signed(mine)


def test_only_a_members_own_signature_is_taken(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    adapter, stranger = policy_of(mine), SigningKey.generate()
    for key, why in ((stranger, "not signed by a member"), (site_key("alpha"), "speaks for another")):
        path = write(tmp_path, "beta", adapter, Verdict.STOP, key=key)
        code, _, err = call("decision", path)
        assert code == 1 and why in err and "beta-1.json" in err
    changed = write(tmp_path, "beta", adapter, Verdict.KEEP)
    changed.write_bytes(changed.read_bytes().replace(b"keep", b"stop"))
    assert call("decision", changed)[0] == 1
    code, _, err = call("decision", write(tmp_path, "beta", "0" * 64, Verdict.STOP))
    assert code == 1 and "not in this registry" in err
    assert decisions(ServerHome(mine.home), COORDINATOR.public) == ()


def test_two_decisions_of_one_number_and_a_kept_file_that_was_changed_are_refused(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    adapter, home = policy_of(mine), ServerHome(mine.home)
    call("decision", write(tmp_path, "beta", adapter, Verdict.STOP))
    code, _, err = call("decision", write(tmp_path, "beta", adapter, Verdict.KEEP))
    assert code == 1 and "another decision under the same number" in err
    kept = home.decision("beta", 1)
    kept.write_bytes(kept.read_bytes().replace(b"stop", b"keep"))
    with pytest.raises(SignatureError, match=r"beta/1\.json"):
        signed(mine)
    kept.unlink()
    write(tmp_path, "beta", adapter, Verdict.KEEP).rename(home.decision("beta", 7))
    with pytest.raises(ContractError, match="not where this decision belongs"):
        signed(mine)


def test_going_back_passes_over_a_release_that_a_hospital_stopped(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    home = ServerHome(mine.home)
    signed(mine)
    signed(mine)  # of the same adapter: number 2
    assert in_force(home, COORDINATOR) is not None
    call("decision", write(tmp_path, "gamma", policy_of(mine), Verdict.STOP))
    assert rollback(home, COORDINATOR) is None
