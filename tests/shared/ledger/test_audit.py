"""``intraward-audit`` as a person runs it: output, exit codes, remedies, and what it never imports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from intraward_shared import audit
from intraward_shared.certificates import certify
from intraward_shared.ledger import Ledger, read_ledger
from intraward_shared.ledger_entry import Kind
from intraward_shared.pages import numerals
from intraward_shared.protocol import RECEIPT_DOMAIN, sign_value
from intraward_shared.signing import SigningKey

COORDINATOR = SigningKey.from_seed(b"c" * 32)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``call(*arguments)``: exit code, standard output, standard error."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out, shown.err

    return run


@pytest.fixture
def second_accountant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a distribution that offers an accountant: the auditor's own figure plus ``offset``."""

    monkeypatch.setattr(audit, "ACCOUNTANTS", "intraward.accountants.test")  # not the one installed with us

    def install(offset: float) -> None:
        site = tmp_path / "installed"
        info = site / "second-1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: second\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[{audit.ACCOUNTANTS}]\nprv = second_accountant:epsilon\n")
        (site / "second_accountant.py").write_text(
            "from intraward_shared.privacy import events_to_epsilon\n"
            f"def epsilon(events, delta): return events_to_epsilon(events, delta) + {offset}\n"
        )
        monkeypatch.delitem(sys.modules, "second_accountant", raising=False)
        monkeypatch.syspath_prepend(str(site))

    return install


def test_verify_says_verified_and_leaves_with_0(call: Any, spent_file: Path, site_key: SigningKey) -> None:
    code, out, _ = call("verify", spent_file)
    assert code == 0 and "verified" in out and "north" in out
    code, out, _ = call("verify", spent_file, "--site-key", f"north={site_key.public}", "--json")
    (row,) = json.loads(out)["ledgers"]
    assert code == 0 and row["verified"] and row["key_pinned"] and row["entries"] == 9


def test_verify_names_the_broken_entry_and_still_checks_the_others(
    call: Any, spent_file: Path, tmp_path: Path
) -> None:
    lines = spent_file.read_bytes().splitlines(keepends=True)
    broken = tmp_path / "broken.jsonl"
    broken.write_bytes(b"".join(lines[:3] + lines[4:]))
    code, out, _ = call("verify", broken, spent_file, "--json")
    value = json.loads(out)
    assert code == 1 and value["verified"] is False
    assert [row["verified"] for row in value["ledgers"]] == [False, True]
    assert "entry 3" in value["ledgers"][0]["error"] and value["ledgers"][0]["remedy"]
    code, out, _ = call("verify", broken)
    assert code == 1 and "FAILED" in out


def test_verify_refuses_a_ledger_of_another_key(call: Any, spent_file: Path) -> None:
    other = SigningKey.from_seed(b"x" * 32).public
    assert call("verify", spent_file, "--site-key", f"north={other}")[0] == 1


def test_receipts_show_dropped_last_entries(
    call: Any, spent_file: Path, tmp_path: Path, receipt_of: Any
) -> None:
    entries = read_ledger(spent_file)
    outputs = {e.plan: e.output for e in entries if e.kind is Kind.RELEASE}
    reserved = [e for e in entries if e.kind is Kind.RESERVE and e.plan in outputs]
    for entry in reserved:
        path = tmp_path / "receipts" / "north" / f"{entry.round}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        receipt = receipt_of(entry).model_copy(update={"update": outputs[entry.plan]})
        path.write_bytes(sign_value(receipt, RECEIPT_DOMAIN, COORDINATOR))
    options = ("--receipts", tmp_path / "receipts", "--coordinator-key", COORDINATOR.public)
    code, out, _ = call("verify", spent_file, *options, "--json")
    assert code == 0 and json.loads(out)["ledgers"][0]["receipts"] == len(reserved) > 0
    shorter = tmp_path / "shorter.jsonl"
    shorter.write_bytes(b"".join(spent_file.read_bytes().splitlines(keepends=True)[: reserved[-1].sequence]))
    assert call("verify", shorter)[0] == 0
    code, out, _ = call("verify", shorter, *options)
    assert code == 1 and "countersigned" in out
    stranger = SigningKey.generate().public
    assert (
        call("verify", spent_file, "--receipts", tmp_path / "receipts", "--coordinator-key", stranger)[0] == 1
    )
    assert call("verify", spent_file, "--receipts", tmp_path / "none", *options[2:])[0] == 1
    (tmp_path / "receipts" / "bad.json").write_text("{}")
    code, out, _ = call("verify", spent_file, *options)
    assert code == 1 and "bad.json" in out.replace("\n", "")


