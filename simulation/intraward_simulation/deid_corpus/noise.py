"""What happens to a note on its way: capitals, narrow lines, HTML, lost punctuation, a scanner's errors.

Each change is made piece by piece, so that spans stay exact. A scanner's errors spare identifiers of digits:
a wrong digit is another number, which says nothing about a detector.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from intraward_simulation.deid_corpus.rendering import Piece

Change = Callable[[Sequence[Piece], np.random.Generator], list[Piece]]
_SCANNED = (("rn", "m"), ("l", "1"), ("O", "0"), ("cl", "d"), ("h", "b"), ("e", "c"), ("ii", "u"))
_TYPO_SHARE = 0.015


def capitals(pieces: Sequence[Piece], _draw: np.random.Generator) -> list[Piece]:
    """Everything in capitals, as old systems print."""
    return [replace(piece, text=piece.text.upper()) for piece in pieces]


def narrow(pieces: Sequence[Piece], draw: np.random.Generator) -> list[Piece]:
    """Lines broken at a width of 50 to 80, inside names too; every break takes the place of a space."""
    width, column, broken = int(draw.integers(50, 81)), 0, []
    for piece in pieces:
        text = ""
        for word in re.split(r"( )", piece.text):
            if word == " " and column > width:
                word = "\n"
            text += word
            column = len(word) - word.rfind("\n") - 1 if "\n" in word else column + len(word)
        broken.append(replace(piece, text=text))
    return broken


def marked_up(pieces: Sequence[Piece], _draw: np.random.Generator) -> list[Piece]:
    """HTML as a record system exports it."""
    inner = [
        replace(
            piece,
            text=piece.text.replace("&", "&amp;").replace("\n", "<br/>\n"),
        )
        for piece in pieces
    ]
    return [Piece("<div class='note'>"), *inner, Piece("</div>")]


def scanned(pieces: Sequence[Piece], draw: np.random.Generator) -> list[Piece]:
    """Letters that a scanner mistakes for others, one word in seventy."""

    def mistake(word: str) -> str:
        if draw.random() > _TYPO_SHARE or not word.isalpha() or len(word) < 4:
            return word
        wrong = [pair for pair in _SCANNED if pair[0] in word[1:]]
        if not wrong:
            return word
        right, read = wrong[int(draw.integers(len(wrong)))]
        return word[0] + word[1:].replace(right, read, 1)

    return [
        replace(piece, text="".join(mistake(word) for word in re.split(r"(\W+)", piece.text)))
        if piece.entity in {None, "PERSON"}
        else piece
        for piece in pieces
    ]


def wide(pieces: Sequence[Piece], draw: np.random.Generator) -> list[Piece]:
    """Spaces doubled after full stops, some tabs, and Windows line ends."""
    ends = "\r\n" if draw.random() < 0.5 else "\n"
    return [replace(piece, text=piece.text.replace(". ", ".  ").replace("\n", ends)) for piece in pieces]


def unpunctuated(pieces: Sequence[Piece], _draw: np.random.Generator) -> list[Piece]:
    """A dictation without punctuation outside identifiers."""
    return [
        piece if piece.entity else replace(piece, text=re.sub(r"[,;:.](?=\s|$)", "", piece.text))
        for piece in pieces
    ]


CHANGES: tuple[tuple[float, Change | None], ...] = (
    (0.55, None),
    (0.08, capitals),
    (0.14, narrow),
    (0.05, marked_up),
    (0.08, scanned),
    (0.06, wide),
    (0.04, unpunctuated),
)
"""Share of the notes to which each happens."""


def change(pieces: Sequence[Piece], draw: np.random.Generator) -> list[Piece]:
    """One of `CHANGES`, or none."""
    shares = [share for share, _ in CHANGES]
    chosen = CHANGES[int(draw.choice(len(CHANGES), p=shares))][1]
    return list(pieces) if chosen is None else chosen(pieces, draw)
