"""A desk with everything on it that the pages assume: files, a site's model, a finished run, certificates."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from tests.boundary.pages import blocks

from intraward_client.gateway import WardSocket
from intraward_client.home import SiteHome
from intraward_server.authority import Authority
from intraward_server.checkpoint import load_state, save_state
from intraward_server.home import ServerHome
from intraward_server.provisioning import provision as write_kit
from intraward_server.registry import Registry
from intraward_shared.config import load_toml
from intraward_shared.errors import IntrawardError
from intraward_shared.modeling import model_digest
from intraward_shared.protocol import sign_value
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList
from intraward_shared.signing import SigningKey
from intraward_simulation.attacks.inversion import run_inversion
from intraward_simulation.attacks.result import write_result
from intraward_simulation.processes import base_environment, free_port
from intraward_simulation.provision import provision
from intraward_simulation.scenario import Scenario, scenario_text
from intraward_simulation.sites import coordinator_key

SITE = "alder"
STARTED_SECONDS, ALIVE_SECONDS, STOPPED_SECONDS = 120.0, 8.0, 30.0
QUESTION = "My knee has hurt for two days. What should I do?"
ANSWERS = ("Rest it, cool it, and see your doctor if it swells.", "I do not know.")
NOTE = "Seen today by Dr. Alice Moreau. Call 555-010-4477 with questions."


class Desk:
    """One scratch folder in which the pages' commands work."""

    def __init__(self, root: Path, *, model: Path, scenario: Path, run: Path) -> None:
        """Lay everything out below ``root``.

        Args:
            root: empty folder with a short path, because a socket lies below it.
            model: base model of the run.
            scenario: the small scenario's file.
            run: its finished run; copied, never changed.
        """
        self.root, self.model, self.scenario, self.finished = root, model, scenario, run
        self.coordinator = coordinator_key(load_toml(scenario, Scenario))
        self.officer = SigningKey.from_seed(b"\x0f" * 32)
        (root / "second").mkdir()
        self._started: list[subprocess.Popen[bytes]] = []
        self.places = {
            "/srv/intraward": str(root / "site"),
            "/srv/coordinator": str(root / "coordinator"),
            "/srv/models/base": str(model),
            "SCENARIO.toml": str(scenario),
            "fl.example.org:9092": f"localhost:{free_port()}",
        }
        self._examples(model)
        self._records()
        self._evidence()

    def words(self, line: str, **more: str) -> list[str]:
        """A documented line as the words of a command, with the desk's own places in it."""
        for place, real in {**self.places, **more}.items():
            line = line.replace(place, real)
        found = []
        for word in shlex.split(line, comments=True):
            found += sorted(map(str, Path().glob(word))) if "*" in word else [word]
        return found

    def call(self, words: list[str]) -> int:
        """Run an installed command in this process, as its entry point does, and return its exit code."""
        (point,) = entry_points(group="console_scripts", name=words[0])
        before, sys.argv = sys.argv, words
        try:
            point.load()()
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        finally:
            sys.argv = before
        return 0

    def start(self, words: list[str], ready: Callable[[], bool], *, stays: float = 0.0) -> bool:
        """Start a server; True once it is ready and still alive after ``stays`` seconds."""
        command = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        environment = base_environment() | {"FLWR_HOME": str(self.root / "flwr")}
        with (self.root / f"{words[1]}.log").open("wb") as log:
            process = subprocess.Popen(
                command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._started.append(process)
        end = time.monotonic() + STARTED_SECONDS
        while process.poll() is None and time.monotonic() < end:
            if ready():
                time.sleep(stays)
                return process.poll() is None
            time.sleep(0.2)
        return False

    def end(self, words: list[str]) -> None:
        """Stop the servers that were started with a line beginning so."""
        name = [str(Path(sys.executable).parent / words[0]), *words[1:]]
        for process in self._started:
            if process.poll() is None and list(process.args)[: len(name)] == name:  # type: ignore[arg-type]
                process.terminate()
                process.wait(60)

    def ward_answers(self) -> bool:
        """Whether the site's ward describes itself on its socket."""
        try:
            told = json.loads(WardSocket(SiteHome(self.root / "site").socket).describe())
        except (IntrawardError, ValueError):
            return False
        return bool(told["site"] == "st-mary")

    def lay_kit(self, name: str) -> None:
        """A kit for the desk's site, as its coordinator provisions it; nobody listens at its address."""
        hub, now = ServerHome(self.root / "hub"), datetime.now(UTC)
        if not hub.key.exists():
            hub.make()
            self.coordinator.save(hub.key)
            shutil.copyfile(self.root / "program.toml", hub.program)
            authority = Authority(hub.authority, hub.authority_key)
            authority.make("desk", now)
            authority.issue(hub.server_certificate, hub.server_key, (), now)
        address = f"localhost:{free_port()}"
        write_kit(hub, "st-mary", self.root / name, address, now.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def lay_run(self, out: Path, model: str | None) -> None:
        """A run of the small scenario in ``out``, finished but for its report."""
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(self.finished, out)
        (out / "scenario.toml").write_text(scenario_text(self.scenario, model=model), encoding="utf-8")
        (out / "report.json").unlink()

    def server_copy(self, name: str, *, stopped: bool = False) -> str:
        """A copy of the finished coordinator; ``stopped`` takes its last round back."""
        home = ServerHome(self.root / name)
        shutil.copytree(self.finished / "server", home.root)
        if stopped:
            state = load_state(home.state)
            assert state is not None
            save_state(
                home.state, state.model_copy(update={"status": "running", "rounds": state.rounds[:-1]})
            )
        return str(home.root)

    def stop(self) -> list[int]:
        """Ask every server to stop; those that did not, or that left a process behind, which is killed."""
        left = []
        for process in reversed(self._started):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOPPED_SECONDS)
            end = time.monotonic() + STOPPED_SECONDS
            with contextlib.suppress(ProcessLookupError):
                while time.monotonic() < end:  # a child of the server ends a moment after it
                    os.killpg(process.pid, 0)
                    time.sleep(0.2)
                os.killpg(process.pid, signal.SIGKILL)
                left.append(process.pid)
            process.wait()
        self._started.clear()
        return left

    def _examples(self, model: Path) -> None:
        """The pages' own policy.toml and program.toml, with what only this desk knows filled in."""
        filled = {
            "/srv/models/base": str(model),
            "/mnt/second": str(self.root / "second"),
            "MODEL_DIGEST": model_digest(model),
            "OFFICER_KEY": self.officer.public,
            "COORDINATOR_KEY": self.coordinator.public,
        }
        for page, name in (("client/README.md", "policy.toml"), ("server/README.md", "program.toml")):
            text = blocks(page, "toml")[0]
            for place, real in filled.items():
                text = text.replace(place, real)
            (self.root / name).write_text(text, encoding="utf-8")

    def _records(self) -> None:
        """Rows in each documented form."""
        pair = {"prompt": QUESTION, "chosen": ANSWERS[0], "rejected": ANSWERS[1]}
        place = NOTE.index("Alice Moreau")
        note = {"id": "n1", "patient": "P-1002", "text": NOTE, "known": {"first": "Alice", "last": "Moreau"}}
        span = {"start": place, "end": place + len("Alice Moreau"), "entity": "PERSON"}
        self._write("notes", [note, {"id": "n2", "patient": "P-1003", "text": "Knee pain for two days."}])
        self._write("demonstrations", [{"patient": "P-1002", "prompt": QUESTION, "completion": ANSWERS[0]}])
        self._write("preferences", [{"patient": "P-1002", **pair, "margin": 0.5}])
        self._write("gold", [{"text": NOTE, "spans": [span]}])
        self._write("pairs", [pair, {**pair, "prompt": "My ear hurts."}])
        self._write("answers", [{"prompt": QUESTION, "answer": answer} for answer in ANSWERS])
        (self.root / "prompt.txt").write_text(QUESTION, encoding="utf-8")
        (self.root / "optouts.txt").write_text("P-1003\n", encoding="utf-8")
        flag = {"patient": "P-1004", "prompt": QUESTION, "answer": ANSWERS[1], "reason": "wrong"}
        self._write("flags", [flag])
        self._exports()
        heading = "[stages.training.shaping]\n"
        (shaping,) = (text for text in blocks("server/README.md", "toml") if text.startswith(heading))
        shaping = shaping.removeprefix(heading).replace("stages.training.shaping.", "")
        (self.root / "shaping.toml").write_text(shaping, encoding="utf-8")
        self._write("prompts", [{"prompt": QUESTION}])
        self._write("held-out-prompts", [{"prompt": "My ear hurts."}])
        self._write("held-out-preferences", [pair])

    def _exports(self) -> None:
        """A table, a folder and a FHIR export, as the page's own mapping file describes them."""
        (mapping,) = (text for text in blocks("client/README.md", "text") if text.startswith("[columns]"))
        (self.root / "mapping.toml").write_text(mapping, encoding="utf-8")
        table = f'MRN;FIRST_NAME;LAST_NAME;NOTE_ID;NOTE_TEXT\nP-1004;Alice;Moreau;n4;"{NOTE}"\n'
        (self.root / "notes.csv").write_text(table, encoding="utf-8")
        (self.root / "letters" / "P-1005").mkdir(parents=True)
        (self.root / "letters" / "P-1005" / "first.txt").write_text(NOTE, encoding="utf-8")
        known = {"first": "Alice", "last": "Moreau"}
        self._write("patients", [{"patient": "P-1005", "known": known}])
        number = {"system": "urn:example:mrn", "value": "P-1004"}
        name = {"given": ["Alice"], "family": "Moreau"}
        patient = {"resourceType": "Patient", "id": "p4", "identifier": [number], "name": [name]}
        attachment = {"contentType": "text/plain", "data": base64.b64encode(NOTE.encode()).decode()}
        document: dict[str, Any] = {"resourceType": "DocumentReference", "id": "d4", "status": "current"}
        document |= {"subject": {"reference": "Patient/p4"}, "content": [{"attachment": attachment}]}
        for resource in (patient, document):
            path = self.root / f"{resource['resourceType']}.ndjson"
            path.write_text(json.dumps(resource) + "\n", encoding="utf-8")

    def _evidence(self) -> None:
        """What an auditor and a hospital are given: ledgers, receipts, attacks, an adapter, certificates."""
        shutil.copytree(self.finished, self.root / "runs" / "demo")
        server = ServerHome(self.finished / "server")
        shutil.copytree(server.root / "receipts", self.root / "receipts")
        shutil.copytree(server.root / "adapters", self.root / "adapters")
        (self.root / "attacks").mkdir()
        write_result(self.root / "attacks" / "inversion.json", run_inversion(seeds=(1,)))
        shutil.copyfile(self.finished / "sites" / SITE / "ledger.jsonl", self.root / "ledger.jsonl")
        (self.root / "ledgers").mkdir()
        for site in sorted((self.finished / "sites").iterdir()):
            shutil.copyfile(site / "ledger.jsonl", self.root / "ledgers" / f"{site.name}.jsonl")
        none_yet = sign_value(RevocationList(), REVOCATION_DOMAIN, self.coordinator)
        (self.root / "revoked.json").write_bytes(none_yet)
        state = load_state(server.state)
        assert state is not None and state.policy is not None
        lora = load_toml(self.scenario, Scenario).lora
        folder = Registry(server.adapters, self.coordinator, lora).path(state.policy)
        shutil.copytree(folder, self.root / "release")
        made = provision(self.root / "credentials", [SITE])
        shutil.copyfile(made.authority, self.root / "ca.crt")
        shutil.copyfile(made.nodes[SITE].private, self.root / "node")
        (self.root / "node").chmod(0o600)

    def _write(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (self.root / f"{name}.jsonl").write_text(text, encoding="utf-8")


def public_key(path: Path) -> str:
    """Public half of a signing key's file."""
    return SigningKey.load(path).public
