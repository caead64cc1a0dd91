"""Alternatives of an expression gathered by the letters they share, so that a long list is read as a tree.

``(?:mother|mom|father)`` becomes ``(?:m(?:other|om)|father)``: what matches stays the same, a test holds
rules and their factored forms against each other. The regex engine tries alternatives one by one; the list of
words that are no name has 800 of them and is asked at every capital letter. Departs from a trie library in
that the alternatives may be expressions themselves: only letters that open them are gathered.
"""

from __future__ import annotations

_FEWEST = 3
_QUANTIFIERS = frozenset("?*+{")


def factor(expression: str) -> str:
    """``expression`` with the alternatives of every group gathered by their first letters."""
    return _alternation(split(expression), folded=False)


def split(expression: str) -> list[str]:
    """Alternatives of ``expression``, apart at its outermost bars."""
    parts, start, at, depth = [], 0, 0, 0
    while at < len(expression):
        character = expression[at]
        if character == "\\":
            at += 1
        elif character == "[":
            at = end_of_class(expression, at)
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif character == "|" and depth == 0:
            parts.append(expression[start:at])
            start = at + 1
        at += 1
    return [*parts, expression[start:]]


def end_of_class(expression: str, at: int) -> int:
    """Where the class that opens at ``at`` ends; a bracket right behind its opening is a member."""
    at += 2 if expression[at + 1] == "^" else 1
    while True:
        at += 2 if expression[at] == "\\" else 1
        if expression[at] == "]":
            return at


def _alternation(parts: list[str], *, folded: bool) -> str:
    parts = [_inside(part, folded=folded) for part in parts]
    return "|".join(_gather(parts, folded=folded))


def _inside(part: str, *, folded: bool) -> str:
    """``part`` with its groups factored."""
    made, at = "", 0
    while at < len(part):
        character = part[at]
        end = at + 1
        if character == "\\":
            end = at + 2
        elif character == "[":
            end = end_of_class(part, at) + 1
        elif character == "(":
            end = end_of_group(part, at)
            opening = opening_of(part, at)
            inner = part[at + len(opening) : end - 1]
            made += opening + _alternation(split(inner), folded=folded or opening == "(?i:") + ")"
            at = end
            continue
        made += part[at:end]
        at = end
    return made


def end_of_group(part: str, at: int) -> int:
    """Behind the bracket that closes the group opened at ``at``."""
    depth = 0
    while True:
        character = part[at]
        if character == "\\":
            at += 1
        elif character == "[":
            at = end_of_class(part, at)
        elif character in "()":
            depth += 1 if character == "(" else -1
            if depth == 0:
                return at + 1
        at += 1


def opening_of(part: str, at: int) -> str:
    """What a group opens with: ``(?:``, ``(?i:``, ``(?=``, ``(?<!`` and the like, or a bracket alone."""
    for opening in ("(?:", "(?i:", "(?=", "(?!", "(?<=", "(?<!", "(?>"):
        if part.startswith(opening, at):
            return opening
    return "("


def _gather(parts: list[str], *, folded: bool) -> list[str]:
    """Alternatives that begin with the same letter become one, in the place of the first of them."""
    if len(parts) < _FEWEST or any(_captures(part) for part in parts):
        return parts
    groups: dict[str, list[str]] = {}
    for number, part in enumerate(parts):
        head = _head(part)
        key = (head.lower() if folded else head) or f"{number} "
        groups.setdefault(key, []).append(part)
    gathered = []
    for group in groups.values():
        if len(group) == 1:
            gathered.append(group[0])
            continue
        tails = _gather([part[1:] for part in group], folded=folded)
        gathered.append(f"{group[0][0]}(?:{'|'.join(tails)})")
    return gathered


def _head(part: str) -> str:
    """The letter that ``part`` must begin with, if there is one."""
    letter = part[:1]
    return letter if letter.isalpha() and part[1:2] not in _QUANTIFIERS else ""


def _captures(part: str) -> bool:
    """Whether ``part`` holds a numbered group, whose number would change with its place."""
    at = 0
    while at < len(part):
        character = part[at]
        if character == "\\":
            at += 1
        elif character == "[":
            at = end_of_class(part, at)
        elif character == "(" and part[at + 1 : at + 2] != "?":
            return True
        at += 1
    return False
