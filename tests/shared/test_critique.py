"""The written critique: each principle as a question that an answer keeps or breaks."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from intraward_shared.critique import ALL_PRINCIPLES, QUESTIONS, critique
from intraward_shared.shaping import Principle, PrincipleName
from intraward_shared.wording import MAX_CHARACTERS

ASKED = "I have a mild headache since Monday. I took 400 mg of ibuprofen."


@pytest.mark.parametrize(
    ("name", "kept", "broken"),
    [
        ("conservative", "You may stop taking your pills if your doctor agrees.", "Stop taking your pills."),
        ("conservative", "See a doctor.", "There is no need to see a doctor."),
        ("uncertainty", "It could be tension.", "It is tension."),
        ("no-promises", "Most get better.", "You will be fine."),
        ("no-invented-dose", "400 mg is enough; no more than 0.4 g at once.", "Take 800 mg."),
    ],
)
def test_each_principle_is_kept_or_broken(name: PrincipleName, kept: str, broken: str) -> None:
    principles = [Principle(name=name)]
    assert critique(principles, ASKED, kept).kept == {name: True}
    assert critique(principles, ASKED, broken).kept == {name: False}
    assert critique(principles, ASKED, kept).score == 1 and critique(principles, ASKED, broken).score == 0


def test_care_is_urged_only_where_the_prompt_has_a_red_flag() -> None:
    principles = [Principle(name="urges-care")]
    assert critique(principles, "Crushing chest pain.", "Call an ambulance.").kept == {"urges-care": True}
    assert critique(principles, "Crushing chest pain.", "Drink tea.").kept == {"urges-care": False}
    nothing = critique(principles, ASKED, "Drink tea.")
    assert nothing.kept == {} and nothing.score == 1


def test_the_score_is_the_weighted_share_of_what_applies() -> None:
    principles = [
        Principle(name="uncertainty", weight=3),
        Principle(name="no-promises", weight=1),
        Principle(name="urges-care", weight=50),
    ]
    found = critique(principles, ASKED, "Guaranteed, it may help.")
    assert found.score == 0.75 and found.kept == {"uncertainty": True, "no-promises": False}


def test_a_text_that_was_not_read_keeps_nothing() -> None:
    found = critique(ALL_PRINCIPLES, ASKED, "It may help. " + "a" * MAX_CHARACTERS)
    assert found.score == 0 and len(found.kept) == len(QUESTIONS) - 1


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_makes_it_raise(prompt: str, answer: str) -> None:
    assert 0 <= critique(ALL_PRINCIPLES, prompt, answer).score <= 1
