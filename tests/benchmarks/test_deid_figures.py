"""The de-identifier's figures: Presidio as it comes, ours on the half rules are written by, ours held out.

Each row names what is asked of it; the drop from the first half to the second says how far the rules are
fitted to what their writer saw. Presidio is measured here, with its defaults and the same spaCy model, on the
held-out half. ``INTRAWARD_BENCH_NOTES`` sets how many rows of each kind (400). Dates: of day-first styles
only days past the 12th, since nothing says which of two smaller numbers is the month.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.benchmarks.deid_rival import SECRET, presidio

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.evaluate import DeidReport, Score, Share, evaluate
from intraward_client.deid.gold import GoldNote, parse_gold
from intraward_client.deid.note import DeidentifiedNote
from intraward_simulation.deid_corpus.half import HalfName, load_half
from intraward_simulation.deid_corpus.people import make_person
from intraward_simulation.deid_corpus.rows import KINDS, Kind, write_rows
from intraward_simulation.deid_corpus.values import draw_day, write_date

pytestmark = [pytest.mark.bench, pytest.mark.timeout(3600)]

ROOT = Path(__file__).parents[2]
COUNT = int(os.environ.get("INTRAWARD_BENCH_NOTES", "400"))
LINES = 119
SEED = 2026
MANY = 20
"""Cases from which on a class counts for the worst one."""
Find = Callable[[GoldNote], Iterable[tuple[int, int]]]
Reports = dict[Kind, DeidReport]


@dataclass(frozen=True)
class Row:
    """A line of the table: a figure of three reports, and what is asked."""

    title: str
    figure: Callable[[Reports], float]
    asked: str
    digits: int = 4


def pooled(names: Iterable[str], shares: Iterable[tuple[str, Share]]) -> float:
    """Recall over the named classes or roles together."""
    chosen = [share for name, share in shares if name in set(names)]
    return Share(sum(s.hits for s in chosen), sum(s.total for s in chosen)).value


def worst(report: DeidReport) -> float:
    """Recall of the worst class that has at least 20 cases."""
    return min((share.value for share in report.by_class.values() if share.total >= MANY), default=1.0)


def of_class(*names: str) -> Callable[[Reports], float]:
    """Recall of a few classes in the notes."""
    return lambda reports: pooled(names, reports["notes"].by_class.items())


ROWS = (
    Row("entity recall, notes with known header", lambda r: r["notes"].entity_recall.value, ">= 0.995"),
    Row("  patients' names", lambda r: pooled(["PATIENT"], r["notes"].by_role.items()), "1.000"),
    Row(
        "  relatives' and others' names",
        lambda r: pooled(["RELATIVE", "OTHER"], r["notes"].by_role.items()),
        "",
    ),
    Row("  clinicians' names", lambda r: pooled(["STAFF"], r["notes"].by_role.items()), ""),
    Row("  MRN", of_class("MRN"), "1.000"),
    Row("  SSN", of_class("SSN"), "1.000"),
    Row("  e-mail", of_class("EMAIL"), "1.000"),
    Row("  phone, fax", of_class("PHONE", "FAX"), "1.000"),
    Row("  URL, IP", of_class("URL", "IP"), "1.000"),
    Row("entity recall, queries without header", lambda r: r["queries"].entity_recall.value, ">= 0.985"),
    Row("worst class of 20 cases or more, notes", lambda r: worst(r["notes"]), ">= 0.97"),
    Row("direct leaks per 1,000 released notes", lambda r: r["notes"].direct_leaks_per_thousand, "<= 5", 1),
    Row("  all leaks per 1,000 released notes", lambda r: r["notes"].leaks_per_thousand, "", 1),
    Row("  share of notes released", lambda r: r["notes"].released.value, ">= 0.90"),
    Row("over-redaction, text that names nobody", lambda r: r["clean"].over_redaction.value, "<= 0.01"),
    Row("over-redaction, notes", lambda r: r["notes"].over_redaction.value, "<= 0.02"),
    Row("over-redaction, queries", lambda r: r["queries"].over_redaction.value, "<= 0.03"),
    Row(f"lines touched, of {LINES}", lambda r: r["lines"].touched_notes.hits, "<= 3", 0),
)


def gold(kind: Kind, half: HalfName) -> list[GoldNote]:
    """Rows of a kind."""
    count = LINES if kind == "lines" else COUNT
    return [parse_gold(row) for row in write_rows(kind, half, count, SEED)]


@cache
def ours(half: HalfName) -> Reports:
    """Our figures on a half."""
    engine = Deidentifier(DeidSettings(), SECRET)
    return {kind: evaluate(gold(kind, half), engine) for kind in KINDS}


@cache
def theirs(half: HalfName) -> Reports:
    """Presidio's figures on a half; it releases every note."""
    engine, reports = presidio(), {}
    for kind in KINDS:
        score = Score()
        for note in gold(kind, half):
            score.add(note, [(found.start, found.end) for found in engine.analyze(note.text, "en")])
        reports[kind] = score.report()
    return reports


