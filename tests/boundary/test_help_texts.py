"""Every ``--help`` of the four commands shows each word of its source; every number asked is finite."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
import typer
from typer import rich_utils
from typer.main import get_command
from typer.testing import CliRunner

from intraward_client import cli as client
from intraward_server import cli as server
from intraward_shared import audit
from intraward_simulation import cli as simulation

APPS = {
    "intraward-client": client.app,
    "intraward-server": server.app,
    "intraward-simulate": simulation.app,
    "intraward-audit": audit.app,
}


def walk(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from walk(inner, (*words, name))


def every_command() -> list[tuple[tuple[str, ...], click.Command]]:
    return [found for name, app in APPS.items() for found in walk(get_command(app), (name,))]


def words_of(text: str) -> set[str]:
    """Words with their brackets, without the backslash that keeps a bracket from being read as a style."""
    return set(re.findall(r"[\w\[\]{}.=-]+", text.replace("\\[", "[")))


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setattr(rich_utils, "MAX_WIDTH", 400)  # so that no word is broken over two lines
    yield CliRunner()


@pytest.mark.parametrize(
    ("words", "command"),
    every_command(),
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_help_loses_no_word_and_has_an_example(
    shown: CliRunner, words: tuple[str, ...], command: click.Command
) -> None:
    told = shown.invoke(APPS[words[0]], [*words[1:], "--help"])
    assert told.exit_code == 0
    texts = [command.help or "", *(getattr(parameter, "help", None) or "" for parameter in command.params)]
    assert words_of(" ".join(texts)) <= words_of(told.output)
    assert f"Example: {' '.join(words)}" in " ".join(told.output.split())


def test_no_option_takes_a_number_that_is_not_finite() -> None:
    """``min`` and ``max`` let NaN through, so each option that is a float has ``finite`` as its callback."""
    asked = []
    for words, command in every_command():
        context = click.Context(command)
        for option in command.params:
            if not isinstance(option.type, click.types.FloatParamType):
                continue
            asked.append((*words, option.name))
            for text in ("nan", "inf", "-inf"):
                with pytest.raises(click.BadParameter):
                    option.process_value(context, [text] if option.multiple else text)
    assert ("intraward-client", "figure", "max_error") in asked and len(asked) >= 10


def test_bracketed_keys_are_shown(shown: CliRunner) -> None:
    assert "[study]" in shown.invoke(simulation.app, ["run", "--help"]).output
    assert "[stages.training.shaping]" in shown.invoke(simulation.app, ["critique", "--help"]).output


def test_the_sweep_would_see_an_eaten_bracket(shown: CliRunner) -> None:
    app = typer.Typer()

    @app.command()
    def eaten() -> None:
        """A file with a [study] table."""

    told = shown.invoke(app, ["--help"]).output
    assert words_of(eaten.__doc__ or "") - words_of(told) == {"[study]"}
