"""JSON Lines from the hospital's systems: one strict object a line, refused by file and line number.

Keeps rule 1 of DESIGN.md: what is wrong is said in a fixed sentence, never with the line. Shared by the
importers and by ``deid run``, so that both refuse the same files. A key given twice is refused, because
the second value would silently win.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from intraward_shared.errors import InputError

_MAX_LINE = 4_000_000


class Rejected(Exception):
    """Why a line is refused; a fixed sentence."""


def lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of every line that is not blank; lines are read as they are asked for.

    A byte order mark at the start, as Windows programs write it, is passed over. Of a line that is too long
    no more is read than shows that it is.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(partial(file.readline, _MAX_LINE + 1), b""), start=1):
                text = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
                if text.strip():
                    yield number, text
    except FileNotFoundError:
        raise InputError(path.name, 0, "no such file", remedy="check the path") from None
    except OSError:
        raise InputError(path.name, 0, "cannot be read", remedy="check permissions") from None


def parse_object(line: bytes) -> dict[str, Any]:
    """The object that a line holds.

    Raises:
        Rejected: not UTF-8, not JSON, not an object, a key twice, a number that is not finite.
    """
    if len(line) > _MAX_LINE:
        raise Rejected("the line is too long")
    try:
        values = json.loads(line.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise Rejected("the line is not UTF-8") from None
    except (ValueError, RecursionError):
        raise Rejected("the line is not JSON") from None
    if not isinstance(values, dict):
        raise Rejected("the line is not a JSON object")
    return values


def parse_known(value: object) -> dict[str, str]:
    """The known identifiers of a row, field to value; null says nothing, a list is one value after another.

    Raises:
        Rejected: not an object of strings, whole numbers, nulls and lists of them.
    """
    if not isinstance(value, dict):
        raise Rejected("'known' is not an object")
    known: dict[str, str] = {}
    for key, item in value.items():
        for number, one in enumerate(item if isinstance(item, list) else [item]):
            if one is None:
                continue
            if isinstance(one, bool) or not isinstance(one, (str, int)):
                raise Rejected("'known' is not an object of strings")
            known[f"{key}_{number + 1}" if number else str(key)] = str(one)
    return known


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise Rejected("a key is given twice")
    return dict(pairs)


def _no_constant(_name: str) -> NoReturn:
    raise Rejected("a number is not finite")
