"""Names of persons by class of their writing, each text with what must be covered; every name is invented."""

import pytest

from intraward_client.deid.deidentifier import Deidentifier

FOUND = (
    ("Can you take Paget in Bay 5 first?", "Paget"),
    ("who is on for renal? radulovic in bed 25 has a K of 6.8", "radulovic"),
    ("zlatan, can you see tourette in suite 4?", "tourette"),
    ("pt dahir adenuga wants to leave ama, Dr. Moe please call", "dahir adenuga"),
    ("quick q: melody long on warfarin, inr 6.0", "melody long"),
    ("Bed request for Dilrukshi Islam today.", "Dilrukshi Islam"),
    ("Contact person: Page, Basil (father)", "Page, Basil"),
    ("Look at Oh, Do-yoon (2201722) please", "Oh, Do-yoon"),
    ("Claim for Thu Hà Châu, injured at work", "Thu Hà Châu"),
    ("Curbside: nephrotic syndrome, R.H., C65-4192. Biopsy?", "R.H."),
    ("Happy for you to chase this. - L.V.\nPlan as above.", "L.V."),
    ("Ran out of metoprolol, can you refill it? - ayumi", "ayumi"),
    ("Thank you,\nShafiq", "Shafiq"),
    ("Witnessed by S.  d'Aubrac, RN, and B.  dos Reis, RN.", "S.  d'Aubrac"),
    ("Signed: Der Khang, MD", "Der Khang"),
    ("WITNESSED BY W. HIRSCHFELD, RN, AND OTHERS AT THE BEDSIDE.", "W. HIRSCHFELD"),
    ("Obinna cannot remember the passphrase for the app.", "Obinna"),
    ("SLP note: Heath passed the bedside swallow.", "Heath"),
    ("Chest tube out. Rivers still wheezy on 2 L.", "Rivers"),
    ("Text me when Banks leaves for IR.", "Banks"),
    ("Vent weaned. miyeon is retching after the prep. Zofran ok?", "miyeon"),
    ("if hope can sit up, start clears", "hope"),
    ("please remind faith to recheck the k", "faith"),
    ("pls ask bell to cosign the morphine", "bell"),
    ("who is covering for kwok overnight", "kwok"),
    ("what was moss's last creatinine", "moss"),
    ("wendyhightower med list shows two statins", "wendyhightower"),
    ("is Wozniak in clinic or al-Hashimi?", "al-Hashimi"),
    ("HCP is Young, Hope, reachable on her mobile.", "Young, Hope"),
    ("Legal proxy is Trinh, Tam, letter on file.", "Trinh, Tam"),
    ("Seen with Ka-Man Fung on rounds.", "Ka-Man Fung"),
    ("NOTE OF THE DAY. PER RIVERS, STOP THE HEPARIN AT 0600.", "RIVERS"),
    ("Plan agreed.\nMay Fields, DO", "May Fields"),
    ("Attending Ro5alind Achterberg reviewed the film.", "Ro5alind"),
    ("WOUND CLEAN AND DRY.\nTRANSCRIBED: R.T. 03/11/2024", "R.T."),
)
LEFT = (
    "Housekeeping needed in bed 3 after discharge.",
    "Patient in Room 5 is stable, K 4.1, b.i.d. dosing kept.",
    "Carcinoma in situ, no invasion; seen at 8 a.m. on rounds.",
    "Give 5 mg p.o. q.d. and 2 L. of saline i.v. over 4 h.",
    "wound closed with staples, mild tingle in the left hand",
    "echo: ef 36%, mild mr, rvsp 37 mmhg",
    "Drew a clock without errors. Rose from the chair without using her arms.",
    "Chem: Na 138. Pt declined the vaccine, copies were sent.",
    "call light within reach, page surgery when the lab is back",
    "Page sent, awaiting reply. Foley draining, Wells score 1.5. Burns healed well.",
    "Church attendance weekly. Hope for discharge tomorrow. Grace period ends Friday.",
    "LONG QT ON EKG. PER PROTOCOL, HOLD HEPARIN. CASE DISCUSSED WITH FAMILY.",
)


@pytest.mark.parametrize("number", range(len(FOUND)))
def test_a_name_is_covered_whole(deidentifier: Deidentifier, number: int) -> None:
    text, name = FOUND[number]
    covered = {at for start, end, _ in deidentifier.find(text) for at in range(start, end)}
    at = text.index(name)
    assert [i for i in range(at, at + len(name)) if text[i].isalpha() and i not in covered] == []


@pytest.mark.parametrize("number", range(len(LEFT)))
def test_words_that_name_nobody_stay(deidentifier: Deidentifier, number: int) -> None:
    assert "NAME" not in {kind for _, _, kind in deidentifier.find(LEFT[number])}
