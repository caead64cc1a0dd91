"""The de-identifier: raw note in, de-identified note or quarantine reason out.

Keeps rules 1 and 2 of DESIGN.md. One way through: normalise and check, detect (Presidio, the rule pack,
the known identifiers, every other mention of a name found), replace, look again. Detectors are united,
not voted on. Whatever goes wrong with a note, its outcome is `Quarantined` with a fixed reason code; the
text is in no exception, no log line and no file. `self_test` refuses an unfit installation at start.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cached_property
from typing import Literal

from pydantic import Field

from intraward_client.deid import residue
from intraward_client.deid.detection import Seen
from intraward_client.deid.echoes import Echoes
from intraward_client.deid.engine import Engine, Stronger, load_parts
from intraward_client.deid.intake_checks import normalise, reason_to_refuse
from intraward_client.deid.items import batches, items_of
from intraward_client.deid.known import KnownIdentifiers
from intraward_client.deid.libraries import AnonymizerSpan, OperatorConfig
from intraward_client.deid.model import BATCH, MODEL_NAME, MODEL_SHA256, check_model
from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, Quarantined, seal_note
from intraward_client.deid.offsets import original_spans
from intraward_client.deid.people import SurrogateClash, header_names
from intraward_client.deid.pins import check_pack
from intraward_client.deid.raw import RawNote, ingest, reveal
from intraward_client.deid.recognizers import pack_digest
from intraward_client.deid.ruling import NO_RULING, Examined, Ruling, reason_of
from intraward_client.deid.selftest import check_canaries, check_detectors
from intraward_client.deid.silence import silence
from intraward_client.deid.spans import Span, unite
from intraward_client.deid.surrogates import OPERATOR, Item, PatientKey
from intraward_shared.config import Strict
from intraward_shared.errors import DeidError

Outcome = DeidentifiedNote | Quarantined
Progress = Callable[[int, int], None]
_MIN_SECRET = 16


class DeidSettings(Strict):
    """What the site may choose; the rule pack itself is code."""

    profile: Literal["safe-harbor", "research"] = "safe-harbor"
    replacement: Literal["tags", "surrogates"] = "tags"
    date_order: Literal["month-first", "day-first"] = "month-first"
    model: str = MODEL_NAME
    model_sha256: str = MODEL_SHA256
    stronger: Stronger | None = None
    max_chars: int = Field(default=20_000, gt=0, le=200_000)
    timeout_seconds: float = Field(default=10.0, gt=0)
    reference_year: int = Field(default_factory=lambda: date.today().year, ge=2000, le=2200)
    canaries: tuple[str, ...] = Field(default=(), repr=False)


class _HeldBack(Exception):
    """The item is quarantined; ``reason`` is a fixed code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Deidentifier:
    """One engine with its rule pack. ``secret`` (16 bytes or more) keys surrogates and never leaves the site.

    Raises:
        DeidError: the secret is short, or the model is missing or not the pinned one.
    """

    def __init__(self, settings: DeidSettings, secret: bytes) -> None:
        if len(secret) < _MIN_SECRET:
            raise DeidError("the de-identification secret is too short", remedy="use 16 random bytes or more")
        self._settings, self._secret = settings, secret
        check_model(settings.model, settings.model_sha256)
        self._pack_sha256 = pack_digest()
        if settings.stronger is not None:
            _ = self._engine  # its folder is checked as it is loaded

    def __repr__(self) -> str:
        return f"Deidentifier(profile={self._settings.profile!r})"

    @property
    def settings(self) -> DeidSettings:
        """The settings this engine was built with."""
        return self._settings

    @property
    def pack_sha256(self) -> str:
        """Digest of the rule pack, as receipts name it."""
        return self._pack_sha256

    @property
    def keyed(self) -> bool:
        """Whether outcomes depend on the secret: they hold surrogates or shifted dates, not tags alone."""
        return self._settings.profile == "research" or self._settings.replacement == "surrogates"

    def fingerprint(self) -> str:
        """Digest of all that an outcome depends on beside its note; of the secret a keyed name only."""
        named = hmac.new(self._secret, b"fingerprint", "sha256").hexdigest() if self.keyed else ""
        parts = (self._settings.model_dump_json(), self._pack_sha256, named)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @property
    def model_sha256(self) -> str:
        """Digest of the model, as receipts name it; of both, joined by a plus sign, if there are two."""
        stronger = self._settings.stronger
        return self._settings.model_sha256 + (f"+{stronger.sha256}" if stronger else "")

    @cached_property
    def _engine(self) -> Engine:
        """Loaded when a text of this process's own needs it; whoever leaves all to workers never does."""
        silence()
        given = self._settings
        return load_parts(given.model, given.model_sha256, given.stronger)

    def ready(self, workers: int = 1) -> None:
        """`self_test`, where this process is the one that works; each of several workers tests itself.

        Raises:
            DeidError: this engine is not fit to run.
        """
        if workers == 1:
            self.self_test()

    def self_test(self) -> None:
        """Refuse to run when a detector is absent, a canary survives, or a clinical phrase does not.

        Raises:
            DeidError: with the entity type or canary class that failed, never its text.
        """
        check_pack(self._pack_sha256)
        check_detectors(self._engine.analyzer, self._engine.stronger, self._settings.timeout_seconds)
        check_canaries(self.deidentify_text, self._left)

    def deidentify(self, raw: RawNote) -> Outcome:
        """De-identify one note; every failure is a `Quarantined`."""
        return self.deidentify_together((raw,))[0]

    def deidentify_together(self, item: Sequence[RawNote]) -> tuple[Outcome, ...]:
        """De-identify the texts of one row: one surrogate map, released together or held back together."""
        return self._run(item, self._read([reveal(note)[0] for note in item]))

    def rule(self, item: Sequence[RawNote], ruling: Ruling) -> tuple[Outcome, ...]:
        """De-identify an item once more, with what a reviewer marked and accepted."""
        return self._run(item, self._read([reveal(note)[0] for note in item]), ruling)

    def examine(self, item: Sequence[RawNote]) -> tuple[Examined, ...]:
        """What a reviewer is shown of an item: every text, its spans, and what the second look finds.

        Raises:
            TimeoutError: a rule took too long.
        """
        plains = [normalise(reveal(note)[0]) for note in item]
        _, identifiers, echoes = self._header(item)
        spans = self._engine.detector.spans([self._alone(plain) for plain in plains], identifiers)
        return tuple(
            Examined(
                plain, own, tuple(residue.findings(plain, _places(own), echoes, self._settings.canaries))
            )
            for plain, own in zip(plains, spans, strict=True)
        )

    def deidentify_text(self, text: str, patient_id: str, known: Mapping[str, str]) -> Outcome:
        """De-identify text a person typed (rationale, correction, draft), by the same way."""
        return self.deidentify(ingest("", patient_id, text, known))

    def deidentify_batch(self, notes: Sequence[RawNote]) -> Iterator[Outcome]:
        """De-identify a few notes in order; the model reads them together, the rest is item by item."""
        read = self._read([reveal(note)[0] for note in notes])
        for item in items_of(notes):
            yield from self._run(item, read[: len(item)])
            read = read[len(item) :]

    def deidentify_many(
        self,
        notes: Iterable[RawNote],
        workers: int = 1,
        progress: Progress | None = None,
        total: int | None = None,
    ) -> Iterator[Outcome]:
        """De-identify ``notes`` in order, taking them a few at a time.

        Args:
            workers: more than one uses that many processes, one engine each, tested as it starts.
            progress: told notes done and ``total`` (the length of ``notes``, where it has one).
        """
        expected = total if total is not None else len(notes) if isinstance(notes, Sequence) else 0
        outcomes = self._outcomes(iter(notes), workers)
        for done, outcome in enumerate(outcomes, start=1):
            if progress is not None:
                progress(done, max(done, expected))
            yield outcome

    def _outcomes(self, notes: Iterator[RawNote], workers: int) -> Iterator[Outcome]:
        if workers > 1:
            from intraward_client.deid.pool import deidentify_in_pool

            yield from deidentify_in_pool(self._settings, self._secret, notes, workers)
            return
        for batch in batches(notes, BATCH):
            yield from self.deidentify_batch(batch)

    def find(self, text: str, known: Mapping[str, str] | None = None) -> tuple[Span, ...]:
        """Non-overlapping spans ``(start, end, class)`` in ``text``; for the evaluation."""
        identifiers = KnownIdentifiers(known or {}, self._engine.words)
        return self._engine.detector.spans([self._alone(text)], identifiers)[0]

    def _read(self, texts: Sequence[str]) -> list[Seen | None]:
        """What the model finds in each text; None where it must be read alone, and its error be its own."""
        started = time.monotonic()
        try:
            plains = [self._fit(text) for text in texts]
            found = iter(self._engine.detector.look([plain for plain in plains if plain is not None]))
            read = [None if plain is None else next(found) for plain in plains]
        except Exception:
            return [None] * len(texts)
        slow = time.monotonic() - started > self._settings.timeout_seconds * len(texts)
        return [None] * len(texts) if slow else read

    def _fit(self, text: str) -> str | None:
        plain = normalise(text)
        return None if reason_to_refuse(plain, self._settings.max_chars, self._engine.words) else plain

    def _run(
        self, item: Sequence[RawNote], read: Sequence[Seen | None], ruling: Ruling = NO_RULING
    ) -> tuple[Outcome, ...]:
        try:
            return self._clean(item, read, ruling)
        except _HeldBack as held:
            reason = held.reason
        except TimeoutError:
            reason = "timeout"
        except SurrogateClash:
            reason = "surrogate-clash"
        except Exception:
            reason = "error"
        return tuple(Quarantined(note.note_id, note.patient_id, reason) for note in item)

    def _clean(
        self, item: Sequence[RawNote], read: Sequence[Seen | None], ruling: Ruling
    ) -> tuple[Outcome, ...]:
        started = time.monotonic()
        texts = [reveal(note)[0] for note in item]
        seen = [one or self._alone(self._checked(text)) for one, text in zip(read, texts, strict=True)]
        plains = [one.plain for one in seen]
        known, identifiers, echoes = self._header(item)
        spans = self._engine.detector.spans(seen, identifiers)
        if ruling.marks:
            marked = zip(spans, ruling.marks, plains, strict=True)
            spans = [tuple(unite((*own, *more), plain)) for own, more, plain in marked]
        replaced = self._replace(plains, spans, item[0].patient_id, known, identifiers)
        codes = {
            code
            for output, places in replaced
            for _, _, code in residue.findings(output, places, echoes, self._settings.canaries)
        }
        if reason := reason_of(frozenset(codes), ruling):
            raise _HeldBack(reason)
        if time.monotonic() - started > self._settings.timeout_seconds * len(item):
            raise TimeoutError  # Presidio skips a pattern that times out and goes on; here that stops
        return tuple(
            seal_note(
                note.note_id, note.patient_id, output, self._receipt(own), original_spans(text, plain, own)
            )
            for note, text, plain, own, (output, _) in zip(item, texts, plains, spans, replaced, strict=True)
        )

    def _header(self, item: Sequence[RawNote]) -> tuple[dict[str, str], KnownIdentifiers, Echoes]:
        """Known identifiers of an item's patient, for both looks."""
        known = {key: normalise(value) for note in item for key, value in reveal(note)[1].items()}
        patient_id = item[0].patient_id
        identifiers = KnownIdentifiers(known, self._engine.words, patient_id)
        return known, identifiers, Echoes(known, self._engine.words, patient_id)

    def _checked(self, text: str) -> str:
        plain = normalise(text)
        if reason := reason_to_refuse(plain, self._settings.max_chars, self._engine.words):
            raise _HeldBack(reason)
        return plain

    def _alone(self, plain: str) -> Seen:
        return self._engine.detector.look([plain])[0]

    def _receipt(self, spans: Sequence[Span]) -> DeidReceipt:
        counts = dict(sorted(Counter(kind for _, _, kind in spans).items()))
        return DeidReceipt(self._settings.profile, self._pack_sha256, self.model_sha256, counts)

    def _left(self, canary: str, outcome: DeidentifiedNote) -> str:
        """What of a canary was not replaced; a surrogate may look like its original, a tag not."""
        left = residue.mask(canary, [(start, end) for start, end, _ in outcome.spans])
        return left if self.keyed else left + outcome.text

    def _replace(
        self,
        texts: Sequence[str],
        spans: Sequence[tuple[Span, ...]],
        patient_id: str,
        known: Mapping[str, str],
        identifiers: KnownIdentifiers,
    ) -> list[tuple[str, list[tuple[int, int]]]]:
        """Every text with its spans replaced, and where the replacements lie."""
        settings = self._settings
        item = Item.of(
            PatientKey(self._secret, patient_id),
            texts,
            spans,
            reference_year=settings.reference_year,
            day_first=settings.date_order == "day-first",
            known_names=header_names(known),
            forbidden=lambda value: next(identifiers.find(value), None) is not None,
        )
        given = {
            "profile": settings.profile,
            "surrogates": settings.replacement == "surrogates",
            "item": item,
        }
        replaced = []
        for text, own in zip(texts, spans, strict=True):
            result = self._engine.anonymizer.anonymize(
                text,
                [AnonymizerSpan(kind, start, end, 1.0) for start, end, kind in own],
                operators={kind: OperatorConfig(OPERATOR, {**given, "kind": kind}) for *_, kind in own},
                merge_entities_with_spaces=False,
            )
            replaced.append((result.text, [(place.start, place.end) for place in result.items]))
        return replaced


def _places(spans: Sequence[Span]) -> list[tuple[int, int]]:
    return [(start, end) for start, end, _ in spans]
