"""Every command end to end, with its exit codes and its JSON."""

from __future__ import annotations

import json
import socket
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_server import cli
from intraward_server.program import run
from intraward_shared.enrolment import make_request
from intraward_shared.node_key import make_node_key
from intraward_shared.signing import SigningKey
from intraward_simulation.federation import InProcessGrid


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-server", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        return int(stop.value.code or 0), told.out, told.err

    return invoke


@pytest.fixture
def program_file(tmp_path: Path, program: dict[str, Any], public_files: Any) -> Path:
    folder = tmp_path / "draft"
    folder.mkdir()
    public_files(folder)
    sites = program.pop("sites")
    assert len(sites) == 3
    (folder / "program.toml").write_text(tomli_w.dumps(program))
    return folder / "program.toml"


@pytest.fixture
def request_file(tmp_path: Path) -> Any:
    """``request_file(site, key)``: enrolment.json of a site, with a node key of its own."""

    def make(site: str, key: SigningKey) -> Path:
        folder = tmp_path / f"{site}-{key.key_id}"
        if not folder.exists():
            make_node_key(folder / "node", site)
        (folder / "enrolment.json").write_bytes(
            make_request(site, key, folder / "node", "2026-01-01T00:00:00Z")
        )
        return folder / "enrolment.json"

    return make


def test_from_init_to_release(
    call: Any, tmp_path: Path, program_file: Path, make_wards: Any, request_file: Any
) -> None:
    home = tmp_path / "coordinator"
    code, out, _ = call("init", program_file, "--home", home, "--json")
    assert code == 0
    public = json.loads(out)["public_key"]
    wards = make_wards(public)
    for name, ward in wards.items():
        code, out, _ = call("enroll", request_file(name, ward.key), "--home", home, "--json")
        assert code == 0
    assert json.loads(out)["sites"] == ["alpha", "beta", "gamma"]
    code, out, _ = call("status", "--home", home, "--json")
    assert (code, json.loads(out)["status"], json.loads(out)["next"]) == (0, "not begun", "sft 1")
    code, _, err = call("release", "--home", home)
    assert code == 1 and "not finished" in err
    run(InProcessGrid(wards), home)
    code, out, _ = call("status", "--home", home, "--json")
    told = json.loads(out)
    assert (told["status"], told["rounds_done"], told["next"]) == ("finished", 7, "")
    assert call("status", "--home", home)[1].startswith("run test-")
    code, _, err = call("release", "--home", home)
    assert code == 1 and "no ledger was given of alpha, beta, gamma" in err
    assert not (home / "release.json").exists() and not (home / "releases").exists()
    code, out, _ = call("registry", "list", "--home", home, "--json")
    assert code == 0 and told["policy"] in {row["adapter"] for row in json.loads(out)["adapters"]}
    code, out, _ = call("evaluate", home / "pairs.jsonl", "--home", home, "--json")
    figures = json.loads(out)
    assert code == 0 and figures["length_baseline"] == 1.0 and 0 <= figures["accuracy"] <= 1
    _suites_are_recorded(call, home)
    code, _, err = call("enroll", request_file("late", SigningKey.generate()), "--home", home)
    assert code == 1 and "cohort is fixed" in err


def _suites_are_recorded(call: Any, home: Path) -> None:
    """Figures of a suite reach ``evaluation.json``; of another policy, or with wrong words, nothing does."""
    asked = ("evaluate", "--suite", "phi", "--limit", "2", "--home", home, "--json")
    before = json.loads((home / "evaluation.json").read_text())
    assert before["suites"] == {}
    samples = home / "samples.jsonl"
    code, out, _ = call(*asked, "--record", "--samples", samples)
    figures = json.loads(out)["suites"]
    assert code == 0 and set(figures["phi"]) == {"policy", "sft", "base"}
    assert json.loads((home / "evaluation.json").read_text()) == before | {"suites": figures}
    assert len(samples.read_text().splitlines()) == 3 * 2 * 4
    for wrong, said in (
        (("--record", "--of", "policy"), "run's own policies"),
        (("--samples", samples), "is there already"),
        (("--suite", "phi2"), "'phi2' is none"),
        (("--data", samples, "--suite", "red-team"), "is for one suite"),
        (("--adapter", before["adapters"]["reward"]), "is a reward model"),
        (("--lm-eval", "piqa"), "either preference pairs"),
    ):
        code, _, err = call(*asked, *wrong)
        assert code == 1 and said in err, wrong
    pairs, key = home / "blind.jsonl", home / "blind-key.json"
    code, out, _ = call("blind", pairs, "--key", key, "--against", "base", "--home", home, "--json")
    assert code == 0 and json.loads(out)["pairs"] == len(pairs.read_text().splitlines()) > 0
    assert call("blind", pairs, "--key", home / "other.json", "--home", home)[0] == 1
    code, _, err = call("evaluate", "--suite", "refusals", "--home", home)
    assert code == 1 and "no prompts of its own" in err


