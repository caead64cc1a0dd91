"""Replacements of both profiles: what stays under Safe Harbor, and whose surrogate is whose."""

from __future__ import annotations

from itertools import combinations

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.fakenames import BEGINNINGS, COMMON_FEMALE, FEMALE, MALE
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.people import SurrogateClash, header_names, name_words
from intraward_client.deid.safe_harbor import LOW_POPULATION_ZIP3, safe_harbor, years_of, zip3
from intraward_client.deid.surrogates import Item, PatientKey, SurrogateOperator, research

SECRET = bytes(range(32))
KNOWN = {"first": "Ottoline", "last": "Oyelaran-Varga"}
VARIANTS = (
    ("Ottoline Oyelaran-Varga", (0, 1, 2)),
    ("OTTOLINE OYELARAN-VARGA", (0, 1, 2)),
    ("ottoline oyelaran-varga", (0, 1, 2)),
    ("Oyelaran-Varga, Ottoline", (1, 2, 0)),
    ("OYELARAN-VARGA, OTTOLINE M.", (1, 2, 0)),
    ("Ottoline", (0,)),
    ("Varga", (2,)),
    ("Oyelaran's", (1,)),
    ("Mrs. Varga", (2,)),
    ("Ottoline\nOyelaran Varga", (0, 1, 2)),
    ("Otto\u0301line", (0,)),
    ("Oyelarann", (1,)),
)


def item(patient: str = "p", text: str = "", known: dict[str, str] | None = None) -> Item:
    key = PatientKey(SECRET, patient)
    names = header_names(KNOWN if known is None else known)
    return Item.of(key, (text,), ([],), reference_year=2026, known_names=names)


def test_safe_harbor_pieces() -> None:
    assert safe_harbor("DATE", "March 14, 2021", 2026) == "2021"
    assert safe_harbor("DATE", "4 May 1931", 2026) == "[DATE]"
    assert safe_harbor("DATE", "12/30/2019 to 1/4/2020", 2026) == "2019-2020"
    assert safe_harbor("DATE", "3/14", 2026) == safe_harbor("DATE", "3/4-3/7", 2026) == "[DATE]"
    assert safe_harbor("AGE", "94", 2026) == "90+" and safe_harbor("AGE", "ninety-four", 2026) == "[AGE]"
    assert safe_harbor("ADDRESS", "1 Mill Road, Ashbourne, NC 73270", 2026) == "[ADDRESS] NC 732"
    assert (zip3("03601"), zip3("60614-1234"), zip3("LS6 2AB")) == ("000", "606", "")
    assert safe_harbor("ZIP", "77201", 2026) == "000"  # census 2010; the guidance's own 17 are of 2000
    assert {"036", "059", "063", "102", "203", "556", "692", "790", "821"} <= LOW_POPULATION_ZIP3


@pytest.mark.parametrize(
    ("number", "year"), list(enumerate(["2021", "2021", "1985", "2026", "", "", "2021", "2019", "2021"]))
)
def test_the_year_stays_unless_it_tells_an_age_over_89(number: int, year: str) -> None:
    dates = (
        "03/14/21",
        "14-Mar-21",
        "Feb 3, '85",
        "1/2/26",
        "1/2/36",
        "20210230x1936",
        "20210314",
        "2019-01",
        "2021-3-4T10:20",
    )
    assert years_of(dates[number], 2026) == year


@given(st.integers(1850, 2026), st.integers(2020, 2060))
def test_no_year_that_stays_is_more_than_89_years_back(year: int, reference: int) -> None:
    kept = years_of(f"{year}-03-14", reference)
    assert (kept == str(year)) == (reference - year <= 89)


@pytest.mark.parametrize("number", range(len(VARIANTS)))
def test_one_person_has_one_name_however_written(number: int) -> None:
    text, order = VARIANTS[number]
    words = [
        "".join(name_words(research("NAME", word, item()))) for word in ("Ottoline", "Oyelaran", "Varga")
    ]
    found = name_words(research("NAME", text.replace("o\u0301", "\u00f3"), item()))
    assert found[: len(order)] == [words[place] for place in order]


