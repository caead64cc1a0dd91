"""What happened, as one picture: text flows in and ends in vaults, thin sealed updates cross the wall.

The width of a ribbon is the number of notes; what was held back branches off; what leaves is a thread
with one small square a round. Drawn twice, lying for wide pages and standing for narrow ones, and the
style sheet shows one of them. Figures that were not measured are named so.
"""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from intraward_shared.pages import numerals, svg
from intraward_simulation import wording
from intraward_simulation.report_data import ReportData, SiteFacts

WIDTH, MOST_LANES, MOST_SQUARES = 1080, 10, 9
NAME, NOTES, DEID, VAULT, WALL, SERVER = 22, 222, 378, 566, 724, 884
TOP = 92


@dataclass(frozen=True)
class Lane:
    """One hospital's line through the picture."""

    name: str
    patients: int | None
    notes: int | None
    released: int | None
    quarantined: int | None
    epsilon: float | None

    @property
    def kept_share(self) -> float:
        """Share of notes that went on to the vault."""
        return (self.released or 0) / self.notes if self.notes and self.released is not None else 1.0


def lanes(data: ReportData) -> list[Lane]:
    """One lane for each hospital; the last one stands for the rest when there are too many."""
    spent = {site.site: site.total for site in data.privacy.sites}
    one = [
        Lane(s.name, s.patients, s.notes, s.released, s.quarantined, spent.get(s.name))
        for s in data.run.sites
    ]
    if len(one) <= MOST_LANES:
        return one
    rest = data.run.sites[MOST_LANES - 1 :]
    largest = max((spent.get(s.name) or 0 for s in rest), default=0)
    return [*one[: MOST_LANES - 1], _together(f"{len(rest)} more", rest, largest or None)]


def _together(name: str, sites: tuple[SiteFacts, ...], epsilon: float | None) -> Lane:
    return Lane(
        name,
        _sum([s.patients for s in sites]),
        _sum([s.notes for s in sites]),
        _sum([s.released for s in sites]),
        _sum([s.quarantined for s in sites]),
        epsilon,
    )


