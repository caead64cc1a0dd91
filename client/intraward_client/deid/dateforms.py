"""Dates as notes write them: read, moved by a patient's offset, and written again in their own format.

The research profile's dates (rule 2 of DESIGN.md; facts on de-identification, section 3). Every full date
moves by the same number of days, so intervals are kept exactly, leap days too. A month and day without a
year is read in the year that brings it nearest to the item's latest full date; a month without a day moves
by whole months (never none), so that intervals between months are kept as well; a weekday moves along. What
stands around a date must be harmless glue ("to", "at 10:30"); anything else makes the whole span unreadable,
and the caller puts a tag there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import regex

from intraward_client.deid.lexicon import MONTHS

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
PLAIN_YEAR = 2023
"""Year of a month and day where the item holds no full date; not a leap year."""
_DAYS_OF_MONTH = 30.4375
_MON = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?"
    r"|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?!\p{L})"
)
_WEEK = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs?)?|fri|sat(?:ur)?|sun)(?:day)?s?"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?:1[89]|2[01])\d\d"
_SHORT_YEAR = r"'?\d\d(?![\d:])"
_ORD = r"(?:st|nd|rd|th)?"
_OF = r"\s*(?:,|[-/.]|\bof\b)?\s*"
_FORMS = (
    rf"(?P<iso_y>{_YEAR})(?P<iso_s>[-/. ])(?P<iso_m>\d\d?)(?P=iso_s)(?P<iso_d>\d\d?)(?=T\d|\b)",
    rf"(?P<ym_y>{_YEAR})(?P<ym_1>[-/. ]?)(?P<ym_m>{_MON})(?P<ym_2>\.?[-/ ]?)(?P<ym_d>{_DAY})(?P<ym_o>{_ORD})",
    r"(?P<num_a>\d\d?)(?P<num_s>[ ]?[-/.][ ]?|[ ])(?P<num_b>\d\d?)(?P=num_s)"
    rf"(?P<num_y>{_YEAR}|{_SHORT_YEAR})",
    r"(?P<eight>\d{8})",
    rf"(?P<mf_m>{_MON})(?P<mf_1>\.?\s*[-/]?\s*)(?P<mf_d>{_DAY})(?P<mf_o>{_ORD})(?!\d)"
    rf"(?:(?P<mf_r>\s*(?:-|to|and|&|through)\s*)(?P<mf_e>{_DAY})(?P<mf_p>{_ORD})(?![\d/]))?"
    rf"(?:(?P<mf_2>{_OF})(?P<mf_y>{_YEAR}|{_SHORT_YEAR}))?",
    rf"(?:(?P<df_e>{_DAY})(?P<df_p>{_ORD})(?P<df_r>\s*(?:-|to|and|&|through)\s*))?"
    rf"(?P<df_d>{_DAY})(?P<df_o>{_ORD})"
    rf"(?P<df_1>\s+(?:day\s+)?of\s+|\s*[-/.]?\s*)(?P<df_m>{_MON})"
    rf"(?:(?P<df_2>\.?{_OF})(?P<df_y>{_YEAR}|{_SHORT_YEAR}))?",
    rf"(?P<my_m>{_MON})(?P<my_1>\.?{_OF})(?P<my_y>{_YEAR}|'\d\d)",
    rf"(?P<mn_m>0?[1-9]|1[0-2])(?P<mn_s>[-/.])(?P<mn_y>{_YEAR})",
    rf"(?P<yn_y>{_YEAR})(?P<yn_s>[-/.])(?P<yn_m>0[1-9]|1[0-2]|[1-9])",
    r"(?P<md_a>\d\d?)(?P<md_s>/)(?P<md_b>\d\d?)",
    rf"(?P<mo>{_MON})",
    r"(?P<od>\d\d?)(?P<od_o>st|nd|rd|th)",
    rf"(?P<wd>{_WEEK})(?!\p{{L}})",
)
_DATE = regex.compile(
    rf"(?<![\p{{L}}\d])(?:{'|'.join(_FORMS)})(?!\d|\p{{L}}(?<!T))", regex.IGNORECASE | regex.VERSION1
)
_GLUE = regex.compile(
    r"(?:[\s,;:()./'\[\]-]|T?\d\d?:\d\d(?::\d\d)?(?:[.,]\d+)?(?:\s?[ap]\.?m\b\.?)?Z?|\d\d?\s?[ap]\.?m\b\.?"
    r"|\d{4}[ ]?(?:h|hrs|hours)\b|[+-]\d\d:?\d\d\b"
    r"|\b(?:and|to|through|thru|until|till|from|between|since|on|at|of|the|in|by|or|day|early|mid|late|about"
    r"|around|circa|approximately|this|next|last|morning|afternoon|evening|night|midnight|noon|before|after"
    r"|during|beginning|end|middle|date|dob|born|birth|h|hrs)\b)*",
    regex.IGNORECASE,
)


class _Unreadable(Exception):
    """The span is no date of a known format."""


@dataclass(frozen=True, slots=True)
class Calendar:
    """How the dates of one item are read.

    Attributes:
        day_first: 3/4 is the third of April.
        orders: the same for dates written with one separator, where they show it.
        anchor: latest full date of the item; None where there is none.
        pivot: two-digit years up to ``pivot`` are of this century.
    """

    day_first: bool = False
    anchor: date | None = None
    pivot: int = 27
    orders: frozenset[tuple[str, bool]] = frozenset()

    def day_leads(self, separator: str) -> bool:
        """Whether the day stands first in an ambiguous date written with ``separator``."""
        return next((leads for mark, leads in self.orders if mark == separator.strip()), self.day_first)


def read_calendar(spans: Iterable[str], *, day_first: bool, reference_year: int) -> Calendar:
    """The calendar of an item from the texts of all its date spans.

    A number above 12 shows which of two is the day; only where no date of the item does, or they
    disagree, the site's own order (``day_first``) counts.
    """
    texts = list(spans)
    seen = [found for text in texts for found in _pairs(text)]
    shown = {mark: _shown([pair for sign, *pair in seen if sign == mark]) for mark, *_ in seen}
    orders = frozenset((mark, leads) for mark, leads in shown.items() if leads is not None)
    decided = _shown([pair for _, *pair in seen])
    leads = day_first if decided is None else decided
    calendar = Calendar(leads, None, reference_year % 100 + 1, orders)
    found = [moment for text in texts for moment in full_dates(text, calendar)]
    return Calendar(leads, max(found, default=None), calendar.pivot, orders)


def _shown(pairs: list[list[int]]) -> bool | None:
    """Whether most of the dates that show it put the day first; None where none does, or they tie."""
    for_day, for_month = (sum(pair[k] > 12 >= pair[1 - k] for pair in pairs) for k in (0, 1))
    return None if for_day == for_month else for_day > for_month


def full_dates(text: str, calendar: Calendar) -> Iterator[date]:
    """Every date in ``text`` that has day, month and year."""
    for match in _DATE.finditer(text):
        try:
            moments = _full(match, calendar)
        except (ValueError, _Unreadable):
            continue
        yield from moments


def shift_date(text: str, days: int, calendar: Calendar) -> str:
    """``text`` with every date moved by ``days`` in its own format; empty when it cannot be read.

    Args:
        text: a span that was found to be a date, or several ("3/4-3/7").
        days: the patient's offset, not 0.
        calendar: how numbers and partial dates are read.
    """
    pieces, glue, last = [], [], 0
    try:
        for match in _DATE.finditer(text):
            glue.append(text[last : match.start()])
            pieces += [glue[-1], _moved(match, days, calendar)]
            last = match.end()
    except (_Unreadable, ValueError, OverflowError):
        return ""
    glue.append(text[last:])
    if not pieces or not all(_GLUE.fullmatch(piece) for piece in glue):
        return ""
    return "".join((*pieces, glue[-1]))


def _pairs(text: str) -> Iterator[tuple[str, int, int]]:
    """Separator and both numbers of every date of numbers whose order may be in doubt."""
    for match in _DATE.finditer(text):
        for form in ("num", "md"):
            if match[f"{form}_a"]:
                yield match[f"{form}_s"].strip(), int(match[f"{form}_a"]), int(match[f"{form}_b"])


def _full(match: regex.Match[str], calendar: Calendar) -> list[date]:
    """The full dates that one match states, the first day of a range first."""
    if match["iso_y"]:
        return [date(int(match["iso_y"]), int(match["iso_m"]), int(match["iso_d"]))]
    if match["ym_y"]:
        return [date(int(match["ym_y"]), month_of(match["ym_m"]), int(match["ym_d"]))]
    if match["num_a"]:
        day, month, _ = _ordered(int(match["num_a"]), int(match["num_b"]), calendar.day_leads(match["num_s"]))
        return [date(_year(match["num_y"], calendar), month, day)]
    if match["eight"]:
        return [_eight(match["eight"], calendar)[0]]
    for form in ("mf", "df"):
        if match[f"{form}_m"] and match[f"{form}_y"]:
            year, month = _year(match[f"{form}_y"], calendar), month_of(match[f"{form}_m"])
            days = [match[f"{form}_d"], match[f"{form}_e"]]
            return sorted(date(year, month, int(day)) for day in days if day)
    return []


def _moved(match: regex.Match[str], days: int, calendar: Calendar) -> str:
    shift = timedelta(days=days)
    if match["wd"]:
        return _weekday(match["wd"], days)
    if match["mo"]:
        return _month_like(match["mo"], _months(1, month_of(match["mo"]), days)[1])
    if match["my_m"]:
        year, month = _months(_year(match["my_y"], calendar), month_of(match["my_m"]), days)
        return f"{_month_like(match['my_m'], month)}{match['my_1']}{_year_like(match['my_y'], year)}"
    for form in ("mn", "yn"):
        if match[f"{form}_m"]:
            year, month = _months(int(match[f"{form}_y"]), int(match[f"{form}_m"]), days)
            number = _padded(month, match[f"{form}_m"])
            parts = (number, str(year)) if form == "mn" else (str(year), number)
            return str(match[f"{form}_s"]).join(parts)
    if match["od"]:
        return _ordinal_alone(match, shift, calendar)
    if match["md_a"]:
        day, month, day_leads = _ordered(int(match["md_a"]), int(match["md_b"]), calendar.day_leads("/"))
        moved = _nearest(month, day, calendar) + shift
        return _numbers(match["md_a"], match["md_b"], match["md_s"], moved, day_leads)
    if match["mf_m"] or match["df_m"]:
        return _spelled(match, shift, calendar)
    return _numeric(match, _full(match, calendar)[0] + shift, calendar)


def _numeric(match: regex.Match[str], moved: date, calendar: Calendar) -> str:
    """A full date of numbers, or year first with a month's name."""
    if match["iso_y"]:
        tail = _numbers(match["iso_m"], match["iso_d"], match["iso_s"], moved, day_leads=False)
        return f"{moved.year:04d}{match['iso_s']}{tail}"
    if match["ym_y"]:
        joined = match["ym_1"] in {"", "-"}
        month = _month_like(match["ym_m"], moved.month, joined=joined)
        day = f"{_padded(moved.day, match['ym_d'], always=joined)}{_suffix(match['ym_o'], moved.day)}"
        return f"{moved.year:04d}{match['ym_1']}{month}{match['ym_2']}{day}"
    if match["eight"]:
        return moved.strftime(_eight(match["eight"], calendar)[1]).rjust(8, "0")
    _, _, day_leads = _ordered(int(match["num_a"]), int(match["num_b"]), calendar.day_leads(match["num_s"]))
    first = _numbers(match["num_a"], match["num_b"], match["num_s"], moved, day_leads)
    return f"{first}{match['num_s']}{_year_like(match['num_y'], moved.year)}"


