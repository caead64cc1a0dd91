"""Known identifiers in every variant."""

import pytest

from intraward_client.deid.known import KnownIdentifiers, within_one_edit

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
