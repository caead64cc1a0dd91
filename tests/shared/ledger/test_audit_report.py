"""The auditor's page and its JSON: what it must say, what makes it fail, and that it asks for no file."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from tests.shared.ledger.test_audit_attacks import inversion
from tests.shared.release import consortium
from tests.shared.release.consortium import finish, signed

from intraward_shared import audit
from intraward_shared.audit_report import NOT_PROMISED, AuditReport
from intraward_shared.certificates import LIMITS, PROMISE
from intraward_shared.ledger import read_ledger
from intraward_shared.ledger_entry import Kind
from intraward_shared.pages import charts, html, numerals
from intraward_shared.pages.charts import Step
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import RECEIPT_DOMAIN, sign_value
from intraward_shared.signing import SigningKey

COORDINATOR = SigningKey.from_seed(b"c" * 32)


class Told(HTMLParser):
    """Text of a page, and everything in it that a browser would fetch or run."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.fetched: list[str] = []
        self.feed(page)
        self.text = " ".join(" ".join(self.words).split())

    def handle_data(self, data: str) -> None:
        """Text, styles included."""
        self.words.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Links within the page are allowed; nothing else that names an address or holds a script is."""
        for name, value in attrs:
            if tag == "script" or name.startswith("on") or name in ("src", "srcset", "data", "style"):
                self.fetched.append(f"{tag} {name}")
            if name == "href" and not (value or "").startswith("#"):
                self.fetched.append(f"{tag} {value}")


@pytest.fixture
def report(
    spent_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """``report(*arguments)``: exit code, what was printed, page and figures (``None`` if not written)."""

    def run(*arguments: object, ledger: Path | None = None) -> tuple[int, str, Told | None, Any]:
        page = tmp_path / "out" / "privacy_report.html"
        page.parent.mkdir(exist_ok=True)
        words = ["intraward-audit", "report", ledger or spent_file, "--out", page, *arguments]
        monkeypatch.setattr(sys, "argv", list(map(str, words)))
        with pytest.raises(SystemExit) as stop:
            audit.main()
        told = capsys.readouterr()
        figures = page.with_suffix(".json")
        return (
            int(stop.value.code or 0),
            " ".join((told.out + told.err).split()),
            Told(page.read_text()) if page.exists() else None,
            json.loads(figures.read_text()) if figures.exists() else None,
        )

    return run


@pytest.fixture
def receipts(spent_file: Path, tmp_path: Path, receipt_of: Any) -> Path:
    """A receipt for each released round, in the folder of the site."""
    folder = tmp_path / "receipts" / "north"
    folder.mkdir(parents=True)
    entries = read_ledger(spent_file)
    released = {entry.plan for entry in entries if entry.kind is Kind.RELEASE}
    for entry in entries:
        if entry.kind is Kind.RESERVE and entry.plan in released:
            value = sign_value(receipt_of(entry), RECEIPT_DOMAIN, COORDINATOR)
            (folder / f"{entry.round}.json").write_bytes(value)
    return folder.parent


def test_the_page_says_what_was_spent_and_holds_no_request(report: Any, mechanism_of: Any) -> None:
    code, printed, page, figures = report()
    assert code == 0 and "within its cap" in printed and page is not None
    assert page.fetched == [] and "url(" not in page.text and "@import" not in page.text
    spent = events_to_epsilon([mechanism_of()] * 3, 1e-5)
    assert figures["certificates"][0]["epsilon_if_fixed"] == pytest.approx(spent)
    assert f"ε {numerals.epsilon(spent)}" in page.text
    assert "60 steps, rate 0.05, noise 1" in page.text and "add/remove one patient" in page.text
    for sentence in (PROMISE, *LIMITS, *NOT_PROMISED):
        assert sentence in page.text
    AuditReport.model_validate_json(json.dumps(figures))


def test_every_charged_round_is_a_bar_with_its_outcome(report: Any, mechanism_of: Any) -> None:
    _, _, page, figures = report()
    (site,) = figures["sites"]
    assert [(row["stage"], row["outcome"]) for row in site["spending"]] == [
        ("reward", "released"),
        ("reward", "released"),
        ("reward", "open"),
    ]
    expected = [events_to_epsilon([mechanism_of()] * count, 1e-5) for count in (1, 2, 3)]
    assert [row["epsilon"] for row in site["spending"]] == pytest.approx(expected)
    assert site["left"] == pytest.approx(8.0 - figures["certificates"][0]["epsilon"])
    assert "3 charged rounds" in page.text and "Left: " in page.text


def test_a_bar_whose_update_never_left_is_hollow() -> None:
    steps = [Step("sft", 1.0, 8.0), Step("reward", 2.0, 8.0, whole=False)]
    drawn = str(charts.steps_chart("spent", steps, 8.0))
    assert drawn.count("bar open") == 1 and drawn.count("bar total") == 1 and "cap 8" in drawn
    assert "nothing is charged yet" in charts.steps_chart("spent", [], 8.0)


def test_receipts_and_a_pinned_key_are_told(report: Any, receipts: Path, site_key: SigningKey) -> None:
    pinned = ("--site-key", f"north={site_key.public}")
    words = ("--receipts", receipts, "--coordinator-key", COORDINATOR.public)
    code, _, page, figures = report(*words, *pinned)
    assert code == 0 and "pinned by you" in page.text and "2 receipts, 2 releases, all named" in page.text
    (receipts / "north" / "1.json").unlink()
    code, _, page, figures = report(*words)
    assert code == 0 and "no receipt for round 1" in page.text
    assert figures["sites"][0]["releases_without_receipt"] == ["round 1"]


def test_a_receipt_that_the_ledger_does_not_hold_fails_the_page(
    report: Any, receipts: Path, receipt_of: Any, spent_file: Path
) -> None:
    entry = next(entry for entry in read_ledger(spent_file) if entry.plan is not None)
    later = receipt_of(entry, ledger_sequence=400)
    (receipts / "north" / "9.json").write_bytes(sign_value(later, RECEIPT_DOMAIN, COORDINATOR))
    code, printed, page, figures = report("--receipts", receipts, "--coordinator-key", COORDINATOR.public)
    assert code == 1 and figures["passed"] is False
    assert "Does not verify: north." in page.text and "FAILED" in page.text and "Does not verify" in printed


def test_a_wrong_pinned_key_fails_and_a_broken_ledger_leaves_nothing(
    report: Any, spent_file: Path, tmp_path: Path
) -> None:
    code, _, page, _ = report("--site-key", f"north={'0' * 64}")
    assert code == 1 and "Does not verify: north." in page.text
    for left in (tmp_path / "out").iterdir():
        left.unlink()
    lines = spent_file.read_bytes().splitlines(keepends=True)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"".join(lines[:3] + lines[4:]))
    code, printed, page, figures = report(ledger=broken)
    assert code == 1 and "entry 3" in printed and page is None and figures is None
    assert list((tmp_path / "out").iterdir()) == []


def test_attacks_stand_with_privacy_on_and_off_and_a_missed_gate_is_the_headline(
    report: Any, tmp_path: Path
) -> None:
    file = tmp_path / "inversion.json"
    file.write_text(inversion(0.5).model_dump_json())
    code, _, page, _ = report("--attacks", file)
    assert code == 1 and "An attack missed its gate: inversion." in page.text
    row = re.search(r"tokens recovered off 1 1 at least 0\.8 passed tokens recovered on 0\.5 0\.5", page.text)
    assert row is not None and "Not given: gauge" in page.text


def test_an_adapter_that_is_none_fails_by_name(report: Any, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    key = ("--coordinator-key", COORDINATOR.public)
    code, _, page, figures = report("--adapter", tmp_path / "adapter", *key)
    assert code == 1 and "An adapter does not trace to the ledgers: adapter." in page.text
    assert "not signed" in figures["adapters"][0]["problem"]


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("--adapter", "x"), "--coordinator-key"),
        (("--receipts", "x"), "--coordinator-key"),
        (("--out", "report.pdf"), "--out"),
    ],
)
def test_options_that_do_not_fit_are_usage(report: Any, words: tuple[str, ...], option: str) -> None:
    code, printed, page, _ = report(*words)
    assert code == 2 and option in printed and page is None


def test_a_ledger_that_charged_nothing(report: Any, make_ledger: Any, tmp_path: Path) -> None:
    make_ledger("fresh.jsonl").close()
    code, _, page, figures = report(ledger=tmp_path / "fresh.jsonl")
    assert code == 0 and "nothing is charged yet" in page.text and figures["sites"][0]["left"] == 8.0


def test_what_a_file_says_is_never_markup() -> None:
    drawn = html.page("<b>", html.table("<i>", ["<u>"], [["<script>", ("&", "n")]]))
    assert "<script>" not in drawn and "&lt;script&gt;" in drawn and "<b>" not in drawn and "<u>" not in drawn


@pytest.mark.slow
def test_a_release_bundle_stands_with_its_gates(report: Any, tmp_path: Path) -> None:
    made = signed(finish(tmp_path / "program"))
    key = ("--coordinator-key", consortium.COORDINATOR.public)
    code, _, page, figures = report("--bundle", made.folder, *key)
    assert code == 0 and [row["name"] for row in figures["releases"][0]["gates"]] == [
        g.name for g in made.gates
    ]
    assert all(gate.asked in page.text for gate in made.gates)
    (made.folder / "gates.json").write_text("{}")
    code, _, page, figures = report("--bundle", made.folder, *key)
    assert code == 1 and "A release bundle does not verify: 1." in page.text
    assert "gates.json" in figures["releases"][0]["problem"]