def _spelled(match: regex.Match[str], shift: timedelta, calendar: Calendar) -> str:
    """Month by name with a day or a range of days, with or without a year."""
    form = "mf" if match["mf_m"] else "df"
    month = month_of(match[f"{form}_m"])
    numbers = [day for day in (match[f"{form}_d"], match[f"{form}_e"]) if day]
    if match[f"{form}_y"]:
        year = _year(match[f"{form}_y"], calendar)
        moved = [date(year, month, int(day)) + shift for day in numbers]
    else:
        moved = [_nearest(month, int(day), calendar) + shift for day in numbers]
    joined = match[f"{form}_1"] in {"", "-"}  # 14-Mar-2021 and 14MAR2021 have two digits for the day
    days = [
        f"{_padded(moment.day, day, always=joined)}{_suffix(match[f'{form}_{mark}'], moment.day)}"
        for moment, day, mark in zip(moved, numbers, ("o", "p"), strict=False)
    ]
    names = [_month_like(match[f"{form}_m"], moment.month, joined=joined) for moment in moved]
    tails = [
        f"{match[f'{form}_2']}{_year_like(match[f'{form}_y'], moment.year)}" if match[f"{form}_y"] else ""
        for moment in moved
    ]
    between = match[f"{form}_1"]
    if form == "mf":
        one = f"{names[0]}{between}{days[0]}"
        if len(moved) < 2:
            return one + tails[0]
        if moved[0].month == moved[1].month:
            return f"{one}{match['mf_r']}{days[1]}{tails[1]}"
        first_tail = tails[0] if moved[0].year != moved[1].year else ""
        return f"{one}{first_tail}{match['mf_r']}{names[1]}{between}{days[1]}{tails[1]}"
    last = f"{days[0]}{between}{names[0]}{tails[0]}"
    if len(moved) < 2:
        return last
    if moved[0].month == moved[1].month:
        return f"{days[1]}{match['df_r']}{last}"
    first_tail = tails[1] if moved[0].year != moved[1].year else ""
    return f"{days[1]}{between}{names[1]}{first_tail}{match['df_r']}{last}"


