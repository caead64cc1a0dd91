"""The figures' tree: its keys, its refusals, and the way through report.json and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.report import load_report, to_json, write_report
from intraward_simulation.report_data import PrivacyFacts, ReportData, SiteSpend, StageSpend

PROMISED_KEYS = [
    "reward_model.accuracy",
    "reward_model.accuracy_interval",
    "reward_model.length_baseline",
    "reward_model.length_baseline_interval",
    "reward_model.length_matched",
    "reward_model.brier",
    "reward_model.calibration_error",
    "policy.reward_sft",
    "policy.reward_rl",
    "policy.win_rate",
    "policy.win_rate_interval",
    "policy.reward_gain_interval",
    "policy.kl",
    "privacy.max_epsilon",
    "privacy.accountants_differ_by",
    "privacy.sites",
    "egress.identifiers_found",
    "egress.identifiers_planted",
    "egress.bytes_per_round",
    "egress.messages",
    "egress.bytes_out",
    "egress.scanned_bytes",
    "deid.quarantined",
    "deid.notes",
    "deid.released",
    "deid.by_class",
    "deid.by_reason",
    "deid.identifiers_left",
    "deid.recall",
    "ledger.verified",
    "ledger.entries",
    "ledger.sites",
    "seconds",
    "seconds_by_phase",
    "run.simulated",
    "run.model.digest",
    "sft.data",
    "curves.reward",
    "curves.ppo",
    "samples",
    "evaluation",
    "lineage",
]


def reach(tree: Any, dotted: str) -> Any:
    """The value under a dotted key; a missing key is a KeyError."""
    for part in dotted.split("."):
        tree = tree[part]
    return tree


def test_report_json_holds_every_promised_key(example: ReportData) -> None:
    tree = json.loads(to_json(example))
    for key in PROMISED_KEYS:
        assert reach(tree, key) is not None, key
    assert set(tree["privacy"]["sites"][0]) >= {
        "site", "stages", "total_pld", "total_prv", "total_replace_one", "cap", "delta",
    }  # fmt: skip


def test_unmeasured_figures_are_null_and_not_absent(sparse: ReportData) -> None:
    tree = json.loads(to_json(sparse))
    assert tree["policy"]["win_rate"] is None and tree["egress"]["identifiers_found"] is None


def test_a_written_report_is_read_back_as_it_was(example: ReportData, tmp_path: Path) -> None:
    page, figures = write_report(tmp_path / "run", example)
    assert load_report(tmp_path / "run") == example
    assert {path.name for path in (tmp_path / "run").iterdir()} == {page.name, figures.name}


def test_a_folder_without_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no report in this folder"):
        load_report(tmp_path)


@pytest.mark.parametrize("content", ["{", "[]", '{"seconds": NaN}', ""])
def test_broken_json_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "report.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        load_report(tmp_path)


def test_a_wrong_figure_is_named_by_its_key(example: ReportData, tmp_path: Path) -> None:
    tree = json.loads(to_json(example))
    tree["reward_model"]["accuracy"] = 1.2
    (tmp_path / "report.json").write_text(json.dumps(tree), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_report(tmp_path)
    assert caught.value.key == "reward_model.accuracy" and "1.2" not in str(caught.value)


def test_an_unwritable_folder_leaves_nothing_half_written(example: ReportData, tmp_path: Path) -> None:
    (tmp_path / "report.html").mkdir()
    with pytest.raises(InputError, match="cannot be written"):
        write_report(tmp_path, example)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_headline_privacy_figures_come_from_the_rows() -> None:
    site = SiteSpend(
        site="a", cap=8, delta=1e-5, total_pld=4.0, total_prv=4.001,
        stages=(StageSpend(stage="reward", epsilon_pld=3.0, epsilon_prv=3.004),),
    )  # fmt: skip
    facts = PrivacyFacts.of((site, SiteSpend(site="b", cap=8, delta=1e-5)))
    assert facts.max_epsilon == 4.001
    assert facts.accountants_differ_by == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("branch", "changes"),
    [
        ("privacy", {"max_epsilon": 1.0}),
        ("privacy", {"accountants_differ_by": 0.0}),
        ("egress", {"identifiers_found": 201}),
        ("egress", {"identifiers_found": None}),
        ("egress", {"places": [{"place": "logs", "found": 1}]}),
        ("deid", {"released": 10_000}),
        ("ledger", {"sites": [{"site": "a", "verified": False, "entries": 1}]}),
        ("reward_model", {"accuracy": float("nan")}),
        ("reward_model", {"acuracy": 0.9}),
    ],
)
def test_contradictions_are_refused(fields: dict[str, Any], branch: str, changes: dict[str, Any]) -> None:
    fields[branch] = fields[branch] | changes
    with pytest.raises(ValidationError):
        ReportData.model_validate(fields)


def test_private_records_show_neither_samples_nor_counts(fields: dict[str, Any]) -> None:
    fields["run"] = fields["run"] | {"origin": "private"}
    with pytest.raises(ValidationError, match="sample texts"):
        ReportData.model_validate(fields)
    fields["samples"] = []
    with pytest.raises(ValidationError, match="counts of patients"):
        ReportData.model_validate(fields)
    fields["run"]["sites"] = [{"name": site["name"]} for site in fields["run"]["sites"]]
    assert ReportData.model_validate(fields).samples == ()


def test_texts_do_not_show_in_repr(example: ReportData) -> None:
    assert example.samples[0].prompt not in repr(example) + repr(example.samples[0])
