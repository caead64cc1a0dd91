"""Generator of synthetic clinical notes with gold identifier spans.

A note has a structured header, a body that mentions the patient, relatives, clinicians, dates and
numbers in UK or US form, and a line ``Question: <prompt>`` with a clinical question in the public
prompts' shape; at most 800 characters. Spans use the entity names of the open ``deid_synthetic`` set.
No real person: 555-01xx and Ofcom drama numbers, example domains, 9xx social security numbers.
Everything comes from the generator that is passed in (one per patient, see ``hospitals``).
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from intraward_simulation.complaints import Complaint
from intraward_simulation.corpus import person_word, write_prompt
from intraward_simulation.names import REGIONS, Region

MAX_CHARACTERS = 800
TODAY = dt.date(2025, 11, 21)
"""The synthetic world's own date; notes lie in the three years before it."""
VERY_OLD = 0.02
"""Share of patients over 89 where a hospital sees the old; their age is an identifier."""

ENTITY: Mapping[str, str] = {
    "name": "PERSON",
    "caps": "PERSON",
    "first": "PERSON",
    "last": "PERSON",
    "titled": "PERSON",
    "kin": "PERSON",
    "clinician": "PERSON",
    "nurse": "PERSON",
    "dob": "DATE",
    "seen": "DATE",
    "earlier": "DATE",
    "mrn": "MRN",
    "nhs": "MRN",
    "ssn": "SSN",
    "phone": "PHONE",
    "kin_phone": "PHONE",
    "email": "EMAIL",
    "address": "ADDRESS",
    "city": "CITY",
    "hospital": "HOSPITAL",
    "account": "ACCOUNT",
    "health_plan": "HEALTH_PLAN_ID",
    "age_over_89": "AGE_OVER_89",
}
"""Placeholder of a template -> entity of its gold span."""

_HEADERS = {
    "us": (
        "Patient: [[name]]   DOB: [[dob]]   MRN: [[mrn]]\n"
        "Phone: [[phone]]   SSN: [[ssn]]\nAddress: [[address]]\n",
        "CLINIC NOTE [[seen]]\nName: [[caps]]  MRN [[mrn]]  DOB [[dob]]\nTel [[phone]]\n[[address]]\n",
        "[[hospital]]\nPt: [[name]]\nMRN: [[mrn]] | DOB: [[dob]] | Insurance ID: [[health_plan]]\n"
        "Home: [[phone]]\n",
    ),
    "uk": (
        "Patient: [[name]]   DOB: [[dob]]   MRN: [[mrn]]\n"
        "NHS no: [[nhs]]   Tel: [[phone]]\nAddress: [[address]]\n",
        "[[hospital]] outpatient letter, [[seen]]\nRe: [[caps]], DOB [[dob]], hospital no. [[mrn]]\n"
        "[[address]]\nTel. [[phone]]\n",
        "GP CONSULTATION [[seen]]\nName: [[name]]  NHS number: [[nhs]]\nBorn [[dob]]. Record [[mrn]].\n",
    ),
}
_OPENINGS = (
    "[[titled]] presents with {complaint} for {duration}.",
    "[[first]] came in on [[seen]] with {complaint} for {duration}.",
    "Seen on [[seen]] by [[clinician]] for {complaint}, {duration}.",
    "[[last]] reports {complaint} for {duration}.",
)
_BODY = (
    "Blood pressure {bp}, pulse {pulse}, temperature {temperature} C.",
    "Accompanied by {relation} [[kin]], reachable at [[kin_phone]].",
    "{relation_capital} [[kin]] confirms the history.",
    "[[clinician]] reviewed the results of [[earlier]].",
    "Last seen at [[hospital]] on [[earlier]].",
    "No known allergies. Takes {drug}.",
    "Lives in [[city]] with {relation} [[kin]].",
    "Billing account [[account]] is open.",
    "Results may be sent to [[email]].",
    "[[first]] is otherwise well and eats normally.",
    "Nurse [[nurse]] took bloods on [[seen]].",
    "Examination today is unremarkable. Full blood count normal.",
    "Known with Parkinson disease; uses a Foley catheter at night.",
    "[[last]] was told to call if things change.",
)
_RELATIONS = {
    "female": ("mother", "sister", "aunt", "cousin"),
    "male": ("father", "brother", "uncle", "cousin"),
}
_DRUGS = (
    "amlodipine 5 mg",
    "metformin 500 mg",
    "ramipril 2.5 mg",
    "salbutamol as needed",
    "no regular drugs",
)
_PLACES = {
    "us": (
        ("Ashbourne", "OH"),
        ("Redwater", "WA"),
        ("Maple Junction", "TX"),
        ("Kingsport Falls", "NC"),
        ("Cedar Bluff", "IA"),
    ),
    "uk": (
        ("Thornbury", "BS35"),
        ("Millbrook Vale", "LS21"),
        ("Eastcombe", "GL6"),
        ("Kirkhaven", "EH54"),
        ("Penmarsh", "CF37"),
    ),
}
_STREETS = {
    "us": (
        "Larkspur Lane",
        "Old Mill Road",
        "Juniper Street",
        "Harbor Avenue",
        "Sycamore Drive",
        "Quarry Court",
    ),
    "uk": ("Church Lane", "Station Road", "Orchard Close", "Mill Street", "Abbey Gardens", "Kiln Row"),
}
_AREA_CODES = ("212", "312", "415", "617", "713")
_PLACEHOLDER = re.compile(r"\[\[(\w+)\]\]")


