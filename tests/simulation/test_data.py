"""Open clinical files dealt to sites: units stay whole, hold-outs stay apart, bad files are named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from intraward_shared.errors import ConfigError, InputError
from intraward_simulation.data import ClinicalData, read_clinical
from intraward_simulation.scenario import Files


@pytest.fixture(scope="module")
def clinical(shared_data: Path) -> ClinicalData:
    return read_clinical(shared_data, Files(reader="clinical", sites=3), 11)


def test_same_seed_same_deal(clinical: ClinicalData, shared_data: Path) -> None:
    assert read_clinical(shared_data, Files(reader="clinical", sites=3), 11) == clinical
    assert read_clinical(shared_data, Files(reader="clinical", sites=3), 12) != clinical


def test_every_site_has_both_kinds_in_the_importers_format(clinical: ClinicalData) -> None:
    assert list(clinical.sites) == ["site-1", "site-2", "site-3"]
    for site in clinical.sites.values():
        assert len(site.demonstrations) > 300 and len(site.preferences) > 30
        assert all(set(row) == {"patient", "prompt", "completion"} for row in site.demonstrations)
        assert all(
            set(row) == {"patient", "prompt", "chosen", "rejected", "margin"} for row in site.preferences
        )
        assert all(0 < row["margin"] <= 1 for row in site.preferences)


def test_a_unit_lies_in_one_site_and_on_one_side(clinical: ClinicalData) -> None:
    units = [
        {row["patient"] for row in (*site.demonstrations, *site.preferences)}
        for site in clinical.sites.values()
    ]
    assert not units[0] & units[1] and not units[0] & units[2] and not units[1] & units[2]
    held = {row["prompt"] for row in clinical.evaluation["preferences"]}
    trained = {row["prompt"] for s in clinical.sites.values() for row in (*s.preferences, *s.demonstrations)}
    assert held and not held & trained
    assert not {r["prompt"] for r in clinical.prompts} & {r["prompt"] for r in clinical.evaluation["prompts"]}
    records = {(row["prompt"], row["completion"]) for row in clinical.evaluation["records"]}
    shown = {(row["prompt"], row["completion"]) for s in clinical.sites.values() for row in s.demonstrations}
    assert records and not records & shown


def test_limits_are_kept(shared_data: Path) -> None:
    terms = Files(
        reader="clinical",
        sites=7,
        demonstrations=20,
        preferences=9,
        prompts=30,
        closed_questions=5,
        max_characters=600,
    )
    read = read_clinical(shared_data, terms, 1)
    assert len(read.sites) == 7 and len(read.prompts) == 30 and len(read.evaluation["closed"]) == 5
    for site in read.sites.values():
        assert len(site.demonstrations) <= 20 and len(site.preferences) <= 9
        assert all(len(row["prompt"]) + len(row["completion"]) <= 600 for row in site.demonstrations)


def _tiny_folder(root: Path) -> Path:
    pair = {"prompt": "q", "chosen": "a", "rejected": "b", "grade_chosen": 1.0, "grade_rejected": 0.5}
    rows = {
        "medquad_sft/sft.jsonl": {"doc": "d", "prompt": "q1", "response": "a", "site": "CDC"},
        "mts_dialog/sft.jsonl": {"id": "m", "prompt": "q2", "response": "a", "site": "exam"},
        "medquad_judged/pairs.jsonl": {**pair, "prompt_id": "u1"},
        "mts_summary_ratings/pairs.jsonl": {**pair, "prompt_id": "u2"},
        "k_qa/prompts.jsonl": {"prompt": "a line separator \u2028 inside"},
        "pubmedqa/sft.jsonl": {"prompt": "q3", "label": "yes"},
    }
    for name, row in rows.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(json.dumps(row, ensure_ascii=False) + "\n", encoding="utf-8")
    return root


def test_a_small_folder_reads(tmp_path: Path) -> None:
    read = read_clinical(_tiny_folder(tmp_path), Files(reader="clinical", sites=1), 0)
    assert len(read.prompts) + len(read.evaluation.get("prompts", ())) == 1


def test_missing_file_is_named(tmp_path: Path) -> None:
    folder = _tiny_folder(tmp_path)
    (folder / "k_qa" / "prompts.jsonl").unlink()
    with pytest.raises(ConfigError, match=r"k_qa.prompts\.jsonl"):
        read_clinical(folder, Files(reader="clinical"), 0)


@pytest.mark.parametrize("line", ['{"prompt": "secret-text"', '["secret-text"]', '{"secret-text": 1}'])
def test_bad_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    folder = _tiny_folder(tmp_path)
    path = folder / "medquad_judged" / "pairs.jsonl"
    path.write_text(path.read_text(encoding="utf-8") + line + "\n", encoding="utf-8")
    with pytest.raises(InputError, match="line 2") as caught:
        read_clinical(folder, Files(reader="clinical"), 0)
    assert "secret-text" not in str(caught.value)
