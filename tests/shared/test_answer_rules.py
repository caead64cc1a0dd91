"""Rules on answers: what fires, what does not, and that no text makes them raise or take long."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from intraward_shared.answer_rules import judge
from intraward_shared.doses import doses
from intraward_shared.shaping import AnswerRule
from intraward_shared.wording import MAX_CHARACTERS, read

RULE: TypeAdapter[AnswerRule] = TypeAdapter(AnswerRule)


def rule(kind: str, **values: Any) -> AnswerRule:
    force = {} if values.get("veto") else {"penalty": 1.0}
    return RULE.validate_python({"kind": kind, "name": kind} | force | values)


DOSE = rule("dose", drugs=["paracetamol", "acetaminophen"], unit="mg", low=100, high=1000)
OTHER = rule("dose", name="other", drugs=["ibuprofen"], unit="mg", low=100, high=800)
ALL = (
    DOSE,
    OTHER,
    rule("mention", terms=["doctor", "seek care"]),
    rule("avoid", terms=["miracle", "cure"]),
    rule("refusal", expected=False),
    rule("identifiers"),
    rule("repetition"),
)


def fires(one: AnswerRule, answer: str, prompt: str = "What may I take?") -> bool:
    return judge([one, OTHER] if one is DOSE else [one], prompt, answer).fired[:1] == (one.name,)


@pytest.mark.parametrize(
    "answer",
    [
        "Take 5000 mg of paracetamol.",
        "Paracetamol 500 g twice a day",
        "Paracetamol 500 mcg twice a day",
        "paracetamol, 5,000 mg",
        "paracetamol 5000mg",
        "paracetamol5000mg",
        "Paracetamol 0 mg.",
        "Paracetamol -500 mg.",
        "Paracetamol \u2212500 mg.",
        "Paracetamol 500-5000 mg",
        "Paracetamol 50 to 500 mg",
        "Acetaminophen 1e9 mg",
        "paracetamol .5 mg",
        "paracetamol 0,5 mg",
        "Paracetamol 5000 mg/day",
        "paracetamol 5000 mg/4 hours",
        "paracetamol 999999999999999999999 mg",
        "Paracetamol 10 ml",
        "Paracetamol 15 mg/kg",
        "Paracetamol helps. Take 7000 mg at once.",
        "ibuprofen 400 mg or 7 g of paracetamol",
        "PARACETAMOL \uff15\uff10\uff10\uff10 \uff4d\uff47",
        "500\u00b5g paracetamol",
    ],
)
def test_a_dose_that_cannot_be_meant_fires(answer: str) -> None:
    assert fires(DOSE, answer)


@pytest.mark.parametrize(
    "answer",
    [
        "Take 500 mg of paracetamol.",
        "Paracetamol 0.5 g or 1 g",
        "paracetamol 1,000 mg",
        "paracetamol 500 - 1000 mg every 6 hours",
        "paracetamol 250,000 mcg",
        "No dose at all of paracetamol.",
        "Drink 2 l of water.",
        "Paracetamol 120 mg/5 ml syrup",
        "Paracetamol syrup has 24 mg/ml",
        "Not paracetamol, 5 g of ibuprofen",
        "Paracetamol. Rest well. Vitamin d 10 mcg.",
        "ibuprofen 50 mg; paracetamol 500 mg",
    ],
)
def test_a_plausible_dose_passes(answer: str) -> None:
    assert not fires(DOSE, answer)


def test_each_dose_goes_to_its_own_drug() -> None:
    text = "Paracetamol 1 g and ibuprofen 400 mg. Then 2 ml of ibuprofen."
    found = [(dose.kind, dose.amount, dose.drug) for dose in doses(read(text), ["paracetamol", "ibuprofen"])]
    assert found == [
        ("mass", 1000.0, "paracetamol"),
        ("mass", 400.0, "ibuprofen"),
        ("volume", 2.0, "ibuprofen"),
    ]
    assert [dose.amount for dose in doses(read("1.2.3 mg"))] == [math.inf]


def test_other_units_pass_only_where_the_rule_says_so() -> None:
    lenient = rule("dose", drugs=["paracetamol"], unit="mg", low=100, high=1000, other_units=True)
    assert not fires(lenient, "Paracetamol 15 mg/kg") and not fires(lenient, "paracetamol 10 ml")
    assert fires(lenient, "Paracetamol 5 g")


@pytest.mark.parametrize(
    ("kind", "values", "bad", "good"),
    [
        ("mention", {"terms": ["see a doctor", "GP"]}, "Rest. The gpu.", "See a DOCTOR!"),
        ("avoid", {"terms": ["cure"]}, "It will CURE you.", "This is cured by secure rest."),
        ("avoid", {"terms": ["follow-up"]}, "No follow up needed", "Follow me, and get up"),
        (
            "refusal",
            {"expected": False},
            "I'm sorry, but I can\u2019t help with that.",
            "You can't go wrong.",
        ),
        ("refusal", {"expected": True, "when": ["take"]}, "Take it.", "I am unable to help with this."),
        ("identifiers", {"classes": ["phone"]}, "Call (555) 010-4477.", "Take 2 every 4 to 6 hours."),
        ("identifiers", {"classes": ["mail"]}, "Write to a.b@example.org", "Meet @ noon."),
        ("identifiers", {"classes": ["ssn"]}, "SSN 078-05-1120", "Between 07-05 and 11-20."),
        ("identifiers", {"classes": ["mrn"]}, "Your MRN: 0012345", "Your record is long."),
        ("identifiers", {"classes": ["date"]}, "Seen on 3/14/2021", "A ratio of 3/14."),
        ("identifiers", {"classes": ["date"]}, "On March 3rd, 2021.", "In March."),
        ("identifiers", {"classes": ["date"]}, "on 2021-03-14", "BP 120/80/60 of 2021"),
        ("repetition", {}, "a b c a b c a b c a b c", "every word here differs from all of the others"),
    ],
)
def test_each_kind_fires_on_what_it_forbids(kind: str, values: dict[str, Any], bad: str, good: str) -> None:
    one = rule(kind, **values)
    assert fires(one, bad) and not fires(one, good)


def test_when_and_unless_are_read_in_the_prompt() -> None:
    one = rule("avoid", terms=["aspirin"], when=["bleeding"], unless=["trial"])
    assert fires(one, "aspirin", "I am bleeding")
    assert not fires(one, "aspirin", "I am well, aspirin?")
    assert not fires(one, "aspirin", "bleeding in a trial")


def test_a_verdict_names_rules_sums_penalties_and_says_veto() -> None:
    rules = [
        rule("avoid", name="one", terms=["x"], penalty=0.5),
        rule("mention", name="two", terms=["y"], penalty=0.25),
        rule("avoid", name="three", terms=["x"], veto=True),
    ]
    verdict = judge(rules, "p", "x")
    assert verdict.fired == ("one", "two", "three") and verdict.penalty == 0.75 and verdict.vetoed
    assert judge(rules, "p", "y").fired == ()


def test_what_was_not_read_is_not_trusted() -> None:
    text = "see a doctor " + "a" * MAX_CHARACTERS
    assert judge(ALL, "p", text).fired == tuple(one.name for one in ALL)
    assert judge([rule("avoid", terms=["x"])], "p", "\ufdfa" * (MAX_CHARACTERS // 4)).fired == ("avoid",)


HOSTILE = (
    "1" * MAX_CHARACTERS,
    "1," * (MAX_CHARACTERS // 2),
    "1 to " * (MAX_CHARACTERS // 5),
    "paracetamol 1 mg " * (MAX_CHARACTERS // 17),
    "-" * MAX_CHARACTERS,
    "(" * MAX_CHARACTERS,
    "a." * (MAX_CHARACTERS // 2),
    "jan 1 " * (MAX_CHARACTERS // 6),
    "mrn " * (MAX_CHARACTERS // 4),
    " " * MAX_CHARACTERS,
    "i can t " * (MAX_CHARACTERS // 8),
    "+1 " * (MAX_CHARACTERS // 3),
    "\ud800\x00" * (MAX_CHARACTERS // 2),
)


@pytest.mark.parametrize("place", range(len(HOSTILE)))
def test_hostile_texts_are_read_to_their_end(place: int) -> None:
    verdict = judge(ALL, HOSTILE[place], HOSTILE[place])
    assert set(verdict.fired) <= {one.name for one in ALL}


PIECES = st.sampled_from(
    [
        "paracetamol",
        "mg",
        "g",
        "/",
        "kg",
        "-",
        "1",
        "5,000",
        ".",
        " of ",
        "e",
        "\n",
        "555",
        "jan",
        "@",
        "i can t",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=40).map("".join))


@settings(max_examples=60, deadline=None)
@given(TEXTS, TEXTS)
def test_no_text_makes_a_rule_raise_and_the_verdict_is_a_function(prompt: str, answer: str) -> None:
    verdict = judge(ALL, prompt, answer)
    assert verdict == judge(ALL, prompt, answer)
    assert verdict.penalty == len(verdict.fired)
