"""Faults put in on purpose: whatever breaks, no raw byte reaches an output, a log, an error or a file."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from presidio_analyzer import AnalyzerEngine
from typer.testing import CliRunner

from intraward_client.cli import app
from intraward_client.config import load_policy
from intraward_client.deid import deidentifier as engine_module
from intraward_client.deid import residue, surrogates
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.detection import Detector
from intraward_client.deid.known import KnownIdentifiers
from intraward_client.deid.note import Quarantined
from intraward_client.deid.raw import ingest
from intraward_client.home import SiteHome
from intraward_client.importing import import_file
from intraward_client.store import review
from intraward_client.store.vault import Vault
from intraward_shared.errors import IntrawardError

PLANTED = ("Zebulon", "Quarrington", "71830264", "zebulon.q@example.org", "P-7183")
TEXT = "Patient: Zebulon Quarrington, MRN 71830264, zebulon.q@example.org. Cough for 3 days."
KNOWN = {"first": "Zebulon", "last": "Quarrington"}


class Broken(RuntimeError):
    """Carries the text, as careless code does."""


def fail(*values: object, **_named: object) -> Any:
    raise Broken(f"{TEXT} {values!r}")


def stall(*_values: object, **_named: object) -> Any:
    raise TimeoutError(TEXT)


FAULTS: dict[str, tuple[Any, str]] = {
    "operator": (surrogates.SurrogateOperator, "operate"),
    "detector": (Detector, "of_view"),
    "analyzer": (AnalyzerEngine, "analyze"),
    "known pass": (KnownIdentifiers, "find"),
    "second look": (residue, "findings"),
    "offsets": (engine_module, "original_spans"),
    "seal": (engine_module, "seal_note"),
}


def search(*outputs: object) -> list[str]:
    told = "\n".join(map(str, outputs)).lower()
    return [word for word in PLANTED if word.lower() in told]


def on_disk(folder: Path, but: Path | None = None) -> str:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != but]
    return "\n".join(f"{path.name} {path.read_bytes().decode('latin-1')}" for path in files)


@pytest.fixture(autouse=True)
def loud(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Every logger at its loudest; what it said is searched at the end."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert search(caplog.text) == []


@pytest.fixture(scope="module")
def engines() -> dict[str, Deidentifier]:
    return {
        "safe-harbor": Deidentifier(DeidSettings(), bytes(32)),
        "research": Deidentifier(DeidSettings(profile="research"), bytes(32)),
    }


@pytest.mark.parametrize("profile", ["safe-harbor", "research"])
@pytest.mark.parametrize("fault", sorted(FAULTS))
@pytest.mark.parametrize("how", [fail, stall], ids=["raises", "times out"])
def test_a_fault_anywhere_quarantines_and_says_nothing(
    fault: str,
    how: Callable[..., Any],
    profile: str,
    engines: dict[str, Deidentifier],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(*FAULTS[fault], how)
    (outcome,) = engines[profile].deidentify_batch([ingest("n", "P-7183", TEXT, KNOWN)])
    assert isinstance(outcome, Quarantined) and outcome.reason in {"error", "timeout"}
    assert search(repr(outcome), *capfd.readouterr()) == []


@pytest.mark.parametrize("fault", ["operator", "second look"])
def test_a_file_run_with_a_fault_writes_a_reason_and_nothing_else(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text(json.dumps({"id": "n", "text": TEXT, "known": KNOWN}) + "\n", encoding="utf-8")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(Deidentifier, "self_test", lambda _self: None)
    monkeypatch.setattr(*FAULTS[fault], fail)
    told = CliRunner().invoke(app, ["deid", "run", str(source), "--output", str(out)])
    assert told.exit_code == 0 and out.read_text(encoding="utf-8") == ""
    assert json.loads((tmp_path / "out.quarantine.jsonl").read_text()) == {"id": "n", "reason": "error"}
    assert search(told.output, on_disk(tmp_path, but=source), *capfd.readouterr()) == []


@pytest.mark.parametrize("fault", ["none", "operator", "queue"])
def test_an_import_with_a_fault_leaves_no_raw_byte_at_the_site(
    fault: str,
    make_site: Callable[..., SiteHome],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Vault, its WAL, keys and log are searched, after the row was held back or the queue failed."""
    home = make_site(0)
    source = tmp_path / "in.jsonl"
    row = {"id": "n", "patient": "P-7183", "text": f"{TEXT} \x07", "known": KNOWN}
    source.write_text(json.dumps(row) + "\n", encoding="utf-8")
    if fault == "operator":
        monkeypatch.setattr(Deidentifier, "self_test", lambda _self: None)
        monkeypatch.setattr(*FAULTS[fault], fail)
    if fault == "queue":
        monkeypatch.setattr(
            Vault, "seal_field", lambda *_: (_ for _ in ()).throw(IntrawardError("disk full"))
        )
        with pytest.raises(IntrawardError) as caught:
            import_file(home, load_policy(home.policy), source, "notes")
        assert search(caught.value, repr(caught.value), repr(caught.value.__context__)) == []
    else:
        report = import_file(home, load_policy(home.policy), source, "notes")
        assert report["quarantined"] == 1 and search(report) == []
    monkeypatch.undo()
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        assert len(review.waiting(vault)) == (fault != "queue")
    assert search(on_disk(home.root), *capfd.readouterr()) == []
