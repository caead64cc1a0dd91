"""The auditor's report as one page for people; the same figures as ``privacy_report.json``, nothing more.

Section 7 of DESIGN.md: bad news comes first, every epsilon stands with its adjacency, attacks with privacy on
and off, and what is not promised beside what is. A pure function of the report.
"""

from __future__ import annotations

from collections.abc import Iterator

from markupsafe import Markup

from intraward_shared import audit_sections as sections
from intraward_shared.audit_report import AuditReport
from intraward_shared.audit_sections import adjacency
from intraward_shared.pages import charts, html, numerals
from intraward_shared.pages.svg import tag
from intraward_shared.privacy import TOLERANCE

NOT_ASKED = "not asked"
_SECTIONS = (
    sections.spending,
    sections.figures,
    sections.checks,
    sections.adapters,
    sections.releases,
    sections.attacks,
    sections.fields,
    sections.promise,
)


def render(report: AuditReport) -> str:
    """The whole page."""
    parts = [part(report) for part in _SECTIONS]
    return html.page("Privacy report: intraward", _top(report), tag("main", *parts, id="main"), _foot(report))


def headline(report: AuditReport) -> tuple[str, str]:
    """The first sentence, and ``bad`` or ``good``: the worst that was found, or that all holds."""
    certificates = report.certificates
    over = [item.site for item in certificates if not item.within_cap]
    broken = [site.site for site in report.sites if not site.verified]
    traced = [item.folder for item in report.adapters if item.problem]
    refused = [item.folder for item in report.releases if item.problem]
    missed = [result.attack for result in report.attacks if not result.passed]
    if broken or report.problems:
        named = ", ".join(broken) or "the set of ledgers"
        return f"Does not verify: {named}.", "bad"
    if over:
        return f"The lifetime cap is passed: {', '.join(over)}.", "bad"
    if traced:
        return f"An adapter does not trace to the ledgers: {', '.join(traced)}.", "bad"
    if refused:
        return f"A release bundle does not verify: {', '.join(refused)}.", "bad"
    if missed:
        return f"An attack missed its gate: {', '.join(missed)}.", "bad"
    if not report.passed:
        return "The accountants do not agree.", "bad"
    count = len(certificates)
    if count == 1:
        return "The ledger is whole and within its cap.", "good"
    return f"All {count} ledgers are whole and within their caps.", "good"


def _top(report: AuditReport) -> Markup:
    title, tone = headline(report)
    simulated = any(item.simulated for item in report.certificates)
    bar = [
        Markup('<span class="mark">intra<b>ward</b></span>'),
        tag("span", "privacy report", class_="muted"),
    ]
    if simulated:
        bar.append(tag("span", "SIMULATED", class_="badge"))
    lead = (
        "Recomputed from the hospitals' own ledgers by dp-accounting, without trusting hospital or "
        "coordinator. No epsilon on this page was taken from a stored figure."
    )
    notices = sorted({item.warning for item in report.certificates if item.warning})
    parts = [
        tag("div", *bar, class_="bar-top"),
        tag("h1", title),
        tag("p", lead, class_="lead"),
        *(tag("p", tag("strong", notice), class_="notice") for notice in notices),
        *(tag("p", problem, class_="notice bad") for problem in _problems(report)),
        tag("ul", *_cards(report), class_="cards", aria_label="Main figures"),
    ]
    return tag("header", *parts, class_="top alarm" if tone == "bad" else "top")


def _problems(report: AuditReport) -> Iterator[str]:
    yield from (f"{site.problem}." for site in report.sites if site.problem)
    yield from (f"{problem}." for problem in report.problems)
    yield from (f"{item.folder}: {item.problem}." for item in report.adapters if item.problem)
    yield from (f"{item.folder}: {item.problem}." for item in report.releases if item.problem)


def _cards(report: AuditReport) -> list[Markup]:
    worst = max(report.certificates, key=lambda item: item.epsilon / item.lifetime_epsilon)
    over = not worst.within_cap
    full = max(worst.lifetime_epsilon * 1.15, worst.epsilon)
    drawing = charts.gauge(worst.epsilon, full=full, reference=worst.lifetime_epsilon, bad=over)
    whole = sum(site.verified for site in report.sites)
    gaps = [site.accountants_differ_by for site in report.sites if site.accountants_differ_by is not None]
    passed = sum(result.passed for result in report.attacks)
    ran = len(report.attacks)
    return [
        _card(
            "Privacy spent, nearest to its cap",
            f"ε {numerals.epsilon(worst.epsilon)}",
            f"of a cap of {numerals.cap(worst.lifetime_epsilon)} per {worst.unit}, {worst.site}",
            f"δ {numerals.small(worst.delta)}, {adjacency(worst)}; {sections.tight(worst)}",
            ("over the cap", "bad") if over else ("within the cap", "good"),
            drawing,
        ),
        _card(
            "Ledgers that verify",
            f"{whole}",
            f"of {len(report.sites)}",
            _pinned(report),
            ("all whole", "good") if whole == len(report.sites) else ("not all whole", "bad"),
        ),
        _card(
            "Accountants differ by",
            numerals.epsilon(max(gaps), 4) if gaps else NOT_ASKED,
            "dp-accounting PLD against " + _names(report) if gaps else "",
            f"more than {TOLERANCE:g} fails" if gaps else "--with-opacus asks the hospital's own",
            ("they agree", "good")
            if gaps and max(gaps) <= TOLERANCE
            else ("", "plain")
            if not gaps
            else ("they do not agree", "bad"),
        ),
        _card(
            "Attacks that passed their gates",
            f"{passed}" if ran else "none given",
            f"of {ran} given" if ran else "",
            "each must win with privacy off and fail with it on",
            ("", "plain")
            if not ran
            else ("all passed", "good")
            if passed == ran
            else ("a gate was missed", "bad"),
        ),
    ]


def _card(
    heading: str,
    value: str,
    against: str,
    detail: str,
    verdict: tuple[str, str],
    drawing: Markup | None = None,
) -> Markup:
    missing = value in (NOT_ASKED, "none given")
    parts = [
        tag("h2", heading),
        tag("p", value, class_="value none" if missing else "value"),
        tag("p", against, class_="against"),
        tag("div", drawing or "", class_="draw"),
        tag("p", detail, class_="detail"),
    ]
    if verdict[0]:
        parts.append(tag("p", verdict[0], class_=f"verdict {verdict[1]}"))
    return tag("li", *parts, class_="card")


def _foot(report: AuditReport) -> Markup:
    return tag(
        "footer",
        html.terms(
            [
                ("Recompute", "intraward-audit verify and intraward-audit recompute, on the same ledgers"),
                ("Figures", "the same as on this page, for machines: the .json beside it"),
                ("Accounting", report.certificates[0].accounting),
                ("Made by", report.made_by),
            ]
        ),
    )


def _pinned(report: AuditReport) -> str:
    pinned = sum(site.key_pinned for site in report.sites)
    seen = sum(site.receipts is not None for site in report.sites)
    keys = f"{pinned} with a key that you gave" if pinned else "each by the key that it names itself"
    return f"{keys}; {'held against receipts' if seen else 'no receipts were given'}"


def _names(report: AuditReport) -> str:
    return ", ".join(sorted({name.upper() for site in report.sites for name in site.accountants}))