def test_recompute_prints_epsilon_with_its_meaning(call: Any, spent_file: Path) -> None:
    code, out, _ = call("recompute", spent_file)
    text = " ".join(out.split())
    for part in (
        "north",
        "of 8 at delta 1e-05",
        "per patient",
        "add_remove",
        "replace-one",
        "reward:",
        "what the gate counts (filter):",
    ):
        assert part in text
    assert code == 0
    code, out, _ = call("recompute", spent_file, "--json")
    value = json.loads(out)
    assert code == 0 and value["agrees_and_within_cap"] and "accountants_differ_by" not in value
    assert value["ledgers"][0]["epsilon"] == pytest.approx(3.0, abs=1.0)


def test_replace_one_stands_beside_pld_and_never_beside_what_the_gate_counts(
    call: Any, ledger: Ledger, tmp_path: Path, round_of: Any, mechanism_of: Any
) -> None:
    for number in (1, 2):
        ledger.reserve(round_of(number, mechanism_of(100)))
    value = certify(ledger.entries)
    assert value.chosen and value.epsilon_if_fixed < value.epsilon_replace_one
    ledger.close()
    _, out, _ = call("recompute", tmp_path / "ledger.jsonl")
    first, second = " ".join(out.split()).split(" plans were chosen after results")
    assert f"epsilon {value.epsilon:.4f} of 8" in first and "replace-one" not in first
    assert f"{value.epsilon_if_fixed:.4f} add_remove, {value.epsilon_replace_one:.4f} replace-one" in second
    assert f"what the gate counts (filter): {value.gate_epsilon:.4f}" in second
    page = tmp_path / "page.html"
    assert call("report", tmp_path / "ledger.jsonl", "--out", page)[0] == 0
    tight, gated = numerals.epsilon(value.epsilon_if_fixed), numerals.epsilon(value.epsilon)
    assert (
        f"beforehand: {tight}, replace-one {numerals.epsilon(value.epsilon_replace_one)}" in page.read_text()
    )
    assert f"the gate counts {gated}</text>" in page.read_text()  # a line over the bars, which end lower


def test_recompute_holds_a_second_accountant_beside_its_own(
    call: Any, spent_file: Path, second_accountant: Any
) -> None:
    second_accountant(0.004)
    code, out, _ = call("recompute", spent_file, "--with-opacus", "--json")
    assert code == 0 and json.loads(out)["accountants_differ_by"] == pytest.approx(0.004)
    assert set(json.loads(out)["ledgers"][0]["accountants"]["prv"]) == {"total", "reward"}


def test_recompute_fails_when_the_accountants_disagree(
    call: Any, spent_file: Path, second_accountant: Any
) -> None:
    second_accountant(-0.006)
    code, out, _ = call("recompute", spent_file, "--with-opacus")
    assert code == 1 and "accountants differ" in out and "total by prv" in out


def test_recompute_fails_past_the_cap(
    call: Any, make_ledger: Any, round_of: Any, mechanism_of: Any, tmp_path: Path
) -> None:
    with make_ledger(lifetime_epsilon=1.0, simulated=True) as ledger:
        ledger.reserve(round_of(1, mechanism_of(200), simulated=True))
    code, out, _ = call("recompute", tmp_path / "ledger.jsonl")
    assert code == 1 and "cap is passed" in out and "NOT PRIVATE" in out


def test_a_missing_second_accountant_is_an_error_not_a_silence(
    call: Any, spent_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "ACCOUNTANTS", "intraward.none")
    code, _, err = call("recompute", spent_file, "--with-opacus")
    assert code == 1 and "intraward[client]" in err


def test_report_writes_certificates_whole_or_not_at_all(call: Any, spent_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "privacy_report.json"
    assert call("report", spent_file, "--out", out)[0] == 0
    value = json.loads(out.read_text())
    assert value["certificates"][0]["unit"] == "patient" and value["all_sites_epsilon"] > 0
    code, _, err = call("report", spent_file, "--out", tmp_path / "none" / "r.json")
    assert code == 1 and "cannot be written" in " ".join(err.split())
    assert call("report", spent_file, spent_file, "--out", tmp_path / "two.json")[0] == 1
    assert not (tmp_path / "two.json").exists()


def test_usage_errors_leave_with_2(call: Any, spent_file: Path, tmp_path: Path) -> None:
    assert call("verify")[0] == 2
    assert call("verify", spent_file, "--receipts", tmp_path)[0] == 2
    assert call("verify", spent_file, "--site-key", "north")[0] == 2
    assert call("nonsense")[0] == 2


@pytest.mark.parametrize("command", ["verify", "recompute", "report", "adapter"])
def test_every_command_has_help_with_an_example_and_json(call: Any, command: str) -> None:
    code, out, _ = call(command, "--help")
    assert code == 0 and "Example: intraward-audit" in " ".join(out.split()) and "--json" in out


def test_the_auditor_needs_no_torch_no_flower_and_no_opacus() -> None:
    code = (
        "import sys; import intraward_shared.audit\n"
        "heavy = {'torch', 'flwr', 'opacus', 'transformers', 'peft', 'presidio_analyzer'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    environment = dict(os.environ) | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
