"""What a line must hold for an expression to match: literals, read off the expression itself.

``\\b(?:MRN|record)[ ]\\d{5}`` needs "mrn" or "record", in whatever case, and five figures in a row. Most
rules of the pack begin with a cue that most lines do not have, and to look for a literal is fifty times
faster than to ask an expression. Being read off, it cannot drift from its rule. Expressions as ``factoring``
takes them; what it does not know (classes, back references) promises nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from intraward_client.deid.factoring import end_of_class, end_of_group, opening_of, split

_MOST = 200
"""Literals of one expression; looking for more of them costs what it saves."""
_SETS, _MANY = 2, 1_000
_NAMED = {"[ ]": " ", r"\d": "0"}
_ZERO_WIDTH = frozenset("bBKAZGm")
_PLAIN = frozenset(" -:,/@#<>;=_&'\"%!~`")
Literals = frozenset[str]
NOTHING: Literals = frozenset()
_FIGURE = re.compile(r"\d")
CASED = "\x00"
"""Before a literal that stands with its capitals: it is searched in ``cased``, others in ``plain``."""


@dataclass
class _Reading:
    """The promises of a sequence so far, and the literal that is being read."""

    cased: bool
    promises: list[Literals] = field(default_factory=list)
    run: str = ""

    def end(self) -> None:
        """The literal ends here."""
        capitals = self.run != self.run.lower()
        self.offer(frozenset({CASED + self.run if capitals else self.run}) if self.run else NOTHING)
        self.run = ""

    def offer(self, found: Literals) -> None:
        """Take a promise of one of ``found``."""
        if found:
            self.promises.append(found)

    def best(self) -> Literals:
        """The most telling promise."""
        return max(self.promises, key=_telling, default=NOTHING)


def plain(text: str) -> str:
    """``text`` as literals are searched in it: in small letters, every figure a nought."""
    return _FIGURE.sub("0", text.lower())


def cased(text: str) -> str:
    """``text`` as literals with capitals are searched in it: every figure a nought."""
    return _FIGURE.sub("0", text)


def required(expression: str) -> tuple[Literals, ...]:
    """Sets of literals, the most telling first; every match of ``expression`` has one of each set.

    They are to be searched in the ``plain`` text, those that begin with `CASED` (the mark left out) in the
    ``cased`` one. Empty if nothing is sure.
    """
    single = len(split(expression)) == 1
    promises = _read(expression, True).promises if single else [_of_alternatives(expression, True)]
    usable = filter(_is_usable, map(_shortest, promises))
    return tuple(sorted(dict.fromkeys(usable), key=_telling, reverse=True)[:_SETS])


def _shortest(every: Literals) -> Literals:
    """``every`` without those that hold another."""
    return frozenset(one for one in every if not any(other in one for other in every if other != one))


def _is_usable(found: Literals) -> bool:
    return (
        0 < len(found) <= _MOST
        and " " not in found
        and all(len(one) > 1 or not one.isalpha() for one in (one.removeprefix(CASED) for one in found))
    )


def crosses_lines(expression: str) -> bool:
    """Whether a match, or what ``expression`` looks at around it, may hold the end of a line."""
    at = 0
    while at < len(expression):
        end = _end_of_atom(expression, at)
        atom = expression[at:end]
        if atom[0] == "[":
            held = "\\n" in atom or "\n" in atom or "\\s" in atom
            if held != atom.startswith("[^"):
                return True
        elif atom in {"\\s", "\\n", "\n", "\\W", "\\D", "\\Z"} or atom.startswith("\\P"):
            return True
        at = end
    return False


def _telling(found: Literals) -> tuple[int, int]:
    return min(4, min(len(one.removeprefix(CASED)) for one in found)), -len(found)


def _of_alternatives(expression: str, cased: bool) -> Literals:
    of_each = [_of_sequence(part, cased) for part in split(expression)]
    return NOTHING if NOTHING in of_each else frozenset().union(*of_each)


def _of_sequence(part: str, cased: bool) -> Literals:
    return _read(part, cased).best()


def _read(part: str, cased: bool) -> _Reading:
    reading, at = _Reading(cased), 0
    while at < len(part):
        character = part[at]
        if character == "(":
            at = _read_group(reading, part, at)
            continue
        end = _end_of_atom(part, at)
        literal = _literal(part[at:end])
        least, most, after = _quantifier(part, end)
        if literal is None or not least:
            reading.end()
        elif literal:
            reading.run += (_FIGURE.sub("0", literal) if cased else plain(literal)) * least
            if most != least:
                reading.end()
        at = after
    reading.end()
    return reading


def _read_group(reading: _Reading, part: str, at: int) -> int:
    opening, end = opening_of(part, at), end_of_group(part, at)
    least, _, after = _quantifier(part, end)
    if opening in {"(?!", "(?<!"}:
        return after
    if not opening.startswith(("(?=", "(?<=")):
        reading.end()
    if least:
        inside = part[at + len(opening) : end - 1]
        reading.offer(_of_alternatives(inside, reading.cased and opening != "(?i:"))
    return after


def _end_of_atom(part: str, at: int) -> int:
    if part[at] == "[":
        return end_of_class(part, at) + 1
    if part[at] != "\\":
        return at + 1
    if part[at + 1] in "pPx":
        return part.index("}", at) + 1 if part[at + 2] == "{" else at + 4
    if part[at + 1] == "u":
        return at + 6
    return at + 2


def _literal(atom: str) -> str | None:
    """The text that ``atom`` stands for, "" if it has no width, None if it is not one text."""
    if atom in _NAMED:
        return _NAMED[atom]
    if len(atom) == 1:
        return "" if atom in "^$" else atom if atom.isalnum() or atom in _PLAIN else None
    if len(atom) == 2 and atom[0] == "\\":
        return "" if atom[1] in _ZERO_WIDTH else None if atom[1].isalnum() else atom[1]
    return None


def _quantifier(part: str, at: int) -> tuple[int, int, int]:
    """Least and most times that the atom before ``at`` stands, and where its quantifier ends."""
    character = part[at : at + 1]
    if character in {"?", "*", "+"}:
        end, least, most = at + 1, int(character == "+"), 1 if character == "?" else _MANY
    elif character == "{" and part[at + 1 : at + 2].isdigit():
        end = part.index("}", at) + 1
        first, comma, last = part[at + 1 : end - 1].partition(",")
        least, most = int(first), int(last or _MANY) if comma else int(first)
    else:
        return 1, 1, at
    return least, most, end + (part[end : end + 1] in {"?", "+"} and bool(part[end : end + 1]))
