"""Wrapped lines, joined in a copy of the same length, and labels of tables read as labels.

A name or a number that a mail program broke over two lines ("Rosa" / "Okafor", "Bed" / "33") is one to a
reader. Lines that end a sentence, and lines followed by a list item, a label or a
blank, stay apart: the rules for labels begin at the start of a line.
"""

from __future__ import annotations

from itertools import pairwise

import regex

_LEAST = 50
_NEW = regex.compile(r"\s*(?:[-*\u2022#>|]|\d{1,2}[.)]\s|\p{L}[\p{L} '/()&.-]{0,28}[:=]|$)|[^\p{Ll}]+$")


_TABLE = regex.compile(r"(\p{L}[\p{L} /()#'&-]{1,30}?)( \| | ?\.{3,} ?|\t+| *\t *)([^|\s][^|]*)")


def flatten(text: str) -> str:
    """``text`` with wrapped lines joined by a space."""
    if "\n" not in text:
        return text
    lines = [_labelled(line) for line in text.split("\n")]
    joined = [lines[0]]
    for above, below in pairwise(lines):
        joined += [" " if _wrapped(above, below) else "\n", below]
    return "".join(joined)


def _labelled(line: str) -> str:
    """``line`` with a colon behind its label where a table has a bar, a leader of dots or a tab."""
    match = _TABLE.fullmatch(line)
    if match is None:
        return line
    label, leader, value = match.groups()
    return f"{label}:{' ' * (len(leader) - 1)}{value}"


def _wrapped(above: str, below: str) -> bool:
    last = above.rstrip()[-1:]
    return len(above) >= _LEAST and last not in set(".:;!?|>") and _NEW.match(below) is None
