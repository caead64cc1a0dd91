"""What makes the de-identifier fast changes nothing of what it finds."""

from __future__ import annotations

import pytest
import regex

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.factoring import factor
from intraward_client.deid.lean import RulesAndPhones
from intraward_client.deid.literals import crosses_lines, required
from intraward_client.deid.model import MODEL_NAME, MODEL_SHA256, load_engine
from intraward_client.deid.recase import recase
from intraward_client.deid.recognizers import PACK
from intraward_client.deid.rules import Rule, RuleRecognizer
from intraward_client.deid.sparing import spared
from intraward_client.deid.wordkinds import word_kinds
from intraward_simulation.deid_corpus.rows import Kind, write_rows

_ENTITIES = sorted({rule.entity for rule in PACK})


@pytest.fixture(scope="module")
def texts() -> tuple[str, ...]:
    kinds: tuple[tuple[Kind, int], ...] = (("notes", 12), ("queries", 40), ("clean", 20), ("lines", 20))
    return tuple(row["text"] for kind, count in kinds for row in write_rows(kind, "dev", count, 5))


def test_the_decoder_finds_what_spacy_finds(texts: tuple[str, ...]) -> None:
    engine, _ = load_engine(MODEL_NAME, MODEL_SHA256)
    odd = ("a", " ", "\n\n", "Ana", "  Ana Lopez\n\n", "Dr. Maria de la Cruz of New York City and the Bronx")
    batch = (*texts, *odd)
    own = [
        [(span.start_char, span.end_char, span.label_) for span in read.tokens.ents]
        for read in engine.read(batch)
    ]
    theirs = [
        [(span.start_char, span.end_char, span.label_) for span in doc.ents]
        for doc in engine.nlp["en"].pipe(batch)  # type: ignore[index]
    ]
    assert own == theirs
    assert sum(map(len, own)) > 300


def test_sentences_that_name_nobody_are_blank_to_the_model(deidentifier: Deidentifier) -> None:
    text = "History of COPD on tiotropium. Seen by Ottoline today; lungs clear.\nMild, 3.5 cm. Rose agreed.\n"
    shown = spared(text, word_kinds(deidentifier._engine.words))
    assert len(shown) == len(text) and shown.count("\n") == 2
    assert shown.split() == ["Seen", "by", "Ottoline", "today;", "Rose", "agreed."]


def test_a_text_without_a_token_has_no_entities() -> None:
    engine, _ = load_engine(MODEL_NAME, MODEL_SHA256)
    assert next(engine.read(["", "Maria Delgado"])).entities == []


@pytest.mark.exhaustive
def test_rules_find_the_same_where_their_literals_stand(
    texts: tuple[str, ...], deidentifier: Deidentifier
) -> None:
    read = [recase(text, word_kinds(deidentifier._engine.words)) for text in texts]
    recognizer = RuleRecognizer(PACK)
    found = [
        {(one.entity_type, one.start, one.end) for one in recognizer.analyze(text, _ENTITIES)}
        for text in read
    ]
    plain = [(rule.entity, regex.compile(rule.expression, flags=regex.MULTILINE)) for rule in PACK]
    expected = [
        {
            (entity, *match.span())
            for entity, expression in plain
            for match in expression.finditer(text)
            if match.group()
        }
        for text in read
    ]
    assert found == expected
    assert sum(map(len, found)) > 500


@pytest.mark.parametrize(
    ("expression", "factored"),
    [
        ("mother|mom|father", "m(?:other|om)|father"),
        (r"\b(?i:Mr|mrs|ms)\.?", r"\b(?i:M(?:r(?:|s)|s))\.?"),
        ("(?:ab|ac|d?e)x", "(?:a(?:b|c)|d?e)x"),
        (r"[|(](?:in|is|it)\|", r"[|(](?:i(?:n|s|t))\|"),
        ("(?:a(b)|ac|ad)\\1", "(?:a(b)|ac|ad)\\1"),
        (r"[]|x]|[^]|]", r"[]|x]|[^]|]"),
    ],
)
def test_factoring(expression: str, factored: str) -> None:
    assert factor(expression) == factored


