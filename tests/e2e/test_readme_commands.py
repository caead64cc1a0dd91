"""Every command on the pages is run, in the order in which a reader meets it.

The desk holds what the pages assume. A demo is replaced by the small run of ``conftest``; servers are
started for real and must answer, or stay alive where there is nobody to talk to; ``make`` lines must be
targets. A line for which nothing is written here fails: whoever documents a command says how it is tried.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from tests.boundary.pages import Command, commands, subcommand_of
from tests.boundary.sources import ROOT
from tests.e2e.consortium import enrolls, inspects, joins, provisions, shows_dashboard, superlink_listens
from tests.e2e.desk import ALIVE_SECONDS, Desk
from tests.e2e.label_desk import adds_answers, imports_project, station_serves, unblinds
from tests.e2e.release_desk import AFTERWARDS
from tests.e2e.simulate_desk import attacks, correlates, poisons, runs
from tests.e2e.watch_desk import WATCHING

from intraward_client.config import load_policy
from intraward_client.deid import deidentifier, engine
from intraward_client.deid.raw import ingest
from intraward_client.home import SiteHome
from intraward_client.store.audit import next_audit
from intraward_client.store.importers import RawRow
from intraward_client.store.review import hold_back
from intraward_client.store.vault import Vault
from intraward_client.training.tracking import open_track
from intraward_shared.ledger import Kind, read_ledger
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, sign_value
from intraward_simulation import models
from intraward_simulation import scenario as scenarios
from intraward_simulation.processes import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
Recipe = Callable[[Desk, str], bool]
"""Tries a documented line on the desk; whether it did what the page says."""


@pytest.fixture
def desk(
    inside: tuple[Path, Path], scenario: Path, small_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Desk]:
    """The desk, with the working folder on it; shipped scenarios and SmolLM2 give way to small ones."""
    shipped = scenarios.scenario_path

    def small(name: str) -> Path:
        assert shipped(name).is_file()
        return scenario

    with tempfile.TemporaryDirectory(prefix="iw-") as folder:  # not tmp_path: sockets need short paths
        monkeypatch.setattr(deidentifier, "load_parts", loaded_once(engine.load_parts))
        monkeypatch.setattr(scenarios, "scenario_path", small)
        monkeypatch.setattr(models, "load_smollm2", lambda cache, progress=None: small_model)
        monkeypatch.chdir(folder)
        made = Desk(Path(folder), model=small_model, scenario=scenario, run=inside[0])
        try:
            yield made
        finally:
            made.stop()


def loaded_once(load: Callable[..., Any]) -> Callable[..., Any]:
    """A dozen commands load the same model and rules, which takes seconds; here the first one does."""
    known: dict[tuple[str, str], Any] = {}

    def parts(model: str, digest: str, stronger: object) -> Any:
        if stronger is not None:
            return load(model, digest, stronger)
        if (model, digest) not in known:
            known[model, digest] = load(model, digest, None)
        return known[model, digest]

    return parts


def passes(desk: Desk, line: str) -> bool:
    """Exit code 0."""
    return desk.call(desk.words(line)) == 0


def makes_officer(desk: Desk, line: str) -> bool:
    """A key is made, and gives way to that of the officer whom the desk's policy names."""
    words = desk.words(line)
    good = desk.call(words) == 0
    Path(words[-1]).unlink()
    desk.officer.save(Path(words[-1]))
    return good


def shows_curves(desk: Desk, line: str) -> bool:
    """After a round whose curves were kept."""
    with open_track("tensorboard", SiteHome(desk.root / "site").curves / "run-0001-sft-1") as track:
        track(0, {"loss": 1.0})
    return passes(desk, line)


def amends(desk: Desk, line: str) -> bool:
    """A changed cap is recorded; or the second head is made anew."""
    home = SiteHome(desk.root / "site")
    policy = load_policy(home.policy)
    if "--head-lost" in line and policy.second_path is not None:
        policy.second_path.unlink()
    cap = policy.privacy.lifetime_epsilon
    text = home.policy.read_text().replace(f"lifetime_epsilon = {cap}", f"lifetime_epsilon = {cap - 0.5}")
    home.policy.write_text(text)
    entries = len(read_ledger(home.ledger))
    return passes(desk, line) and len(read_ledger(home.ledger)) == entries + 1


