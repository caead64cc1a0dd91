"""The evaluation as a security officer reads it: what left, what stayed, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator

from intraward_client.deid.evaluate import DeidReport, Share
from intraward_client.deid.gold import DIRECT

_NAMES = {
    "entity_recall": "identifiers removed",
    "token_recall": "their words removed",
    "token_precision": "removed words that had to go",
    "clean_notes": "notes with nothing left",
    "over_redaction": "other words removed",
    "touched_notes": "notes that lost other words",
}
_NOTES = (
    "* direct: the sixteen identifiers of 45 CFR 164.514(e)(2), of staff too. Bounds: Wilson, 95 %.",
    "A note that is held back leaks nothing and is not scored. Removed: all of the identifier, by any name.",
)


def write_card(report: DeidReport) -> str:
    """The report as text of fixed columns."""
    return "\n".join(_lines(report))


def _lines(report: DeidReport) -> Iterator[str]:
    reasons = ", ".join(f"{reason} {count}" for reason, count in report.by_reason.items())
    yield f"{report.notes} notes: {report.released.hits} released, {report.quarantined} held back" + (
        f" ({reasons})" if reasons else ""
    )
    yield ""
    yield f"{'left in released notes':<32}{'count':>8}{'per 1,000 notes':>18}"
    for name, count, rate in (
        ("direct identifiers *", report.leaked_direct, report.direct_leaks_per_thousand),
        ("all identifiers", report.leaked_entities, report.leaks_per_thousand),
    ):
        yield f"  {name:<30}{count:>8,}{rate:>18,.1f}"
    yield f"  {'words of identifiers':<30}{report.leaked_tokens:>8,}"
    yield ""
    yield _head("share")
    yield _line("released", report.released)
    for name, title in _NAMES.items():
        yield _line(title, getattr(report, name))
    yield f"  {'F2 over words':<30}{report.f2:>8.4f}"
    for title, shares in (("removed, by class", report.by_class), ("removed, by role", report.by_role)):
        if shares:
            yield ""
            yield _head(title)
        for name, share in sorted(shares.items(), key=lambda item: (item[1].value, item[0])):
            starred = title.endswith("class") and name.lower() in DIRECT
            yield _line(f"{name} *" if starred else name, share)
    yield ""
    yield from _NOTES


def _head(title: str) -> str:
    return f"{title:<32}{'':>8}{'95 % bounds':>20}{'count':>16}"


def _line(name: str, share: Share) -> str:
    low, high = share.bounds
    counted = f"{share.hits:,} of {share.total:,}"
    return f"  {name:<30}{share.value:>8.4f}{f'{low:.4f} to {high:.4f}':>20}{counted:>16}"
