"""The curves' picture: whole, owner-only, in a fixed order of panels; and the command that draws it."""

from __future__ import annotations

import math
import re
import stat
from pathlib import Path
from typing import Any

import matplotlib
import pytest

from intraward_client import cli
from intraward_client.training.curve_picture import draw_curves, flat_range, moving_mean, words_of
from intraward_client.training.tracking import Curve, open_track
from intraward_shared.errors import ConfigError, InputError

NAMES = ("ratio", "length", "entropy", "clip_fraction", "loss", "kl", "reward")


def curves(count: int = 50, rounds: tuple[str, ...] = ("r-0004-ppo-1",)) -> list[Curve]:
    values = (math.nan, *(step / 10 for step in range(1, count)))
    return [Curve(name, figure, values) for name in rounds for figure in NAMES]


def test_panels_come_in_the_order_in_which_they_are_looked_at(tmp_path: Path) -> None:
    target = tmp_path / "curves.svg"
    rounds = ("r-0003-reward-1", "r-0004-ppo-1", "r-0005-ppo-2")
    with matplotlib.rc_context({"svg.fonttype": "none"}):  # words as words, not as outlines
        assert draw_curves(curves(rounds=rounds), "st-mary", target) == 7
    text = target.read_text(encoding="utf-8")
    told = ("Training curves of st-mary", "do not pass them on", "round 4, round 5 (attempt 2)")
    assert all(words in text for words in told)
    panels = ("reward<", "KL to", "loss<", "clip fraction", "entropy (", "length (", "probability ratio")
    places = [text.index(f">{name}") for name in panels]
    assert places == sorted(places)


def test_the_picture_is_its_owners_alone_and_replaces_an_older_one(tmp_path: Path) -> None:
    target = tmp_path / "curves.png"
    target.write_bytes(b"old")
    target.chmod(0o644)
    draw_curves([Curve("r", "loss", (1.0,))], "north", target)
    assert target.read_bytes().startswith(b"\x89PNG")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]


def test_another_ending_or_folder_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    for target in (tmp_path / "curves.pdf", tmp_path / "nowhere" / "curves.png"):
        with pytest.raises(ConfigError):
            draw_curves([Curve("r", "loss", (1.0,))], "north", target)
    assert list(tmp_path.iterdir()) == []


def test_names_and_means() -> None:
    assert words_of("run-a-0012-ppo-2") == ("ppo", "round 12 (attempt 2)")
    assert words_of("something else") == ("", "something else")
    means = moving_mean([1.0, math.nan, 3.0, 5.0])
    assert (means[0], means[2], means[3]) == (1.0, 4.0, 4.0) and math.isnan(means[1])


def test_the_command_draws_what_it_prints(make_site: Any, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    home = make_site(patients=1)
    with open_track("tensorboard", home.curves / "run-0001-sft-1") as track:
        track(0, {"loss": 1.5})
    cli.curves(home.root, plot=tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 60])
def test_steps_are_whole_numbers_with_a_name(tmp_path: Path, steps: int) -> None:
    target = tmp_path / "curves.svg"
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        draw_curves([Curve("r-0001-sft-1", "loss", (1.5,) * steps)], "north", target)
    axis = target.read_text(encoding="utf-8").split('id="matplotlib.axis_2"')[0]
    told = re.findall(r"<text[^>]*>([^<]+)</text>", axis)
    assert told[-1] == "step" and len(told) > 1
    assert all(1 <= int(number) <= steps for number in told[:-1])


def test_one_value_lies_in_a_range_of_its_own_size() -> None:
    assert flat_range([40.0, math.nan, 40.0]) == (20.0, 60.0)
    assert flat_range([-2.0]) == (-3.0, -1.0) and flat_range([0.0, 0.0]) == (-1.0, 1.0)
    assert flat_range([1.0, 1.1]) is None and flat_range([math.inf]) is None


def test_the_name_of_the_picture_is_refused_before_the_site_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"neither an \.svg"):
        cli.curves(tmp_path / "nosite", plot=tmp_path / "curves.pdf")


def test_nothing_kept_yet_is_told_from_nothing_to_be_kept(make_site: Any) -> None:
    with pytest.raises(InputError, match=r"set tracking\.store"):
        cli.curves(make_site(patients=1).root)
    keeping = make_site(patients=1, name="keeping", more={"tracking": {"store": "tensorboard"}})
    with pytest.raises(InputError, match="no round has been trained yet") as caught:
        cli.curves(keeping.root)
    assert "set tracking.store" not in str(caught.value)
