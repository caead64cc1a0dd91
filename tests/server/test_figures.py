"""A hospital's charged figure at the coordinator: verified, kept, countersigned, held against the ledger."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.shared.release.conftest import copy_of
from tests.shared.release.consortium import COORDINATOR, Finished, finish, signed, site_key

from intraward_server import cli
from intraward_server.checkpoint import load_state
from intraward_server.home import ServerHome
from intraward_shared.audit_receipts import check_receipts
from intraward_shared.audit_release import verify_release
from intraward_shared.errors import LedgerError, ReleaseRefused
from intraward_shared.figure import FIGURE_DOMAIN, Figure, FigureTerms, figure_mechanism
from intraward_shared.ledger import Ledger, read_ledger
from intraward_shared.ledger_entry import FigureName
from intraward_shared.protocol import open_signed, sign_value
from intraward_shared.signing import SigningKey, digest


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
    def invoke(file: Path) -> tuple[int, str]:
        words = ["intraward-server", "figure", str(file), "--home", str(mine.home)]
        monkeypatch.setattr(sys, "argv", words)
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out + " ".join(told.err.split())

    return invoke


def ledger_of(made: Finished, site: str) -> Path:
    return next(path for path in made.ledgers if path.stem == site)


def released(made: Finished, folder: Path, value: float | None = 0.61, **changes: Any) -> Path:
    """What beta's command leaves: a charge in its ledger, and the signed file."""
    state = load_state(ServerHome(made.home).state)
    assert state is not None
    fields: dict[str, Any] = {"name": FigureName.WIN_RATE, "adapter": state.policy, "against": state.sft}
    fields |= {"mechanism": figure_mechanism(8.0, 2), "max_error": 0.1, "simulated": True}
    fields |= {"site": "beta", "public": site_key("beta").public, "nonce": "0" * 32}
    terms = FigureTerms(**(fields | {"time": "2026-02-01T00:00:00Z"} | changes))
    with closing(Ledger.open(ledger_of(made, "beta"), site_key("beta"))) as ledger:
        figure = Figure(terms=terms, entry=ledger.reserve(terms), value=value)
        envelope = sign_value(figure, FIGURE_DOMAIN, site_key("beta"))
        ledger.release(terms.digest, digest(envelope))
    path = folder / "figure.json"
    path.write_bytes(envelope)
    return path


def test_a_figure_is_kept_countersigned_and_part_of_the_release(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    code, out = call(released(mine, tmp_path))
    assert code == 0 and "beta, judged-win-rate" in out and "0.610" in out and "epsilon 0.4" in out
    bundle = signed(mine).folder
    assert list((bundle / "receipts" / "beta").glob("figure-*.json"))
    told = verify_release(bundle, COORDINATOR.public).report["certificates"]
    stages = {each["site"]: [part["stage"] for part in each["stages"]] for each in told}
    assert stages["beta"] == ["reward", "figure"] and stages["alpha"] == ["reward"]
    count = check_receipts(read_ledger(ledger_of(mine, "beta")), mine.home / "receipts", COORDINATOR.public)
    assert count.missing == ()


def test_a_ledger_without_the_charge_is_noticed(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    path = ledger_of(mine, "beta")
    before = path.read_bytes()
    assert call(released(mine, tmp_path))[0] == 0
    path.write_bytes(before)
    with pytest.raises(LedgerError, match="countersigned"):
        check_receipts(read_ledger(path), mine.home / "receipts", COORDINATOR.public)
    with pytest.raises(ReleaseRefused, match="check 6"):
        signed(mine)


def test_a_value_that_is_not_told_stays_untold(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    code, out = call(released(mine, tmp_path, value=None))
    assert code == 0 and "not told: too uncertain" in out


def test_what_is_forged_repeated_or_of_another_run_is_refused(
    mine: Finished, tmp_path: Path, call: Callable[..., Any]
) -> None:
    path = released(mine, tmp_path)
    good = path.read_bytes()
    path.write_bytes(good.replace(b"0.61", b"0.91"))
    assert call(path)[0] == 1
    stranger = SigningKey.generate()
    path.write_bytes(good.replace(site_key("beta").public.encode(), stranger.public.encode()))
    assert "not signed by a member" in call(path)[1]
    paid = open_signed(good, FIGURE_DOMAIN, Figure, site_key("beta").public)
    unpaid = paid.model_copy(update={"terms": paid.terms.model_copy(update={"nonce": "9" * 32})})
    path.write_bytes(sign_value(unpaid, FIGURE_DOMAIN, site_key("beta")))
    assert "ledger entry is of something else" in call(path)[1]
    path.write_bytes(good)
    assert call(path)[0] == 0 and call(path)[0] == 0
    kept = ServerHome(mine.home)
    figure = next((kept.root / "figures" / "beta").glob("*.json"))
    figure.write_bytes(b"other noise")
    assert "noise was drawn twice" in call(path)[1]
    other = released(mine, tmp_path, adapter="0" * 64, nonce="1" * 32)
    assert "not in this registry" in call(other)[1]
    real = released(mine, tmp_path, nonce="2" * 32)
    assert call(real)[0] == 0
