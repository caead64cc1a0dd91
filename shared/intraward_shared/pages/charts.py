"""Charts as SVG: lines over rounds, privacy spent against a cap, a gauge beside a figure.

Each function takes figures and returns one drawing (see ``svg``); none reads a file or knows the page. Series
are labelled at their end instead of by a legend, and never told apart by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from intraward_shared.pages import numerals, svg

CHART_WIDTH = 460
LEFT, RIGHT, TOP, BOTTOM = 44, 118, 14, 40
LABEL_GAP = 17.0


@dataclass(frozen=True)
class Series:
    """A line over rounds, or over another figure; missing values leave it out of that round.

    style: a CSS class. errors: half the height of an interval around each known point, or nothing.
    """

    name: str
    points: tuple[tuple[float, float | None], ...]
    style: str = "one"
    errors: tuple[float, ...] = ()

    @property
    def known(self) -> list[tuple[float, float]]:
        """The rounds that were measured."""
        return [(x, y) for x, y in self.points if y is not None]


@dataclass(frozen=True)
class Reference:
    """A level drawn across the chart, such as a baseline."""

    name: str
    level: float


@dataclass(frozen=True)
class Frame:
    """Where data land on paper."""

    x_range: tuple[float, float]
    y_ticks: list[float]
    height: int

    def x(self, value: float) -> float:
        """Round to horizontal position; a single round stands at the right edge."""
        low, high = self.x_range
        share = (value - low) / (high - low) if high > low else 1.0
        return LEFT + share * (CHART_WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Value to vertical position."""
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.height - BOTTOM - (value - low) / (high - low) * (self.height - TOP - BOTTOM)


def line_chart(
    label: str,
    series: Sequence[Series],
    *,
    references: Sequence[Reference] = (),
    shown: Callable[[float], str],
    ticks: Callable[[float], str] | None = None,
    height: int = 250,
    x_label: str = "round",
    x_shown: Callable[[float], str] | None = None,
) -> Markup | None:
    """Lines over rounds with labels at their ends; ``None`` when there is nothing to draw.

    Args:
        label: what a screen reader says; the same figures stand in a table beside the chart.
        shown: writes a value at the end of a line; ``ticks`` does so on the axis.
        x_shown: writes the numbers of an x axis that is a scale from 0, not rounds.
    """
    series = [one for one in series if one.known]
    if not series:
        return None
    values = [y for one in series for _, y in one.known] + [one.level for one in references]
    values += [end for one in series for _, *ends in _intervals(one) for end in ends]
    rounds = sorted({x for one in series for x, _ in one.known})
    if x_shown is not None:
        rounds = svg.nice_ticks(min(0.0, rounds[0]), rounds[-1])
    frame = Frame((rounds[0], rounds[-1]), svg.nice_ticks(min(values), max(values)), height)
    marks = [_y_axis(frame, ticks or shown), _x_axis(frame, rounds, x_label, x_shown or "{:g}".format)]
    marks += [
        svg.line(LEFT, frame.y(r.level), frame.x(rounds[-1]), frame.y(r.level), "level") for r in references
    ]
    marks += [_curve(frame, one) for one in series]
    marks.append(_end_labels(frame, series, references, shown))
    return svg.picture(CHART_WIDTH, height, label, *marks)


def _y_axis(frame: Frame, shown: Callable[[float], str]) -> Markup:
    out = []
    for tick in frame.y_ticks:
        y = frame.y(tick)
        out.append(svg.line(LEFT, y, CHART_WIDTH - RIGHT, y, "grid"))
        out.append(svg.text(LEFT - 8, y + 4, shown(tick), "s m", "end"))
    return Markup("").join(out)