def test_init_refuses_and_leaves_nothing(call: Any, tmp_path: Path, program_file: Path) -> None:
    (program_file.parent / "prompts.jsonl").unlink()
    home = tmp_path / "coordinator"
    code, _, err = call("init", program_file, "--home", home)
    assert code == 1 and "prompts.jsonl" in err and not home.exists()
    text = program_file.read_text()
    program_file.write_text(text.replace("lora_alpha", "lora_alfa"))
    code, _, err = call("init", program_file, "--home", home)
    assert code == 1 and "lora.lora_alpha" in err and not home.exists()
    assert call("init", tmp_path / "missing.toml", "--home", home)[0] == 1
    assert call("init")[0] == 2


def test_init_never_overwrites_a_key(call: Any, tmp_path: Path, program_file: Path) -> None:
    home = tmp_path / "coordinator"
    assert call("init", program_file, "--home", home)[0] == 0
    key = (home / "keys" / "coordinator.key").read_bytes()
    code, _, err = call("init", program_file, "--home", home)
    assert code == 1 and "coordinator already" in err
    assert (home / "keys" / "coordinator.key").read_bytes() == key


def test_enroll_refuses_and_leaves_everything_as_it_was(
    call: Any, tmp_path: Path, program_file: Path, request_file: Any
) -> None:
    home, key = tmp_path / "coordinator", SigningKey.generate()
    call("init", program_file, "--home", home)
    assert call("enroll", request_file("alpha", key), "--home", home)[0] == 0
    before = [(home / name).read_bytes() for name in ("program.toml", "members.json")]
    assert call("enroll", request_file("alpha", key), "--home", home)[0] == 0  # again: nothing to do
    changed = request_file("beta", SigningKey.generate())
    changed.write_bytes(changed.read_bytes().replace(b"beta", b"bela"))
    for bad in (
        changed,
        request_file("alpha", SigningKey.generate()),
        request_file("gamma", key),
        tmp_path / "absent.json",
        program_file,
    ):
        code, _, err = call("enroll", bad, "--home", home)
        assert code == 1 and "do" in err
    assert [(home / name).read_bytes() for name in ("program.toml", "members.json")] == before


def test_revoke_takes_a_site_out_of_a_run_that_has_not_begun(
    call: Any, tmp_path: Path, program_file: Path, request_file: Any
) -> None:
    home = tmp_path / "coordinator"
    call("init", program_file, "--home", home)
    for site in ("alpha", "beta"):
        call("enroll", request_file(site, SigningKey.generate()), "--home", home)
    assert call("revoke", "gamma", "--reason", "left", "--home", home)[0] == 1
    assert call("revoke", "alpha", "--home", home)[0] == 2
    code, out, _ = call("revoke", "alpha", "--reason", "key lost", "--home", home, "--json")
    assert code == 0 and json.loads(out)["revoked"]["reason"] == "key lost"
    code, out, _ = call("status", "--home", home, "--json")
    told = json.loads(out)
    assert told["sites"] == ["beta"] and told["revoked"] == ["alpha"] and told["warnings"] == []
    assert call("provision", "alpha", "--out", tmp_path / "kit", "--address", "x:1", "--home", home)[0] == 1
    code, out, _ = call("enroll", request_file("alpha", SigningKey.generate()), "--home", home, "--json")
    assert code == 0 and json.loads(out)["sites"] == ["alpha", "beta"]


