"""Examples for every class of identifier: what must go, and what of the clinic must stay."""

# ruff: noqa: E501 -- one example a line

import pytest

from intraward_client.deid.deidentifier import Deidentifier

POSITIVE = [
    ("NAME", "Patient: Ngozi Eberechukwu-Lund was seen today.", "Ngozi Eberechukwu-Lund"),
    ("NAME", "pt maria delgado has a cough and needs a refill", "maria delgado"),
    ("NAME", "TRANSFERRED WITH HER SISTER OTTOLINE VARGA TO THE UNIT.", "OTTOLINE VARGA"),
    ("NAME", "Discussed with Dr. Parkinson about the tremor.", "Parkinson"),
    ("NAME", "Mr. Foley has a Foley catheter.", "Foley"),
    ("NAME", "Her son Hope-Anne Achterberg will drive.", "Hope-Anne Achterberg"),
    ("NAME", "Signed: K. van der Meulen, RN", "K. van der Meulen"),
    ("NAME", "Brown and Qureshi disagree about the dose.", "Brown"),
    ("NAME", "<p>Client: <b>Ludmila Petrenko</b></p>", "Ludmila Petrenko"),
    ("DATE", "Seen on 3/14 for a rash.", "3/14"),
    ("DATE", "admitted may 3rd with fever", "may 3rd"),
    ("DATE", "Seen Tuesday, March 3, 2020 in clinic.", "Tuesday, March 3, 2020"),
    ("DATE", "Her aunt, born in 1921, had the same.", "1921"),
    ("DATE", "Fell in winter 2019 on ice.", "winter"),
    ("AGE", "Father died at 97 of stroke.", "97"),
    ("AGE", "She is a ninety-two year old widow.", "ninety-two"),
    ("AGE", "Turned 101 last week.", "101"),
    ("PHONE", "Ring +49 30 2310 4455 after noon.", "+49 30 2310 4455"),
    ("PHONE", "Mobile 07700 900123, bleep 4471.", "07700 900123"),
    ("PHONE", "Please page 38565 with the result.", "38565"),
    ("PHONE", "Fax to (312) 555-0199 ext. 12.", "(312) 555-0199 ext. 12"),
    ("EMAIL", "Write to o.varga@mail.example.org soon.", "o.varga@mail.example.org"),
    ("URL", "See www.example.org/chart/DW438 today.", "www.example.org/chart/DW438"),
    ("IP", "Connected from 2001:db8::8e8:4339 at noon.", "2001:db8::8e8:4339"),
    ("USERNAME", "From portal sunny_42: may I travel?", "sunny_42"),
    ("MRN", "record no. 77-31-20 was merged", "77-31-20"),
    ("NHS", "NHS number 943 476 5919 was checked", "943 476 5919"),
    ("SSN", "Social 947-49-5527 on the form", "947-49-5527"),
    ("HEALTH_PLAN", "insurance (XEA512G77796) is active", "XEA512G77796"),
    ("HEALTH_PLAN", "MBI 1EG4-TE5-MK73 on file", "1EG4-TE5-MK73"),
    ("ACCOUNT", "Encounter CSN 014081165 closed", "CSN 014081165"),
    ("LICENSE", "NPI 1904319542, DEA FW5544829", "FW5544829"),
    ("DEVICE", "Pump serial 690637211-M was read", "690637211-M"),
    ("DEVICE", "UDI (01)04246233084703(21)A20742 scanned", "(01)04246233084703(21)A20742"),
    ("VEHICLE", "Left in a car, registration AP24 RSF, at noon", "AP24 RSF"),
    ("VEHICLE", "VIN 1HSCM72634A684537 was noted", "1HSCM72634A684537"),
    ("BIOMETRIC", "Retinal scan id RET-3860-A is stored", "RET-3860-A"),
    ("ID", "Study participant CL-50-2518N enrolled", "CL-50-2518N"),
    ("ADDRESS", "Lives at 81 E 23rd Street #343, Vista Grande, FL 48737 now.", "81 E 23rd Street #343, Vista Grande, FL 48737"),
    ("ADDRESS", "Spent June in Hauptstrasse 762, Graz with friends.", "Hauptstrasse 762, Graz"),
    ("ADDRESS", "Home address Flat 6, 48 Rectory Street, Leeds LS6 2AB; well.", "Flat 6, 48 Rectory Street, Leeds LS6 2AB"),
    ("ZIP", "zip 04067 on file", "04067"),
    ("ZIP", "Postcode LS6 2AB given", "LS6 2AB"),
    ("LOCATION", "A 50 y.o. man from Marlow Junction presents with pain.", "Marlow Junction"),
    ("LOCATION", "Resides in Dunmore County with his wife.", "Dunmore County"),
    ("FACILITY", "Transferred from Our Lady of Mercy's Medical Center today.", "Our Lady of Mercy's Medical Center"),
    ("FACILITY", "HE WORKS AT OAKHURST UNIFIED SCHOOL DISTRICT.", "OAKHURST UNIFIED SCHOOL DISTRICT"),
    ("FACILITY", "works nights at Brightline Logistics now", "Brightline Logistics"),
    ("ROOM", "Moved to Room 412B in the evening.", "Room 412B"),
    ("ROOM", "Call from 4 West about the drip.", "4 West"),
    ("ROOM", "She is in Nightingale Ward now.", "Nightingale Ward"),
    ("ROOM", "Accepted to MICU Bed 9 overnight.", "MICU Bed 9"),
]  # fmt: skip
NEGATIVE = [
    "Parkinson disease on carbidopa-levodopa 25/100 three times daily.",
    "Hashimoto thyroiditis and Graves disease run in families.",
    "Foley catheter in place, draining clear urine.",
    "Kernig and Brudzinski signs absent; Babinski down-going.",
    "Killip II, Braden 18, Wells score 3, Mallampati class II.",
    "Bell's palsy on the right, Romberg negative.",
    "The circle of Willis is complete; Meckel diverticulum excluded.",
    "BP 128/76, HR 98, RR 16, T 37.2 C, SpO2 97% on room air.",
    "His temperature is 102 F (38.9 C) and pulse 99.",
    "Pain is 7/10, strength 5/5, vision 20/40, APGAR 8/9.",
    "Started Eliquis 5 mg twice daily and tirzepatide weekly.",
    "Reports nausea for 3 days; review in two weeks or on Monday.",
    "The nurse practitioner agrees; the doctor plans a biopsy.",
    "A 64 year old man with type 2 diabetes and COPD.",
    "Physical therapy twice weekly for six weeks in Mexico.",
    "CHEST PAIN AND DYSPNEA ON EXERTION, NO FEVER.",
    "is apixaban safe in a woman with egfr 34 and afib",
]


