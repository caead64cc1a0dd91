"""Presidio as it comes beside our de-identifier: processor time of a note, wall time of two workers, sockets.

What ``test_deid_figures`` runs in a process of its own. Notes are of the held-out half, about 3,000
characters; the two sides are taken in turn, one note at a time, as both libraries are called; then ours in
batches, and over one and two workers, where what starting costs is taken off (the same notes twice and eight
times). A hook counts the hosts that either side looks up or connects to. Prints one JSON line; arguments:
number of notes, of rounds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngineProvider

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.gold import GoldNote, parse_gold
from intraward_client.deid.model import MODEL_NAME, model_directory
from intraward_simulation.deid_corpus.rows import write_rows

CHARACTERS = 3000
SECRET = bytes(range(32))
_TIMES = (2, 8)
_EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname"}


def presidio() -> AnalyzerEngine:
    """An engine with every default of Presidio's, over the same spaCy model."""
    model = {"lang_code": "en", "model_name": str(model_directory(MODEL_NAME))}
    engine = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [model]}
    ).create_engine()
    return AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])


def long_notes(count: int) -> list[GoldNote]:
    """Notes of about 3,000 characters each: those of the held-out half, cut to length."""
    notes = []
    for row in write_rows("notes", "held-out", 40 * count, seed=3):
        if len(row["text"]) >= CHARACTERS:
            cut = row["text"].rfind("\n", 0, CHARACTERS)
            notes.append(parse_gold({**row, "text": row["text"][:cut], "spans": []}))
        if len(notes) == count:
            return notes
    raise AssertionError("too few long notes")


def main(count: int, rounds: int) -> dict[str, Any]:
    """The figures, by side; seconds are of one note."""
    hosts: dict[str, set[str]] = {"presidio": set(), "ours": set()}
    side = "ours"

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event in _EVENTS:
            hosts[side].add(str(arguments[1] if event == "socket.connect" else arguments[0]))

    sys.addaudithook(watch)
    ours, notes = Deidentifier(DeidSettings(), SECRET), long_notes(count)
    raw = [note.raw(number, use_known=True) for number, note in enumerate(notes)]
    texts = [note.text for note in notes]
    mail = "Write to o.varga@example.org about the results."
    ours.deidentify_text(mail, "p", {})
    side = "presidio"
    rival = presidio()
    rival.analyze(mail, "en")
    spent: dict[str, list[float]] = {"presidio": [], "ours": [], "ours in batches": []}
    for _ in range(rounds):
        side = "presidio"
        spent[side].append(_processor(lambda: [rival.analyze(text, "en") for text in texts]) / count)
        side = "ours"
        spent[side].append(_processor(lambda: [ours.deidentify(note) for note in raw]) / count)
        spent["ours in batches"].append(_processor(lambda: list(ours.deidentify_many(raw))) / count)
    return {
        "characters": sum(map(len, texts)) / count,
        "seconds": spent,
        "hosts": {name: sorted(found) for name, found in hosts.items()},
        "wall": {workers: _slope(ours, raw, workers) for workers in (1, 2)},
    }


def _slope(ours: Deidentifier, raw: Sequence[Any], workers: int) -> float:
    """Wall seconds of a note, without what starting costs."""
    took = []
    for times in _TIMES:
        start = time.perf_counter()
        list(ours.deidentify_many(list(raw) * times, workers))
        took.append(time.perf_counter() - start)
    return (took[1] - took[0]) / ((_TIMES[1] - _TIMES[0]) * len(raw))


def _processor(act: Any) -> float:
    start = time.process_time()
    act()
    return time.process_time() - start


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]), int(sys.argv[2]))))
