"""How well the de-identifier finds identifiers, on notes with gold spans.

Follows section 4 of the facts page: an entity is found when every token of it is covered, whatever label
it got; a leak is a token of an identifier that is left. Bounds are Wilson 95 % score intervals (Wilson
1927). A missed entity of a note that the second look quarantined leaks nothing: ``leaked_entities`` counts
released notes only. Offsets refer to the text as given, so detection runs on it without normalisation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import regex

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import Quarantined

_TOKEN = regex.compile(r"[\p{L}\p{N}]+")
_Z = 1.959963984540054


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
    """The figures of one evaluation; counts only."""

    notes: int
    quarantined: int
    entity_recall: Share
    token_recall: Share
    token_precision: Share
    over_redaction: Share
    clean_notes: Share
    leaked_entities: int
    leaked_tokens: int
    by_class: Mapping[str, Share]
    by_role: Mapping[str, Share]

    @property
    def leaks_per_thousand(self) -> float:
        """Identifiers left in 1,000 released notes; 0 when none was released."""
        return 1000 * self.leaked_entities / max(1, self.notes - self.quarantined)

    @property
    def f2(self) -> float:
        """F2 over tokens: recall counts four times as much as precision."""
        recall, precision = self.token_recall.value, self.token_precision.value
        return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The report for ``--json``."""
        shares = {
            name: getattr(self, name)
            for name in ("entity_recall", "token_recall", "token_precision", "over_redaction", "clean_notes")
        }
        return {
            "notes": self.notes,
            "quarantined": self.quarantined,
            "leaked_entities": self.leaked_entities,
            "leaked_tokens": self.leaked_tokens,
            "leaks_per_thousand": self.leaks_per_thousand,
            "f2": self.f2,
            **{name: _plain(share) for name, share in shares.items()},
            "by_class": {name: _plain(share) for name, share in self.by_class.items()},
            "by_role": {name: _plain(share) for name, share in self.by_role.items()},
        }


def evaluate(
    rows: Iterable[Mapping[str, Any]],
    deidentifier: Deidentifier,
    *,
    use_known: bool = True,
    progress: Callable[[int], None] | None = None,
) -> DeidReport:
    """Score ``deidentifier`` on rows ``{"text", "spans": [{"start", "end", "entity", "role"?}], "known"?}``.

    Args:
        use_known: whether the rows' known identifiers are given to the de-identifier.
    """
    score = _Score()
    for number, row in enumerate(rows, start=1):
        known = row.get("known") or {} if use_known else {}
        outcome = deidentifier.deidentify_text(row["text"], str(row.get("patient", number)), known)
        covered = [(start, end) for start, end, _ in deidentifier.find(row["text"], known)]
        score.add(row["text"], row["spans"], covered, isinstance(outcome, Quarantined))
        if progress is not None:
            progress(number)
    return score.report()


class _Score:
    """Running counts."""

    def __init__(self) -> None:
        self.notes = self.quarantined = self.clean = self.leaked = self.leaked_tokens = 0
        self.tokens = {"phi": 0, "phi_removed": 0, "other": 0, "other_removed": 0}
        self.classes: dict[str, tuple[int, int]] = {}
        self.roles: dict[str, tuple[int, int]] = {}

    def add(
        self,
        text: str,
        spans: Sequence[Mapping[str, Any]],
        covered: Sequence[tuple[int, int]],
        quarantined: bool,
    ) -> None:
        self.notes += 1
        self.quarantined += quarantined
        removed, gold = _cover(len(text), covered), _cover(len(text), [(s["start"], s["end"]) for s in spans])
        for token in _TOKEN.finditer(text):
            kind = "phi" if any(gold[token.start() : token.end()]) else "other"
            self.tokens[kind] += 1
            gone = all(removed[token.start() : token.end()])
            self.tokens[f"{kind}_removed"] += gone
            self.leaked_tokens += kind == "phi" and not gone and not quarantined
        missed = 0
        for span in spans:
            found = all(
                removed[index] for index in range(span["start"], span["end"]) if text[index].isalnum()
            )
            missed += not found
            _count(self.classes, span["entity"], found)
            if isinstance(span.get("role"), str):
                _count(self.roles, span["role"], found)
        self.clean += missed == 0
        self.leaked += 0 if quarantined else missed

    def report(self) -> DeidReport:
        tokens, hits = self.tokens, sum(hit for hit, _ in self.classes.values())
        taken = tokens["phi_removed"] + tokens["other_removed"]
        return DeidReport(
            notes=self.notes,
            quarantined=self.quarantined,
            entity_recall=Share(hits, sum(total for _, total in self.classes.values())),
            token_recall=Share(tokens["phi_removed"], tokens["phi"]),
            token_precision=Share(tokens["phi_removed"], taken),
            over_redaction=Share(tokens["other_removed"], tokens["other"]),
            clean_notes=Share(self.clean, self.notes),
            leaked_entities=self.leaked,
            leaked_tokens=self.leaked_tokens,
            by_class={name: Share(*counts) for name, counts in sorted(self.classes.items())},
            by_role={name: Share(*counts) for name, counts in sorted(self.roles.items())},
        )


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
