"""Every trap that was found by running Presidio, each with a test of its name; and no socket, ever."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import spacy.cli
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, pattern_recognizer
from presidio_anonymizer.operators import AESCipher, Hash

from intraward_client.config import SitePolicy
from intraward_client.deid import pins, recognizers, rules
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.lean import NoContext, PhoneWindows
from intraward_client.deid.model import MODEL_NAME, MODEL_SHA256, load_engine, model_directory
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.raw import ingest
from intraward_client.deid.recognizers import REQUIRED, SCORE_THRESHOLD, build_analyzer, pack_digest
from intraward_client.deid.rules import Rule, RuleRecognizer
from intraward_client.deid.selftest import check_detectors
from intraward_client.initialise import initialise
from intraward_shared.config import parse
from intraward_shared.errors import DeidError
from intraward_shared.signing import SigningKey

SECRET = bytes(range(32))
MARKER = "Zebulonquist"
GUARD = """
import os, sys
def hook(event, args):
    if event.startswith("socket."):
        with open(os.environ["GUARD_LOG"], "a") as log:
            log.write(event + "\\n")
        raise OSError("the guard refuses sockets")
sys.addaudithook(hook)
"""


def text_of(outcome: DeidentifiedNote | Quarantined) -> str:
    assert isinstance(outcome, DeidentifiedNote), outcome
    return outcome.text


def analyzer_of(deidentifier: Deidentifier) -> AnalyzerEngine:
    analyzer: AnalyzerEngine = deidentifier._engine.analyzer
    return analyzer


def recognizers_of(analyzer: AnalyzerEngine) -> list[Any]:
    return list(analyzer.registry.recognizers)


# 1. Fail-open registry


@pytest.mark.parametrize("name", ["SpacyRecognizer", "IntrawardRule"])
def test_trap_1_a_registry_without_a_recognizer_is_refused(deidentifier: Deidentifier, name: str) -> None:
    whole = analyzer_of(deidentifier)
    kept = [one for one in recognizers_of(whole) if one.name != name]
    assert len(kept) == len(recognizers_of(whole)) - 1
    torn = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=kept, supported_languages=["en"]),
        nlp_engine=whole.nlp_engine,
        supported_languages=["en"],
    )
    with pytest.raises(DeidError, match=r"do not reach the analyzer|no detector for"):
        check_detectors(torn, None, 1.0)


def test_trap_1_a_model_that_finds_nothing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, words = load_engine(MODEL_NAME, MODEL_SHA256)
    analyzer = build_analyzer(engine, words)
    check_detectors(analyzer, None, 1.0)
    monkeypatch.setattr(engine, "_decoder", SimpleNamespace(decode=lambda docs: None))
    with pytest.raises(DeidError, match="the model finds no names"):
        check_detectors(analyzer, None, 1.0)


# 2. Egress on the first e-mail; 3. automatic download


@pytest.mark.slow
@pytest.mark.e2e
def test_trap_2_no_socket_is_opened_by_import_run_or_evaluate(tmp_path: Path) -> None:
    """In every process that the commands start, seen by an audit hook, which C code cannot pass by."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    texts = [
        f"Write to o.{MARKER}@mail.example.co.uk or https://portal.example.org/p/1, Dr. Varga {n}."
        for n in range(40)
    ]
    rows = [{"id": f"n{n}", "text": text} for n, text in enumerate(texts)]
    lines: Mapping[str, list[dict[str, Any]]] = {
        "run.jsonl": rows,
        "import.jsonl": [row | {"patient": row["id"]} for row in rows],
        "gold.jsonl": [{"text": row["text"], "spans": []} for row in rows],
    }
    for name, content in lines.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in content))
    initialise(tmp_path / "site", _policy(tmp_path), key=SigningKey.generate(), time="2026-01-01T00:00:00Z")
    log = tmp_path / "log"
    paths = [str(tmp_path / "guard"), *filter(None, [os.environ.get("PYTHONPATH")]), *sys.path]
    environment = os.environ | {"GUARD_LOG": str(log), "PYTHONPATH": os.pathsep.join(paths)}
    environment.pop("HF_HUB_OFFLINE", None)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from intraward_client.cli import main; main()", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False
        )

    probe = [sys.executable, "-c", "import socket; socket.socket()"]
    subprocess.run(probe, env=environment, capture_output=True, timeout=60, check=False)
    assert log.read_text() == "socket.__new__\n"
    log.write_text("")
    for words in (
        ("deid", "run", "run.jsonl", "--output", "out.jsonl", "--profile", "research", "--workers", "2"),
        ("deid", "evaluate", "gold.jsonl", "--json"),
        ("import", "import.jsonl", "--home", "site", "--json"),
    ):
        done = run(*words)
        assert done.returncode == 0, (words, done.returncode)
        assert MARKER not in done.stdout + done.stderr
    assert log.read_text() == ""