@dataclass(frozen=True)
class Patient:
    """One synthetic patient.

    Attributes:
        style: ``us`` or ``uk``, the form of dates, numbers and addresses.
        sex: ``female`` or ``male``.
        values: identifiers by placeholder name, as they stand in notes.
    """

    patient: str
    style: str
    sex: str
    age: int
    values: Mapping[str, str] = field(repr=False)

    @property
    def known(self) -> dict[str, str]:
        """What the hospital's system knows in structured form."""
        keys = ("first", "last", "mrn", "dob", "phone", "address", "email", "account", "health_plan")
        number = "ssn" if self.style == "us" else "nhs"
        return {key: self.values[key] for key in (*keys, number)}


def make_patient(
    draw: np.random.Generator, patient: str, ages: tuple[int, int], style: str | None
) -> Patient:
    """A patient with names, numbers and an address; ``style`` None draws UK or US."""
    style = style or _pick(draw, ("us", "uk"))
    sex = _pick(draw, ("female", "male"))
    region = _region(draw)
    first, last = _given(draw, region, sex), _pick(draw, region.surnames)
    very_old = bool(draw.random() < VERY_OLD) and ages[1] >= 89
    age = int(draw.integers(90, 100)) if very_old else int(draw.integers(ages[0], ages[1] + 1))
    born = TODAY - dt.timedelta(days=int(age * 365.25) + int(draw.integers(1, 300)))
    city, code = _pick(draw, _PLACES[style])
    kin_sex = _pick(draw, ("female", "male"))
    kin_last = last if draw.random() < 0.5 else _pick(draw, _region(draw).surnames)
    values = {
        "first": first,
        "last": last,
        "dob": write_date(born, style, draw),
        "mrn": _digits(draw, 8) if draw.random() < 0.7 else f"MRN{_digits(draw, 7)}",
        "ssn": f"9{_digits(draw, 2)}-{_digits(draw, 2)}-{_digits(draw, 4)}",
        "nhs": f"{_digits(draw, 3)} {_digits(draw, 3)} {_digits(draw, 4)}",
        "phone": write_phone(draw, style),
        "email": f"{_ascii(first)}.{_ascii(last)}@example.{_pick(draw, ('org', 'com', 'net'))}",
        "address": write_address(draw, style, city, code),
        "city": city,
        "account": _digits(draw, 10),
        "health_plan": f"{_pick(draw, ('HPN', 'WGB', 'KMC'))}{_digits(draw, 9)}",
        "kin": f"{_given(draw, _region(draw), _pick(draw, ('female', 'male')))} {kin_last}",
        "kin_phone": write_phone(draw, style),
        "relation": _pick(draw, _RELATIONS[kin_sex]),
    }
    return Patient(patient, style, sex, age, values)


def write_note(
    draw: np.random.Generator,
    patient: Patient,
    note_id: str,
    hospital: str,
    complaint: Complaint,
    extra: str = "",
) -> dict[str, Any]:
    """One note row ``{"id", "patient", "text", "known", "spans"}``.

    Args:
        draw: the patient's generator.
        hospital: name of the facility as notes write it.
        complaint: what the visit is about.
        extra: a further template sentence that must be in the body (planted canaries).
    """
    values = {**patient.values, **_visit_values(draw, patient, hospital), "complaint": complaint.name}
    question = _question(draw, patient, complaint)
    values["duration"] = question[1]
    header = _pick(draw, _HEADERS[patient.style])
    text, spans = render(header + _pick(draw, _OPENINGS), values)
    tail = "\nQuestion: " + question[0]
    tail_length = len(render(tail, values)[0])
    order = [_BODY[int(index)] for index in draw.permutation(len(_BODY))[: int(draw.integers(2, 7))]]
    for sentence in [extra, *order] if extra else order:
        longer, more = render(" " + sentence, values, start=len(text))
        if len(text) + len(longer) + tail_length <= MAX_CHARACTERS:
            text, spans = text + longer, spans + more
    last, more = render(tail, values, start=len(text))
    return {
        "id": note_id,
        "patient": patient.patient,
        "text": text + last,
        "known": patient.known,
        "spans": spans + more,
    }


