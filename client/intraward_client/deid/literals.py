"""What a text must hold for an expression to match: literals, read off the expression itself.

``\\b(?:MRN|record)[ ]\\d+`` needs "mrn" or "record", in whatever case. Most rules of the pack begin with a
cue that most lines do not have, and looking for a literal is fifty times faster than asking an expression.
Being read off, it cannot drift from its rule. Expressions as ``factoring`` takes them; what it does not know
(classes, back references) promises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from intraward_client.deid.factoring import end_of_class, end_of_group, opening_of, split

_MOST = 200
"""Literals of one expression; looking for more of them costs what it saves."""
_ZERO_WIDTH = frozenset("bBKAZGm")
_PLAIN = frozenset(" -:,/@#<>;=_&'\"%!~`")
Literals = frozenset[str]
NOTHING: Literals = frozenset()


@dataclass
class _Reading:
    """The best promise of a sequence so far, and the literal that is being read."""

    best: Literals = NOTHING
    run: str = ""

    def end(self) -> None:
        """The literal ends here."""
        self.offer(frozenset({self.run}) if self.run else NOTHING)
        self.run = ""

    def offer(self, found: Literals) -> None:
        """Take ``found`` if it is more telling: longer literals, then fewer."""
        if found and (not self.best or _telling(found) > _telling(self.best)):
            self.best = found


def required(expression: str) -> Literals:
    """Literals in small letters of which every match of ``expression`` has one; empty if none is sure."""
    every = _of_alternatives(expression)
    found = frozenset(one for one in every if not any(other in one for other in every if other != one))
    usable = found and len(found) <= _MOST and all(len(one) > 1 or not one.isalnum() for one in found)
    return found if usable and " " not in found else NOTHING


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
    return min(4, *map(len, found)) if len(found) > 1 else min(4, len(next(iter(found)))), -len(found)


def _of_alternatives(expression: str) -> Literals:
    of_each = [_of_sequence(part) for part in split(expression)]
    return NOTHING if NOTHING in of_each else frozenset().union(*of_each)


def _of_sequence(part: str) -> Literals:
    reading, at = _Reading(), 0
    while at < len(part):
        character = part[at]
        if character == "(":
            at = _read_group(reading, part, at)
            continue
        end = _end_of_atom(part, at)
        literal = _literal(part[at:end])
        optional, after = _quantifier(part, end)
        if literal is None or optional:
            reading.end()
        elif literal:
            reading.run += literal.lower()
            if after > end:
                reading.end()
        at = after
    reading.end()
    return reading.best


def _read_group(reading: _Reading, part: str, at: int) -> int:
    opening, end = opening_of(part, at), end_of_group(part, at)
    optional, after = _quantifier(part, end)
    if opening in {"(?!", "(?<!"}:
        return after
    if not opening.startswith(("(?=", "(?<=")):
        reading.end()
    if not optional:
        reading.offer(_of_alternatives(part[at + len(opening) : end - 1]))
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
    if atom == "[ ]":
        return " "
    if len(atom) == 1:
        return "" if atom in "^$" else atom if atom.isalnum() or atom in _PLAIN else None
    if len(atom) == 2 and atom[0] == "\\":
        return "" if atom[1] in _ZERO_WIDTH else None if atom[1].isalnum() else atom[1]
    return None


def _quantifier(part: str, at: int) -> tuple[bool, int]:
    """Whether the atom before ``at`` may be absent, and where its quantifier ends."""
    character = part[at : at + 1]
    if character in {"?", "*", "+"}:
        end, optional = at + 1, character != "+"
    elif character == "{" and part[at + 1 : at + 2].isdigit():
        end = part.index("}", at) + 1
        optional = part[at + 1 : end].lstrip("0")[0] in ",}"
    else:
        return False, at
    return optional, end + (part[end : end + 1] in {"?", "+"} and bool(part[end : end + 1]))
