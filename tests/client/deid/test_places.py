"""Houses, firms, towns, streets and wards: the whole name goes, and phrases of the clinic stay."""

# ruff: noqa: E501 -- one example a line

import pytest

from intraward_client.deid.deidentifier import Deidentifier

WHOLE = [
    ("house and link", "Wheelchair is from Fernhollow Skilled Nursing & Rehab today.", "Fernhollow Skilled Nursing & Rehab"),
    ("house of our lady", "Presented from Our Lady of Consolation Home with fever.", "Our Lady of Consolation Home"),
    ("house of a town", "Discharged to: Heritage Pines of Port Gamble", "Heritage Pines of Port Gamble"),
    ("house with an article", "Seen by the clinic at The Alders Health Centre before.", "The Alders Health Centre"),
    ("house at a town", "The records from Lakeview at Orrindale came.", "Lakeview at Orrindale"),
    ("house of words", "tx from golden meadows memory care, fall", "golden meadows memory care"),
    ("house in capitals", "DISCHARGED TO: WILLOW TERRACE ASSISTED LIVING", "WILLOW TERRACE ASSISTED LIVING"),
    ("house over two lines", "She was brought by her son in the night and had before been seen at The Orrin\nCentre of late.", "The Orrin\nCentre"),
    ("small kind", "He attends Sunny Acorns daycare now.", "Sunny Acorns daycare"),
    ("firm", "FMLA forms completed for Merlin Poultry and faxed.", "Merlin Poultry"),
    ("firm with a link", "Return to light duties at Harwell & Moss Solicitors soon.", "Harwell & Moss Solicitors"),
    ("firm in small letters", "pt injured at rattlesnake drilling on the rig", "rattlesnake drilling"),
    ("firm by label in capitals", "EMPLOYER: VISTA CALL CENTERS\nPHONE NONE", "VISTA CALL CENTERS"),
    ("town of two words", "Lives in a trailer near Upper Tonbridge now.", "Upper Tonbridge"),
    ("street without a number", "Found on the pavement in Larkfield Terrace by a neighbour.", "Larkfield Terrace"),
    ("number behind the street", "Home: 4711 Fifth Rd, No.  9\nWrightsville, MI 64871-8855", "4711 Fifth Rd, No.  9"),
    ("Singapore", "Staying at Blk 21 Quarry Ave 4 #08-12, Singapore 575338 now.", "Blk 21 Quarry Ave 4 #08-12, Singapore 575338"),
    ("Vietnam", "Address abroad is 12 Lê Lợi, Quận 1, Ho Chi Minh City for now.", "12 Lê Lợi, Quận 1, Ho Chi Minh City"),
    ("India", "Staying with his uncle at 41, 7th Cross, Indiranagar,\nBengaluru 560038 until May.", "41, 7th Cross, Indiranagar,\nBengaluru 560038"),
    ("Dubai", "Home visit made to Villa 17, Street 9B, Al Wasl, Dubai; dog friendly.", "Villa 17, Street 9B, Al Wasl, Dubai"),
    ("Japan", "He stays at 3-14-5 Minamiazabu, Minato-ku, Tokyo 106-0047 now.", "3-14-5 Minamiazabu, Minato-ku, Tokyo 106-0047"),
    ("house by its name", "GP at Tamarisk Cottage, Harbour Lane\nPC1 3XC was told.", "Tamarisk Cottage, Harbour Lane\nPC1 3XC"),
    ("zip", "ZIP code on file: 59718 was checked.", "59718"),
    ("zip of a home", "pt now lives in 30601 with her sister", "30601"),
    ("pin code", "PIN: 560034 on the form.", "560034"),
    ("number and side", "Rapid response called to 11 Center, ED Bed 17.", "11 Center"),
    ("number, letter and side", "Handover of 2Y East at noon.", "2Y East"),
    ("unit in a field", "Consult for KIA MOUA, 9B: sodium 118", "9B"),
    ("bed by a letter", "can you help me turn 190-B?", "190-B"),
    ("room by a letter", "can you help me turn W517?", "W517"),
    ("side room", "Fell beside the bed in Side Room 8 at night.", "Side Room 8"),
    ("somebody in a number", "angharad in 874-L wants to go home", "874-L"),
    ("floor of a tower", "Transfer from Tower 2, Level 5 was delayed.", "Tower 2, Level 5"),
    ("ward by service", "Moved to Oncology 6B in the evening.", "Oncology 6B"),
    ("ward in capitals", "BRACELET CHECKED EACH SHIFT ON HERON WING BY STAFF.", "HERON WING"),
    ("hospital by its letters at", "Imaging was obtained at STVHCS before arrival.", "STVHCS"),
    ("hospital by its letters alone", "LGH\nDISCHARGE LETTER\nNo changes.", "LGH"),
    ("hospital by its letters, operator", "Call BRJ switchboard to confirm.", "BRJ"),
    ("hospital by its letters in capitals", "HE WAS SEEN TWICE AT QGMC FOR THE SAME COMPLAINT.", "QGMC"),
    ("hospital by a nickname", "Prefers her labs at Mercyhill.", "Mercyhill"),
    ("hospital of a saint, by a letter", "Records from St D's were faxed.", "St D's"),
    ("two kinds of house", "Contact Lone Peak Regional Medical Center operator.", "Lone Peak Regional Medical Center"),
    ("firm of plain words", "Note for Bluestem Roofing about the ladder.", "Bluestem Roofing"),
    ("ZIP of a parcel", "Oxygen concentrator shipped to 98362 last week.", "98362"),
    ("ZIP of a home", "Lives alone outside 04605 with two dogs.", "04605"),
    ("Irish postcode", "Moved to D04 Z8A4 in May.", "D04 Z8A4"),
    ("town of one word", "Symptoms began after a fair in Poughkeepsie.", "Poughkeepsie"),
    ("town in capitals", "MOVED HERE FROM SEDALIA TO BE NEAR FAMILY.", "SEDALIA"),
    ("county in capitals", "CARE PACKAGE OF COUNTY TYRONE IS IN PLACE.", "COUNTY TYRONE"),
    ("unit of two compass points", "9 Northeast is short a nurse tonight.", "9 Northeast"),
    ("unit that is closed", "7W is closed to admissions.", "7W"),
    ("unit of an alert", "Rapid response to 4B, hypotensive.", "4B"),
    ("number of who is moved", "Move Delacroix 12-2 to tele.", "12-2"),
    ("street without a number", "She fell on Marsh Creek Road near the church.", "Marsh Creek Road"),
    ("number behind a number", "Hospital number: on file, thanks for the help.   NHS: 9434765919\n3 Pollard Avenue, Corby, Northants NN18 6HL\n", "3 Pollard Avenue, Corby"),
]  # fmt: skip
CLEAN = [
    "Admitted from the Emergency Department to the Intensive Care Unit.",
    "The patient tolerated Physical Therapy and Occupational Therapy well.",
    "Hospital Course: continue heparin drip per protocol.",
    "Home Environment: stairs with one rail.",
    "Heart Failure Clinic follow up; Wound Care Instructions were given.",
    "referred to pain clinic and home health, wheelchair transport arranged",
    "seen in urgent care then sent to the emergency department",
    "FOLLOW UP IN OUTPATIENT CLINIC IN TWO WEEKS. PHYSICAL THERAPY AT HOME.",
    "DISCHARGE TO SKILLED NURSING FACILITY PENDING INSURANCE AUTHORIZATION.",
    "NO ST CHANGES ON EKG.",
    "Closed with 3-0 Monocryl, Steri-Strips over; 22-G needle.",
    "Service: Cardiology | Take 2 tablets at bedtime",
    "DENTAL CLINIC NOTE",
    "Weight down over two weeks on Lasix 40. She switched from Humira to Stelara.",
    "Los Angeles B",
    "Miami J collar on; Salem sump to low suction.",
    "Parkland for 70 kg, started at once.",
    "Discharged to SNF, then LTACH. Sent to PACS.",
    "NASH cirrhosis; treated by PCI.",
    "Platelets rose from 45200 to 61500 after transfusion.",
    "BNP of 12450 at admission, heparin 25000 units; CPT 99214 or 99215?",
    "Grade 3B fracture, stage 2B is closed.",
    "Cataract surgery next week. Wound Care Center Visit Summary.",
]


@pytest.mark.parametrize("number", range(len(WHOLE)), ids=[row[0] for row in WHOLE])
def test_the_whole_name_of_a_place_goes(deidentifier: Deidentifier, number: int) -> None:
    _, text, secret = WHOLE[number]
    start = text.index(secret)
    found = {index for first, last, _ in deidentifier.find(text) for index in range(first, last)}
    places = range(start, start + len(secret))
    assert [index for index in places if text[index].isalnum() and index not in found] == []


@pytest.mark.parametrize("number", range(len(CLEAN)))
def test_phrases_of_the_clinic_stay(deidentifier: Deidentifier, number: int) -> None:
    assert deidentifier.find(CLEAN[number]) == ()