def test_figures_on_both_halves() -> None:
    other, dev, held = theirs("held-out"), ours("dev"), ours("held-out")
    print(f"\n{'':44}{'Presidio':>10}{'dev':>10}{'held-out':>10}{'drop':>10}  asked")
    for row in ROWS:
        figures = [row.figure(reports) for reports in (other, dev, held)]
        cells = "".join(f"{figure:>10,.{row.digits}f}" for figure in (*figures, figures[1] - figures[2]))
        print(f"{row.title:44}{cells}  {row.asked}")
    print(f"{COUNT} rows of each kind, seed {SEED}; held back: {dict(held['notes'].by_reason)}")
    assert held["notes"].entity_recall.value > other["notes"].entity_recall.value
    assert held["queries"].entity_recall.value > other["queries"].entity_recall.value
    assert held["clean"].over_redaction.value < other["clean"].over_redaction.value


def test_speed_and_sockets() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.deid_rival", "40", "3"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=True,
        env=environment,
        cwd=ROOT,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    times = {name: statistics.median(seconds) for name, seconds in found["seconds"].items()}
    print(
        f"\nnotes of {found['characters']:,.0f} characters, a processor second; asked: 16, twice Presidio's"
    )
    for name, seconds in times.items():
        print(f"  {name:20}{1 / seconds:8.1f}{times['presidio'] / seconds:8.2f}x Presidio's")
    speedup = found["wall"]["1"] / found["wall"]["2"]
    print(f"two workers, wall time, starting taken off: {speedup:.2f}x one; asked: 1.8x")
    hosts = {name: len(looked_up) for name, looked_up in found["hosts"].items()}
    print(f"hosts looked up: Presidio {hosts['presidio']}, ours {hosts['ours']}; asked: 0")
    assert found["hosts"]["ours"] == []


def released(engine: Deidentifier, text: str, patient: str, known: dict[str, str]) -> str:
    """The text that would leave."""
    outcome = engine.deidentify_text(text, patient, known)
    return outcome.text if isinstance(outcome, DeidentifiedNote) else ""


def days(style: str, draw: np.random.Generator) -> list[date]:
    """Three days in order; of a day-first style of numbers past the 12th."""
    ordered = sorted(draw_day(draw, date(2019, 1, 1), date(2024, 12, 31)) for _ in range(3))
    day_first = style.startswith("D") and "Mon" not in style and "MON" not in style
    return [day.replace(day=13 + day.day % 15) if day_first and day.day < 13 else day for day in ordered]


def variants(style: str) -> set[str]:
    """The style with and without leading zeros, with long and short months: 12 May shows neither."""
    named = style.replace("MON", "Mon").replace("Month", "Mon")
    bare = named.replace("DD", "D").replace("MM", "M")
    full = bare.replace("D", "DD") if "Mon" in bare else bare.replace("D", "DD").replace("M", "MM")
    return {one.replace("Mon", name) for one in (named, bare, full) for name in ("Mon", "Month")}


def intervals(half: HalfName, engine: Deidentifier) -> Iterator[bool]:
    """Of each date style, whether intervals between three dates in two notes of a patient are kept."""
    draw = np.random.Generator(np.random.Philox(SEED))
    every = [date(2016, 1, 1) + timedelta(days=number) for number in range(4400)]
    styles = [style for author in load_half(half) for style in author.values["date"]]
    for number, style in enumerate(styles * 2):
        first, second, third = days(style, draw)
        read = {write_date(day, variant).lower(): day for variant in variants(style) for day in every}
        one, two, three = (write_date(day, style) for day in (first, second, third))
        notes = [
            f"Cough for a week. Seen on {one}; fever since {two}; stable.",
            f"Cough is better. Seen on {three}; no fever; stable.",
        ]
        out = "".join(released(engine, note, f"p{number}", {}) for note in notes)
        shifted = [read.get(piece.lower()) for piece in re.findall(r"(?:on|since) ([^;]+);", out)]
        wanted = [after - before for before, after in pairwise((first, second, third))]
        kept = len(shifted) == 3 and None not in shifted
        yield kept and [b - a for a, b in pairwise(filter(None, shifted))] == wanted and shifted[0] != first


def surrogates(half: HalfName, engine: Deidentifier) -> Iterator[tuple[bool, bool]]:
    """Whether a person has one surrogate in two notes of a patient, and another in another patient's note."""
    draw = np.random.Generator(np.random.Philox(SEED))
    for number, author in zip(range(60), cycle(load_half(half)), strict=False):
        patient, clinician = (make_person(author, draw) for _ in range(2))
        known = {"first": patient.given, "last": patient.family}
        said = f"Patient: {patient.given} {patient.family} | Dr. {clinician.given} {clinician.family} | "
        notes = [said + "stable", said + "better"]
        one, two = (released(engine, note, f"p{number}", known).rpartition(" | ")[0] for note in notes)
        other = released(engine, notes[0], f"q{number}", known).rpartition(" | ")[0]
        yield bool(one) and one == two, bool(other) and other.split("Dr.")[-1] != one.split("Dr.")[-1]


def test_intervals_and_surrogates() -> None:
    engine = Deidentifier(DeidSettings(profile="research"), SECRET)
    kept = list(intervals("held-out", engine))
    same, apart = zip(*surrogates("held-out", engine), strict=True)
    print(f"\n{'':44}{'held-out':>10}  asked")
    for title, answers in (
        ("date intervals kept (research)", kept),
        ("same person, same surrogate", same),
        ("another patient, another surrogate", apart),
    ):
        print(f"{title:44}{statistics.fmean(answers):>10.4f}  1.0000")
    assert statistics.fmean(kept) > 0.5 and statistics.fmean(same) > 0.9
