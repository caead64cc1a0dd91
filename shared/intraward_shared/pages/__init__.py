"""What the pages of auditor, coordinator and simulation are drawn with: one look, numerals, SVG, charts.

``look.css`` is the look: light, dark, narrow and print. No part of it asks for a script or another file.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def look() -> str:
    """The style sheet, to be put into a page or to be sent beside it."""
    return (FOLDER / "look.css").read_text(encoding="utf-8")
