"""Clinicians' flags: de-identified, encrypted, counted; a rate that grows alarms, a steady one does not."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_client.config import MonitoringTerms, SitePolicy
from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.monitoring import Batch, flag_rates, follow
from intraward_client.store.flags import add_batch, batches, kept_flags, read_flags, reasons
from intraward_client.store.vault import Vault
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError, InputError

TERMS = flag_rates(MonitoringTerms())
ROW = {
    "patient": "P-1",
    "prompt": "Ottoline Varga coughs. What now?",
    "answer": "Ottoline Varga should rest.",
    "comment": "Dr. Varga would never say so.",
    "reason": "unsafe",
    "known": {"first": "Ottoline", "last": "Varga"},
}


@pytest.fixture(scope="module")
def engine() -> Deidentifier:
    return Deidentifier(DeidSettings(), bytes(32))


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys")) as made:
        yield made


def write(path: Path, *rows: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_sum_is_the_literal_one() -> None:
    flag, none = math.log(0.04 / 0.02), math.log(0.96 / 0.98)
    course = follow([Batch("a", 100, 0), Batch("b", 50, 3), Batch("c", 50, 4)], TERMS)
    expected = 3 * flag + 47 * none + 4 * flag + 46 * none
    assert course.cusum == pytest.approx(expected) and course.alarm_since is None
    assert (course.answers, course.flagged, course.per_100) == (200, 7, 3.5)


def test_an_alarm_names_its_batch_and_stays() -> None:
    bad, good = Batch("bad", 20, 10), Batch("good", 1000, 0)
    course = follow([good, bad, good], TERMS)
    assert course.alarm_since == "bad" and course.cusum == 0.0
    assert follow([good, good], TERMS).alarm_since is None
    assert follow([], TERMS).per_100 == 0.0


@pytest.mark.parametrize(("rate", "least", "most"), [(0.02, 8_000, math.inf), (0.04, 0, 800), (0.08, 0, 250)])
def test_how_long_until_it_alarms_at_the_defaults(rate: float, least: float, most: float) -> None:
    """Mean answers until an alarm: what the policy's docstring says of the defaults."""
    draw, waited = np.random.default_rng(5), []
    for _ in range(60):
        counts = draw.binomial(50, rate, size=2000)
        course = follow([Batch(str(n), 50, int(count)) for n, count in enumerate(counts)], TERMS)
        waited.append(50 * (int(course.alarm_since) + 1) if course.alarm_since is not None else 100_000)
    assert least < float(np.mean(waited)) < most


def test_texts_are_deidentified_encrypted_and_forgotten(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    other = {"answer": "Take two.", "reason": "wrong"}
    added = add_batch(vault, engine, write(tmp_path / "f.jsonl", ROW, other), 40, "adapter")
    assert (added.answers, added.flagged, added.withheld) == (40, 2, 0)
    kept = {flag.reason: flag.texts for flag in kept_flags(vault)}
    assert set(kept["unsafe"]) == {"prompt", "answer", "comment"} and "rest" in kept["unsafe"]["answer"]
    assert kept["wrong"] == {"answer": "Take two."}
    assert not any("Varga" in text for text in kept["unsafe"].values())
    content = b"".join(path.read_bytes() for path in tmp_path.glob("vault.db*"))
    assert b"should rest" not in content and b"Varga" not in content
    vault.forget("P-1")
    assert [flag.reason for flag in kept_flags(vault)] == ["wrong"]
    assert dict(reasons(vault, "adapter")) == {"wrong": 1}
    assert [(b.answers, b.flagged) for b in batches(vault)["adapter"]] == [(40, 2)]
    add_batch(vault, engine, write(tmp_path / "g.jsonl", ROW), 5, "adapter")
    assert len(kept_flags(vault)) == 1


def test_what_is_held_back_counts_without_its_text(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.jsonl", ROW | {"comment": "V\u00c3\u00a4rga \ufffd"})
    assert add_batch(vault, engine, path, 10, "adapter").withheld == 1
    (flag,) = kept_flags(vault)
    assert (flag.reason, dict(flag.texts)) == ("unsafe", {})


def test_the_same_file_counts_once_and_no_flags_count_each_time(
    vault: Vault, engine: Deidentifier, tmp_path: Path
) -> None:
    path = write(tmp_path / "f.jsonl", ROW)
    add_batch(vault, engine, path, 10, "one")
    with pytest.raises(InputError, match="added before"):
        add_batch(vault, engine, path, 10, "one")
    for _ in range(2):
        add_batch(vault, engine, None, 30, "two")
    found = {name: [(b.answers, b.flagged) for b in those] for name, those in batches(vault).items()}
    assert found == {"one": [(10, 1)], "two": [(30, 0), (30, 0)]}


def test_a_batch_is_stored_whole_or_not_at_all(
    vault: Vault, engine: Deidentifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "f.jsonl", ROW)
    with monkeypatch.context() as patch:
        patch.setattr(vault, "seal_field", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            add_batch(vault, engine, path, 10, "one")
    assert dict(batches(vault)) == {}
    assert add_batch(vault, engine, path, 10, "one").flagged == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": " "}, "'answer'"),
        ({"reason": "It names Varga"}, "'reason' is not a code"),
        ({"reason": 3}, "'reason' is not a code"),
        ({"prompt": 3}, "not a string"),
        ({"Varga": 1}, "unknown key"),
    ],
)
def test_a_bad_line_is_refused_without_its_content(tmp_path: Path, change: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why) as refused:
        read_flags(write(tmp_path / "f.jsonl", ROW, ROW | change))
    assert refused.value.line == 2 and "Varga" not in str(refused.value)


def test_more_flags_than_answers_are_refused(vault: Vault, engine: Deidentifier, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="more flags than answers"):
        add_batch(vault, engine, write(tmp_path / "f.jsonl", ROW, ROW), 1, "one")


def test_terms_that_could_never_alarm_are_refused(make_site: Any) -> None:
    home = make_site(0)
    text = home.policy.read_text().replace("alarm_flags = 4.0", "alarm_flags = 2.0")
    assert "alarm_flags = 2.0" in text
    with pytest.raises(ConfigError, match="must be above"):
        parse(tomllib.loads(text), SitePolicy, "policy")


def test_the_commands_count_show_and_alarm(make_site: Any, call: Any, tmp_path: Path) -> None:
    home = make_site(0)
    where = ("--home", home.root)
    assert call("flags", "report", *where) == (0, "no batch was added\n")
    assert call("flags", "add", "--answers", 500, *where)[0] == 0
    assert call("flags", "report", *where)[0] == 0
    path = write(tmp_path / "f.jsonl", *[{"answer": f"Take {n}.", "reason": "wrong"} for n in range(12)])
    code, told = call("flags", "add", path, "--answers", 20, *where, "--json")
    value = json.loads(told)
    assert code == 0 and (value["adapter"], value["flagged"]) == ("base", 12)
    code, told = call("flags", "report", *where)
    assert code == 1 and "ALARM" in told and "rollback" in told and "Take" not in told
    code, told = call("flags", "report", "--show-text", *where, "--json")
    value = json.loads(told)
    (row,) = value["adapters"]
    assert (row["answers"], row["flagged"], row["by_reason"]) == (520, 12, {"wrong": 12})
    assert {flag["answer"] for flag in value["flags"]} >= {"Take 3."}
    assert "Take 3." in call("flags", "report", "--show-text", *where)[1]
