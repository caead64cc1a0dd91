"""Where spans of a normalised text lay in the text as it came in.

Normalisation (``intake_checks``) composes letters, drops invisible characters and plain tags and widens
tabs, so offsets move. It never mixes tags, entities and grapheme clusters (Unicode UAX #29), so each is
followed on its own; a text for which that does not hold raises, and its note is quarantined.
"""

from __future__ import annotations

from collections.abc import Sequence

import regex

from intraward_client.deid.intake_checks import normalise
from intraward_client.deid.markup import PIECE
from intraward_shared.errors import DeidError

Span = tuple[int, int, str]
_CLUSTER = regex.compile(rf"{PIECE}|\X", regex.IGNORECASE)


def original_spans(text: str, plain: str, spans: Sequence[Span]) -> tuple[Span, ...]:
    """``spans`` of ``plain`` in offsets of ``text``, widened to whole clusters.

    Args:
        text: as it came in.
        plain: ``normalise(text)``.
        spans: non-empty ``(start, end, class)`` in ``plain``.

    Raises:
        DeidError: the clusters do not make up ``plain``.
    """
    if text == plain:
        return tuple(spans)
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    for cluster in _CLUSTER.finditer(text):
        piece = normalise(cluster.group())
        pieces.append(piece)
        places += [cluster.span()] * len(piece)
    if "".join(pieces) != plain:
        raise DeidError("offsets of the original text cannot be followed", remedy="the note is quarantined")
    return tuple((places[start][0], places[end - 1][1], kind) for start, end, kind in spans)
