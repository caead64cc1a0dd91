"""Detection traps of the facts page by name, hostile inputs, and the lists."""

import random
import string
from itertools import pairwise

import pytest
import regex
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from presidio_analyzer import RecognizerResult

from intraward_client.deid import wordlists
from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.filters import settle
from intraward_client.deid.layout import flatten
from intraward_client.deid.mentions import other_mentions
from intraward_client.deid.recase import is_caseless, recase
from intraward_client.deid.recognizers import PACK, pack_digest
from intraward_client.deid.wordkinds import Kind, word_kinds

HOSTILE = [
    "a" * 3000,
    "A " * 1500,
    "Aa" * 1500,
    "1" * 3000,
    "1 " * 1500,
    "1-" * 1500,
    "Mr " * 1000,
    "Mr. A. " * 400,
    "a.b" * 1000,
    "a@" * 1500,
    "A-1" * 1000,
    "St " * 1000,
    "of the " * 400,
    "12 Aa Bb " * 300,
    "Our Lady of " * 250,
    "(" * 3000,
    "\n" * 3000,
    "é" * 3000,
    "1/1/" * 700,
    "http://" * 400,
    "A, " * 1000,
    "Aa Aa, Aa Aa. " * 200,
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_no_rule_blows_up_on_repetition(number: int) -> None:
    """Every rule ends within its time limit on text made to make it backtrack; a time-out raises."""
    for rule in PACK:
        pattern = regex.compile(rule.expression, regex.MULTILINE)
        for _ in pattern.finditer(HOSTILE[number], timeout=2.0):
            pass


def test_trap_fail_open_registry_names_and_towns_need_the_model(deidentifier: Deidentifier) -> None:
    found = deidentifier.find("John Smith lives in Boston")
    assert {kind for _, _, kind in found} >= {"NAME", "LOCATION"}


def test_trap_yaml_wipes_thresholds_low_scores_take_nothing(deidentifier: Deidentifier) -> None:
    """What a health recognizer of Presidio finds at 0.1 in plain words is no finding here."""
    assert deidentifier.find("The build named v2patch10build7 was installed.") == ()


def test_trap_person_on_numbers_and_table_cells(deidentifier: Deidentifier) -> None:
    assert deidentifier.find("Na 138 | K 4.1 | Cl 102 | Hgb 11.2 | WBC 9.6") == ()


def test_trap_relative_dates_and_years_of_duration(deidentifier: Deidentifier) -> None:
    assert deidentifier.find("Daily for 5 years, two weeks ago, every 8 hours, by tomorrow.") == ()


def test_trap_age_without_a_unit(deidentifier: Deidentifier) -> None:
    text = "Father died at 94; saturation 94% and pulse 94."
    assert [text[start:end] for start, end, _ in deidentifier.find(text)] == ["94"]


def test_trap_nhs_number_is_found_by_its_cue_whatever_its_checksum(deidentifier: Deidentifier) -> None:
    assert {kind for _, _, kind in deidentifier.find("NHS no 943 476 5918 given")} == {"NHS"}


def test_trap_last_four_of_an_identifier_go_too(deidentifier: Deidentifier) -> None:
    text = "SSN ending in 5527 and xxx-xx-5527"
    left = "".join(
        c for i, c in enumerate(text) if not any(a <= i < b for a, b, _ in deidentifier.find(text))
    )
    assert "5527" not in left


def test_trap_eponyms_stay_and_people_with_the_name_go(deidentifier: Deidentifier) -> None:
    text = "Marie Foley has Charcot-Marie-Tooth disease. Foley catheter out. Dr. Bell saw Bell's palsy."
    assert [text[start:end] for start, end, _ in deidentifier.find(text)] == ["Marie Foley", "Bell"]


def test_names_found_once_are_found_everywhere(deidentifier: Deidentifier) -> None:
    text = "Discussed with Dr. Quill-Ashdown. QUILL-ASHDOWN agreed; Ashdown will call. A quill was seen."
    found = [text[start:end] for start, end, _ in deidentifier.find(text)]
    assert found == ["Quill-Ashdown", "QUILL-ASHDOWN", "Ashdown"]


def test_mentions_do_not_spread_to_english_words(deidentifier: Deidentifier) -> None:
    kinds = word_kinds(deidentifier._engine.words)
    text = "Rose was seen. Rose petals. Rose called."
    assert [text[a:b] for a, b, _ in other_mentions(text, [(0, 4, "NAME")], kinds)] == ["Rose", "Rose"]


def test_wrapped_lines_keep_every_offset() -> None:
    text = "She was seen with her husband and by her sister Ottoline\nVarga today.\nMRN: 1"
    flat = flatten(text)
    assert len(flat) == len(text) and "Ottoline Varga" in flat and "\n" in flat


def test_shouted_and_small_texts_get_their_capitals_back(deidentifier: Deidentifier) -> None:
    kinds = word_kinds(deidentifier._engine.words)
    shouted = "SEEN WITH OTTOLINE VARGA AT LAKEMONT GENERAL HOSPITAL ON MAY 3RD"
    assert "Ottoline Varga at Lakemont General Hospital" in recase(shouted, kinds)
    assert recase("The dose was raised.", kinds) == "The dose was raised."
    assert is_caseless("pt jose ramirez has a cough") and not is_caseless("Jose has a cough")


def test_kinds_of_words(deidentifier: Deidentifier) -> None:
    kinds = word_kinds(deidentifier._engine.words)
    assert kinds.of("Maria") is Kind.GIVEN and kinds.of("Ramírez") is Kind.FAMILY
    assert kinds.of("Rose") is Kind.WORD_GIVEN and kinds.of("lisinopril") is Kind.CLINICAL
    assert kinds.of("walking") is Kind.WORD and kinds.of("Qwexzal") is Kind.UNKNOWN


def test_a_name_is_cut_at_its_edges(deidentifier: Deidentifier) -> None:
    text = "Dr Ottoline Varga MD\nDOB"
    result = RecognizerResult("PERSON", 0, len(text), 0.9)
    assert list(settle([result], text, deidentifier._engine.words)) == [(3, 17, "PERSON")]


def test_every_list_names_its_origin_and_is_covered_by_the_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in wordlists.NAMES:
        assert wordlists._read(name).startswith("# ") and len(wordlists.word_list(name)) > 50
    before = pack_digest()
    read = wordlists._read
    monkeypatch.setattr(wordlists, "_read", lambda name: read(name) + ("x" if name == "brands" else ""))
    assert pack_digest() != before


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.ascii_letters + string.digits + " .,:/-()'\n<>@#é", max_size=120))
def test_reading_copy_never_moves_an_offset(deidentifier: Deidentifier, text: str) -> None:
    assert len(recase(text, word_kinds(deidentifier._engine.words))) == len(text)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 10**9), st.sampled_from(["MRN {}", "Acct #{}", "serial no. {}", "NPI: {}", "member id {}"])
)
def test_any_long_number_behind_a_cue_goes(deidentifier: Deidentifier, number: int, cue: str) -> None:
    shape = random.Random(number).choice(["{:08d}", "A{:07d}", "{:06d}-B"]).format(number)
    text = "Noted " + cue.format(shape) + " today."
    removed = {index for start, end, _ in deidentifier.find(text) for index in range(start, end)}
    assert not any(text[index].isdigit() and index not in removed for index in range(len(text)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=string.printable, max_size=200))
def test_spans_lie_inside_the_text_and_in_order(deidentifier: Deidentifier, text: str) -> None:
    spans = deidentifier.find(text)
    assert all(0 <= start < end <= len(text) for start, end, _ in spans)
    assert all(one[1] <= two[0] for one, two in pairwise(spans))