def burns(desk: Desk, line: str) -> bool:
    """On a site whose ledger was put back, or whose coordinator shows a receipt; it is mended afterwards."""
    home = SiteHome(desk.root / "site")
    second = load_policy(home.policy).second_path
    assert second is not None
    ledger, head = home.ledger.read_bytes(), second.read_bytes()
    if "--receipt" in line:
        lost = Receipt(
            site="st-mary",
            run_id="run",
            round=1,
            plan="1" * 64,
            update="2" * 64,
            ledger_sequence=9,
            ledger_entry="3" * 64,
        )
        Path("receipt.json").write_bytes(sign_value(lost, RECEIPT_DOMAIN, desk.coordinator))
    else:
        home.ledger.write_bytes(ledger.splitlines(keepends=True)[0])
    good = passes(desk, line)
    burned = [entry.kind for entry in read_ledger(home.ledger)][-1] is Kind.BURN
    home.ledger.write_bytes(ledger)
    second.write_bytes(head)
    return good and burned != ("--dry-run" in line)


def reviews(desk: Desk, line: str) -> bool:
    """With a row that waits, or whose audit is due; texts are asked for, because no terminal is there."""
    home = SiteHome(desk.root / "site")
    home.policy.write_text(home.policy.read_text().replace("audit_share = 0.02", "audit_share = 1.0"))
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        text = "Patient: Ottoline Varga has a cough."
        note = ingest(f"row {os.urandom(4).hex()}", "P-held", text)
        hold_back(vault, RawRow(note.note_id, "P-held", (note,)), "notes", "residue:date")
        waits = vault.tag("note", note.note_id)
        due = next_audit(vault, 1.0)
    words = desk.words(line.replace("3fa2b1c09d77", due.row_id if "audit" in line and due else waits))
    return desk.call([*words, *(("--show-text",) if words[3] in ("show", "audit") else ())]) == 0


