"""SVG by hand: elements, text, paths and the few marks that charts are drawn with.

Colours are CSS classes only, so one drawing serves light, dark and print; a plotting library would
bake them in. Every text and attribute is escaped here, so a hospital may be called ``<b>``.
"""

from __future__ import annotations

import math

from markupsafe import Markup, escape

Number = int | float
Attribute = str | Number
FLAT = 1e-9
"""A range smaller than this share of its values is drawn as one level in the middle."""


def tag(name: str, *children: str, **attributes: Attribute) -> Markup:
    """One element. ``class_`` becomes ``class``, other underscores become hyphens; children are escaped."""
    pairs = (f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("".join(pairs)), inside)


def picture(width: Number, height: Number, label: str, *children: str, class_: str = "chart") -> Markup:
    """A whole drawing that scales with its column and speaks ``label`` to a screen reader."""
    box = f"0 0 {_value(width)} {_value(height)}"
    return tag("svg", *children, viewBox=box, class_=class_, role="img", aria_label=label)


def text(x: Number, y: Number, content: str, class_: str = "t", anchor: str = "start") -> Markup:
    """One line of text; ``class_`` chooses size and colour in the style sheet."""
    return tag("text", content, x=x, y=y, class_=class_, text_anchor=anchor)


def line(x1: Number, y1: Number, x2: Number, y2: Number, class_: str) -> Markup:
    """A straight stroke."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def rect(x: Number, y: Number, width: Number, height: Number, class_: str, radius: Number = 0) -> Markup:
    """A box; a negative size is drawn as none."""
    return tag("rect", x=x, y=y, width=max(width, 0), height=max(height, 0), rx=radius, class_=class_)


def circle(x: Number, y: Number, radius: Number, class_: str) -> Markup:
    """A dot or a disc."""
    return tag("circle", cx=x, cy=y, r=radius, class_=class_)


def path(d: str, class_: str) -> Markup:
    """A path from SVG path data made of numbers."""
    return tag("path", d=d, class_=class_)


def points(values: list[tuple[float, float]]) -> str:
    """Path data of a polyline."""
    return "M" + " L".join(f"{_value(x)} {_value(y)}" for x, y in values)


def shorten(content: str, characters: int) -> str:
    """Cut the middle to fit ``characters``: long names often differ at their end only."""
    if len(content) <= characters:
        return content
    tail = (characters - 1) // 3
    return f"{content[: characters - 1 - tail].rstrip()}…{content[len(content) - tail :].lstrip()}"


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten) that cover ``low`` to ``high``."""
    most = max(abs(low), abs(high))
    if high - low <= FLAT * max(most, 1.0):
        margin = 0.1 * most if most > FLAT else 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def _value(value: Attribute) -> str:
    if isinstance(value, str):
        return str(escape(value))
    if not math.isfinite(value):
        raise ValueError("a drawing holds finite numbers only")
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
