"""Dates of every format move by the patient's offset and keep their format; intervals are kept exactly."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intraward_client.deid.dateforms import Calendar, full_dates, read_calendar, shift_date
from intraward_client.deid.lexicon import MONTHS

CALENDAR = Calendar(day_first=False, anchor=date(2021, 3, 20))
SHIFTED = {
    "2021-03-14": "2021-02-02",
    "2021/3/14": "2021/2/2",
    "2021-03-14T10:20:30Z": "2021-02-02T10:20:30Z",
    "2021-03-14 10:20": "2021-02-02 10:20",
    "20210314": "20210202",
    "03142021": "02022021",
    "03/14/2021": "02/02/2021",
    "3/4/2021": "1/23/2021",
    "3/4/21": "1/23/21",
    "3/4/'21": "1/23/'21",
    "3 / 14 / 2021": "2 / 2 / 2021",
    "14 03 1960": "03 02 1960",
    "14.03.2021": "02.02.2021",
    "31/12/1999": "21/11/1999",
    "March 14, 2021": "February 2, 2021",
    "MARCH 14, 2021": "FEBRUARY 2, 2021",
    "march 14 2021": "february 2 2021",
    "Mar. 14th, 2021": "Feb. 2nd, 2021",
    "Sept 14, 2021": "Aug 5, 2021",
    "May 4, 2021": "March 25, 2021",
    "Feb 3, '60": "Dec 25, '59",
    "14 March 2021": "2 February 2021",
    "14th of March, 2021": "2nd of February, 2021",
    "the 14th day of March 2021": "the 2nd day of February 2021",
    "14-Mar-2021": "02-Feb-2021",
    "14MAR2021": "02FEB2021",
    "14Mar21": "02Feb21",
    "2021-Mar-14": "2021-Feb-02",
    "March 14": "February 2",
    "14 March": "2 February",
    "03/14": "02/02",
    "3/4-3/7": "1/23-1/26",
    "3/4/21-3/7/21": "1/23/21-1/26/21",
    "2021-03-14 to 2021-03-19": "2021-02-02 to 2021-02-07",
    "March 14-16, 2021": "February 2-4, 2021",
    "March 14 and 16": "February 2 and 4",
    "March 11 - 14, 2021": "January 30 - February 2, 2021",
    "14-16 March 2021": "2-4 February 2021",
    "11-14 March 2021": "30 January-2 February 2021",
    "February 8-10, 2021": "December 30, 2020-January 1, 2021",
    "between March 3rd and March 7th": "between January 22nd and January 26th",
    "March 2021": "February 2021",
    "March\n2021": "February\n2021",
    "14 March\n2021": "2 February\n2021",
    "Mar '21": "Feb '21",
    "January 2021": "December 2020",
    "03/2021": "02/2021",
    "2021-03": "2021-02",
    "in March": "in February",
    "the 14th": "the 2nd",
    "Monday, March 14, 2021": "Wednesday, February 2, 2021",
    "Tues 3/4": "Thu 1/23",
    "Mondays": "Wednesdays",
    "02/29/2020": "01/20/2020",
    "Feb 29": "Jan 20",
    "March 14, 2021 at 3:30 pm": "February 2, 2021 at 3:30 pm",
}


@pytest.mark.parametrize("number", range(len(SHIFTED)))
def test_every_format_is_kept(number: int) -> None:
    text, moved = list(SHIFTED.items())[number]
    assert shift_date(text, -40, CALENDAR) == moved


@pytest.mark.parametrize(
    "number",
    range(8),
    ids=["season", "holiday", "impossible", "no such day", "name", "year", "digits", "empty"],
)
def test_what_cannot_be_read_is_nothing(number: int) -> None:
    odd = (
        "early spring",
        "Christmas",
        "13/14/2021",
        "30/02/2020",
        "March 14, 2021 Varga",
        "2019",
        "48120957",
        "",
    )
    assert shift_date(odd[number], -40, CALENDAR) == ""


def test_a_day_alone_needs_a_month_from_somewhere() -> None:
    assert shift_date("the 14th", -40, Calendar()) == ""
    assert shift_date("3/4", -40, Calendar()) == "1/23"


def test_one_clear_date_decides_how_the_others_are_read() -> None:
    assert read_calendar(["13/03/2021", "04/03/2021"], day_first=False, reference_year=2026).day_first
    assert not read_calendar(["03/13/2021", "04/03/2021"], day_first=True, reference_year=2026).day_first
    assert read_calendar(["04/03/2021"], day_first=True, reference_year=2026).day_first
    mixed = read_calendar(["22.01.2026", "03/28/2026", "03/29/2026"], day_first=False, reference_year=2026)
    assert shift_date("04.03.2026", -1, mixed) == "03.03.2026"
    assert shift_date("04/03/2026", -1, mixed) == "04/02/2026"
    read = read_calendar(["13/03/2021", "04/03/2021", "5 May 1980"], day_first=False, reference_year=2026)
    assert read.anchor == date(2021, 3, 13)


def _formats(day: date) -> dict[str, str]:
    long, short = MONTHS[day.month - 1], MONTHS[day.month - 1][:3]
    ordinal = "th" if 10 < day.day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day.day % 10, "th")
    return {
        "iso": f"{day:%Y-%m-%d}",
        "slashes": f"{day:%m/%d/%Y}",
        "dots": f"{day:%m.%d.%Y}",
        "compact": f"{day:%Y%m%d}",
        "time": f"{day:%Y-%m-%d}T08:15:00Z",
        "month first": f"{long} {day.day}, {day.year}",
        "day first": f"{day.day} {long} {day.year}",
        "ordinal": f"{day.day}{ordinal} of {long} {day.year}",
        "dashes": f"{day:%d}-{short}-{day.year}",
        "capitals": f"{day:%d}{short.upper()}{day.year}",
        "two digits": f"{day:%m/%d/%y}",
    }


DAYS = st.dates(min_value=date(1940, 1, 1), max_value=date(2026, 12, 31))
OFFSETS = st.integers(min_value=1, max_value=364)


@given(DAYS, OFFSETS)
def test_a_shifted_date_is_the_date_in_that_format(day: date, offset: int) -> None:
    moved = day - timedelta(days=offset)
    for name, text in _formats(day).items():
        assert shift_date(text, -offset, Calendar()) == _formats(moved)[name]
        assert shift_date(_formats(moved)[name], offset, Calendar()) == text


@given(DAYS, DAYS, OFFSETS, st.sampled_from(sorted(_formats(date(2000, 1, 1)))))
def test_intervals_are_kept_exactly_whatever_the_format(one: date, two: date, offset: int, name: str) -> None:
    calendar = Calendar()
    moved = [
        next(full_dates(shift_date(_formats(day)[form], -offset, calendar), calendar))
        for day, form in ((one, name), (two, "iso"))
    ]
    assert moved[0] - moved[1] == one - two


@given(st.dates(date(2020, 9, 1), date(2021, 8, 31)), st.integers(0, 90), OFFSETS)
def test_intervals_of_days_without_a_year_are_kept(anchor: date, later: int, offset: int) -> None:
    calendar = Calendar(False, anchor)
    days = [anchor, anchor + timedelta(days=later)]
    moved = [shift_date(f"{day:%m/%d}", -offset, calendar) for day in days]
    assert moved == [f"{day - timedelta(days=offset):%m/%d}" for day in days]


@given(st.text(max_size=40), OFFSETS)
def test_no_text_makes_it_fail(text: str, offset: int) -> None:
    moved = shift_date(text, -offset, CALENDAR)
    assert moved == "" or moved != text