def shows_recognizer(desk: Desk, line: str) -> bool:
    """A folder that has all of a token classifier but the training."""
    folder = desk.root / "recognizer"
    folder.mkdir(exist_ok=True)
    config = {"architectures": ["BertForTokenClassification"], "id2label": {"0": "O", "1": "B-PATIENT"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    save_file({"weight": np.zeros(2, np.float32)}, folder / "model.safetensors")
    return desk.call(desk.words(line.replace("/srv/models/deidentifier", str(folder)))) == 0


def allows(desk: Desk, line: str) -> bool:
    """Until a day that is not past."""
    return passes(desk, line.replace("2027-06-30", (date.today() + timedelta(days=30)).isoformat()))


def leaves(desk: Desk, line: str) -> bool:
    """A copy of the site, because others go on with this one."""
    shutil.copytree(desk.root / "site", desk.root / "leaver", ignore=shutil.ignore_patterns("*.sock"))
    return desk.call(desk.words(line.replace("/srv/intraward", str(desk.root / "leaver")))) == 0


def dry(desk: Desk, line: str) -> bool:
    """There is no SuperLink here: what would be run is shown instead; --resume wants a program that began."""
    if "--resume" in line:
        line = line.replace("/srv/coordinator", desk.server_copy("begun", stopped=True))
    words = desk.words(line)
    return desk.call(words if "--dry-run" in words else [*words, "--dry-run"]) == 0


def ward_serves(desk: Desk, line: str) -> bool:
    """The ward answers on its socket."""
    return desk.start(desk.words(line), desk.ward_answers)


def with_password(desk: Desk, line: str) -> bool:
    """A password comes as one line of standard input."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", io.StringIO("four unrelated words\n"))
        return desk.call(desk.words(line)) == 0


def gateway_waits(desk: Desk, line: str) -> bool:
    """The gateway waits for a SuperLink that is not there."""
    words = [*desk.words(line), "--runtime-port", str(free_port())]
    return desk.start(words, lambda: True, stays=ALIVE_SECONDS)


def is_target(desk: Desk, line: str) -> bool:
    """A target of the Makefile."""
    words = desk.words(line)
    return (
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, check=False).returncode == 0
    )


def in_shell(desk: Desk, line: str) -> bool:
    """A command of the system, with this user's own group and this Python."""
    line = line.replace("intraward-gateway", str(os.getgid()))
    words = desk.words(line)
    words[0] = sys.executable if words[0] == "python" else words[0]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


RECIPES: dict[str, Recipe] = {
    "make": is_target,
    "python": in_shell,
    "chgrp": in_shell,
    "chmod": in_shell,
    "intraward-client init": passes,
    "intraward-client officer key": makes_officer,
    "intraward-client officer amend": amends,
    "intraward-client officer burn": burns,
    "intraward-client doctor": inspects,
    "intraward-client join": joins,
    "intraward-client import": passes,
    "intraward-client deid run": passes,
    "intraward-client deid evaluate": passes,
    "intraward-client deid canary": passes,
    "intraward-client deid model": shows_recognizer,
    "intraward-client officer allow-small-model": allows,
    "intraward-client deid review": reviews,
    "intraward-client deid review show": reviews,
    "intraward-client deid review release": reviews,
    "intraward-client deid review correct": reviews,
    "intraward-client deid review reject": reviews,
    "intraward-client deid review audit": reviews,
    "intraward-client budget": passes,
    "intraward-client budget plan": passes,
    "intraward-client outbox": passes,
    "intraward-client status": passes,
    "intraward-client curves": shows_curves,
    "intraward-client adapter verify": passes,
    "intraward-client adapter install": passes,
    "intraward-client adapter list": passes,
    "intraward-client adapter try": passes,
    "intraward-client adapter rollback": passes,
    "intraward-client adapter revoked": passes,
    "intraward-client forget": passes,
    "intraward-client consent add": passes,
    "intraward-client consent import": passes,
    "intraward-client consent list": passes,
    "intraward-client consent remove": passes,
    "intraward-client keys rotate": passes,
    "intraward-client flags add": passes,
    "intraward-client flags report": passes,
    "intraward-client label user add": with_password,
    "intraward-client label user reset": with_password,
    "intraward-client label user list": passes,
    "intraward-client label user disable": passes,
    "intraward-client label serve": station_serves,
    "intraward-client label verify": passes,
    "intraward-client label collect": passes,
    "intraward-client label agreement": passes,
    "intraward-client label export": passes,
    "intraward-client label import": imports_project,
    "intraward-client label add": adds_answers,
    "intraward-client label unblind": unblinds,
    "intraward-client pause": passes,
    "intraward-client resume": passes,
    "intraward-client trail": passes,
    "intraward-client leave": leaves,
    "intraward-client ward": ward_serves,
    "intraward-client gateway": gateway_waits,
    "intraward-server init": passes,
    "intraward-server enroll": enrolls,
    "intraward-server provision": provisions,
    "intraward-server revoke": passes,
    "intraward-server superlink": superlink_listens,
    "intraward-server renew": passes,
    "intraward-server start": dry,
    "intraward-server status": passes,
    "intraward-server dashboard": shows_dashboard,
    **AFTERWARDS,
    **WATCHING,
    "intraward-simulate demo": runs,
    "intraward-simulate run": runs,
    "intraward-simulate report": passes,
    "intraward-simulate score": passes,
    "intraward-simulate critique": passes,
    "intraward-simulate faithfulness": correlates,
    "intraward-simulate notes": passes,
    "intraward-simulate attack gauge": attacks,
    "intraward-simulate attack one-run": attacks,
    "intraward-simulate attack membership": attacks,
    "intraward-simulate attack inversion": attacks,
    "intraward-simulate attack canary": attacks,
    "intraward-simulate attack poisoning": poisons,
}


def recipe_of(line: str) -> Recipe | None:
    """How a line is tried; None if nothing is written for it."""
    words = line.split()
    found = subcommand_of(words)
    return RECIPES.get(" ".join(found) if found else words[0])


def attempt(desk: Desk, command: Command, capsys: pytest.CaptureFixture[str]) -> str:
    """Try one line; what went wrong, or nothing."""
    recipe = recipe_of(command.line)
    if recipe is None:
        return "no recipe"
    capsys.readouterr()
    good = recipe(desk, command.line)
    told = capsys.readouterr()
    if not good:
        return f"failed: {told.err[-600:]}"
    if "--json" in command.line.split():
        json.loads(told.out)
    return ""


def test_every_command_on_the_pages_works(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    tried = commands()
    assert len(tried) > 40
    wrong = {f"{c.page}: {c.line}": fault for c in tried if (fault := attempt(desk, c, capsys))}
    assert wrong == {}
    assert desk.stop() == []
    assert (desk.root / "clean.quarantine.jsonl").is_file()
    assert json.loads((desk.root / "privacy_report.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("line", ["intraward-client teleport", "intraward-client adapter melt", "curl x"])
def test_a_line_that_nothing_is_written_for_is_found(line: str) -> None:
    assert recipe_of(line) is None


def test_a_line_that_does_not_work_is_found(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for line in (
        "intraward-client doctor --home /srv/intraward",
        "intraward-client budget --hom /srv/intraward",
        "intraward-audit adapter receipts/ --public-key HEX",
        "intraward-client ward --home /srv/nowhere",
        "make demonstrate",
    ):
        assert attempt(desk, Command("page", line), capsys).startswith("failed"), line
