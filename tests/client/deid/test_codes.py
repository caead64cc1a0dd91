"""Codes and user names go by their shape alone; what is certainly clinical stays. All examples are invented."""

# ruff: noqa: E501 -- one example a line

import pytest

from intraward_client.deid.clinicalcodes import is_clinical_code
from intraward_client.deid.codes import is_initial_and_name
from intraward_client.deid.deidentifier import Deidentifier

FOUND = [
    ("Police crime report 052-417 was filed.", "052-417"),
    ("The agency opened a case, number 3391-07-K.", "3391-07-K"),
    ("Stored under 27-0418-D since then.", "27-0418-D"),
    ("Donor reference QRL/51/207 was read.", "QRL/51/207"),
    ("Re-enrolled the patient as BQ-4c71-af02 today.", "BQ-4c71-af02"),
    ("The asset 53UX91563 is on loan.", "53UX91563"),
    ("Notary commission N418-207-951 was shown.", "N418-207-951"),
    ("Scan +H204MKV118020/$$551904 at the desk.", "H204MKV118020/$$551904"),
    ("Vaccine lot 79NXKL was given.", "79NXKL"),
    ("Printed by dfalk9 on a ward machine.", "dfalk9"),
    ("Co-signed electronically, login jpwhit, at noon.", "jpwhit"),
    ("Typed by m_alkhatib in the evening.", "m_alkhatib"),
    ("Charted late by r.oduya because of downtime.", "r.oduya"),
    ("E-signed: QJT4417", "QJT4417"),
    ("Please reset the password for oconnelld today.", "oconnelld"),
    ("Portal user name tlindq was reset.", "tlindq"),
    ("The pharmacy (x6104) doses vancomycin.", "6104"),
    ("Case manager, x8-7102", "8-7102"),
    ("The registrar, #5107", "5107"),
    ("Try the fellow on 71904 first.", "71904"),
    ("Verified by birth date and last four of SSN, 6104.", "6104"),
    ("Wheelchair lift van V61 JKS picked her up.", "V61 JKS"),
    ("Parking permit for 6ZTV104 runs out soon.", "6ZTV104"),
    ("Taxi RKC-69L was booked.", "RKC-69L"),
    ("Staples out 07/05, then review.", "07/05"),
    ("FOLEY PLACED 12/19, DAY 4.", "12/19"),
    ("FIRST DOSE GIVEN NOVEMBER 24TH, 2024; NEXT DUE.", "NOVEMBER 24TH, 2024"),
    ("Her mother died in her sleep at 103; father well.", "103"),
    ("Mrs Larkspur is 96 and wants to go home.", "96"),
    ("An older sibling is 104 and still lives alone.", "104"),
]
LEFT = [
    "Fusion of T12-L1, C5-C6 disc, leads V5-V6, L4-5/S1 narrowing.",
    "G4P3003 at 38w2d, pT2N1aM0, CHA2DS2-VASc 4, GCS E4V5M6.",
    "BRAF V600E, EGFR L858R, G20210A, F508del, HLA-B27, CYP2C19, CA19-9.",
    "99mTc scan, 18F-FDG PET, Lu-177, MK-3475, 5-FU, D5W, PM2.5.",
    "BP120/80, HR80, WBC12.4, 50000IU weekly, 1000mL/hr, 0800-1630 shift.",
    "MMSE 12/30, 6/18 right eye, BiPAP 14/6, Norco 5/325, 2/17 nodes.",
    "Seen by physio, confirmed by ultrasound, relieved by rest.",
    "Call if SBP under 90 or urine under 500 mL; give 1-2 tabs x 100 mL.",
    "On 1800 calorie diet and 2000 mL restriction.",
]


@pytest.mark.parametrize("number", range(len(FOUND)))
def test_a_code_is_denied_by_default(deidentifier: Deidentifier, number: int) -> None:
    text, secret = FOUND[number]
    found = {index for start, end, _ in deidentifier.find(text) for index in range(start, end)}
    start = text.index(secret)
    left = [at for at in range(start, start + len(secret)) if text[at].isalnum() and at not in found]
    assert left == []


@pytest.mark.parametrize("number", range(len(LEFT)))
def test_a_clinical_code_stays(deidentifier: Deidentifier, number: int) -> None:
    assert deidentifier.find(LEFT[number]) == ()


def test_a_chain_is_clinical_only_link_by_link() -> None:
    assert is_clinical_code("HPV-16/18")
    assert not is_clinical_code("S29-32810")


def test_a_user_name_is_an_initial_and_a_name() -> None:
    assert is_initial_and_name("cwilliams")
    assert not is_initial_and_name("physio")


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("A hatchback, reg 1Y 74313, is parked here.", "1Y 74313"),
        ("Idaho tag TW1 R3E by the door.", "TW1 R3E"),
        ("his van, ohio m5v 844, can security move it", "m5v 844"),
        ("number plate b 482 tkl left lights on", "b 482 tkl"),
        ("Posts on a forum as quiltmom.789 about pain.", "quiltmom.789"),
        ("Blogs under tkowal about dialysis.", "tkowal"),
        ("sgarner_rn sent 6 messages since noon.", "sgarner_rn"),
        ("Symptoms began around 3/9 after a fair.", "3/9"),
        ("Surgery set for 9/4; call the day before.", "9/4"),
        ("In the study the eldest 105 has the same tremor.", "105"),
        ("Seen today | 95y female", "95"),
        ("Call the resident or pager\n2019 overnight.", "2019"),
        ("Sample labeled DP08792 went out.", "DP08792"),
        ("Transcribed by MJ", "MJ"),
    ],
)
def test_plates_users_dates_and_ages_in_more_wordings(
    deidentifier: Deidentifier, text: str, secret: str
) -> None:
    found = {index for start, end, _ in deidentifier.find(text) for index in range(start, end)}
    start = text.index(secret)
    assert all(at in found for at in range(start, start + len(secret)) if text[at].isalnum())


@pytest.mark.parametrize(
    "text",
    [
        "CDT D2740 versus D2750?",
        "NM_000059.4 variant, class 3, family studies needed",
        "Audiogram: 25-30-45-60 dB HL right, 512 Hz Rinne positive",
        "Augmentin 875-125",
        "Levine 3/6",
        "Denver passed 4/4",
        "Bite 11/21 edge to edge",
        "Social history:\nBP 143/68",
        "Pacemaker in DDDR 60-130, AV delay 180/150",
        "SA60AT 22.0 D",
        "Todani IVa",
        "Kudo IIIs",
        "Hoyer lift for transfers",
        "Norwood then Glenn then Fontan",
        "Wilson: ceruloplasmin 9",
        "Salem sump to low suction",
        "Crawford II TAAA",
        "Shaldon R IJ",
    ],
)
def test_an_eponym_with_its_result_stays(deidentifier: Deidentifier, text: str) -> None:
    assert deidentifier.find(text) == ()


@pytest.mark.parametrize(
    "text", ["Wilson: needs a refill of ceruloplasmin drops", "Dr. Glenn then left", "Harris asked again"]
)
def test_a_surname_that_is_an_eponym_goes_without_its_result(deidentifier: Deidentifier, text: str) -> None:
    assert deidentifier.find(text)
