"""What deploy/ ships, read as data: files, units, compose services, Dockerfile stages and command lines."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import typer.main
import yaml
from tests.boundary.pages import APPS
from tests.boundary.sources import ROOT

DEPLOY = ROOT / "deploy"
UNITS = tuple(sorted((DEPLOY / "systemd").glob("*.service")))
COMPOSE = tuple(sorted((DEPLOY / "compose").glob("*.yaml")))
SCRIPTS = tuple(sorted(DEPLOY.rglob("*.sh")))
PAGES = tuple(sorted(DEPLOY.rglob("*.md")))
DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
PROGRAMS = {
    "ward": "intraward-client",
    "gateway": "intraward-client",
    "superlink": "intraward-server",
    "coordinator": "intraward-server",
}
"""Entry point of the image of each compose service that is ours."""
_VARIABLE = re.compile(r"\$\{([A-Z_]+)(?::\?[^}]*)?\}")


@dataclass
class Stage:
    """One stage of a Dockerfile: what it builds on, and its instructions in order."""

    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def last(self, instruction: str) -> str | None:
        """The last of these instructions, which is the one that counts."""
        found = [words for name, words in self.steps if name == instruction]
        return found[-1] if found else None


def stages(text: str) -> dict[str, Stage]:
    """Stages of a Dockerfile by name; continuation lines joined, comments dropped."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found: dict[str, Stage] = {}
    current: Stage | None = None
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        instruction, _, words = line.strip().partition(" ")
        if instruction == "FROM":
            base, _, name = words.partition(" AS ")
            current = found[name] = Stage(name, base)
        elif instruction and current is not None:
            current.steps.append((instruction, " ".join(words.split())))
    return found


def unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """A unit file: section, key, values in order (systemd lets keys repeat, so configparser cannot)."""
    found: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").replace("\\\n", " ").splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return found


def compose(path: Path) -> dict[str, Any]:
    """A compose file with every variable replaced by its name."""
    loaded = yaml.safe_load(_VARIABLE.sub(r"\1", path.read_text(encoding="utf-8")))
    assert isinstance(loaded, dict)
    return loaded


def variables(text: str) -> set[str]:
    """Names of the variables that a compose file asks for."""
    return {match.group(1) for match in _VARIABLE.finditer(text)}


def exec_form(words: str) -> list[str]:
    """The words of ``["a", "b"]``; a shell form is refused."""
    loaded = json.loads(words)
    assert isinstance(loaded, list)
    return [str(word) for word in loaded]


def health_check(words: str) -> list[str]:
    """The command of a HEALTHCHECK instruction."""
    return exec_form(words.partition("CMD ")[2])


def sh_lines(page: Path) -> list[str]:
    """Every line of a page's ``sh`` blocks that is not blank or a comment, continuation lines joined."""
    bodies = re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line.strip() for body in bodies for line in body.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def fault(words: list[str]) -> str:
    """Why the words are no call of a command of ours, with its real options; "" if they are."""
    program = Path(words[0]).name
    if program not in APPS:
        return f"{program} is no command of ours"
    command: click.Command = typer.main.get_command(APPS[program])
    rest = words[1:]
    while isinstance(command, click.Group) and rest and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    if isinstance(command, click.Group) and not (rest == ["--help"] or command.invoke_without_command):
        return f"{program} has no command {' '.join(rest[:1])}"
    try:
        command.make_context(program, list(rest))
    except click.exceptions.Exit:
        return ""  # --help
    except click.UsageError as error:
        return f"{' '.join(words)}: {error.format_message()}"
    return ""


def ours(line: str) -> list[str] | None:
    """The call of our command inside a shell line, behind sudo, kubectl or docker compose; None if none."""
    words = shlex.split(line, comments=True)
    if words[:2] == ["docker", "compose"] and "run" in words:
        service, *rest = words[words.index("run") + 2 :]
        return [PROGRAMS[service], *rest] if rest else None
    starts = [n for n, word in enumerate(words) if word in APPS or Path(word).parent.name == "bin"]
    if not starts or Path(words[starts[0]]).name not in APPS:
        return None
    found = words[starts[0] :]
    for end in ("|", ">", "&&", ";"):
        found = found[: found.index(end)] if end in found else found
    return found
