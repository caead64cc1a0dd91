"""De-identification in several processes, one engine each, results in input order.

Raw notes refuse pickling, so plain tuples travel: inside this package only, over the pipes of child
processes of the ward. Children are spawned, not forked (a fork would copy locks and threads of the ward).
A child that dies is an error of the run, not of a note: the import resumes where it stopped.
"""

from __future__ import annotations

import gc
import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING

from intraward_client.deid.items import batches
from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, Quarantined, seal_note
from intraward_client.deid.raw import RawNote, ingest, reveal
from intraward_client.memory import keep_memory_private
from intraward_shared.errors import DeidError

if TYPE_CHECKING:
    from intraward_client.deid.deidentifier import Deidentifier, DeidSettings

_CHUNK = 16
_AHEAD = 4
"""Chunks under way for each worker: enough that none waits, few enough that memory stays bounded."""
_Plain = tuple[str, str, str, dict[str, str], str]
_Spans = tuple[tuple[int, int, str], ...]
_Refusal = tuple[str, str]
_Answer = tuple[str, str, str, tuple[str, str, str, dict[str, int]] | None, _Spans]
_engine: Deidentifier | None = None
_refusal: _Refusal = ("a de-identification worker has no engine", "run again")
"""Why this worker does not work, where it has no engine: message and remedy."""


def deidentify_in_pool(
    settings: DeidSettings, secret: bytes, notes: Iterable[RawNote], workers: int
) -> Iterator[DeidentifiedNote | Quarantined]:
    """Outcomes in the order of ``notes``; a few chunks per worker are under way.

    Raises:
        DeidError: a worker failed its self-test, could not start, or died.
    """
    context = multiprocessing.get_context("spawn")
    started = (settings.model_dump(), secret)
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=started) as pool:
        waiting: deque[Future[list[_Answer] | _Refusal]] = deque()
        try:
            for chunk in batches(notes, _CHUNK):
                waiting.append(pool.submit(_work, [_plain(note) for note in chunk]))
                if len(waiting) >= _AHEAD * workers:
                    yield from _outcomes(waiting.popleft().result())
            while waiting:
                yield from _outcomes(waiting.popleft().result())
        except BrokenProcessPool:
            raise DeidError(
                "a de-identification worker died",
                remedy="run again; it resumes (fewer workers need less memory)",
            ) from None
        finally:
            for future in waiting:
                future.cancel()


def _plain(note: RawNote) -> _Plain:
    text, known = reveal(note)
    return note.note_id, note.patient_id, text, dict(known), note.item


def _outcomes(answers: list[_Answer] | _Refusal) -> Iterator[DeidentifiedNote | Quarantined]:
    if isinstance(answers, tuple):
        message, remedy = answers
        raise DeidError(message, remedy=remedy)
    return map(_outcome, answers)


def _outcome(answer: _Answer) -> DeidentifiedNote | Quarantined:
    note_id, patient_id, text, receipt, spans = answer
    if receipt is None:
        return Quarantined(note_id, patient_id, text)
    return seal_note(note_id, patient_id, text, DeidReceipt(*receipt), spans)


def _start(settings: dict[str, object], secret: bytes) -> None:
    from intraward_client.deid.deidentifier import Deidentifier, DeidSettings

    global _engine, _refusal
    keep_memory_private()  # a child inherits only the limit on core files
    try:
        engine = Deidentifier(DeidSettings.model_validate(settings), secret)
        engine.self_test()
    except DeidError as error:
        _refusal = (error.message, error.remedy)
        return
    gc.collect()
    gc.freeze()  # model and rules stay for good: looking through them again and again cost 8 % of the time
    _engine = engine


def _work(plain: list[_Plain]) -> list[_Answer] | _Refusal:
    """Outcomes as plain tuples; why there are none where the worker is not fit to run."""
    if _engine is None:
        return _refusal
    answers: list[_Answer] = []
    for outcome in _engine.deidentify_batch([ingest(*row) for row in plain]):
        note_id, patient_id = outcome.note_id, outcome.patient_id
        if isinstance(outcome, Quarantined):
            answers.append((note_id, patient_id, outcome.reason, None, ()))
        else:
            r = outcome.receipt
            receipt = (r.profile, r.pack_sha256, r.model_sha256, dict(r.counts))
            answers.append((note_id, patient_id, outcome.text, receipt, outcome.spans))
    return answers