def _policy(tmp_path: Path) -> SitePolicy:
    privacy = {
        "delta": 1e-5,
        "declared_max_patients": 100,
        "lifetime_epsilon": 5.0,
        "min_noise_multiplier": 0.8,
        "max_sample_rate": 0.5,
        "max_steps_per_round": 10,
        "max_records_per_patient": 2,
    }
    table = {
        "site": "north",
        "privacy": privacy,
        "model": {"path": str(tmp_path / "model"), "sha256": "0" * 64},
        "coordinator": {"public_key": "0" * 64},
    }
    return parse(table, SitePolicy, "policy.toml")


def test_trap_2_presidios_email_recognizer_is_not_used(deidentifier: Deidentifier) -> None:
    names = {one.name for one in recognizers_of(analyzer_of(deidentifier))}
    assert not names & {"EmailRecognizer", "UrlRecognizer"} and "tldextract" not in REQUIRED
    assert text_of(deidentifier.deidentify_text("Write to o.varga@mail.example.co.uk now.", "p", {})) == (
        "Write to [EMAIL] now."
    )


def test_trap_3_a_missing_model_is_refused_and_not_downloaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fetch(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(spacy.cli, "download", fetch)
    for name in ("en_core_web_lg", "en_core_web_trf", str(tmp_path)):
        with pytest.raises(DeidError, match="nothing is downloaded"):
            load_engine(name, MODEL_SHA256)
    with pytest.raises(DeidError, match="not the pinned ones"):
        load_engine(MODEL_NAME, "0" * 64)
    assert model_directory(MODEL_NAME).is_dir()


# 4. Text in logs, errors and reprs


def test_trap_4_no_logger_says_text_whatever_its_level(
    deidentifier: Deidentifier, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    assert analyzer_of(deidentifier).log_decision_process is False
    names = ("presidio-analyzer", "presidio-anonymizer", "decision_process", "tldextract")
    before = {name: (logging.getLogger(name).level, logging.getLogger(name).propagate) for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.DEBUG)
            logging.getLogger(name).propagate = True
        with caplog.at_level(logging.DEBUG):
            analyzer_of(deidentifier).app_tracer.trace("", f"text {MARKER}")
            logging.getLogger("presidio-analyzer").critical("text %s", MARKER)
            deidentifier.deidentify_text(f"Dr. {MARKER} saw a cough, {MARKER}@example.org", "p", {})
    finally:
        for name, (level, propagate) in before.items():
            logging.getLogger(name).setLevel(level)
            logging.getLogger(name).propagate = propagate
    shown = capfd.readouterr()
    assert MARKER not in caplog.text + shown.out + shown.err


def test_trap_4_an_exception_with_text_leaves_a_code_only(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever raises, and wherever: in the batch, in a detector, in replacement."""

    def fail(*_args: object, **_kwargs: object) -> None:
        raise ValueError(MARKER)

    note = ingest("n", "p", f"Dr. {MARKER} saw a cough")
    for target, name in (
        (analyzer_of(deidentifier), "analyze"),
        (deidentifier._engine.anonymizer, "anonymize"),
        (deidentifier._engine.detector, "look"),
    ):
        whole = getattr(target, name)
        calls = iter([fail, whole] if name == "look" else [fail] * 3)
        with monkeypatch.context() as patch, caplog.at_level(logging.DEBUG):
            patch.setattr(target, name, lambda *args, calls=calls, **named: next(calls)(*args, **named))
            (outcome,) = deidentifier.deidentify_many([note])
            assert MARKER not in repr(outcome) + caplog.text
            if name == "look":  # read alone, by the same model, not without it
                assert MARKER not in text_of(outcome)
            else:
                assert isinstance(outcome, Quarantined) and outcome.reason == "error"


def test_trap_4_explanations_that_quote_are_taken_off(deidentifier: Deidentifier) -> None:
    found = analyzer_of(deidentifier).analyze(f"Dr. {MARKER}, (312) 555-0143", "en")
    assert found and all(result.analysis_explanation is None for result in found)


# 5. Thresholds wiped by YAML


def test_trap_5_no_recognizer_stands_below_the_threshold(deidentifier: Deidentifier) -> None:
    """Nothing is read from YAML, one threshold holds for all, and words nearby raise no score."""
    analyzer = analyzer_of(deidentifier)
    assert analyzer.default_score_threshold == SCORE_THRESHOLD
    assert isinstance(analyzer.context_aware_enhancer, NoContext)
    for text in ("Tracking number CLM456789123", "v2patch10build7 was installed", "medicare member claim"):
        assert all(one.score >= SCORE_THRESHOLD for one in analyzer.analyze(text, "en"))
    weak = {"US_CLAIM_NUMBER", "US_HEALTH_INSURANCE_MEMBER_ID", "US_BANK_NUMBER", "US_DRIVER_LICENSE"}
    assert not weak & set(analyzer.get_supported_entities("en"))


# 6. Operators that are no de-identification


def test_trap_6_nothing_is_hashed_or_encrypted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("reversible, or guessable from the salt")

    monkeypatch.setattr(Hash, "operate", refuse)
    monkeypatch.setattr(AESCipher, "encrypt", refuse)
    given = "Dr. Varga, MRN 48120957, seen 2021-03-14, o.varga@example.org"
    for profile in ("safe-harbor", "research"):
        engine = Deidentifier(DeidSettings.model_validate({"profile": profile}), SECRET)
        cleaned = text_of(engine.deidentify_text(given, "p", {}))
        assert "48120957" not in cleaned and "Varga" not in cleaned
        for value in ("48120957", "Varga", "2021-03-14", "o.varga@example.org"):
            for digest in ("md5", "sha256", "sha512"):
                assert hashlib.new(digest, value.encode()).hexdigest()[:12] not in cleaned


def test_trap_6_equal_values_get_equal_surrogates_only_under_one_secret_and_patient() -> None:
    """Presidio's hash draws a salt per entity, and with a salt is one sha256 from a guess."""
    given = "MRN: 48120957. Seen by Dr. Varga. MRN: 48120957 again."
    settings = DeidSettings(profile="research")
    first = text_of(Deidentifier(settings, SECRET).deidentify_text(given, "p", {}))
    again = text_of(Deidentifier(settings, SECRET).deidentify_text(given, "p", {}))
    other_patient = text_of(Deidentifier(settings, SECRET).deidentify_text(given, "q", {}))
    other_secret = text_of(Deidentifier(settings, bytes([7]) * 32).deidentify_text(given, "p", {}))
    assert first == again and len({first, other_patient, other_secret}) == 3
    numbers = [word.rstrip(".") for word in first.split() if any(map(str.isdigit, word))]
    assert len(numbers) == 2 and numbers[0] == numbers[1] != "48120957"


# Section 4 and 8: time-outs, phone search, and hidden slowness


def test_a_pattern_that_times_out_quarantines(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "RULE_TIMEOUT_SECONDS", 0.02)
    slow = RuleRecognizer((Rule("OTHER_ID", "slow", r"(?:x )+\d"),))
    monkeypatch.setattr(slow, "name", "slow")
    analyzer = analyzer_of(deidentifier)
    analyzer.registry.add_recognizer(slow)
    try:
        outcome = deidentifier.deidentify_text("x " * 4000 + "y 1", "p", {})
    finally:
        analyzer.registry.remove_recognizer("slow")
    assert isinstance(outcome, Quarantined) and outcome.reason == "timeout"


def test_a_pattern_of_presidio_cannot_time_out_unseen(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be skipped with a warning, and the note pass unread if its own limit were longer."""
    monkeypatch.setattr(pattern_recognizer, "REGEX_TIMEOUT_SECONDS", 1)
    with pytest.raises(DeidError, match="time out unseen"):
        deidentifier.self_test()


def test_a_slow_note_quarantines() -> None:
    engine = Deidentifier(DeidSettings(timeout_seconds=1e-9), SECRET)
    for outcome in engine.deidentify_many([ingest("a", "p", "cough"), ingest("b", "p", "fever")]):
        assert isinstance(outcome, Quarantined) and outcome.reason == "timeout"


@pytest.mark.parametrize(
    "text",
    [
        "Call (312) 555-0143 or +44 20 7946 0958, fax 312.555.0199 ext. 12.",
        "Rang 0049 30 123456 and 020 7946 0958; Hb 128/76, 2021-03-14, 38.9 C, K 4.1",
        "x" * 50 + " 312-555-0143" + " y" * 50 + "+1 (415) 555 0132",
        "no number here, 12 mg; seen 2021-03-14 10:30:00, 03/19/2021",
    ],
)
def test_phone_numbers_in_windows_are_those_of_the_whole_text(text: str) -> None:
    """Of Presidio's regions, and the national numbers of Britain that its "UK" does not find."""
    whole, windows = PhoneWindows.__mro__[1](), PhoneWindows()
    expected = {(one.start, one.end) for one in whole.analyze(text, ["PHONE_NUMBER"])}
    found = {(one.start, one.end) for one in windows.analyze(text, ["PHONE_NUMBER"])}
    assert expected <= found and all(sum(map(str.isdigit, text[a:b])) > 6 for a, b in found)
    assert all(any(a <= start and end <= b for a, b in found) for start, end in expected)


def test_the_rule_pack_has_one_digest_in_every_process() -> None:
    """Else receipts could not be compared, and no run be taken up again; sets have another order in each."""
    code = "from intraward_client.deid.recognizers import pack_digest; print(pack_digest())"
    found = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1


# Section 8.1: the pins


def test_the_digest_of_the_pack_covers_its_code(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(recognizers, "files", lambda _package: tmp_path)
    module = tmp_path / "codes.py"
    found = []
    for content in (b"a = 1\nb = 2\n", b"a = 1\r\nb = 2\r\n", b"a = 1\nb = 3\n"):
        module.write_bytes(content)
        found.append(pack_digest())
    assert found[0] == found[1] != found[2]


def test_the_rule_pack_is_the_pinned_one(
    deidentifier: Deidentifier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """After a change of a rule or list: python -m intraward_client.deid.pins"""
    assert pins.PIN.read_text().strip() == pack_digest() == deidentifier.pack_sha256
    deidentifier.self_test()
    for content in ("0" * 64, "", None):
        other = tmp_path / "pack.sha256"
        other.unlink(missing_ok=True)
        if content is not None:
            other.write_text(content)
        with monkeypatch.context() as patch, pytest.raises(DeidError, match="rule pack"):
            patch.setattr(pins, "PIN", other)
            deidentifier.self_test()