def test_initials_agree_with_the_name_that_they_begin() -> None:
    whole = research("NAME", "Ottoline Varga", item())
    first, last = whole.split()
    assert research("NAME", "O. Varga", item()) == f"{first[0]}. {last}"
    assert research("NAME", "O.V.", item()) == f"{first[0]}.{last[0]}."
    assert research("NAME", "Varga OV", item()) == f"{last} {first[0]}{last[0]}"
    assert research("NAME", "NG, Wei", item()).split(",")[0] == research("NAME", "Ng", item()).upper()
    assert research("NAME", "OV", item(known={"first": "Ottoline", "last": "Varga"})) == first[0] + last[0]


def test_shape_is_kept() -> None:
    assert research("NAME", "VARGA", item()).isupper()
    assert research("NAME", "Dr. Varga's", item()).startswith("Dr. ") and "'s" in research(
        "NAME", "Varga's", item()
    )
    assert research("NAME", "van der Berg", item()) == research("NAME", "Berg", item())
    assert research("NAME", "De Santis", item()) == research("NAME", "Santis", item())
    assert research("NAME", "al-Hassan", item()) == research("NAME", "Hassan", item())
    assert not regex.search(r"\d", research("NAME", "Varga 48120957", item()).replace("0", ""))
    women = {name for names in FEMALE.values() for name in names}
    assert all(research("NAME", name.title(), item()) in women for name in sorted(COMMON_FEMALE)[:40])
    assert regex.fullmatch(r"[1-9]\d{3}-\d{4}", research("MRN", "4812-0957", item()))
    assert regex.fullmatch(r"MRN\d{7}", research("MRN", "MRN6531429", item()))
    assert research("MRN", "4812 0957", item()).replace(" ", "") == research("MRN", "48120957", item())
    assert regex.fullmatch(r"\(\d{3}\) 555-01\d\d", research("PHONE", "(312) 867-5309", item()))
    assert research("PHONE", "312.867.5309", item())[-2:] == research("PHONE", "867-5309", item())[-2:]
    assert regex.fullmatch(r"\+1 \d{3} 555 01\d\d x\d{3}", research("PHONE", "+1 312 867 5309 x117", item()))
    assert research("EMAIL", "o.varga@hospital.org", item()).endswith("@example.org")
    assert research("URL", "https://portal.org/p/334067", item()).startswith("https://example.org/")
    assert research("IP", "10.4.4.12", item()).startswith("192.0.2.")
    assert research("SSN", "123-45-6789", item()).startswith("9")
    assert regex.fullmatch(r"00[0-4]\d\d", research("ZIP", "60614", item()))
    assert research("FACILITY", "Northlake General Hospital", item()).endswith(" Hospital")
    assert research("FACILITY", "Northlake Clinic", item()).split()[0] == research(
        "LOCATION", "Northlake", item()
    )


def test_two_patients_cannot_be_linked() -> None:
    """The same names at 300 patients: equal surrogates are as frequent as chance makes them."""
    names = [research("NAME", "Ottoline Varga", item(f"p{number}")) for number in range(300)]
    records = {research("MRN", "48120957", item(f"p{number}")) for number in range(300)}
    offsets = [PatientKey(SECRET, f"p{number}").offset_days for number in range(300)]
    pairs = list(combinations(names, 2))
    assert sum(one == two for one, two in pairs) / len(pairs) < 0.002
    assert len(records) == 300 and len(set(offsets)) > 150
    assert all(-364 <= offset <= -1 for offset in offsets)
    assert research("NAME", "Varga", item("a")) != research(
        "NAME", "Varga", Item.of(PatientKey(bytes(32), "a"), ("",), ([],), reference_year=2026)
    )


