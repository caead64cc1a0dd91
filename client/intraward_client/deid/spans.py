"""Spans of several detectors become one: what any of them found goes, and the longest part names it.

Keeps rule 2 of DESIGN.md: detectors are united, not voted on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

Span = tuple[int, int, str]
"""Start, end and class of identifier."""


def unite(spans: Sequence[Span], text: str) -> Iterator[Span]:
    """Merge overlapping spans, and names side by side; the longest part names the class, ``ID`` last."""
    longest = 0.0
    current: Span | None = None
    for start, end, kind in sorted(spans, key=lambda span: (span[0], -span[1])):
        joins = current is not None and (
            start < current[1]
            or (kind == current[2] == "NAME" and text[current[1] : start] in {"", " ", ", "})
        )
        if current is None or not joins:
            if current is not None:
                yield current
            current, longest = (start, end, kind), _weight(start, end, kind)
            continue
        weight = _weight(start, end, kind)
        name = kind if weight > longest else current[2]
        longest = max(longest, weight)
        current = (current[0], max(current[1], end), name)
    if current is not None:
        yield current


def _weight(start: int, end: int, kind: str) -> float:
    return end - start + (0.0 if kind == "ID" else 0.5)
