"""The first look: what the model, the rules and the known identifiers find in the texts of an item.

Keeps rule 2 of DESIGN.md. Detectors are united, not voted on. All but the known-identifier pass read a view
of the text with its capitals restored (``recase``); the model is spared the sentences that name nobody
(``sparing``). A name that is found in one text of an item is found in all of them (``mentions``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from intraward_client.deid.filters import settle
from intraward_client.deid.known import KnownIdentifiers
from intraward_client.deid.libraries import AnalyzerEngine, NlpArtifacts, RecognizerResult
from intraward_client.deid.mentions import other_mentions
from intraward_client.deid.model import LeanSpacyEngine
from intraward_client.deid.recase import recase
from intraward_client.deid.recognizers import CLASS_OF
from intraward_client.deid.spans import Span, unite
from intraward_client.deid.sparing import spared
from intraward_client.deid.wordkinds import word_kinds

_GAP = "\n\n"


@dataclass(frozen=True, slots=True, repr=False)
class Seen:
    """A normalised text, the view of it that is read, and what the model found there."""

    plain: str
    view: str
    artifacts: NlpArtifacts = field(repr=False)


class Detector:
    """One engine with the analyzer over it."""

    def __init__(self, engine: LeanSpacyEngine, analyzer: AnalyzerEngine, words: frozenset[str]) -> None:
        self._engine, self._analyzer, self._words = engine, analyzer, words
        self._kinds = word_kinds(words)

    def look(self, plains: Sequence[str]) -> list[Seen]:
        """What the model finds in normalised texts, read together."""
        views = [recase(plain, self._kinds) for plain in plains]
        found = self._engine.read([spared(view, self._kinds) for view in views])
        return [Seen(*one) for one in zip(plains, views, found, strict=True)]

    def spans(self, item: Sequence[Seen], known: KnownIdentifiers) -> list[tuple[Span, ...]]:
        """Spans ``(start, end, class)`` of every text of an item, none overlapping another.

        Raises:
            TimeoutError: a rule took too long.
        """
        found = [[*self.of_view(seen), *known.find(seen.plain)] for seen in item]
        views = [seen.view for seen in item]
        starts = [sum(len(view) + len(_GAP) for view in views[:number]) for number in range(len(views))]
        everywhere = [
            (start + at, end + at, kind)
            for at, own in zip(starts, found, strict=True)
            for start, end, kind in own
        ]
        for start, end, kind in other_mentions(_GAP.join(views), everywhere, self._kinds):
            number = bisect_right(starts, start) - 1
            found[number].append((start - starts[number], end - starts[number], kind))
        return [tuple(unite(spans, seen.plain)) for seen, spans in zip(item, found, strict=True)]

    def of_view(self, seen: Seen) -> list[Span]:
        """What the model and the rules find in the view of one text, filtered."""
        found: list[RecognizerResult] = self._analyzer.analyze(seen.view, "en", nlp_artifacts=seen.artifacts)
        settled = settle(found, seen.view, self._words)
        return [(start, end, CLASS_OF.get(entity, "ID")) for start, end, entity in settled]
