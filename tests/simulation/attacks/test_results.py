"""A result is believed only as far as it follows from its own figures and the project's own gates."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from intraward_shared.attack_results import GATES, AttackClaim, AttackFigure, AttackResult, read_attacks
from intraward_shared.errors import ConfigError
from intraward_simulation.attacks.result import client_code, conclude, figures, write_result

CLAIM = AttackClaim(epsilon=8.0, delta=1e-5, sample_rate=1.0, noise_multiplier=0.6003, steps=1)


def measured(off: float = 1.0, on: float = 0.0) -> list[AttackFigure]:
    return [
        *figures("off", 8.0, 3, {"tokens_recovered": off}),
        *figures("on", 8.0, 3, {"tokens_recovered": on}),
    ]


def result(off: float = 1.0, on: float = 0.0) -> AttackResult:
    return conclude("inversion", measured(off, on), [CLAIM], {"words": 10})


def changed(**other: Any) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(result().model_dump_json())
    return value | other


def test_the_gates_are_the_issues_figures() -> None:
    bounds = {(a, r.figure, r.privacy, r.sense): r.bound for a, rules in GATES.items() for r in rules}
    assert bounds == {
        ("gauge", "claim_error", "on", "at most"): 0.05,
        ("gauge", "claim_error", "cut", "above"): 0.05,
        ("one-run", "excess", "on", "at most"): 0.0,
        ("one-run", "excess", "cut", "above"): 0.0,
        ("membership", "auc", "off", "at least"): 0.90,
        ("membership", "auc", "on", "at most"): 0.75,
        ("membership", "rate_excess", "on", "at most"): 0.0,
        ("inversion", "tokens_recovered", "off", "at least"): 0.80,
        ("inversion", "tokens_recovered", "on", "at most"): 0.05,
        ("canary", "secrets_generated", "off", "above"): 0.0,
        ("canary", "secrets_generated", "on", "at most"): 0.0,
    }


@pytest.mark.parametrize(
    ("off", "on", "passed"),
    [(0.8, 0.05, True), (0.79, 0.0, False), (1.0, 0.06, False)],
)
def test_a_gate_is_missed_by_a_leak_and_by_an_attack_that_does_not_work(
    off: float, on: float, passed: bool
) -> None:
    assert result(off, on).passed is passed


def test_the_worst_of_all_seeds_counts() -> None:
    more = [*measured(), *figures("on", 8.0, 4, {"tokens_recovered": 0.2})]
    judged = conclude("inversion", more, [CLAIM], {})
    assert judged.seeds == (3, 4) and not judged.passed and judged.gates[1].value == 0.2


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "inversion.json"
    write_result(path, result())
    assert read_attacks([path]) == (result(),)
    assert list(tmp_path.iterdir()) == [path]
    assert not {key for key in json.loads(path.read_text()) if "date" in key or "time" in key}


def test_the_same_figures_give_the_same_bytes_and_name_the_code(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_result(tmp_path / name, result())
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert result().client_code == client_code() and result().simulated


@pytest.mark.parametrize(
    "lie",
    [
        {"passed": False},
        {"gates": []},
        {"gates": [{**changed()["gates"][0], "bound": 0.1}, changed()["gates"][1]]},
        {"gates": [changed()["gates"][0], {**changed()["gates"][1], "value": 0.01}]},
        {"figures": changed()["figures"][:1]},
        {"seeds": [3, 4]},
        {"claims": [{**changed()["claims"][0], "epsilon": 1.0}]},
        {"claims": [{**changed()["claims"][0], "noise_multiplier": 0.55}]},
        {"claims": [{**changed()["claims"][0], "noise_multiplier": 0.7}]},
        {"claims": [{**changed()["claims"][0], "steps": 2}]},
        {"simulated": False},
        {"schema_version": 2},
        {"attack": "gauge"},
        {"attack": "magic"},
        {"extra": 1},
        {"settings": {"words": None}},
        {"settings": {"a key with spaces": 1}},
        {"client_code": "short"},
    ],
)
def test_a_file_that_contradicts_itself_is_refused_by_file_and_key(lie: Any, tmp_path: Path) -> None:
    path = tmp_path / "lie.json"
    path.write_text(json.dumps(changed(**lie)))
    with pytest.raises(ConfigError, match=r"lie\.json") as caught:
        read_attacks([path])
    assert caught.value.remedy


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"nan", b"\xff", b"[" * 100_000, b" " * 1_000_001])
def test_what_is_no_result_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"broken\.json"):
        read_attacks([path])


def test_a_file_that_is_far_too_large_is_not_parsed(tmp_path: Path) -> None:
    path = tmp_path / "large.json"
    path.write_text(result().model_dump_json() + " " * 1_000_000)
    with pytest.raises(ConfigError, match="is longer than 1,000,000 bytes"):
        read_attacks([path])


def test_a_write_that_fails_leaves_the_old_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "inversion.json"
    write_result(path, result())

    def full(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match="cannot be written"):
        write_result(path, result(on=1.0))
    assert read_attacks([path]) == (result(),) and list(tmp_path.iterdir()) == [path]


def test_figures_are_finite() -> None:
    with pytest.raises(ValidationError):
        AttackFigure(name="x", privacy="on", epsilon=8.0, seed=1, value=float("nan"))


def test_a_missing_file_and_a_second_result_of_one_attack_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_attacks([tmp_path / "none.json"])
    for name in ("a.json", "b.json"):
        write_result(tmp_path / name, result())
    with pytest.raises(ConfigError, match="given twice"):
        read_attacks([tmp_path])


def test_a_folder_stands_for_its_results(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no result"):
        read_attacks([tmp_path])
    write_result(tmp_path / "a.json", result())
    assert read_attacks([tmp_path]) == (result(),)


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        write_result(tmp_path / "none" / "x.json", result())
    assert list(tmp_path.iterdir()) == []
