"""A whole page from escaped parts: head, sections, tables. One file that asks for no other.

The page's own policy (CSP) forbids every request and every script, so a mailed copy stays what it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from intraward_shared.pages import look
from intraward_shared.pages.svg import tag

Cell = str | tuple[str, str]
"""Text, or text with its class (``n`` for numbers, ``yes`` and ``no`` for verdicts)."""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
{style}
</style>
</head>
<body>
<a class="skip" href="#main">Skip to the report</a>
{body}
</body>
</html>
"""


def page(title: str, *body: str) -> str:
    """A document with the look of the project in it."""
    style = Markup(look())
    return str(
        Markup(_PAGE).format(policy=Markup(_POLICY), title=title, style=style, body=Markup("\n").join(body))
    )


def section(name: str, heading: str, *children: str) -> Markup:
    """A section with its heading; ``name`` is its anchor."""
    inside = tag("h2", heading, id=f"h-{name}")
    return tag("section", inside, *children, id=name, aria_labelledby=f"h-{name}")


def table(caption: str, head: Sequence[Cell], rows: Iterable[Sequence[Cell]], style: str = "sheet") -> Markup:
    """A table that scrolls by itself where it is too wide; the first cell of a row is its heading."""
    top = tag("tr", *(_cell("th", cell, scope="col") for cell in head))
    body = [
        tag("tr", _cell("th", row[0], scope="row"), *(_cell("td", cell) for cell in row[1:])) for row in rows
    ]
    inside = tag("table", tag("caption", caption), tag("thead", top), tag("tbody", *body))
    return tag("div", inside, class_=style, role="region", aria_label=caption, tabindex=0)


def items(texts: Iterable[str], style: str = "limits") -> Markup:
    """A list."""
    return tag("ul", *(tag("li", text) for text in texts), class_=style)


def terms(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Names and what they are, as a description list."""
    return tag("dl", *(tag("dt", name) + tag("dd", text) for name, text in pairs))


def _cell(name: str, cell: Cell, **attributes: str) -> Markup:
    text, style = cell if isinstance(cell, tuple) else (cell, "")
    return tag(name, text, **({"class_": style} if style else {}), **attributes)
