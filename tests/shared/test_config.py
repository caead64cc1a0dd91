"""Strict TOML: types, unknown keys with the near ones, every problem at once, and no value in a message."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field, StringConstraints, model_validator

from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import Real
from intraward_shared.stages import Stage


class Inner(Strict):
    lifetime_epsilon: float = Field(gt=0)
    steps: int = Field(ge=1)
    real: Real = 1.0

    @model_validator(mode="after")
    def _even(self) -> Inner:
        if self.steps == 13:
            raise ValueError("steps is 13")
        return self


class Outer(Strict):
    stages: tuple[Stage, ...] = ()
    privacy: Inner
    rows: tuple[Inner, ...] = ()
    allowed: bool = False
    key: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")] | None = None


GOOD = "stages = ['sft']\n[privacy]\nlifetime_epsilon = 8\nsteps = 50\nreal = '0.5'\n"


def read(folder: Path, text: str) -> Any:
    path = folder / "c.toml"
    path.write_text(text, encoding="utf-8")
    return load_toml(path, Outer)


def test_what_is_right_is_read(tmp_path: Path) -> None:
    made = read(tmp_path, GOOD)
    assert made.privacy == Inner(lifetime_epsilon=8.0, steps=50, real=0.5) and made.stages == (Stage.SFT,)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("steps = 50", "steps = true", "privacy.steps"),
        ("steps = 50", "steps = '50'", "privacy.steps"),
        ("steps = 50", "steps = 50.0", "privacy.steps"),
        ("epsilon = 8", "epsilon = '8'", "privacy.lifetime_epsilon"),
        ("epsilon = 8", "epsilon = true", "privacy.lifetime_epsilon"),
        ("epsilon = 8", "epsilon = nan", "privacy.lifetime_epsilon"),
        ("epsilon = 8", "epsilon = 1979-05-27", "privacy.lifetime_epsilon"),
        ("stages =", "allowed = 1\nstages =", "allowed"),
        ("steps = 50", "steps = 13", "privacy: steps is 13"),
        ("stages =", "key = 'a'\nstages =", "key: is not 64 lower-case hexadecimal digits"),
        (
            "lifetime_epsilon",
            "lifetime_epsilom",
            "privacy.lifetime_epsilom: unknown key; did you mean lifetime_epsilon?",
        ),
        ("stages =", "stage =", "stage: unknown key; did you mean stages?"),
        ("steps = 50", "", "privacy.steps: is missing"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, GOOD.replace(old, new))
    assert f"c.toml: {said}" in refused.value.message and "Value error" not in refused.value.message


def test_unknown_keys_come_first_and_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, "[privacy]\nlifetime_epsilom = 8\nreal = -1\n[[rows]]\nstep = 5\nlifetime_epsilon = 1")
    text = refused.value.message
    assert text.index("privacy.lifetime_epsilom: unknown key") < text.index("privacy.steps: is missing")
    assert "privacy.lifetime_epsilon: is missing" in text
    assert "rows.0.step: unknown key; did you mean steps?" in text
    assert refused.value.key == "privacy.lifetime_epsilom" and "spelling" in refused.value.remedy


@pytest.mark.parametrize("data", [b"x = " + b"[" * 5000, b"x = \xff", b"x = "])
def test_what_is_no_toml_is_said(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError, match=r"policy\.toml"):
        load_toml(path, Outer)