def _x_axis(frame: Frame, rounds: list[float], x_label: str, shown: Callable[[float], str]) -> Markup:
    every = max(1, -(-len(rounds) // 8))
    y = frame.height - BOTTOM + 18
    out = [svg.text(frame.x(r), y, shown(r), "s m", "middle") for r in rounds[::every]]
    out.append(svg.text((LEFT + CHART_WIDTH - RIGHT) / 2, frame.height - 4, x_label, "s m", "middle"))
    return Markup("").join(out)


def _curve(frame: Frame, one: Series) -> Markup:
    places = [(frame.x(x), frame.y(y)) for x, y in one.known]
    dots = [svg.circle(x, y, 3, f"dot {one.style}") for x, y in places] if len(places) <= 40 else []
    stroke = [svg.path(svg.points(places), f"curve {one.style}")] if len(places) > 1 else []
    whiskers = [
        svg.line(frame.x(x), frame.y(low), frame.x(x), frame.y(high), f"whisker {one.style}")
        for x, low, high in _intervals(one)
    ]
    return Markup("").join([*whiskers, *stroke, *dots])


def _intervals(one: Series) -> list[tuple[float, float, float]]:
    """Place and both ends of each interval that a series has."""
    return [(x, y - e, y + e) for (x, y), e in zip(one.known, one.errors, strict=False)]


def _end_labels(
    frame: Frame, series: Sequence[Series], references: Sequence[Reference], shown: Callable[[float], str]
) -> Markup:
    """Name and last value of every line, pushed apart so that none covers another."""
    wanted = [(frame.y(one.known[-1][1]), one.name, shown(one.known[-1][1]), one.style) for one in series]
    wanted += [(frame.y(r.level), r.name, shown(r.level), "ref") for r in references]
    wanted.sort()
    places = spread([y for y, *_ in wanted], 2 * LABEL_GAP, TOP + 6, frame.height - BOTTOM - LABEL_GAP + 6)
    out = []
    x = CHART_WIDTH - RIGHT + 10
    for y, (_, name, value, style) in zip(places, wanted, strict=True):
        out.append(svg.text(x, y + 2, value, f"b tx-{style}"))
        out.append(svg.text(x, y + 2 + 15, name, "s m"))
    return Markup("").join(out)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move sorted positions as little as one pass each way needs to keep ``gap`` between them."""
    out = list(places)
    for i in range(len(out)):
        out[i] = max(out[i], low if i == 0 else out[i - 1] + gap)
    for i in range(len(out) - 1, -1, -1):
        out[i] = min(out[i], high if i == len(out) - 1 else out[i + 1] - gap)
    return out


@dataclass(frozen=True)
class Bar:
    """Epsilon of one stage alone by both accountants; ``note`` says why a stage is free."""

    stage: str
    epsilon_pld: float | None = None
    epsilon_prv: float | None = None
    note: str = ""


def spend_chart(
    site: str, bars: Sequence[Bar], total: Bar, limit: float, scale: float, *, second: bool = True
) -> Markup:
    """Bars of one site: every stage alone, then all together, against the cap.

    The bar is the auditor's figure (PLD), the tick on it the site's own (PRV). ``limit`` is the cap and
    ``scale`` the largest epsilon of any site, so charts beside each other compare. ``second`` is whether
    anybody asked the second accountant.
    """
    height = 34 + 27 * len(bars) + 34
    left, width = 96, 176
    full = max(scale, limit, 1e-9)

    def at(value: float) -> float:
        return left + min(value / full, 1.0) * width

    marks = [_spend_row(row, 40 + 27 * i, at, "stage") for i, row in enumerate(bars)]
    y = 40 + 27 * len(bars) + 6
    marks.append(svg.line(0, y - 10, 340, y - 10, "grid"))
    spent = max((x for x in (total.epsilon_pld, total.epsilon_prv) if x is not None), default=0.0)
    marks.append(_spend_row(total, y, at, "over" if spent > limit else "total"))
    cap_x = at(limit)
    marks.append(svg.line(cap_x, 24, cap_x, height - 2, "cap"))
    marks.append(svg.text(cap_x, 16, f"cap {numerals.cap(limit)}", "s tx-ref", "middle"))
    both = f" and {numerals.epsilon(total.epsilon_prv)} by PRV" if second else ""
    label = (
        f"{site}: epsilon {numerals.epsilon(total.epsilon_pld)} by PLD{both}, "
        f"of a cap of {numerals.cap(limit)}"
    )
    return svg.picture(340, height, label, *marks)


def _spend_row(row: Bar, y: float, at: Callable[[float], float], style: str) -> Markup:
    known = [x for x in (row.epsilon_pld, row.epsilon_prv) if x is not None]
    name = svg.text(0, y + 11, svg.shorten(numerals.stage(row.stage), 14), "s b" if style != "stage" else "s")
    if not known:
        return name + svg.text(at(0), y + 11, numerals.MISSING, "s m")
    shown = svg.text(340, y + 11, numerals.epsilon(max(known)), "s b" if style != "stage" else "s", "end")
    if max(known) == 0:
        return (
            name
            + svg.text(at(0), y + 11, svg.shorten(f"free: {row.note or 'no private input'}", 26), "s m")
            + shown
        )
    bar = svg.rect(at(0), y, at(row.epsilon_pld or 0) - at(0), 14, f"bar {style}", 2)
    tick = [] if row.epsilon_prv is None else [svg.line(*_tick(at(row.epsilon_prv), y), "prv")]
    return Markup("").join([name, bar, *tick, shown])


def _tick(x: float, y: float) -> tuple[float, float, float, float]:
    return x, y - 3, x, y + 17


def gauge(
    value: float,
    *,
    full: float,
    start: float = 0.0,
    reference: float | None = None,
    interval: tuple[float, float] | None = None,
    bad: bool = False,
) -> Markup:
    """A small bar from ``start`` to ``value`` with a reference tick and an interval; a card's picture."""
    span = max(full - start, 1e-9)

    def at(number: float) -> float:
        return 2 + 236 * min(max((number - start) / span, 0.0), 1.0)

    marks = [
        svg.rect(2, 9, 236, 8, "track", 4),
        svg.rect(2, 9, at(value) - 2, 8, "bar over" if bad else "bar total", 4),
    ]
    if interval is not None:
        marks += [svg.line(at(interval[0]), 13, at(interval[1]), 13, "whisker")]
        marks += [svg.line(at(end), 9, at(end), 17, "whisker") for end in interval]
    if reference is not None:
        marks.append(svg.line(at(reference), 2, at(reference), 24, "cap"))
    return svg.tag("svg", *marks, viewBox="0 0 240 26", class_="gauge", aria_hidden="true")


@dataclass(frozen=True)
class Step:
    """One charged round: epsilon of everything charged up to it, and the cap at that time.

    ``whole`` is false where its update never left: the charge stays all the same.
    """

    stage: str
    epsilon: float
    limit: float
    whole: bool = True


def steps_chart(
    label: str, steps: Sequence[Step], limit: float, counted: float | None = None, height: int = 230
) -> Markup:
    """What was spent after each charged round, against the cap: one bar each, its own share dark on top.

    Args:
        label: what a screen reader says.
        steps: in the order of the ledger.
        limit: the cap in force now, drawn to the end.
        counted: what the gate counts at the end, a line of its own where that is not the last bar.
    """
    high = max([limit, counted or 0.0, *(max(step.epsilon, step.limit) for step in steps)])
    ticks = svg.nice_ticks(0.0, high)
    right, bottom = CHART_WIDTH - 12, height - BOTTOM
    pitch = (right - LEFT) / max(len(steps), 1)

    def at(value: float) -> float:
        return bottom - value / ticks[-1] * (bottom - TOP)

    marks = [svg.line(LEFT, at(t), right, at(t), "grid") for t in ticks]
    marks += [svg.text(LEFT - 8, at(t) + 4, numerals.level(t), "s m", "end") for t in ticks]
    before = 0.0
    for index, step in enumerate(steps):
        x, wide = LEFT + pitch * (index + 0.1), pitch * 0.8
        marks.append(svg.rect(x, at(before), wide, bottom - at(before), "bar stage"))
        own = "bar total" if step.whole else "bar open"
        marks.append(svg.rect(x, at(step.epsilon), wide, at(before) - at(step.epsilon), own))
        before = step.epsilon
    marks += _limits(steps, limit, pitch, right, at)
    if counted is not None:
        name = f"the gate counts {numerals.epsilon(counted)}"
        marks.append(svg.line(LEFT, at(counted), right, at(counted), "level"))
        marks.append(svg.text(LEFT + 4, at(counted) - 5, name, "s b"))
    marks += _stage_names(steps, pitch, bottom)
    x, y, text = (LEFT + right) / 2, (TOP + bottom) / 2, "nothing is charged yet"
    if steps:
        x, y = min(LEFT + pitch * (len(steps) - 0.5), right - 18), at(steps[-1].epsilon) - 6
        text = numerals.epsilon(steps[-1].epsilon)
    marks.append(svg.text(x, y, text, "s b", "middle"))
    marks.append(svg.text((LEFT + right) / 2, height - 4, "charged rounds, in order", "s m", "middle"))
    return svg.picture(CHART_WIDTH, height, label, *marks)


def _limits(
    steps: Sequence[Step], limit: float, pitch: float, right: float, at: Callable[[float], float]
) -> list[Markup]:
    """The cap as it was at each round, and its name at the end."""
    levels = [step.limit for step in steps[:-1]] + [limit]
    places = [LEFT + pitch * index for index in range(len(levels))] + [right]
    corners = []
    for index, level in enumerate(levels):
        corners += [(places[index], at(level)), (places[index + 1], at(level))]
    name = svg.text(right, at(limit) - 5, f"cap {numerals.cap(limit)}", "s b tx-ref", "end")
    return [svg.path(svg.points(corners), "cap"), name]


def _stage_names(steps: Sequence[Step], pitch: float, bottom: float) -> list[Markup]:
    """The stage under each run of its rounds, where there is room to write it."""
    out, start = [], 0
    for index in range(1, len(steps) + 1):
        if index < len(steps) and steps[index].stage == steps[start].stage:
            continue
        name, wide = numerals.stage(steps[start].stage), pitch * (index - start)
        x = LEFT + pitch * start
        if start:
            out.append(svg.line(x, bottom, x, bottom + 8, "grid"))
        if wide >= 7.2 * len(name):
            out.append(svg.text(x + wide / 2, bottom + 17, name, "s m", "middle"))
        start = index
    return out
