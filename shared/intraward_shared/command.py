"""How every intraward command behaves: exit codes, errors for people, ``--json`` for machines.

DESIGN.md section 8: 0 done, 1 refused or failed (with a remedy), 2 usage. An unexpected exception is
named by its type and place only, because its message may quote what it choked on.
"""

from __future__ import annotations

import json
import logging
import math
import signal
import sys
import traceback
from collections.abc import Mapping
from typing import Any, TypeVar

import click
import typer
from rich.console import Console

from intraward_shared.errors import IntrawardError

err = Console(stderr=True, highlight=False, soft_wrap=True)
out = Console(highlight=False, soft_wrap=True)

Number = TypeVar("Number", bound=float | list[float] | None)


def run(app: typer.Typer) -> None:
    """Run a typer app with intraward's exit codes.

    Logging is set up first, because some libraries do so themselves at import and print their remarks.
    """
    signal.signal(signal.SIGTERM, _terminate)
    logging.basicConfig(format="%(levelname)s %(name)s", level=logging.ERROR)
    try:
        code = app(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.exceptions.Abort:
        interrupted()
    except KeyboardInterrupt:
        interrupted()
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except IntrawardError as error:
        err.print(f"[bold red]error[/] {_plain(error.message)}")
        if error.remedy:
            err.print(f"[bold]  do[/]  {_plain(error.remedy)}")
        sys.exit(1)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        err.print(
            f"[bold red]error[/] unexpected {type(error).__name__} at {place.name}, line {place.lineno}"
        )
        err.print("[bold]  do[/]  this is a defect: report the line above; nothing half-done was kept")
        sys.exit(1)
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(number: int, frame: object) -> None:
    """End by an exception, so that what is under way is left in order."""
    sys.exit(128 + number)


def interrupted() -> None:
    """Say that the work can be taken up again, and leave with 130."""
    err.print("interrupted; run the same command again: imports and runs go on from where they stopped")
    sys.exit(130)


def show(value: Mapping[str, Any], *, as_json: bool, text: str) -> None:
    """Print ``value`` as one JSON object, or ``text`` for a person."""
    if as_json:
        sys.stdout.write(json.dumps(value, indent=2, sort_keys=True) + "\n")
        sys.stdout.flush()
    else:
        out.print(text)


def finite(value: Number) -> Number:
    """Callback of every option that is a float: ``min`` and ``max`` let NaN through.

    Raises:
        click.BadParameter: a number is not finite; exit code 2.
    """
    given = value if isinstance(value, list) else [value]
    if not all(math.isfinite(each) for each in given if each is not None):
        raise click.BadParameter("is not a finite number")
    return value


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
