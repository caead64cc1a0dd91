"""How well the de-identifier finds identifiers, on notes with gold spans.

Scores what would be released: every row goes the one way through (normalising, detection, replacement,
second look), and the spans that it reports in the original text are compared with the gold. Follows section
4 of the facts page: an entity is found when every letter and digit of it is covered, whatever label it got; a
leak is an entity, or a token, that is not. A note that is held back leaks nothing and is not scored: recall,
precision and over-redaction are of released notes, and the share released stands beside them. Bounds are
Wilson 95 % score intervals (Wilson 1927).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.gold import GoldNote
from intraward_client.deid.note import Quarantined

_TOKEN = regex.compile(r"[\p{L}\p{N}]+")
_Z = 1.959963984540054
SHARES = (
    "released",
    "entity_recall",
    "token_recall",
    "token_precision",
    "over_redaction",
    "clean_notes",
    "touched_notes",
)
"""The shares of a report, in the order in which they are told."""


@dataclass(frozen=True, slots=True)
class Share:
    """``hits`` out of ``total`` with its Wilson 95 % interval."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        """The share; 1.0 when there was nothing to find."""
        return self.hits / self.total if self.total else 1.0

    @property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper Wilson bound."""
        return wilson(self.hits, self.total)


@dataclass(frozen=True, slots=True)
class DeidReport:
    """The figures of one evaluation; counts only.

    Shares count released notes, but for ``released`` itself. ``clean_notes`` have no leak, ``touched_notes``
    lost something that is no identifier.
    """

    notes: int
    quarantined: int
    by_reason: Mapping[str, int]
    released: Share
    entity_recall: Share
    token_recall: Share
    token_precision: Share
    over_redaction: Share
    clean_notes: Share
    touched_notes: Share
    leaked_entities: int
    leaked_direct: int
    leaked_tokens: int
    by_class: Mapping[str, Share]
    by_role: Mapping[str, Share]

    @property
    def leaks_per_thousand(self) -> float:
        """Identifiers left in 1,000 released notes; 0 when none was released."""
        return self._per_thousand(self.leaked_entities)

    @property
    def direct_leaks_per_thousand(self) -> float:
        """Direct identifiers (`gold.DIRECT`) left in 1,000 released notes."""
        return self._per_thousand(self.leaked_direct)

    @property
    def f2(self) -> float:
        """F2 over tokens: recall counts four times as much as precision."""
        recall, precision = self.token_recall.value, self.token_precision.value
        return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report for ``--json``."""
        return {
            "notes": self.notes,
            "quarantined": self.quarantined,
            "by_reason": dict(self.by_reason),
            "leaked_entities": self.leaked_entities,
            "leaked_direct": self.leaked_direct,
            "leaked_tokens": self.leaked_tokens,
            "leaks_per_thousand": self.leaks_per_thousand,
            "direct_leaks_per_thousand": self.direct_leaks_per_thousand,
            "f2": self.f2,
            **{name: _plain(getattr(self, name)) for name in SHARES},
            "by_class": {name: _plain(share) for name, share in self.by_class.items()},
            "by_role": {name: _plain(share) for name, share in self.by_role.items()},
        }

    def _per_thousand(self, leaks: int) -> float:
        return 1000 * leaks / max(1, self.released.hits)


def evaluate(
    notes: Sequence[GoldNote],
    deidentifier: Deidentifier,
    *,
    use_known: bool = True,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> DeidReport:
    """Score ``deidentifier`` on gold notes.

    Args:
        use_known: whether the de-identifier is given the notes' known identifiers.
        workers: processes.
        progress: told notes done and notes in all.
    """
    score = Score()
    raw = [note.raw(number, use_known=use_known) for number, note in enumerate(notes, start=1)]
    outcomes = deidentifier.deidentify_many(raw, workers, progress)
    for note, outcome in zip(notes, outcomes, strict=True):
        if isinstance(outcome, Quarantined):
            score.hold_back(outcome.reason)
        else:
            score.add(note, [(start, end) for start, end, _ in outcome.spans])
    return score.report()


class Score:
    """Running counts; of any detector whose spans are offsets of the gold text."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._released = self._clean = self._touched = self._direct = 0
        self._tokens = {"phi": 0, "phi_removed": 0, "other": 0, "other_removed": 0}
        self._classes: dict[str, tuple[int, int]] = {}
        self._roles: dict[str, tuple[int, int]] = {}

    def hold_back(self, reason: str) -> None:
        """Count a note that was not released."""
        self._reasons[reason] += 1

    def add(self, note: GoldNote, covered: Iterable[tuple[int, int]]) -> None:
        """Score a released note whose characters ``covered`` were replaced."""
        removed = _cover(len(note.text), covered)
        over = self._add_tokens(note, removed)
        missed = 0
        for span in note.spans:
            found = all(removed[index] for index in range(span.start, span.end) if note.text[index].isalnum())
            missed += not found
            self._direct += span.direct and not found
            _count(self._classes, span.entity, found)
            if span.role is not None:
                _count(self._roles, span.role, found)
        self._released += 1
        self._clean += missed == 0
        self._touched += over > 0

    def report(self) -> DeidReport:
        """The figures so far."""
        tokens, held = self._tokens, sum(self._reasons.values())
        hits, entities = map(sum, zip(*self._classes.values(), strict=True)) if self._classes else (0, 0)
        return DeidReport(
            notes=self._released + held,
            quarantined=held,
            by_reason=dict(sorted(self._reasons.items())),
            released=Share(self._released, self._released + held),
            entity_recall=Share(hits, entities),
            token_recall=Share(tokens["phi_removed"], tokens["phi"]),
            token_precision=Share(tokens["phi_removed"], tokens["phi_removed"] + tokens["other_removed"]),
            over_redaction=Share(tokens["other_removed"], tokens["other"]),
            clean_notes=Share(self._clean, self._released),
            touched_notes=Share(self._touched, self._released),
            leaked_entities=entities - hits,
            leaked_direct=self._direct,
            leaked_tokens=tokens["phi"] - tokens["phi_removed"],
            by_class={name: Share(*counts) for name, counts in sorted(self._classes.items())},
            by_role={name: Share(*counts) for name, counts in sorted(self._roles.items())},
        )

    def _add_tokens(self, note: GoldNote, removed: bytearray) -> int:
        """Count tokens; how many that are no identifier were removed."""
        gold, over = _cover(len(note.text), ((span.start, span.end) for span in note.spans)), 0
        for token in _TOKEN.finditer(note.text):
            start, end = token.span()
            kind = "phi" if 1 in gold[start:end] else "other"
            gone = 0 not in removed[start:end]
            self._tokens[kind] += 1
            self._tokens[f"{kind}_removed"] += gone
            over += gone and kind == "other"
        return over


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Wilson 95 % score interval of a share; (0, 1) when nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share, square = hits / total, _Z * _Z
    centre = (share + square / (2 * total)) / (1 + square / total)
    half = _Z * math.sqrt(share * (1 - share) / total + square / (4 * total * total)) / (1 + square / total)
    return max(0.0, centre - half), min(1.0, centre + half)


def _count(table: dict[str, tuple[int, int]], name: str, found: bool) -> None:
    hits, total = table.get(name, (0, 0))
    table[name] = (hits + found, total + 1)


def _cover(length: int, spans: Iterable[tuple[int, int]]) -> bytearray:
    covered = bytearray(length)
    for start, end in spans:
        covered[start:end] = b"\x01" * (end - start)
    return covered


def _plain(share: Share) -> dict[str, float | int]:
    low, high = share.bounds
    return {"hits": share.hits, "total": share.total, "value": share.value, "low": low, "high": high}
