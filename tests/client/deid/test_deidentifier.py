"""The one way through: detection, survival of clinical phrases, quarantine, self-test, pool."""

import copy
import logging
import pickle
import socket
from pathlib import Path

import pytest

from intraward_client.deid import canaries
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.detection import Seen
from intraward_client.deid.evaluate import evaluate
from intraward_client.deid.gold import read_gold
from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, Quarantined
from intraward_client.deid.raw import RawNote, ingest
from intraward_client.deid.spans import unite
from intraward_shared.errors import DeidError

SECRET = bytes(range(32))


def text_of(outcome: DeidentifiedNote | Quarantined) -> str:
    assert isinstance(outcome, DeidentifiedNote), outcome
    return outcome.text


def test_self_test_passes_without_a_socket(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    deidentifier.self_test()


def test_self_test_refuses_a_surviving_canary(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canaries, "CANARIES", (("NAME", "The cough is better today.", ("cough",)),))
    with pytest.raises(DeidError, match="class NAME"):
        deidentifier.self_test()


def test_wrong_pin_and_missing_model_are_refused() -> None:
    with pytest.raises(DeidError, match="pinned"):
        Deidentifier(DeidSettings(model_sha256="0" * 64), SECRET)
    with pytest.raises(DeidError, match="not installed"):
        Deidentifier(DeidSettings(model="en_no_such_model"), SECRET)
    with pytest.raises(DeidError, match="too short"):
        Deidentifier(DeidSettings(), b"short")


@pytest.mark.parametrize(("index", "phrase"), list(enumerate(canaries.PHRASES)))
def test_clinical_phrases_survive(deidentifier: Deidentifier, index: int, phrase: str) -> None:
    assert text_of(deidentifier.deidentify_text(phrase, "p", {})) == phrase


def test_title_wins_over_eponym(deidentifier: Deidentifier) -> None:
    cleaned = text_of(deidentifier.deidentify_text("Dr. Parkinson treats Parkinson's disease.", "p", {}))
    assert cleaned == "Dr. [NAME] treats Parkinson's disease."


def test_safe_harbor_dates_ages_and_zip(deidentifier: Deidentifier) -> None:
    given = (
        "Seen 2021-03-14, born 1921-05-04. A 94 year old; his son is 89 years old. Zip code 03601, IL 60614."
    )
    cleaned = text_of(deidentifier.deidentify_text(given, "p", {}))
    assert "Seen 2021, born [DATE]" in cleaned
    assert "90+ year old" in cleaned and "89 years old" in cleaned
    assert "Zip code 000" in cleaned and "60614" not in cleaned and "606" in cleaned


def test_receipt_counts_and_order_through_the_pool(deidentifier: Deidentifier) -> None:
    notes = [ingest(f"n{i}", f"p{i}", f"Dr. Varga: MRN 4812{i:04d}. Cough.") for i in range(5)]
    notes.insert(2, ingest("bad", "p", "A \x00 byte."))
    seen: list[tuple[int, int]] = []
    alone = list(deidentifier.deidentify_many(notes, 1, lambda done, total: seen.append((done, total))))
    pooled = list(deidentifier.deidentify_many(notes, 2))
    assert [one.note_id for one in pooled] == [note.note_id for note in notes]
    assert seen[-1] == (6, 6)
    for one, other in zip(alone, pooled, strict=True):
        assert type(one) is type(other)
        if isinstance(one, DeidentifiedNote) and isinstance(other, DeidentifiedNote):
            assert one.text == other.text == "Dr. [NAME]: MRN [MRN]. Cough."
            assert dict(one.receipt.counts) == dict(other.receipt.counts) == {"MRN": 1, "NAME": 1}


@pytest.mark.parametrize(
    ("reason", "given"),
    [
        ("encoding", "Cough \x07 today"),
        ("encoding", "Patient Var\u0433a has a cough"),
        ("encoding", "Room \u0664\u0665"),
        ("too-long", "cough " * 4000),
        ("language", "Der Patient klagte " + "und hatte starke Schmerzen in der linken Schulter " * 4),
    ],
    ids=["control", "look-alike", "foreign-digits", "long", "language"],
)
def test_doubt_quarantines(deidentifier: Deidentifier, reason: str, given: str) -> None:
    outcome = deidentifier.deidentify_text(given, "p", {})
    assert isinstance(outcome, Quarantined) and outcome.reason == reason


def test_errors_and_timeouts_quarantine_without_text(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(seen: Seen) -> None:
        raise ValueError(seen.plain)

    def stall(*_rest: object) -> None:
        raise TimeoutError

    with caplog.at_level(logging.DEBUG):
        monkeypatch.setattr(deidentifier._engine.detector, "of_view", fail)
        outcome = deidentifier.deidentify_text("Zebulon has a cough", "p", {})
        assert isinstance(outcome, Quarantined) and outcome.reason == "error"
        monkeypatch.setattr(deidentifier._engine.detector, "of_view", stall)
        outcome = deidentifier.deidentify_text("Zebulon has a cough", "p", {})
        assert isinstance(outcome, Quarantined) and outcome.reason == "timeout"
    assert "Zebulon" not in caplog.text + repr(outcome)


def test_second_look_catches_what_detection_missed(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deidentifier._engine.detector, "of_view", lambda *_rest: [])
    for given, reason in (
        ("SSN given as 947-49-5527", "residue:ssn"),
        ("code 12345678", "residue:digits"),
        ("write to a@b", "residue:at-sign"),
        ("seen 03/14/2021", "residue:date"),
        ("asked Dr. Varga", "residue:title"),
    ):
        outcome = deidentifier.deidentify_text(given, "p", {})
        assert isinstance(outcome, Quarantined) and outcome.reason == reason


def test_site_canary_quarantines() -> None:
    engine = Deidentifier(DeidSettings(canaries=("purple walrus",)), SECRET)
    outcome = engine.deidentify_text("He drew a Purple-Walrus today.", "p", {})
    assert isinstance(outcome, Quarantined) and outcome.reason == "residue:canary"
    assert "walrus" not in repr(engine) + repr(engine.settings)


def test_types_close_their_doors() -> None:
    note = ingest("n", "p", "secret text", {"first": "Ottoline"})
    assert "secret" not in repr(note) and "Ottoline" not in repr(note)
    with pytest.raises(DeidError):
        pickle.dumps(note)
    with pytest.raises(DeidError):
        copy.copy(note)
    with pytest.raises(DeidError):
        RawNote("n", "p", "t", {})
    with pytest.raises(DeidError):
        DeidentifiedNote("n", "p", "t", DeidReceipt("safe-harbor", "", "", {}))


def test_unite_merges_overlaps_and_prefers_the_longest() -> None:
    spans = [(0, 4, "ID"), (2, 9, "DATE"), (12, 15, "NAME"), (16, 20, "NAME")]
    assert list(unite(spans, "x" * 15 + " " + "x" * 9)) == [(0, 9, "DATE"), (12, 20, "NAME")]


def test_recall_on_the_shared_set(deidentifier: Deidentifier, gold_notes: Path) -> None:
    report = evaluate(read_gold(gold_notes)[::4], deidentifier)
    assert report.entity_recall.value >= 0.99 and report.leaked_entities == 0
    assert report.over_redaction.value <= 0.03
    assert report.as_dict()["by_class"]["PERSON"]["low"] > 0.95