def _ordinal_alone(match: regex.Match[str], shift: timedelta, calendar: Calendar) -> str:
    """A day alone ("the 14th"): of the month of the item's latest full date, if there is one."""
    if calendar.anchor is None:
        raise _Unreadable
    moved = date(calendar.anchor.year, calendar.anchor.month, int(match["od"])) + shift
    return f"{moved.day}{_suffix(match['od_o'], moved.day)}"


def _ordered(one: int, two: int, day_first: bool) -> tuple[int, int, bool]:
    """Day, month, and whether the day leads; a number above 12 can only be the day."""
    day_leads = one > 12 or (day_first and two <= 12)
    return (one, two, True) if day_leads else (two, one, False)


def _numbers(one: str, two: str, separator: str, moved: date, day_leads: bool) -> str:
    """Day and month as numbers, padded as they were; both where no zero and no single digit tells."""
    pair = (moved.day, moved.month) if day_leads else (moved.month, moved.day)
    plain = (len(one) == 1 or len(two) == 1) and not (one[0] == "0" or two[0] == "0")
    return separator.join(str(part) if plain else f"{part:02d}" for part in pair)


def _eight(digits: str, calendar: Calendar) -> tuple[date, str]:
    """A date of eight digits and its ``strftime`` format."""
    if regex.match(_YEAR, digits) and 1 <= int(digits[4:6]) <= 12 and 1 <= int(digits[6:]) <= 31:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])), "%Y%m%d"
    day, month, day_leads = _ordered(int(digits[:2]), int(digits[2:4]), calendar.day_first)
    return date(int(digits[4:]), month, day), "%d%m%Y" if day_leads else "%m%d%Y"