def render(
    template: str, values: Mapping[str, str], start: int = 0
) -> tuple[str, list[dict[str, int | str]]]:
    """Fill ``[[identifier]]`` and ``{plain}`` places; spans count characters from ``start``."""
    out: list[str] = []
    spans: list[dict[str, int | str]] = []
    position = start
    for index, piece in enumerate(_PLACEHOLDER.split(template)):
        written = values[piece] if index % 2 else re.sub(r"{(\w+)}", lambda m: values[m.group(1)], piece)
        if index % 2:
            kind = ENTITY[piece.split("__")[0]]
            spans.append({"start": position, "end": position + len(written), "entity": kind})
        out.append(written)
        position += len(written)
    return "".join(out), spans


def write_date(day: dt.date, style: str, draw: np.random.Generator) -> str:
    """A date in one of the usual forms of a style."""
    forms = ("%m/%d/%Y", "%B %d, %Y", "%Y-%m-%d") if style == "us" else ("%d/%m/%Y", "%d %B %Y", "%d.%m.%Y")
    return day.strftime(_pick(draw, forms))


def write_phone(draw: np.random.Generator, style: str) -> str:
    """A number of the ranges kept for fiction."""
    if style == "us":
        return f"({_pick(draw, _AREA_CODES)}) 555-01{_digits(draw, 2)}"
    return f"{_pick(draw, ('020 7946 0', '01632 960', '07700 900'))}{_digits(draw, 3)}"


def write_address(draw: np.random.Generator, style: str, city: str, code: str) -> str:
    """Street, place and code on one line."""
    street = _pick(draw, _STREETS[style])
    if style == "us":
        return f"{draw.integers(100, 9999)} {street}, {city}, {code} {_digits(draw, 5)}"
    letters = "".join(_pick(draw, tuple("ABDEFGHJLNPQRSTUWXYZ")) for _ in range(2))
    return f"{draw.integers(1, 240)} {street}, {city}, {code} {draw.integers(1, 9)}{letters}"


def _visit_values(draw: np.random.Generator, patient: Patient, hospital: str) -> dict[str, str]:
    first, last, relation = (patient.values[key] for key in ("first", "last", "relation"))
    seen = TODAY - dt.timedelta(days=int(draw.integers(1, 1000)))
    earlier = seen - dt.timedelta(days=int(draw.integers(3, 400)))
    colleague, nurse = _region(draw), _region(draw)
    return {
        "name": f"{first} {last}",
        "caps": f"{last.upper()}, {first.upper()}",
        "titled": f"{'Mrs.' if patient.sex == 'female' else 'Mr.'} {last}",
        "clinician": f"Dr. {_given(draw, colleague, 'female')} {_pick(draw, colleague.surnames)}",
        "nurse": f"{_given(draw, nurse, 'male')} {_pick(draw, nurse.surnames)}",
        "seen": write_date(seen, patient.style, draw),
        "earlier": write_date(earlier, patient.style, draw),
        "hospital": hospital,
        "relation": relation,
        "relation_capital": relation.capitalize(),
        "drug": _pick(draw, _DRUGS),
        "bp": f"{draw.integers(100, 180)}/{draw.integers(60, 100)}",
        "pulse": str(draw.integers(55, 115)),
        "temperature": f"{draw.integers(360, 392) / 10:.1f}",
        "age_over_89": str(patient.age),
    }


def _question(draw: np.random.Generator, patient: Patient, complaint: Complaint) -> tuple[str, str]:
    """The prompt as a template, and its duration; an age over 89 is an identifier."""
    prompt = write_prompt(draw, complaint, patient.age, person_word(patient.age, patient.sex == "female"))
    duration = prompt.rsplit(" for ", 1)[1].removesuffix(". Advice:")
    if patient.age > 89:
        prompt = prompt.replace(f"Patient: {patient.age} ", "Patient: [[age_over_89]] ", 1)
    return prompt, duration


def _region(draw: np.random.Generator) -> Region:
    return REGIONS[_pick(draw, tuple(REGIONS))]


def _given(draw: np.random.Generator, region: Region, sex: str) -> str:
    return str(_pick(draw, region.women if sex == "female" else region.men))


def _ascii(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z]", "", plain) or "patient"


def _digits(draw: np.random.Generator, count: int) -> str:
    return "".join(str(digit) for digit in draw.integers(0, 10, size=count))


def _pick(draw: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(draw.integers(len(options)))]
