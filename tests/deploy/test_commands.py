"""Every command that deploy/ starts or shows is a real one, with real options."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from tests.deploy.shipped import (
    COMPOSE,
    DEPLOY,
    DOCKERFILE,
    PAGES,
    PROGRAMS,
    SCRIPTS,
    UNITS,
    compose,
    exec_form,
    fault,
    health_check,
    ours,
    sh_lines,
    stages,
    unit,
)

IMAGES = {"ward": "intraward-client", "gateway": "intraward-client", "server": "intraward-server"}


def test_units_start_real_commands() -> None:
    started = [(path.name, shlex.split(unit(path)["Service"]["ExecStart"][0])) for path in UNITS]
    assert len(started) == 6
    faults = {name: fault(words) for name, words in started if not words[0].endswith("nginx")}
    assert faults == dict.fromkeys(faults, "")
    assert len(faults) == 5


def test_images_start_real_commands() -> None:
    found = stages(DOCKERFILE.read_text(encoding="utf-8"))
    for image, program in IMAGES.items():
        entry, command = found[image].last("ENTRYPOINT"), found[image].last("CMD")
        assert entry is not None and command is not None
        assert exec_form(entry) == [program]
        assert fault([program, *exec_form(command)]) == ""


def test_compose_services_start_real_commands() -> None:
    tried = []
    for path in COMPOSE:
        for name, service in compose(path)["services"].items():
            if name in PROGRAMS and "command" in service:
                tried.append(name)
                assert fault([PROGRAMS[name], *service["command"]]) == "", path.name
    assert sorted(tried) == sorted(PROGRAMS)


def test_compose_and_units_say_the_same() -> None:
    """One way to start a process: the words after the program are those of its unit."""
    started = {path.stem.removeprefix("intraward-"): unit(path)["Service"]["ExecStart"][0] for path in UNITS}
    for path in COMPOSE:
        for name, service in compose(path)["services"].items():
            if name in PROGRAMS and "command" in service:
                assert shlex.split(started[name])[1:] == service["command"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DEPLOY)))
def test_pages_show_real_commands(page: Path) -> None:
    faults = {line: fault(words) for line in sh_lines(page) if (words := ours(line)) is not None}
    assert faults == dict.fromkeys(faults, "")


def test_pages_name_scripts_that_are_there() -> None:
    shown = {
        word
        for page in PAGES
        for line in sh_lines(page)
        for word in shlex.split(line)
        if word.endswith(".sh")
    }
    assert [
        word for word in shown if word.startswith("deploy/") and not (DEPLOY.parent / word).is_file()
    ] == []


def test_python_in_health_checks_compiles() -> None:
    for stage in stages(DOCKERFILE.read_text(encoding="utf-8")).values():
        words = stage.last("HEALTHCHECK")
        if words is not None:
            program, flag, code = health_check(words)
            assert (program, flag) == ("python", "-c")
            compile(code, stage.name, "exec")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_scripts_parse_and_say_how_they_are_called(script: Path) -> None:
    shell = "bash" if script.read_text().startswith("#!/bin/bash") else "sh"
    assert subprocess.run([shell, "-n", str(script)], check=False).returncode == 0
    done = subprocess.run([shell, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and done.stderr.startswith("usage: ")
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize(
    "line",
    [
        "intraward-client ward --hom /srv/intraward",
        "intraward-client init --home /srv/intraward",
        "intraward-client teleport",
        "intraward-server superlink --port loopback",
        "flower-superlink --insecure",
    ],
)
def test_a_command_that_is_not_real_is_found(line: str) -> None:
    assert fault(shlex.split(line)) != ""


def test_a_command_behind_another_is_seen() -> None:
    assert ours("sudo -u x /opt/intraward/bin/intraward-client outbox --home /srv/a | less") == [
        "/opt/intraward/bin/intraward-client",
        "outbox",
        "--home",
        "/srv/a",
    ]
    assert ours("docker compose --file x run --rm ward doctor") == ["intraward-client", "doctor"]
    assert ours("systemctl stop intraward-ward") is None
