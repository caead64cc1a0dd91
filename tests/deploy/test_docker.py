"""The rules of hadolint that matter here, as tests, and health checks that are run."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tests.deploy.shipped import DEPLOY, DOCKERFILE, health_check, stages

TEXT = DOCKERFILE.read_text(encoding="utf-8")
STAGES = stages(TEXT)
IMAGES = ("ward", "gateway", "server")
SECRET = re.compile(r"(?i)\b(password|passwd|secret|token|api_?key|private_?key)\b\s*=")


def test_every_stage_comes_from_the_pinned_base_or_another_stage() -> None:
    assert set(IMAGES) < set(STAGES)
    for stage in STAGES.values():
        assert stage.base == "${PYTHON_IMAGE}" or stage.base in STAGES
    assert re.search(r"^ARG PYTHON_IMAGE$", TEXT, re.MULTILINE)  # no default: a tag moves, a digest is yours


def test_images_run_as_numbers_that_are_not_root() -> None:
    users = [STAGES[name].last("USER") for name in IMAGES]
    for user in users:
        assert user is not None and re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    assert len({user.split(":")[0] for user in users if user}) == len(IMAGES)


def test_nothing_runs_after_the_user_was_set() -> None:
    for name in IMAGES:
        kinds = [kind for kind, _ in STAGES[name].steps]
        assert "RUN" not in kinds[kinds.index("USER") :]


def test_every_image_has_a_health_check_and_starts_no_shell() -> None:
    for name in IMAGES:
        for instruction in ("HEALTHCHECK", "ENTRYPOINT", "CMD"):
            assert "[" in (STAGES[name].last(instruction) or ""), (name, instruction)


def test_nothing_is_fetched_copied_from_the_context_or_secret() -> None:
    kinds = {kind for stage in STAGES.values() for kind, _ in stage.steps}
    assert "ADD" not in kinds
    copies = [words for stage in STAGES.values() for kind, words in stage.steps if kind == "COPY"]
    assert copies == ["--from=installed /opt/intraward /opt/intraward"]
    for tool in ("apt-get", "apk ", "curl", "wget", "pip install", "sudo", ":latest", "http:", "git "):
        assert tool not in "\n".join(words for s in STAGES.values() for k, words in s.steps if k == "RUN")
    assert SECRET.search(TEXT) is None


def test_the_gateways_wheels_hold_nothing_that_reads_or_trains() -> None:
    import tomllib

    extras = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert sorted(re.split(r"[=<>]", name)[0] for name in extras["gateway"]) == ["flwr", "httpx"]


@pytest.mark.parametrize(
    "base", ["python:3.11-slim", "python:latest", "python@sha256:abc", "python@sha1:" + "0" * 64]
)
def test_an_image_is_not_built_on_a_base_without_a_digest(base: str, tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("")
    done = build(["ward", str(tmp_path), base])
    assert done.returncode == 1 and "by digest" in done.stderr


def test_the_build_has_no_network_and_one_target(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text("x==1 --hash=sha256:0\n")
    done = build(["gateway", str(tmp_path), "registry.example.org/python@sha256:" + "a" * 64])
    assert done.returncode == 0
    words = done.stdout.splitlines()[-1].split()
    assert words[:5] == ["build", "--network", "none", "--target", "gateway"]
    assert words[-3:] == ["--file", str(DOCKERFILE), str(tmp_path)]


def build(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """build.sh with an engine that only says what it was asked."""
    command = ["sh", str(DEPLOY / "docker" / "build.sh"), *arguments]
    environment = os.environ | {"ENGINE": "echo"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_the_wards_health_check_asks_the_socket(tmp_path: Path) -> None:
    path = tmp_path / "w.sock"
    code = health_check(STAGES["ward"].last("HEALTHCHECK") or "")[-1]
    assert "/srv/intraward/site/run/ward.sock" in code
    code = code.replace("/srv/intraward/site/run/ward.sock", str(path))
    assert run_python(code) != 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        for status, expected in (("200 OK", True), ("503 Service Unavailable", False)):
            answering = threading.Thread(target=answer, args=(listener, status))
            answering.start()
            assert (run_python(code) == 0) is expected
            answering.join()


def test_the_gateways_health_check_asks_its_port() -> None:
    code = health_check(STAGES["gateway"].last("HEALTHCHECK") or "")[-1]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert run_python(code.replace("9094", str(port))) == 0
    assert run_python(code.replace("9094", str(port))) != 0


def answer(listener: socket.socket, status: str) -> None:
    """One HTTP answer."""
    connection, _ = listener.accept()
    with connection:
        assert connection.recv(4096).startswith(b"GET /describe ")
        connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())


def run_python(code: str) -> int:
    """Exit code of this Python with the code."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode
