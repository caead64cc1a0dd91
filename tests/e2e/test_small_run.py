"""What a finished run leaves, that doing it again changes nothing, and that bad input leaves nothing."""

from __future__ import annotations

import copy
import json
import re
import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_shared.ledger_chain import charged, read_ledger
from intraward_shared.privacy import events_to_epsilon
from intraward_simulation.run import run_scenario

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SITES = ("alder", "birch", "cedar")
PROMISED = (
    "reward_model.accuracy",
    "reward_model.length_baseline",
    "policy.reward_sft",
    "policy.reward_rl",
    "policy.win_rate",
    "privacy.max_epsilon",
    "privacy.accountants_differ_by",
    "egress.identifiers_found",
    "egress.bytes_per_round",
    "deid.quarantined",
    "ledger.verified",
    "seconds",
)
TIMES = ("report.json", "report.html", "phases.json")
"""Files that say when and how long; all others are the same after the same command."""
Table = dict[str, Any]


def figures_of(run: Path) -> Table:
    """``report.json``."""
    return dict(json.loads((run / "report.json").read_text(encoding="utf-8")))


def without_times(figures: Table) -> Table:
    """The same without what tells the time."""
    rest = {key: value for key, value in figures.items() if not key.startswith("seconds")}
    return rest | {"run": {key: value for key, value in figures["run"].items() if key != "finished"}}


def contents(run: Path) -> dict[str, bytes]:
    """Every file of a run but those of ``TIMES``."""
    files = (path for path in sorted(run.rglob("*")) if path.is_file() and path.name not in TIMES)
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the installed ``intraward-simulate`` here and return its exit code."""
    (point,) = entry_points(group="console_scripts", name="intraward-simulate")
    monkeypatch.setattr(sys, "argv", ["intraward-simulate", *arguments])
    with pytest.raises(SystemExit) as stop:
        point.load()()
    return int(stop.value.code or 0)


class References(HTMLParser):
    """What a page would fetch, and its content security policy."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.policy = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect ``src`` and ``href``."""
        values = {name: value or "" for name, value in attrs}
        self.fetched += [values[name] for name in ("src", "href", "xlink:href", "srcset") if name in values]
        if tag == "meta" and values.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = values["content"]


@pytest.fixture(scope="module")
def run(inside: tuple[Path, Path]) -> Path:
    """The finished run; for reading."""
    return inside[0]


def test_the_report_has_every_promised_figure_and_each_was_measured(run: Path) -> None:
    figures = figures_of(run)
    for key in PROMISED:
        value: Any = figures
        for part in key.split("."):
            assert part in value, key
            value = value[part]
        assert value is not None, key


def test_nothing_planted_left_and_the_search_can_find(run: Path) -> None:
    egress = figures_of(run)["egress"]
    assert egress["identifiers_planted"] == 200
    assert egress["identifiers_found"] == 0
    assert egress["control_found"] == egress["identifiers_planted"]
    assert egress["messages"] > 0
    assert egress["scanned_bytes"] > egress["bytes_out"] > egress["bytes_per_round"] > 0


def test_ledgers_verify_and_both_accountants_agree(run: Path) -> None:
    figures = figures_of(run)
    assert figures["ledger"]["verified"] is True
    assert 0 <= figures["privacy"]["accountants_differ_by"] <= 0.005
    for site in figures["privacy"]["sites"]:
        entries = read_ledger(run / "sites" / site["site"] / "ledger.jsonl")
        assert site["total_pld"] == pytest.approx(events_to_epsilon(charged(entries), site["delta"]))
        assert 0 < site["total_pld"] <= site["cap"]
    assert {site["site"] for site in figures["privacy"]["sites"]} == set(SITES)


def test_a_site_s_files_are_its_users_alone(run: Path) -> None:
    """Its folder may be passed by the gateway's group on the way to the socket, so each file is closed."""
    for site in SITES:
        home = run / "sites" / site
        files = [path for path in home.rglob("*") if path.is_file()]
        assert {"vault.db", "ledger.jsonl", "ward.log", "policy.toml"} <= {path.name for path in files}
        within = [path for path in files if path.parent == home]
        assert [path.name for path in within if path.stat().st_mode & 0o077] == []
        folders = {path.name: path.stat().st_mode & 0o777 for path in home.iterdir() if path.is_dir()}
        assert {name for name, mode in folders.items() if mode & 0o077} == {"run"}
        assert folders["run"] == 0o750


def test_the_phases_add_up_to_the_whole(run: Path) -> None:
    figures = figures_of(run)
    phases = figures["seconds_by_phase"]
    assert figures["seconds"] == pytest.approx(sum(phases.values()))
    nested = [key for key in phases if any(key != other and key.startswith(other) for other in phases)]
    assert nested == []  # "import alder" beside "import" would count the same seconds twice


def test_the_page_stands_alone(run: Path) -> None:
    text = (run / "report.html").read_text(encoding="utf-8")
    page = References()
    page.feed(text)
    assert [place for place in page.fetched if not place.startswith(("#", "data:"))] == []
    assert "default-src 'none'" in page.policy
    assert re.findall(r"url\(\s*['\"]?(?!#|data:)", text) == []
    assert "@import" not in text


def test_the_same_command_again_changes_nothing(
    run: Path, scenario: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    told: list[str] = []
    run_scenario(scenario, again, show=lambda phase, what, share: told.append(f"{phase} {what}"))
    assert contents(again) == contents(run)
    assert without_times(figures_of(again)) == without_times(figures_of(run))
    assert [line for line in told if re.search(r"de-identify|round \d|recompute|search", line)] == []
    assert command(monkeypatch, "run", str(scenario), "--out", str(again), "--json") == 0
    assert contents(again) == contents(run)


def _misspell(table: Table) -> None:
    table["run"]["sead"] = table["run"].pop("seed")


def _misspell_in_a_stage(table: Table) -> None:
    table["stages"][2]["training"] = {**table["stages"][2]["training"], "learning_rat": 0.1}


def _no_mechanism(table: Table) -> None:
    del table["stages"][2]["mechanism"]


def _no_such_texts(table: Table) -> None:
    table["stages"][0]["public"] = "nothing"


def _no_model(table: Table) -> None:
    table["run"]["model"] = str(Path(table["run"]["model"]) / "not-here")


@pytest.mark.parametrize(
    ("damage", "key"),
    [
        (_misspell, "run."),
        (_misspell_in_a_stage, "stages.2.training.learning_rat"),
        (_no_mechanism, "stages.2"),
        (_no_such_texts, "stages.0.public"),
        (_no_model, "run.model"),
    ],
)
def test_a_broken_scenario_is_refused_by_file_and_key_and_leaves_nothing(
    damage: Callable[[Table], None],
    key: str,
    small_scenario: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = copy.deepcopy(small_scenario)
    damage(table)
    path, out = tmp_path / "broken.toml", tmp_path / "out"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    assert command(monkeypatch, "run", str(path), "--out", str(out)) == 1
    told = capsys.readouterr().err
    assert f"{path}: {key}" in told
    assert "do" in told
    assert not out.exists()


def test_an_earlier_run_survives_a_broken_scenario_even_with_fresh(
    run: Path, small_scenario: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = copy.deepcopy(small_scenario)
    _misspell_in_a_stage(table)
    path, kept = tmp_path / "broken.toml", tmp_path / "kept"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    shutil.copytree(run, kept)
    assert command(monkeypatch, "run", str(path), "--out", str(kept), "--fresh") == 1
    assert contents(kept) == contents(run)


def test_a_folder_that_holds_something_else_is_left_alone(
    run: Path,
    scenario: Path,
    small_scenario: Table,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "letters"
    folder.mkdir()
    (folder / "letter.txt").write_text("Dear reader", encoding="utf-8")
    for extra in ((), ("--fresh",)):
        assert command(monkeypatch, "run", str(scenario), "--out", str(folder), *extra) == 1
        assert f"{folder}: is not empty and not a run" in capsys.readouterr().err
        assert [path.name for path in folder.iterdir()] == ["letter.txt"]

    another = copy.deepcopy(small_scenario)
    another["run"]["seed"] = 8
    path, kept = tmp_path / "another.toml", tmp_path / "kept"
    path.write_text(tomli_w.dumps(another), encoding="utf-8")
    shutil.copytree(run, kept)
    assert command(monkeypatch, "run", str(path), "--out", str(kept)) == 1
    assert f"{kept}: holds a run of another scenario" in capsys.readouterr().err
    assert contents(kept) == contents(run)