def test_a_superlink_that_is_not_there_is_told_and_enrolment_stands(
    call: Any, tmp_path: Path, program_file: Path, request_file: Any
) -> None:
    home = tmp_path / "coordinator"
    call("init", program_file, "--home", home)
    file = request_file("alpha", SigningKey.generate())
    code, _, err = call("enroll", file, "--superlink", "nowhere", "--home", home)
    assert code == 1 and "flwr supernode register failed" in err
    assert json.loads(call("status", "--home", home, "--json")[1])["sites"] == ["alpha"]


def test_superlink_shows_its_commands_and_needs_a_certificate(
    call: Any, tmp_path: Path, program_file: Path
) -> None:
    home = tmp_path / "coordinator"
    call("init", program_file, "--host", "fl.example.org", "--home", home)
    code, out, _ = call("superlink", "--home", home, "--port", "8123", "--dry-run", "--json")
    link, executor = json.loads(out)["commands"]
    assert code == 0 and json.loads(out)["proxy"] == {"forward": "/v1/fleet/", "to": 8123}
    for flag in ("--enable-supernode-auth", "--disable-runtime-dependency-installation", "--ssl-certfile"):
        assert flag in link
    pairs = set(pairwise(link))
    assert {("--host", "127.0.0.1"), ("--port", "8123"), ("--isolation", "process")} <= pairs
    secret = link[link.index("--superexec-auth-secret-file") + 1]
    assert executor[executor.index("--superexec-auth-secret-file") + 1] == secret
    assert "--insecure" not in link + executor and not Path(secret).exists()
    code, out, _ = call("renew", "--home", home, "--json")
    assert code == 0 and "fl.example.org" in json.loads(out)["names"]
    (home / "tls" / "server.crt").unlink()
    code, _, err = call("superlink", "--home", home)
    assert code == 1 and "server.crt" in err and "renew" in err


def test_a_taken_port_is_named(call: Any, tmp_path: Path, program_file: Path) -> None:
    home = tmp_path / "coordinator"
    call("init", program_file, "--home", home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _, err = call("superlink", "--home", home, "--port", taken.getsockname()[1])
    assert code == 1 and "is taken" in err
    assert (home / "flwr" / "superexec.secret").stat().st_mode & 0o777 == 0o600


def test_start_prints_its_command_and_names_no_privacy_term(call: Any, federation: Any) -> None:
    made = federation()
    code, out, _ = call("start", "--home", made.home, "--superlink", "consortium", "--dry-run", "--json")
    command = json.loads(out)["command"]
    assert code == 0 and command[1] == "run" and command[3] == "consortium"
    assert command[command.index("--run-config") + 1] == f'intraward-home="{made.home.resolve()}"'
    files = list(Path(command[2]).iterdir())
    assert [path.name for path in files] == ["pyproject.toml"]  # it names code and carries none


def test_skip_gives_a_round_up(call: Any, federation: Any) -> None:
    made = federation()
    for ward in made.wards.values():
        ward.code = "ABORTED"
    with pytest.raises(Exception, match="quorum"):
        run(made.grid(), made.home)
    assert call("skip", "--home", made.home)[0] == 1
    code, out, _ = call("skip", "--home", made.home, "--yes", "--json")
    assert code == 0 and json.loads(out) == {"skipped": 1}
    for ward in made.wards.values():
        ward.code = "OK"
    result = run(made.grid(), made.home)
    assert result.rounds == 6
    assert [p.round for p in made.wards["alpha"].plans] == [1, 2, 3, 4, 5, 6, 7]
    assert call("skip", "--home", made.home, "--yes")[0] == 1


@pytest.mark.parametrize(
    "command",
    [
        *("init", "enroll", "provision", "revoke", "superlink", "renew"),
        *("start", "status", "skip", "evaluate", "release"),
        *("registry list", "registry show", "registry revoke", "registry rollback"),
    ],
)
def test_help_has_an_example(call: Any, command: str) -> None:
    code, out, _ = call(*command.split(), "--help")
    assert code == 0 and f"Example: intraward-server {command}" in " ".join(out.split())


def test_resume_begins_nothing(call: Any, federation: Any) -> None:
    made = federation()
    code, _, err = call("start", "--home", made.home, "--resume", "--dry-run")
    assert code == 1 and "no program has begun here" in err
    run(made.grid(), made.home)
    assert call("start", "--home", made.home, "--resume", "--dry-run")[0] == 0
