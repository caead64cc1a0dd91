"""The pages as text: templates over the view, each page by itself or all of them as one file.

The look is the label station's; ``static/dashboard.css`` holds a copy of its colours, because coordinator and
hospital never import each other and a colour is no contract worth a file of its own in between.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from intraward_server.dashboard import drawing
from intraward_server.dashboard.view import DELTA, View
from intraward_shared.errors import ConfigError
from intraward_shared.pages import chart_marks, numerals

STATIC = Path(__file__).parent / "static"
PAGES = {
    "/": ("program", "Program"),
    "/sites": ("sites", "Sites"),
    "/evaluation": ("evaluation", "Evaluation"),
    "/adapters": ("adapters", "Adapters"),
    "/gates": ("gates", "Gates"),
}
"""Address -> section and its name."""


def style() -> str:
    """The style sheet, with the marks of charts."""
    return (STATIC / "dashboard.css").read_text(encoding="utf-8") + chart_marks()


def page(view: View, path: str, live: bool) -> str:
    """One page of the dashboard; ``path`` is in ``PAGES``."""
    name, title = PAGES[path]
    return _template("page.html").render(**_values(view), section=name, title=title, here=path, live=live)


def report(view: View) -> str:
    """All sections as one file that asks for no other."""
    return _template("report.html").render(**_values(view), style=style())


def refusal(title: str, text: str, remedy: str) -> str:
    """What is shown instead of a page that cannot be made."""
    return _template("error.html").render(
        title=title, text=text, remedy=remedy, pages=PAGES, here="", live=False
    )


def write_report(view: View, path: Path) -> None:
    """Write the report, whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(report(view), encoding="utf-8")
        draft.replace(path)
    except OSError:
        raise ConfigError(path, "", "the report cannot be written", remedy="check folder and disk") from None
    finally:
        draft.unlink(missing_ok=True)


def _values(view: View) -> dict[str, Any]:
    return {
        "view": view,
        "curves": drawing.curves(view),
        "spending": drawing.spending(view),
        "measured": list(_flatten({k: v for k, v in view.evaluation.items() if k not in _LEFT_OUT})),
        "over": view.evaluation.get("over_optimisation", {}),
        "pages": PAGES,
        "delta": DELTA,
    }


_LEFT_OUT = ("samples", "over_optimisation", "run_id", "adapters")
"""Texts, and what stands elsewhere on the pages."""


def _flatten(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Rows of figures; an interval stands beside its figure and not in a row of its own."""
    for key, value in values.items():
        name = f"{above}, {key.replace('_', ' ')}" if above else numerals.label(key)
        if isinstance(value, Mapping):
            yield from _flatten(value, name)
        elif not key.endswith("_interval"):
            yield name, _figure(value, values.get(f"{key}_interval"))


def _figure(value: Any, interval: Any) -> str:
    if value is None:
        return numerals.MISSING
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    shown = numerals.whole(value) if isinstance(value, int) else numerals.decimal(value, 3)
    if isinstance(interval, list) and len(interval) == 2:
        low, high = (numerals.decimal(end, 3) for end in interval)
        return f"{shown} ({low} to {high})"
    return shown


@lru_cache(maxsize=1)
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("intraward_server.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    for name in ("whole", "decimal", "percent", "epsilon", "size", "duration", "small", "stage"):
        made.filters[name] = getattr(numerals, name)
    made.filters["when"] = lambda time: time.replace("T", " ").removesuffix("Z") + " UTC" if time else ""
    return made


def _template(name: str) -> Template:
    return _environment().get_template(name)
