"""The charts that only a simulation has: privacy spent by both accountants, planted identifiers.

Each function takes figures and returns one SVG; the marks they share are ``intraward_shared.pages.charts``.
"""

from __future__ import annotations

from markupsafe import Markup

from intraward_shared.pages import charts, numerals, svg
from intraward_shared.pages.charts import Bar
from intraward_simulation.report_data import SiteSpend

GRID_COLUMNS, GRID_LIMIT = 40, 2_000


def spend_chart(site: SiteSpend, scale: float) -> Markup:
    """Bars of one site's stages and of their sum against its cap; ``scale`` is the largest of any site."""
    bars = [Bar(row.stage, row.epsilon_pld, row.epsilon_prv, row.note) for row in site.stages]
    total = Bar("all stages", site.total_pld, site.total_prv)
    return charts.spend_chart(site.site, bars, total, site.cap, scale)


def planted_grid(planted: int, found: int) -> Markup | None:
    """One square for each planted identifier; filled when it was found outside a vault."""
    if not 0 < planted <= GRID_LIMIT:
        return None
    rows = -(-planted // GRID_COLUMNS)
    cells = [(12 * (i % GRID_COLUMNS) + 1, 12 * (i // GRID_COLUMNS) + 1) for i in range(planted)]
    label = f"{numerals.whole(planted)} planted identifiers, {numerals.whole(found)} found outside"
    marks = [svg.path(_squares(cells[found:]), "cell")] if found < planted else []
    marks += [svg.path(_squares(cells[:found]), "cell found")] if found else []
    return svg.picture(12 * GRID_COLUMNS, 12 * rows, label, *marks, class_="chart cells")


def _squares(cells: list[tuple[int, int]]) -> str:
    return "".join(f"M{x} {y}h9v9h-9z" for x, y in cells)
