"""Known identifiers in every variant; replacements of both profiles."""

from datetime import timedelta

import pytest

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.known import KnownIdentifiers, within_one_edit
from intraward_client.deid.note import DeidentifiedNote
from intraward_client.deid.surrogates import PatientKey, safe_harbor, shift_date, zip3

WORDS = frozenset({"rose", "young", "early", "she"})
KNOWN = {
    "first": "Rose",
    "last": "Oyelaran-Young",
    "mrn": "4812-0957",
    "dob": "1960-02-03",
    "phone": "(312) 555-0143",
    "email": "rosey@example.org",
    "address": "8596 Old Mill Road, Ashbourne, NC 73270",
}


@pytest.mark.parametrize(
    ("number", "variant"),
    list(
        enumerate(
            [
                "OYELARAN",
                "Oyelaran's",
                "Oyelarann",
                "Oyelraan",
                "Oyelaran-Young, Rose",
                "ROSE OYELARAN-YOUNG",
                "R. Oyelaran-Young",
                "R.O.",
                "48120957",
                "4812 0957",
                "02/03/1960",
                "3rd of February 1960",
                "Feb 3, '60",
                "3125550143",
                "555 0143",
                "rosey",
                "8596 old mill road",
                "Old Mill Road",
                "73270",
                "Young",
            ]
        )
    ),
)
def test_variants_are_found_whole(number: int, variant: str) -> None:
    text = f"about {variant} here"
    covered = {i for start, end, _ in KnownIdentifiers(KNOWN, WORDS).find(text) for i in range(start, end)}
    wanted = range(6, 6 + len(variant))
    assert all(i in covered or not text[i].isalnum() for i in wanted)


def test_common_words_in_small_letters_stay() -> None:
    assert list(KnownIdentifiers(KNOWN, WORDS).find("she rose early, a young heart")) == []


def test_one_edit() -> None:
    assert within_one_edit("castellano", "castelano") and within_one_edit("petrov", "pertov")
    assert not within_one_edit("petrov", "petersen") and not within_one_edit("abcdef", "abdcfe")


def test_safe_harbor_pieces() -> None:
    assert safe_harbor("DATE", "March 14, 2021", 2026) == "2021"
    assert safe_harbor("DATE", "4 May 1931", 2026) == "[DATE]"
    assert safe_harbor("AGE", "94", 2026) == "90+"
    assert safe_harbor("ADDRESS", "1 Mill Road, Ashbourne, NC 73270", 2026) == "[ADDRESS] NC 732"
    assert (zip3("03601"), zip3("60614-1234"), zip3("LS6 2AB")) == ("000", "606", "")


def test_dates_keep_format_and_interval() -> None:
    offset = timedelta(days=-40)
    assert shift_date("2021-03-14", offset) == "2021-02-02"
    assert shift_date("03/14/2021", offset) == "02/02/2021"
    assert shift_date("March 14, 2021", offset) == "February 2, 2021"
    assert shift_date("2020-02-29", timedelta(days=-365)) == "2019-03-01"
    assert shift_date("early spring", offset) == ""


def test_surrogates_are_consistent_within_a_patient_and_differ_across() -> None:
    engine = Deidentifier(DeidSettings(profile="research"), bytes(range(32)))
    text = "Patient: Ottoline Varga, MRN 48120957. Dr. Varga agreed."
    one, again, other = (engine.deidentify_text(text, patient, {}) for patient in ("a", "a", "b"))
    assert isinstance(one, DeidentifiedNote) and isinstance(again, DeidentifiedNote)
    assert isinstance(other, DeidentifiedNote)
    assert one.text == again.text != other.text
    assert "Varga" not in one.text and "48120957" not in one.text
    family = one.text.split(",")[0].split()[-1]
    assert one.text.count(family) == 2


def test_the_key_shows_nothing() -> None:
    assert "secret" not in repr(PatientKey(b"secret" * 4, "secret"))
