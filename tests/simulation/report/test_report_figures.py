"""Drawing and wording: literal numbers, missing values, and marks that stay on the paper."""

from __future__ import annotations

import itertools
import math
import re
import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intraward_shared.pages import charts, numerals, svg
from intraward_shared.pages.charts import Reference, Series
from intraward_simulation import figures, picture, wording
from intraward_simulation.report_data import ReportData, SiteSpend, StageSpend

REAL = st.floats(-1e9, 1e9, allow_nan=False)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (numerals.whole(1204), "1,204"),
        (numerals.whole(None), "not measured"),
        (numerals.decimal(-0.5), "\N{MINUS SIGN}0.50"),
        (numerals.decimal(-0.0001), "0"),
        (numerals.percent(0.905), "90.5 %"),
        (numerals.between((0.878, 0.927), share=True), "87.8 to 92.7 %"),
        (numerals.between(None), ""),
        (numerals.epsilon(6.4001), "6.41"),
        (numerals.epsilon(6.40), "6.40"),
        (numerals.epsilon(0.0), "0"),
        (numerals.epsilon(1e-9), "0.01"),
        (numerals.epsilon(None), "not measured"),
        (numerals.cap(8.0), "8"),
        (numerals.small(1e-5), "1e-5"),
        (numerals.small(2.5e-6), "2.5e-6"),
        (numerals.size(999), "999 bytes"),
        (numerals.size(92_416), "92.4 kB"),
        (numerals.size(999_600), "1.0 MB"),
        (numerals.size(4_812_004_213), "4.8 GB"),
        (numerals.duration(6.14), "6.1 s"),
        (numerals.duration(171.4), "2 min 51 s"),
        (numerals.duration(9000), "2 h 30 min"),
        (wording.hospitals(1), "One hospital"),
        (wording.hospitals(14), "14 hospitals"),
        (numerals.label("MEDICAL_RECORD_NUMBER"), "Medical record number"),
        (numerals.label("US_SSN"), "US SSN"),
        (numerals.odds(1.0), "2.8"),
        (numerals.odds(6.4084), "607"),
        (numerals.odds(8.0), "2,990"),
        (numerals.signed(1.12), "+1.12"),
    ],
)
def test_figures_read_as_people_write_them(shown: str, expected: str) -> None:
    assert shown == expected


@given(st.floats(0, 29), st.integers(1, 4))
def test_epsilon_is_never_understated(value: float, digits: int) -> None:
    assert float(numerals.epsilon(value, digits).replace(",", "")) >= value - 1e-6
    assert float(numerals.odds(value).replace(",", "")) >= math.exp(value) * (1 - 1e-9)


@given(REAL, REAL)
def test_ticks_cover_the_data(a: float, b: float) -> None:
    low, high = sorted((a, b))
    ticks = svg.nice_ticks(low, high)
    assert 2 <= len(ticks) <= 8
    slack = 1e-6 * max(abs(low), abs(high), 1)
    assert ticks[0] <= low + slack and ticks[-1] >= high - slack


@given(st.lists(st.floats(0, 200), min_size=1, max_size=4))
def test_labels_never_cover_each_other(places: list[float]) -> None:
    moved = charts.spread(sorted(places), 34, 20, 193)
    assert all(later - earlier >= 34 - 1e-9 for earlier, later in itertools.pairwise(moved))
    assert moved[-1] <= 193 + 1e-9


@given(st.lists(st.tuples(st.integers(0, 500), st.none() | REAL), max_size=60), REAL)
def test_any_curve_stays_on_its_paper(points: list[tuple[int, float | None]], level: float) -> None:
    chart = charts.line_chart(
        "a curve", [Series("s", tuple(sorted(points, key=lambda p: p[0])))],
        references=[Reference("level", level)], shown=numerals.decimal,
    )  # fmt: skip
    if chart is None:
        assert all(y is None for _, y in points)
        return
    root = ElementTree.fromstring(str(chart))
    for dot in root.iter("circle"):
        assert -1 <= float(dot.attrib["cy"]) <= 251 and 0 <= float(dot.attrib["cx"]) <= charts.CHART_WIDTH


def test_bars_are_as_long_as_epsilon() -> None:
    site = SiteSpend(site="a", cap=8, delta=1e-5, total_pld=4.0, total_prv=4.0)
    root = ElementTree.fromstring(str(figures.spend_chart(site, 8)))
    bar = next(r for r in root.iter("rect") if r.attrib["class"] == "bar total")
    cap = next(r for r in root.iter("line") if r.attrib["class"] == "cap")
    assert float(bar.attrib["width"]) == pytest.approx((float(cap.attrib["x1"]) - 96) / 2)


def test_a_passed_cap_is_drawn_as_such() -> None:
    stages = (StageSpend(stage="reward", epsilon_pld=9.0, epsilon_prv=9.0),)
    site = SiteSpend(site="a", cap=8, delta=1e-5, stages=stages, total_pld=9.0, total_prv=9.0)
    assert "bar over" in figures.spend_chart(site, 9)


@pytest.mark.parametrize(("planted", "found"), [(200, 0), (200, 3), (200, 200), (1, 0), (41, 1)])
def test_every_planted_identifier_is_one_square(planted: int, found: int) -> None:
    grid = str(figures.planted_grid(planted, found))
    assert grid.count("h9v9h-9z") == planted
    filled = re.search(r'<path d="([^"]*)" class="cell found"', grid)
    assert (filled[1].count("M") if filled else 0) == found


def test_too_many_or_no_identifiers_are_not_drawn() -> None:
    assert figures.planted_grid(0, 0) is None and figures.planted_grid(100_000, 0) is None


def test_a_drawing_refuses_what_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="finite"):
        svg.circle(math.nan, 0, 1, "dot")


def test_names_are_cut_in_the_middle() -> None:
    assert svg.shorten("Ospedale Maggiore number 12", 16) == "Ospedale M…er 12"
    assert svg.shorten("short", 16) == "short"


@pytest.mark.parametrize("name", ["example", "sparse", "crowded"])
def test_pictures_are_well_formed_and_speak(name: str, request: pytest.FixtureRequest) -> None:
    data: ReportData = request.getfixturevalue(name)
    for drawn in (picture.lying(data), picture.standing(data)):
        root = ElementTree.fromstring(str(drawn))
        assert root.attrib["role"] == "img" and "coordinator" in root.attrib["aria-label"]
        assert not {"fill", "stroke", "style"} & {key for element in root.iter() for key in element.attrib}


def test_the_picture_has_a_gate_and_a_ribbon_for_each_hospital(example: ReportData) -> None:
    root = ElementTree.fromstring(str(picture.lying(example)))
    classes = [element.attrib.get("class") for element in root.iter()]
    assert classes.count("wall") == 4 and classes.count("raw") == classes.count("vault") == 3
    heights = [float(e.attrib["height"]) for e in root.iter("rect") if e.attrib["class"] == "raw"]
    assert heights[0] / heights[2] == pytest.approx(1204 / 1530, rel=0.01)


def test_many_hospitals_share_the_last_lane(crowded: ReportData) -> None:
    rows = picture.lanes(crowded)
    assert len(rows) == picture.MOST_LANES and rows[-1].name == "5 more"
    assert rows[-1].notes == sum(site.notes or 0 for site in crowded.run.sites[9:])
