"""Synthetic hospitals: patients, notes, case mix, and planted canaries.

Each patient's notes come from a generator keyed by (seed, hospital, patient number), so removing a
patient changes nobody else's notes: the pairs of neighbouring tables that DESIGN.md section 6 speaks
of. A canary is an identifier found nowhere else in the world, put into a patient's notes in a real
place: half replace one of the patient's own structured identifiers (and so stand in ``known``), half
occur in the body alone. Canary number k goes to patient k, counted round.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intraward_shared.errors import ConfigError
from intraward_simulation.complaints import COMPLAINTS, Complaint
from intraward_simulation.notes import make_patient, write_note

_ADULTS = (18, 89)
_NOTES_PER_PATIENT = (0.35, 0.35, 0.2, 0.1)  # one to four


@dataclass(frozen=True)
class CaseMix:
    """What a hospital sees: complaints that are ``factor`` times as frequent as others, and ages."""

    frequent: tuple[str, ...] = ()
    ages: tuple[int, int] = _ADULTS
    style: str | None = None
    factor: float = 6.0

    def weights(self) -> NDArray[np.float64]:
        """Probability of each complaint, in the order of ``COMPLAINTS``."""
        raw = [self.factor if c.name in self.frequent else 1.0 for c in COMPLAINTS]
        return np.array(raw, dtype=np.float64) / sum(raw)


CASE_MIXES: Mapping[str, CaseMix] = {
    "general": CaseMix(),
    "cardiology": CaseMix(("chest pain", "breathlessness", "dizziness"), (40, 89), "us"),
    "respiratory": CaseMix(("breathlessness", "a dry cough", "a fever", "a sore throat"), _ADULTS, "uk"),
    "orthopaedics": CaseMix(("back pain", "knee pain", "a twisted ankle"), (18, 80), "us"),
    "paediatrics": CaseMix(("a fever", "ear pain", "an itchy rash", "a sore throat"), (2, 17), "uk"),
    "urgent_care": CaseMix(("stomach pain", "loose stools", "a headache", "burning urine"), _ADULTS, None),
}


@dataclass(frozen=True)
class Hospital:
    """A synthetic hospital.

    Attributes:
        notes: rows ``{"id", "patient", "text", "known", "spans"}``.
        canaries: planted identifiers, each verbatim in at least one note.
    """

    name: str
    notes: tuple[dict[str, Any], ...] = field(repr=False)
    canaries: tuple[str, ...] = field(default=(), repr=False)


def make_hospitals(
    sites: Sequence[tuple[str, int, str]], *, seed: int, canaries: int
) -> tuple[Hospital, ...]:
    """Hospitals for (name, patients, case mix), with ``canaries`` planted in all, evenly spread.

    Raises:
        ConfigError: unknown case mix, or canaries but no patients.
    """
    filled = [name for name, patients, _ in sites if patients]
    shares = dict(zip(filled, plant(canaries, len(filled)), strict=True))
    out, first = [], 0
    for name, patients, case_mix in sites:
        share = shares.get(name, 0)
        out.append(make_hospital(name, seed, patients, case_mix, share, first))
        first += share
    return tuple(out)


def make_hospital(
    name: str, seed: int, patients: int, case_mix: str, canaries: int, first_canary: int = 0
) -> Hospital:
    """One hospital.

    Args:
        name: site name; part of every generator's key.
        seed: the world's seed.
        patients: how many; 0 makes a hospital without notes.
        case_mix: key of ``CASE_MIXES``.
        canaries: how many identifiers to plant.
        first_canary: number of the first one; must differ between hospitals, so that no two are alike.

    Raises:
        ConfigError: unknown case mix, or canaries but no patients.
    """
    if case_mix not in CASE_MIXES:
        known = ", ".join(CASE_MIXES)
        raise ConfigError("scenario", "hospitals.sites.case_mix", "unknown", remedy=f"one of: {known}")
    if first_canary + canaries > MOST_CANARIES:
        raise ConfigError("scenario", "hospitals.canaries", "too many", remedy=f"at most {MOST_CANARIES}")
    if canaries and not patients:
        raise ConfigError("scenario", "hospitals.canaries", "no patients to plant them in", remedy="set 0")
    planted = [make_canary(first_canary + index) for index in range(canaries)]
    notes: list[dict[str, Any]] = []
    for number in range(patients):
        notes += _patient_notes(name, seed, number, CASE_MIXES[case_mix], planted[number::patients])
    return Hospital(name, tuple(notes), tuple(canary.value for canary in planted))


def plant(total: int, hospitals: int) -> tuple[int, ...]:
    """How many of ``total`` canaries each hospital gets: even shares, the first ones get the rest."""
    if not hospitals:
        if total:
            raise ConfigError(
                "scenario", "hospitals.canaries", "no patients to plant them in", remedy="set 0"
            )
        return ()
    return tuple(total // hospitals + (index < total % hospitals) for index in range(hospitals))


def write_jsonl(hospital: Hospital, path: Path) -> Path:
    """Write ``id``, ``patient``, ``text`` and ``known`` of every note, as its system would export them."""
    with path.open("w", encoding="utf-8") as file:
        for note in hospital.notes:
            row = {key: note[key] for key in ("id", "patient", "text", "known")}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return path


@dataclass(frozen=True)
class Canary:
    """A planted identifier: its kind, its text, and whether it stands in the structured header."""

    kind: str
    value: str = field(repr=False)
    structured: bool


_SENTENCES = {
    "last": "Came with a friend, {given} [[last__canary]].",
    "mrn": "Older records under MRN [[mrn__canary]] were asked for.",
    "phone": "Second contact number [[phone__canary]].",
    "ssn": "The benefits form gives SSN [[ssn__canary]].",
    "email": "Prefers e-mail to [[email__canary]].",
    "address": "Is staying for now at [[address__canary]].",
    "account": "A second account number [[account__canary]] was closed.",
    "health_plan": "Former insurance ID [[health_plan__canary]].",
}
_KINDS = tuple(_SENTENCES)
MOST_CANARIES = 960
_ONSETS = ("Quar", "Zeth", "Vyl", "Brax", "Thraw", "Oxen", "Wrem", "Jask", "Fjel", "Dzur", "Phel", "Glyn")
_MIDDLES = ("mor", "den", "el", "ash", "ing", "ovi", "utt", "ark", "iba", "ond")
_ENDINGS = ("wick", "thorpe", "enko", "escu", "strand", "mbele", "quist", "hurst")


def make_canary(number: int) -> Canary:
    """Canary ``number``, below ``MOST_CANARIES``; no two numbers share a surname or a code."""
    kind = _KINDS[number % len(_KINDS)]
    structured = number // len(_KINDS) % 2 == 0 and kind != "ssn"
    return Canary(kind, _canary_text(kind, number), structured)


def _canary_text(kind: str, number: int) -> str:
    onset, middle, ending = number % 12, number // 12 % 10, number // 120 % 8
    surname = _ONSETS[onset] + _MIDDLES[middle] + _ENDINGS[ending]
    code = f"{number * 7919 % 10_000:04d}"  # 7919 is prime to 10,000: no repeats
    return {
        "last": surname,
        "mrn": f"8840{code}",
        "phone": f"({901 + number // 100}) 555-01{number % 100:02d}",
        "ssn": f"987-65-{code}",
        "email": f"{surname.lower()}{number}@example.org",
        "address": f"{1000 + number} {surname} Terrace, Ashbourne, OH 4{code}",
        "account": f"774411{code}",
        "health_plan": f"ZQX66{code}31",
    }[kind]


def _patient_notes(
    name: str, seed: int, number: int, mix: CaseMix, canaries: Sequence[Canary]
) -> list[dict[str, Any]]:
    draw = _generator(seed, name, number)
    patient = make_patient(draw, f"{name}-{number:04d}", mix.ages, mix.style)
    for canary in canaries:
        if canary.structured:
            patient = replace(patient, values={**patient.values, canary.kind: canary.value})
    sentences, given = [], patient.values["kin"].split()[0]
    for index, canary in enumerate(canaries):
        values = {**patient.values, f"{canary.kind}__canary{index}": canary.value}
        patient = replace(patient, values=values)
        sentence = _SENTENCES[canary.kind].replace("__canary", f"__canary{index}").replace("{given}", given)
        sentences.append(_in_the_open(canary) if canary.structured else sentence)
    notes = []
    for index in range(1 + int(draw.choice(4, p=_NOTES_PER_PATIENT))):
        complaint = _complaint(draw, mix)
        note_id = f"{patient.patient}-n{index + 1}"
        extra = " ".join(sentences) if index == 0 else ""
        notes.append(write_note(draw, patient, note_id, facility(name), complaint, extra))
    return notes


def _in_the_open(canary: Canary) -> str:
    """A sentence that holds a structured canary verbatim, whatever header the note has."""
    words = {"last": "Family name checked: ", "phone": "Call back on ", "email": "Write to "}
    return f"{words.get(canary.kind, 'On file: ')}[[{canary.kind}]]."


def facility(name: str) -> str:
    """A hospital's name as its notes write it."""
    return " ".join(part.capitalize() for part in name.replace("_", "-").split("-")) + " General Hospital"


def _complaint(draw: np.random.Generator, mix: CaseMix) -> Complaint:
    return COMPLAINTS[int(draw.choice(len(COMPLAINTS), p=mix.weights()))]


def _generator(seed: int, name: str, number: int) -> np.random.Generator:
    site = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, site, number])