def _sum(values: list[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def lying(data: ReportData) -> Markup:
    """The wide picture, one lane a hospital."""
    rows = lanes(data)
    pitch = 112 if len(rows) <= 3 else 90 if len(rows) <= 5 else 66
    height = TOP + pitch * len(rows) + 40
    middle = TOP + pitch * len(rows) / 2
    most = max((site.notes or 0 for site in data.run.sites), default=0)
    marks = [_ground(height), _headings(data)]
    for i, row in enumerate(rows):
        marks.append(_lane(row, TOP + pitch * (i + 0.5), pitch, most))
        marks.append(_thread(TOP + pitch * (i + 0.5), middle, data.run.rounds))
    gates = [TOP + pitch * (i + 0.5) for i in range(len(rows))]
    marks += [_wall(gates, height), _consortium(data, middle, height)]
    marks.append(svg.text(WALL + 4.5, height + 20, "the wall", "s m", "middle"))
    return svg.picture(WIDTH, height + 26, _spoken(data), *marks, class_="chart lying")


def _ground(height: float) -> Markup:
    return svg.rect(0, 0, WALL, height, "inside", 10) + svg.rect(WALL - 12, 0, 12, height, "inside")


def _headings(data: ReportData) -> Markup:
    size = numerals.size(data.egress.bytes_per_round)
    columns = (
        (NOTES, "Notes come in", "names and all"),
        (DEID, "De-identified", "any doubt: held back"),
        (VAULT - 40, "Vault and training", "encrypted; noise added"),
        (WALL + 22, "Sealed updates", f"{size} a site and round"),
    )
    out = [svg.text(NAME, 32, "Inside each hospital", "h"), svg.text(WALL + 22, 32, "Outside", "h")]
    for x, heading, under in columns:
        out += [svg.text(x, 62, heading, "b"), svg.text(x, 79, under, "s m")]
    return Markup("").join(out)


def _lane(row: Lane, y: float, pitch: float, most: int) -> Markup:
    thick = max(5.0, pitch * 0.36 * min((row.notes or 0) / most, 1.0)) if most else 6.0
    kept = thick * row.kept_share
    patients = "" if row.patients is None else f"{row.patients:,} patients"
    top = y - thick / 2
    notes = numerals.MISSING if row.notes is None else f"{row.notes:,} notes"
    out = [
        svg.tag("g", svg.tag("title", row.name), svg.text(NAME, y - 1, svg.shorten(row.name, 21), "b")),
        svg.text(NAME, y + 16, patients, "s m"),
        svg.rect(NOTES, top, DEID - NOTES, thick, "raw"),
        svg.rect(DEID, top, VAULT - DEID, kept, "clean"),
        svg.text(NOTES, top - 6, notes, "s"),
        _held_back(row, y, thick, thick - kept),
        svg.line(DEID, top - 10, DEID, top + thick + 10, "filter"),
        _vault(VAULT, y, max(34.0, thick + 12)),
    ]
    if row.released is not None:
        out.append(svg.text(VAULT - 8, top - 6, f"{row.released:,} kept", "s", "end"))
    spent = "" if row.epsilon is None else f"ε {numerals.epsilon(row.epsilon)}"
    out.append(svg.text((VAULT + 62 + WALL) / 2, y - 8, spent, "s b tx-one", "middle"))
    out.append(svg.line(VAULT + 54, y, WALL, y, "thread"))
    return Markup("").join(out)


def _held_back(row: Lane, y: float, thick: float, lost: float) -> Markup:
    if not row.quarantined:
        return Markup("")
    start, end = y + thick / 2 - lost / 2, y + thick / 2 + 12
    curve = f"M{DEID} {start:.1f}C{DEID + 20} {start:.1f} {DEID + 14} {end:.1f} {DEID + 34} {end:.1f}"
    stroke = svg.tag("path", d=curve, class_="held", stroke_width=max(lost, 1.5))
    return stroke + svg.text(DEID + 40, end + 4, f"{row.quarantined:,} held back", "s m")


def _vault(x: float, y: float, height: float) -> Markup:
    lock = f"M{x + 21} {y - 1}v-4a6 6 0 0 1 12 0v4"
    return (
        svg.rect(x, y - height / 2, 54, height, "vault", 6)
        + svg.path(lock, "lock")
        + svg.rect(x + 18, y - 1, 18, 12, "lockbody", 2)
    )


def _wall(gates: list[float], height: float) -> Markup:
    edges = [0.0, *[edge for y in gates for edge in (y - 9, y + 9)], height]
    out = [svg.rect(WALL, edges[i], 9, edges[i + 1] - edges[i], "wall") for i in range(0, len(edges), 2)]
    return Markup("").join(out)


def _thread(y: float, middle: float, rounds: int) -> Markup:
    """The way of one site's updates from the gate to the coordinator, one square a round."""
    start, end = WALL + 9, SERVER - 32
    bend = (start + end) / 2 + 10
    d = f"M{start} {y:.1f}C{bend} {y:.1f} {bend} {middle:.1f} {end} {middle:.1f}"
    out = [svg.path(d, "thread")]
    count = min(rounds, MOST_SQUARES)
    for i in range(count):
        t = 0.06 + 0.72 * (i / max(count - 1, 1))
        x = _bezier(start, bend, bend, end, t)
        out.append(svg.rect(x - 3.5, _bezier(y, y, middle, middle, t) - 3.5, 7, 7, "seal", 1.5))
    return Markup("").join(out)


def _bezier(a: float, b: float, c: float, d: float, t: float) -> float:
    s = 1 - t
    return s**3 * a + 3 * s * s * t * b + 3 * s * t * t * c + t**3 * d


def _consortium(data: ReportData, middle: float, height: float) -> Markup:
    """Coordinator, the signed adapter, and the way back in."""
    card = SERVER + 60
    last = data.lineage[-1] if data.lineage else None
    digest = "" if last is None else f"{last.digest[:10]}…"
    name = "" if last is None else f"{numerals.stage(last.stage)}, round {last.round}"
    back = height - 24
    return Markup("").join(
        [
            svg.circle(SERVER, middle, 32, "server"),
            svg.text(SERVER, middle + 5, "mean", "b", "middle"),
            svg.text(SERVER, middle - 44, "Coordinator", "b", "middle"),
            svg.line(SERVER + 32, middle, card, middle, "thread"),
            svg.rect(card, middle - 50, WIDTH - card, 100, "adapter", 8),
            svg.text(card + 14, middle - 24, "Signed", "b"),
            svg.text(card + 14, middle - 7, "adapter", "b"),
            svg.text(card + 14, middle + 16, svg.shorten(name, 17), "s m"),
            svg.text(card + 14, middle + 34, digest, "s m"),
            svg.path(
                f"M{SERVER} {middle + 32:.1f}V{back - 8}Q{SERVER} {back} {SERVER - 8} {back}H{WALL + 20}",
                "back",
            ),
            svg.path(f"M{WALL + 26} {back - 5}L{WALL + 17} {back}L{WALL + 26} {back + 5}", "backhead"),
            svg.text(WALL + 32, back - 8, "signed plans in", "s m"),
        ]
    )


def standing(data: ReportData) -> Markup:
    """The narrow picture: all hospitals together, from top to bottom."""
    lane = _together("", data.run.sites, None)
    deid = data.deid
    notes, kept, held = (
        lane.notes if deid.notes is None else deid.notes,
        lane.released if deid.released is None else deid.released,
        lane.quarantined if deid.quarantined is None else deid.quarantined,
    )
    share = kept / notes if notes and kept is not None else 1.0
    marks = [
        svg.rect(0, 0, 360, 372, "inside", 10),
        svg.text(
            18, 30, f"Inside {len(data.run.sites)} hospital{'s' if len(data.run.sites) != 1 else ''}", "h"
        ),
        svg.rect(70, 64, 90, 66, "raw"),
        svg.text(178, 88, numerals.MISSING if notes is None else f"{notes:,} notes", "b"),
        svg.text(178, 106, "" if lane.patients is None else f"from {lane.patients:,} patients", "s m"),
        svg.rect(70, 130, 90 * share, 120, "clean"),
        svg.line(56, 130, 174, 130, "filter"),
        svg.text(178, 134, "De-identified", "b"),
        _held_standing(held, share),
        svg.text(178, 226, numerals.MISSING if kept is None else f"{kept:,} kept", "b"),
        svg.rect(58, 244, 114, 62, "vault", 6),
        svg.path("M109 272v-4a6 6 0 0 1 12 0v4", "lock"),
        svg.rect(106, 272, 18, 12, "lockbody", 2),
        svg.text(186, 270, "Vault and training", "b"),
        svg.text(186, 288, "encrypted; noise added", "s m"),
    ]
    return svg.picture(360, 636, _spoken(data), *marks, _standing_outside(data), class_="chart standing")


def _held_standing(held: int | None, share: float) -> Markup:
    if not held:
        return Markup("")
    curve = svg.tag(
        "path", d="M160 130C160 172 164 172 178 172", class_="held", stroke_width=max(90 * (1 - share), 2)
    )
    return curve + svg.text(186, 176, f"{held:,} held back", "s m")


def _standing_outside(data: ReportData) -> Markup:
    count = min(len(data.run.sites), 7)
    xs = [115 + (i - (count - 1) / 2) * min(30.0, 100 / count) for i in range(count)]
    edges = [0.0, *[edge for x in xs for edge in (x - 5, x + 5)], 360.0]
    out = [svg.rect(edges[i], 368, edges[i + 1] - edges[i], 9, "wall") for i in range(0, len(edges), 2)]
    for x in xs:
        out.append(svg.path(f"M{x:.1f} 306V390C{x:.1f} 430 115 420 115 452", "thread"))
        out += [svg.rect(x - 3.5, y, 7, 7, "seal", 1.5) for y in (384, 398)]
    last = data.lineage[-1] if data.lineage else None
    name = "" if last is None else f"{numerals.stage(last.stage)}, round {last.round}, {last.digest[:8]}…"
    site = wording.nearest_to_cap(data)
    spent = "" if site is None else f"at most ε {numerals.epsilon(site.total)} of {numerals.cap(site.cap)}"
    out += [
        svg.text(186, 340, spent, "s b tx-one"),
        svg.text(186, 402, "Sealed updates", "b"),
        svg.text(186, 420, f"{numerals.size(data.egress.bytes_per_round)} a site and round", "s m"),
        svg.circle(115, 484, 32, "server"),
        svg.text(115, 489, "mean", "b", "middle"),
        svg.path("M83 484H46Q38 484 38 476V388", "back"),
        svg.path("M33 396L38 386L43 396", "backhead"),
        svg.text(186, 480, "Coordinator", "b"),
        svg.text(186, 498, f"{data.run.rounds:,} rounds", "s m"),
        svg.line(115, 516, 115, 548, "thread"),
        svg.rect(18, 548, 324, 70, "adapter", 8),
        svg.text(36, 578, "Signed adapter", "b"),
        svg.text(36, 598, svg.shorten(name, 40), "s m"),
    ]
    return Markup("").join(out)


def _spoken(data: ReportData) -> str:
    """The picture in words."""
    deid, egress = data.deid, data.egress
    return (
        f"{wording.hospitals(len(data.run.sites))}: notes in {numerals.whole(deid.notes)}, "
        f"held back {numerals.whole(deid.quarantined)}, kept in vaults {numerals.whole(deid.released)}. "
        f"Sealed updates of {numerals.size(egress.bytes_per_round)} for each site and round cross the wall "
        "to the coordinator, who averages them into a signed adapter and sends it back."
    )
