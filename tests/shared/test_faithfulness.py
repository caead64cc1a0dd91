"""Support of a summary by its dialogue, in literal shares."""

from __future__ import annotations

import pytest

from intraward_shared.faithfulness import support

DIALOGUE = (
    "Doctor: Any chest pain?\nPatient: Um, no.\nDoctor: Any fever?\nPatient: Yes, since two days.\n"
    "Doctor: How old are you?\nPatient: I am fifty two and I take metformin."
)


def test_what_stands_in_the_dialogue_is_supported() -> None:
    found = support(DIALOGUE, "52-year-old. Denies chest pain. Fever for 2 days. Takes metformin.")
    assert found.numbers == 1.0 and found.polarity == 1.0 and found.facts == 1.0
    assert found.content is not None and found.content > 0.8


@pytest.mark.parametrize(
    ("summary", "numbers", "polarity"),
    [
        ("She has chest pain.", None, 0.0),
        ("He denies fever.", None, 0.0),
        ("No fever but chest pain.", None, 0.0),
        ("He denies chest pain, but has a fever.", None, 1.0),
        ("Aged 34, with metformin.", 0.0, 1.0),
        ("Fever for 3 days, aged 52.", 0.5, 1.0),
    ],
)
def test_wrong_numbers_and_turned_negations_are_seen(
    summary: str, numbers: float | None, polarity: float
) -> None:
    found = support(DIALOGUE, summary)
    assert (found.numbers, found.polarity) == (numbers, polarity)


def test_what_nobody_said_is_unsupported_and_what_was_left_out_lowers_coverage() -> None:
    invented = support(DIALOGUE, "History of asthma and psoriasis.")
    assert invented.facts is None and invented.content == 0.0 and invented.unsupported >= 2
    short, long = support(DIALOGUE, "Fever."), support(DIALOGUE, "Fever, days, metformin, no chest pain.")
    assert short.coverage is not None and long.coverage is not None and short.coverage < long.coverage
    assert support(DIALOGUE, "").content is None