def covered(deidentifier: Deidentifier, text: str) -> set[int]:
    return {index for start, end, _ in deidentifier.find(text) for index in range(start, end)}


@pytest.mark.parametrize(("number", "kind"), [(number, row[0]) for number, row in enumerate(POSITIVE)])
def test_an_identifier_is_found_whole(deidentifier: Deidentifier, number: int, kind: str) -> None:
    _, text, secret = POSITIVE[number]
    start = text.rindex(secret) if kind == "NAME" and text.startswith("Mr.") is False else text.index(secret)
    found = covered(deidentifier, text)
    left = [
        index for index in range(start, start + len(secret)) if text[index].isalnum() and index not in found
    ]
    assert left == []


@pytest.mark.parametrize("number", range(len(NEGATIVE)))
def test_clinical_words_stay(deidentifier: Deidentifier, number: int) -> None:
    assert deidentifier.find(NEGATIVE[number]) == ()


def test_every_class_has_an_example() -> None:
    from intraward_client.deid.recognizers import CLASS_OF

    assert set(CLASS_OF.values()) == {kind for kind, _, _ in POSITIVE}


def test_the_catheter_stays_and_its_namesake_goes(deidentifier: Deidentifier) -> None:
    text = "Mr. Foley has a Foley catheter. Dr. Parkinson treats Parkinson disease."
    kept = "".join(letter for index, letter in enumerate(text) if index not in covered(deidentifier, text))
    assert kept == "Mr.  has a Foley catheter. Dr.  treats Parkinson disease."