@given(st.text(alphabet='|,"\\ab ', max_size=6), st.text(alphabet='|,"\\ab ', max_size=6))
def test_a_draw_never_confuses_patient_and_class(one: str, two: str) -> None:
    if one != two:
        assert PatientKey(SECRET, one).draw("A", two) != PatientKey(SECRET, two).draw("A", one)


def test_a_surrogate_is_never_the_original_or_a_known_identifier() -> None:
    for number in range(60):
        key = PatientKey(SECRET, f"p{number}")
        name = research("NAME", "Varga", item(f"p{number}"))
        forbidden = Item.of(key, ("",), ([],), reference_year=2026, forbidden=name.__eq__)
        assert research("NAME", "Varga", forbidden) not in {name, "Varga"}
        with pytest.raises(SurrogateClash):
            research("NAME", "Varga", item(f"p{number}", text=f"met {name} today"))
        code = research("ROOM", "41", item(f"p{number}"))
        taken = Item.of(key, (code,), ([(0, len(code), "ROOM")],), reference_year=2026)
        assert research("ROOM", "41", taken) != code


def test_a_clash_quarantines(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Deidentifier(DeidSettings(profile="research"), SECRET)
    name = research("NAME", "Varga", item("p", known={}))
    outcome = engine.deidentify_text(f"Dr. Varga saw the {name.lower()} of the plant.", "p", {})
    assert isinstance(outcome, Quarantined) and outcome.reason == "surrogate-clash"


def test_intervals_and_people_through_the_whole_engine() -> None:
    """Three notes of one patient: the same offset in every format, the same name in every spelling."""
    engine = Deidentifier(DeidSettings(profile="research"), SECRET)
    known = {"first": "Ottoline", "last": "Varga", "mrn": "48120957", "dob": "1960-02-29"}
    notes = (
        "Patient: Ottoline Varga\nMRN: 48120957\nDOB: 02/29/1960\nSeen on 2021-03-14 by Dr. Deshmukh.",
        "VARGA, OTTOLINE (48120957) was seen on March 19, 2021. Ms. Varga feels better.",
        "Ottoline's cough has gone, O. Varga said on 24 Mar 2021.",
    )
    outcomes = [engine.deidentify_text(text, "p", known) for text in notes]
    texts = [outcome.text for outcome in outcomes if isinstance(outcome, DeidentifiedNote)]
    assert len(texts) == 3 and not any(
        word in "".join(texts) for word in ("Varga", "VARGA", "Ottoline", "4812")
    )
    first, last = regex.search(r"Patient: (\w+) (\w+)", texts[0]).groups()
    assert f"{last.upper()}, {first.upper()}" in texts[1] and f"Ms. {last}" in texts[1]
    assert f"{first}'s" in texts[2] and f"{first[0]}. {last}" in texts[2]


def test_surrogates_under_safe_harbor_keep_its_rules() -> None:
    engine = Deidentifier(DeidSettings(replacement="surrogates"), SECRET)
    engine.self_test()
    outcome = engine.deidentify_text("Mr. Varga, 94 years old, zip code 60614, seen 2021-03-14.", "p", {})
    assert isinstance(outcome, DeidentifiedNote) and outcome.receipt.profile == "safe-harbor"
    assert outcome.text.endswith(", 90+ years old, zip code 606, seen 2021.") and "[" not in outcome.text


def test_the_operator_refuses_half_a_call_and_shows_nothing() -> None:
    for params in (
        {},
        {"profile": "best", "kind": "NAME", "item": item()},
        {"profile": "research", "kind": "NAME"},
    ):
        with pytest.raises(ValueError, match="needs"):
            SurrogateOperator().validate(params)
    assert "secret" not in repr(PatientKey(b"secret" * 4, "secret")) and "Varga" not in repr(item())


def test_there_are_names_for_every_letter() -> None:
    for pool in (FEMALE, MALE, BEGINNINGS):
        assert sorted(pool) == [chr(ord("A") + number) for number in range(26)]
        assert all(len(set(names)) == len(names) >= 4 for names in pool.values())
