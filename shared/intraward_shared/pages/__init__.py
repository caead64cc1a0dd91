"""What the pages of auditor, coordinator and simulation are drawn with: one look, numerals, SVG, charts.

``look.css`` is the look: light, dark, narrow and print; ``charts.css`` are the marks of charts, which the
coordinator's dashboard draws in colours of its own. No part of it asks for a script or another file.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def look() -> str:
    """The style sheet of a report, to be put into the page."""
    return (FOLDER / "look.css").read_text(encoding="utf-8") + chart_marks()


def chart_marks() -> str:
    """The part of it that charts need, for a page with its own colours."""
    return (FOLDER / "charts.css").read_text(encoding="utf-8")