@pytest.mark.exhaustive
def test_factored_rules_are_whole() -> None:
    for rule in PACK:
        assert regex.compile(factor(rule.expression), flags=regex.MULTILINE).groups >= 0


@pytest.mark.parametrize(
    ("expression", "literals"),
    [
        (r"\b(?:MRN|record)[ ]\d+", [{"\x00MRN", "record"}, {" 0"}]),
        (r"\b(?i:MRN|record)[ ]\d+", [{"mrn", "record"}, {" 0"}]),
        (r"(?i:(?:Dr|prof))[ ]M", [{"\x00 M"}, {"dr", "prof"}]),
        (r"\bDr\.?[ ]\p{Lu}+", [{"\x00Dr"}]),
        (r"(?:colou?r|hue)", [{"colo", "hue"}]),
        (r"(?:age|age at|aged)[ ]x", [{"age"}, {" x"}]),
        (r"\p{L}+(?=[ ]?kg)", [{"kg"}]),
        (r"\p{L}+(?![ ]?kg)", []),
        (r"(?:kg)?\p{L}", []),
        (r"(?:kg|\p{L})x", []),
        (r"(?:kg){0,2}\w", []),
        (r"(?:kg){1,2}\w", [{"kg"}]),
        (r"[\w.]+@[\w.]+", [{"@"}]),
        (r"\d{3}-\d{2,4}:", [{"000-00"}, {":"}]),
        (r"(?:19|20)\d\d", [{"00"}]),
        (r"\d+x{3}", [{"xxx"}, {"0"}]),
        (r"ab|cd\d", [{"ab", "cd0"}]),
    ],
)
def test_literals_that_an_expression_needs(expression: str, literals: list[set[str]]) -> None:
    assert list(required(expression)) == literals


@pytest.mark.parametrize(
    ("expression", "crosses"),
    [
        *((crossing, True) for crossing in (r"a\s+b", r"a[\s,]b", r"a[^,]b", r"a\Wb", r"a\nb")),
        *((staying, False) for staying in (r"a[ \t]b", r"a[^\n,]b", r"a[^\s,]b", r"a.b")),
    ],
)
def test_expressions_that_cross_lines(expression: str, crosses: bool) -> None:
    assert crosses_lines(expression) is crosses


def test_a_value_on_the_next_line_is_found() -> None:
    rules = (Rule("MRN", "record", r"record no:\s*\K\d+"), Rule("MRN", "before", r"\d+(?=\s+is the record)"))
    text = "line\n" * 20 + "record no:\n\n48213\n" + "line\n" * 20 + "77120\nis the record\n" + "line\n" * 9
    spans = [text[one.start : one.end] for one in RuleRecognizer(rules).analyze(text, ["MRN"])]
    assert spans == ["48213", "77120"]


def test_a_phone_number_that_no_rule_covers_is_left_to_presidio() -> None:
    text = "Cell 020 7946 0958.\nMRN 48120957\nor 722/555-0194 on 2021-03-14 10:30"
    ours = RulesAndPhones((Rule("MRN", "record", r"MRN \K\d+"),))
    found = {(one.entity_type, text[one.start : one.end]) for one in ours.analyze(text, _ENTITIES)}
    assert {("MRN", "48120957"), ("PHONE_NUMBER", "020 7946 0958")} <= found
    assert ("PHONE_NUMBER", "48120957") not in found
    assert any("722/555-0194" in value for kind, value in found if kind == "PHONE_NUMBER")


def test_a_text_that_changes_length_in_small_letters_is_searched_whole() -> None:
    rules = (Rule("MRN", "record", r"RECORD \K\d+"),)
    text = "\u0130" * 3 + "x\n" * 30 + "RECORD 48213"
    assert [text[one.start : one.end] for one in RuleRecognizer(rules).analyze(text, ["MRN"])] == ["48213"]