def _nearest(month: int, day: int, calendar: Calendar) -> date:
    """The month and day in the year that brings it nearest to the anchor."""
    middle = calendar.anchor.year if calendar.anchor else PLAIN_YEAR
    anchor = calendar.anchor or date(PLAIN_YEAR, 7, 1)
    if (month, day) == (2, 29):
        middle -= middle % 4  # 1900 and 2100 are no leap years and raise
        return date(middle, 2, 29)
    return min((date(middle + k, month, day) for k in (-1, 0, 1)), key=lambda moment: abs(moment - anchor))


def _months(year: int, month: int, days: int) -> tuple[int, int]:
    """Year and month moved by whole months, at least one."""
    whole = max(1, round(abs(days) / _DAYS_OF_MONTH)) * (1 if days > 0 else -1)
    year, index = divmod(12 * year + month - 1 + whole, 12)
    return year, index + 1


def month_of(name: str) -> int:
    """1 to 12 by the first three letters.

    Raises:
        ValueError: no month.
    """
    return [month[:3].lower() for month in MONTHS].index(name[:3].lower()) + 1


def _year(text: str, calendar: Calendar) -> int:
    digits = text.lstrip("'")
    if len(digits) == 4:
        return int(digits)
    return (2000 if int(digits) <= calendar.pivot else 1900) + int(digits)


def _year_like(text: str, year: int) -> str:
    mark = "'" if text.startswith("'") else ""
    return f"{mark}{year % 100:02d}" if len(text.lstrip("'")) == 2 else f"{year:04d}"


def _month_like(text: str, month: int, *, joined: bool = False) -> str:
    """``month`` as long as ``text``; "May" is long, but short where it is joined to its day."""
    short = (len(text) <= 3 and (joined or text.lower() != "may")) or text.lower() == "sept"
    return _cased(text, MONTHS[month - 1][:3] if short else MONTHS[month - 1])


def _weekday(text: str, days: int) -> str:
    plural = "s" if text.lower().endswith("days") else ""
    stem = text[:-1] if plural else text
    index = [name[:3].lower() for name in WEEKDAYS].index(text[:3].lower())
    name = WEEKDAYS[(index + days) % 7]
    return _cased(text, (name if stem.lower().endswith("day") else name[:3]) + plural)


def _cased(text: str, name: str) -> str:
    return name.upper() if text.isupper() else name.lower() if text.islower() else name


def _padded(number: int, text: str, *, always: bool = False) -> str:
    """``number`` with a zero before it where ``text`` had one, or would have had."""
    return f"{number:02d}" if len(text) == 2 and (always or text[0] == "0") else str(number)


def _suffix(given: str, number: int) -> str:
    """The ordinal's ending, where there was one, as loud as it was."""
    if not given:
        return ""
    ending = "th" if 10 < number < 14 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return ending.upper() if given.isupper() else ending
