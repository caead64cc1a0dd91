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
    ("NAME", "Any update for Hashimoto?", "Hashimoto"),
    ("NAME", "pt hargreaves in Rm 874 febrile 39.3", "hargreaves"),
    ("NAME", "Rajaratnam 72M with copd exac", "Rajaratnam"),
    ("NAME", "Consult for Abdullah El-Sayed, Child-Pugh B.", "Abdullah El-Sayed"),
    ("NAME", "For Kim Min-jun, insulin teaching.", "Kim Min-jun"),
    ("NAME", "Please send a note for Rasa Tamm by noon.", "Rasa Tamm"),
    ("NAME", "Cook, 54, dm2, on metformin", "Cook"),
    ("NAME", "Ordering: Rose Banks, radiology", "Rose Banks"),
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
    ("VEHICLE", "Her car (KJ67 HHT) is in the car park.", "KJ67 HHT"),
    ("VEHICLE", "Kennzeichen M-AB 1234, left at the entrance.", "M-AB 1234"),
    ("VEHICLE", "Vehicle No. MH 12 AB 1234 was used for transport.", "MH 12 AB 1234"),
    ("VEHICLE", "His ute, rego XYZ-482, rolled over.", "XYZ-482"),
    ("VEHICLE", "VIN: 1HG CM826 33A 004352 in the report.", "1HG CM826 33A 004352"),
    ("VEHICLE", "License plate on file is H42 TRW today.", "H42 TRW"),
    ("VEHICLE", "Aircraft tail number N4482K was given.", "N4482K"),
    ("SSN", "SSN 482–11–2231 was checked.", "482–11–2231"),  # noqa: RUF001
    ("SSN", "SSN: *****8821 was checked.", "8821"),
    ("SSN", "Verified name and last 4 (8821) by phone.", "8821"),
    ("SSN", "PPS No. 1234567 TA, she said.", "1234567 TA"),
    ("SSN", "RUT 12.345.678-5 of the father.", "12.345.678-5"),
    ("ACCOUNT", "Account no V 0048 2210 is open.", "V 0048 2210"),
    ("ACCOUNT", "Patient account number: PA 44 88 21", "PA 44 88 21"),
    ("ACCOUNT", "Specimen 24:H4482 was received.", "24:H4482"),
    ("ACCOUNT", "Sort code 20 31 44 for the refund.", "20 31 44"),
    ("ACCOUNT", "Run number 24-11823 of the crew.", "24-11823"),
    ("ACCOUNT", "Paid with Amex ending in 1004 today.", "1004"),
    ("ACCOUNT", "FIN NBR: 4400-2218 on the sheet.", "4400-2218"),
    ("MRN", "NHI ZAC5361 of the child.", "ZAC5361"),
    ("USERNAME", "Her username is redbird there.", "redbird"),
    ("USERNAME", 'The screen name "GrannyJo47" wrote.', "GrannyJo47"),
    ("USERNAME", "WhatsApp handle teo.k asked again.", "teo.k"),
    ("USERNAME", "Charted by user KSMITH at noon.", "KSMITH"),
    ("USERNAME", "Posted by u/lupus-warrior last week.", "lupus-warrior"),
    ("ADDRESS", "Mail to Post Office Box 221 please.", "Post Office Box 221"),
    ("ADDRESS", "Unit 7/22 Wattle St, Marrickville NSW 2204 is home.", "Unit 7/22 Wattle St, Marrickville NSW 2204"),
    ("ADDRESS", "RFD 3, Box 44 is the farm.", "RFD 3, Box 44"),
    ("ADDRESS", "Am Markt 5, 99084 Erfurt is her home.", "Am Markt 5, 99084 Erfurt"),
    ("ADDRESS", "Address is House No 221, Sector 14, Gurgaon.", "House No 221, Sector 14, Gurgaon"),
    ("ADDRESS", "Apartment 12, The Quays, Dublin 2 is rented.", "Apartment 12, The Quays, Dublin 2"),
    ("ADDRESS", "She lives at 4482 State Hwy 12 with him.", "4482 State Hwy 12"),
    ("ADDRESS", "He fell at Broad St and 4th Ave at noon.", "Broad St and 4th Ave"),
    ("ZIP", "Eircode D08 XY45 was given.", "D08 XY45"),
    ("LOCATION", "Her mother in Co. Down called.", "Co. Down"),
    ("LOCATION", "He lives in Newcastle upon Tyne now.", "Newcastle upon Tyne"),
    ("FACILITY", "Discharged to Willow Creek Skilled Nursing Facility today.", "Willow Creek Skilled Nursing Facility"),
    ("FACILITY", "Sent by BIDMC after records from there.", "BIDMC"),
    ("FACILITY", "The child attends Bright Horizons daycare.", "Bright Horizons"),
    ("FACILITY", "Filled at Walgreens #4482 on Monday.", "Walgreens #4482"),
    ("FACILITY", "Seen in Leeds General Infirmary before.", "Leeds General Infirmary"),
    ("ROOM", "Obs on Lister ward were stable.", "Lister ward"),
    ("ROOM", "She moved to the Kingfisher unit.", "Kingfisher unit"),
    ("ROOM", "Room/Bed: 412/B is clean.", "412/B"),
    ("ROOM", "The 8W RN called about potassium.", "8W"),
    ("ROOM", "Down to T4-208 for the scan.", "T4-208"),
    ("ROOM", "Ward 3/B, stable overnight.", "3/B"),
    ("ROOM", "He lies on Trolley 6 in majors.", "Trolley 6"),
    ("ROOM", "The 5 East-12 monitor alarmed.", "5 East-12"),
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
    "pt wants refill of metformin",
    "patient taking lamictal for bipolar",
    "PT recommends a walker",
    "pt febrile, ambulating w/ walker, desatting on ra",
    "treatment for graves with methimazole",
    "Mallory-Weiss tear, Child-Pugh B, Clark level IV.",
    "Braxton Hicks contractions only.",
    "her son will pick up the recheck order",
    "CHEST PAIN AND DYSPNEA ON EXERTION, NO FEVER.",
    "is apixaban safe in a woman with egfr 34 and afib",
    "The growth plate of L1 is intact; a 3.5 mm LCP plate with 8 holes was used.",
    "Vulvar VIN 2-3 was excised, VIN 1 remained.",
    "Follow up in 8W; RR 18, HR 80, BP 120/70.",
    "Transferred to the stroke unit; the postnatal ward is full; motor unit potentials.",
    "In the last 4 days he ate 1200 kcal; claimed pain of 8/10.",
    "Boston Scientific stent 3.5 x 18 mm; images were done in 3D.",
    "Sits in chair 3 times a day; cath lab 2 hours; nursery 3 days a week.",
    "PCR cycle threshold 32; PO 40 mg daily; run of 12 beats; spell of 20 seconds.",
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
