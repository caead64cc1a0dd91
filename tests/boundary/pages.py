"""The pages that people read, and the commands and examples that stand on them in fenced blocks."""

from __future__ import annotations

import re
from dataclasses import dataclass

import click
import typer.main
from tests.boundary.sources import ROOT, tracked_files

from intraward_client import cli as client_cli
from intraward_server import cli as server_cli
from intraward_shared import audit
from intraward_simulation import cli as simulation_cli

PAGES = (
    "README.md",
    "client/README.md",
    "client/CLINICIANS.md",
    "server/README.md",
    "shared/README.md",
    "simulation/README.md",
    "deploy/README.md",
    "CHANGELOG.md",
)
APPS = {
    "intraward-client": client_cli.app,
    "intraward-server": server_cli.app,
    "intraward-audit": audit.app,
    "intraward-simulate": simulation_cli.app,
}
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One command line of a page, continuation lines joined."""

    page: str
    line: str


def text_of(page: str) -> str:
    """The whole page."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    """Contents of the page's fenced blocks of a language, in order."""
    return [body for name, body in _BLOCK.findall(text_of(page)) if name == language]


def commands() -> list[Command]:
    """Every line of every ``sh`` block that is not blank or a comment, page by page."""
    return [
        Command(page, line.strip())
        for page in PAGES
        for body in blocks(page, "sh")
        for line in body.replace("\\\n", " ").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]


def subcommands() -> set[tuple[str, ...]]:
    """Every command that a person may call: ("intraward-client", "deid", "run") and so on."""
    return {path for name, app in APPS.items() for path in _walk((name,), typer.main.get_command(app))}


def subcommand_of(words: list[str]) -> tuple[str, ...] | None:
    """The longest command that ``words`` begin with."""
    known = subcommands()
    return next((p for n in (4, 3, 2) if (p := tuple(words[:n])) in known), None)


def makefile_targets() -> list[str]:
    """The targets that ``make`` offers."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    found = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert found is not None
    return found.group(1).split()


def top_folders() -> list[str]:
    """Folders of the repository's root that git tracks."""
    paths = [path.relative_to(ROOT) for path in tracked_files()]
    names = {path.parts[0] for path in paths if len(path.parts) > 1}
    return sorted(name for name in names if not name.startswith("."))


def _walk(path: tuple[str, ...], command: click.Command) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    shown = {name: child for name, child in command.commands.items() if not child.hidden}
    itself = [path] if command.invoke_without_command else []
    return itself + [leaf for name, child in shown.items() for leaf in _walk((*path, name), child)]
