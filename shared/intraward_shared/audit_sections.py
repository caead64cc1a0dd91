"""The sections of the auditor's page, each a pure function of the report.

Section 7 of DESIGN.md: every epsilon with its adjacency, attacks with privacy on and off, and what is not
promised beside what is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from markupsafe import Markup

from intraward_shared.attack_results import AttackFigure, AttackResult
from intraward_shared.attacked_code import release_lines, report_lines
from intraward_shared.audit_report import AdapterAudit, AuditReport, ReleaseAudit, SiteAudit
from intraward_shared.certificates import PrivacyCertificate
from intraward_shared.pages import charts, html, numerals
from intraward_shared.pages.charts import Step
from intraward_shared.pages.html import Cell
from intraward_shared.pages.svg import tag

_PRIVACY = {"on": "on", "off": "off", "cut": "noise cut"}


def spending(report: AuditReport) -> Markup:
    """Spending of each site, round after round."""
    figures = []
    for site, certificate in zip(report.sites, report.certificates, strict=True):
        steps = [Step(s.stage, s.epsilon, s.cap, s.outcome == "released") for s in site.spending]
        label = (
            f"{site.site}: epsilon after each of {site.rounds} charged rounds, "
            f"{numerals.epsilon(certificate.epsilon_if_fixed)} by PLD at the end, the gate counts "
            f"{numerals.epsilon(certificate.epsilon)}, cap {numerals.cap(certificate.lifetime_epsilon)}"
        )
        counted = certificate.epsilon if certificate.chosen else None
        drawn = charts.steps_chart(label, steps, certificate.lifetime_epsilon, counted)
        figures.append(
            tag("figure", tag("h3", site.site), drawn, tag("figcaption", _spent(site, certificate)))
        )
    text = (
        "One bar a charged round, as high as everything charged up to it; its own share is the strong part "
        "on top. Hollow: charged, and its update never left, or has not yet. A charge is never given back. "
        "Bars are by PLD, as if every round had been fixed beforehand; where rounds were chosen after "
        "results, a line shows what the gate counts, and that is what is held under the cap."
    )
    return html.section(
        "spending", "What was spent", tag("p", text), tag("div", *figures, class_="two plots")
    )


def _spent(site: SiteAudit, certificate: PrivacyCertificate) -> str:
    shown = "" if len(site.spending) == site.rounds else f", of which {len(site.spending)} are drawn"
    cap = numerals.cap(certificate.lifetime_epsilon)
    return (
        f"{site.rounds} charged rounds{shown}; {certificate.released_rounds} rounds of any kind released, "
        f"{certificate.aborted_rounds} aborted. Left: {site.left:.2f} of {cap}."
    )


def tight(certificate: PrivacyCertificate) -> str:
    """Replace-one in words, beside the figure that it is a neighbour of."""
    both = numerals.epsilon(certificate.epsilon_replace_one)
    if not certificate.chosen:
        return f"replace-one {both}"
    return (
        f"counted by the gate; by PLD, had all been fixed beforehand: "
        f"{numerals.epsilon(certificate.epsilon_if_fixed)}, replace-one {both}"
    )


def figures(report: AuditReport) -> Markup:
    """Epsilon by site and stage, the gate, and a patient of several hospitals."""
    names = sorted({name for site in report.sites for name in site.accountants})
    head: list[Cell] = ["Site and stage", "Events", ("PLD", "n")]
    head += [(name.upper(), "n") for name in names]
    head += [("PLD, replace-one", "n"), ("Cap", "n"), ("Left", "n"), ("Delta", "n")]
    rows: list[list[Cell]] = []
    for site, certificate in zip(report.sites, report.certificates, strict=True):
        rows += _stage_rows(site, certificate, names)
        total: list[Cell] = [(f"{site.site}, all stages", "b"), ""]
        total += [(numerals.epsilon(certificate.epsilon_if_fixed, 4), "n")]
        total += [(numerals.epsilon(site.accountants.get(name, {}).get("total"), 4), "n") for name in names]
        total += [(numerals.epsilon(certificate.epsilon_replace_one, 4), "n")]
        total += [(numerals.cap(certificate.lifetime_epsilon), "n"), (f"{site.left:.2f}", "n")]
        rows.append([*total, (numerals.small(certificate.delta), "n")])
    parts = [
        tag(
            "p",
            f"The unit is the {report.certificates[0].unit}; neighbouring tables differ by "
            f"{adjacency(report.certificates[0])}. Stages compose to less than their sum. "
            "Epsilon is rounded up.",
        ),
        html.table("Epsilon by site and stage", head, rows),
        html.table(
            "What the gate held under the cap, and a patient of several hospitals like this one",
            *_gates(report),
        ),
        tag(
            "p",
            f"A patient in the tables of all {len(report.certificates)} sites: epsilon "
            f"{numerals.epsilon(report.all_sites_epsilon, 4)} at delta {numerals.small(report.delta)}.",
        ),
    ]
    return html.section("epsilon", "Epsilon, recomputed", *parts)


def _stage_rows(site: SiteAudit, certificate: PrivacyCertificate, names: list[str]) -> Iterator[list[Cell]]:
    for stage in certificate.stages:
        events = "; ".join(
            f"{e.steps} steps, rate {e.sample_rate:g}, noise {e.noise_multiplier:g}" for e in stage.events
        )
        row: list[Cell] = [f"{site.site}, {numerals.stage(stage.stage)}", events]
        row += [(numerals.epsilon(stage.epsilon, 4), "n")]
        row += [(numerals.epsilon(site.accountants.get(name, {}).get(stage.stage), 4), "n") for name in names]
        yield [*row, (numerals.epsilon(stage.epsilon_replace_one, 4), "n"), "", "", ""]


def _gates(report: AuditReport) -> tuple[list[Cell], list[list[Cell]]]:
    most = max(len(item.several_hospitals) for item in report.certificates)
    head: list[Cell] = ["Site", "Gate", ("What it counts", "n"), "Within the cap"]
    head += [(f"{count} site{'s' if count > 1 else ''}", "n") for count in range(1, most + 1)]
    rows: list[list[Cell]] = [
        [
            item.site,
            item.gate,
            (numerals.epsilon(item.gate_epsilon, 4), "n"),
            ("yes", "yes") if item.within_cap else ("no", "no"),
            *((numerals.epsilon(several.epsilon, 4), "n") for several in item.several_hospitals),
        ]
        for item in report.certificates
    ]
    return head, rows


def checks(report: AuditReport) -> Markup:
    """Chain, rules, keys and receipts of each ledger."""
    head: list[Cell] = ["Site", ("Entries", "n"), "Head", "Key", "Chain and rules", "Countersigned"]
    rows: list[list[Cell]] = [
        [
            site.site,
            (numerals.whole(certificate.entries), "n"),
            certificate.head[:16],
            "pinned by you" if site.key_pinned else "the ledger's own word",
            ("verified", "yes") if site.verified else ("FAILED", "no"),
            _receipts(site),
        ]
        for site, certificate in zip(report.sites, report.certificates, strict=True)
    ]
    notes = [f"{site.site}: {burned}." for site in report.sites for burned in site.burned]
    notes += [
        f"{item.site}: its terms were changed {item.policy_changes} times, "
        "countersigned by its privacy officer."
        for item in report.certificates
        if item.policy_changes
    ]
    notes += [
        f"Not looked at: receipts of {name}, whose ledger was not given."
        for name in report.receipts_without_ledger
    ]
    parts = [
        tag(
            "p",
            "Each entry names the hash of the one before and is signed by the site; no release without "
            "its reserve, no slot twice. Entries cut off at the end show only against receipts.",
        ),
        html.table("Ledgers", head, rows),
    ]
    return html.section("checks", "Are the ledgers whole?", *parts, *([html.items(notes)] if notes else []))


def _receipts(site: SiteAudit) -> Cell:
    if site.receipts is None:
        return "no receipts were given"
    seen = f"{site.receipts} receipts, {site.releases} releases"
    missing = site.releases_without_receipt
    return f"{seen}; no receipt for {', '.join(missing)}" if missing else f"{seen}, all named"


def adapters(report: AuditReport) -> Markup:
    """Each adapter that was given, and what paid for it."""
    if not report.adapters:
        text = tag(
            "p", "No adapter was given. With --adapter DIR each is traced to the ledgers that paid for it."
        )
        return html.section("adapters", "Where the adapters come from", text)
    text = tag(
        "p",
        "Signature, files and tensors of each adapter were verified, and each round on the way held "
        "against the ledgers: the entry must be there, of that plan, and released.",
    )
    return html.section(
        "adapters", "Where the adapters come from", text, *(_traced(item) for item in report.adapters)
    )


def _traced(item: AdapterAudit) -> Markup:
    name = f"{item.folder}{', simulated: not private' if item.simulated else ''}"
    if item.problem:
        return tag("p", tag("strong", f"{name}: {item.problem}.", class_="no"))
    rows: list[list[Cell]] = [
        [
            numerals.stage(row.stage),
            (f"{row.round}", "n"),
            row.adapter[:16],
            _standings(row.sites),
        ]
        for row in item.lineage
    ]
    return html.table(f"Adapter {name}", ["Stage", ("Round", "n"), "Adapter", "Ledgers"], rows)


def releases(report: AuditReport) -> Markup:
    """Every gate of each release bundle that was given."""
    if not report.releases:
        text = tag(
            "p", "No release bundle was given. With --bundle DIR it is verified, and its gates judged anew."
        )
        return html.section("releases", "Did the release pass its gates?", text)
    text = tag(
        "p", "Each gate was fixed before the first round and judged anew from the bundle's own figures."
    )
    tables = [_bundle(item) for item in report.releases]
    return html.section("releases", "Did the release pass its gates?", text, *tables)


def _bundle(item: ReleaseAudit) -> Markup:
    if item.problem:
        return tag("p", tag("strong", f"{item.folder}: {item.problem}.", class_="no"))
    rows: list[list[Cell]] = [
        [
            f"{gate.name}, veto" if gate.veto else gate.name,
            gate.asked,
            numerals.MISSING if gate.measured is None else _measured(gate.measured, gate.item),
            (gate.status, "yes" if gate.status == "passed" else "no" if not gate.passed else ""),
            gate.where,
        ]
        for gate in item.gates
    ]
    name = f"Release {item.number} of {item.time}, adapter {item.adapter[:16]}"
    table = html.table(name, ["Gate", "Asked", "Measured", "Result", "Figure of"], rows)
    return table + _said(release_lines(item.attacked_code))


def _said(lines: Iterable[str]) -> Markup:
    """Each line as a paragraph of its own."""
    return Markup("").join(tag("p", f"{line[0].upper()}{line[1:]}.", class_="muted") for line in lines)


def _measured(value: float | bool | str, item: str | None) -> str:
    shown = f"{value:.4g}" if isinstance(value, float) else str(value).lower()
    return f"{shown} ({item})" if item else shown


def _standings(sites: Mapping[str, str]) -> str:
    """Sites by how their ledgers stand to an adapter."""
    words = [
        f"{', '.join(site for site in sites if sites[site] == standing)}: {standing}"
        for standing in dict.fromkeys(sites.values())
    ]
    return "; ".join(words) or "no hospital touched it"


def attacks(report: AuditReport) -> Markup:
    """Figures of each attack with privacy on and off, held to its gates."""
    parts: list[str] = [
        tag(
            "p",
            "Published attacks on synthetic patients, through the hospital's own engine, with privacy off "
            "and on. Each has to work without noise, or its failure with noise would show nothing. "
            "Passing proves no epsilon.",
        )
    ]
    for result in report.attacks:
        parts.append(_attack(result))
    parts.append(_said(report_lines(report.attacked_code)))
    if report.attacks_not_given:
        parts.append(tag("p", f"Not given: {', '.join(report.attacks_not_given)}.", class_="muted"))
    return html.section("attacks", "What attacks found", *parts)


def _attack(result: AttackResult) -> Markup:
    rows: list[list[Cell]] = [
        [
            gate.figure.replace("_", " "),
            _PRIVACY[gate.privacy],
            _range(f for f in result.figures if (f.name, f.privacy) == (gate.figure, gate.privacy)),
            (f"{gate.value:.4g}", "n"),
            f"{gate.sense} {gate.bound:g}",
            ("passed", "yes") if gate.passed else ("missed", "no"),
        ]
        for gate in result.gates
    ]
    head: list[Cell] = ["Figure", "Privacy", "Measured", ("Worst", "n"), "Asked", "Gate"]
    claims = ", ".join(f"{claim.epsilon:g}" for claim in result.claims)
    told = (
        f"Claims: epsilon {claims} per patient, add/remove. Seeds {', '.join(map(str, result.seeds))}. "
        f"Attacked code {result.client_code[:16]}."
    )
    return tag("div", html.table(f"Attack: {result.attack}", head, rows), tag("p", told, class_="muted"))


def _range(figures: Iterable[AttackFigure]) -> str:
    values = [figure.value for figure in figures]
    if min(values) == max(values):
        return f"{values[0]:.4g} in {len(values)} runs" if len(values) > 1 else f"{values[0]:.4g}"
    return f"{min(values):.4g} to {max(values):.4g} in {len(values)} runs"


def fields(report: AuditReport) -> Markup:
    """What registries and reviewers ask for."""
    registry = html.table(
        "Fields of the public registry of DP deployments", ["Field", "Here"], list(report.deployment.items())
    )
    asked = html.table(
        "What NIST SP 800-226 asks", ["Question", "Answer"], list(report.nist_sp_800_226.items())
    )
    policies = html.table(
        "Policies in force", ["Site", "SHA-256"], [(item.site, item.policy) for item in report.certificates]
    )
    return html.section("fields", "For registries and reviewers", registry, asked, policies)


def promise(report: AuditReport) -> Markup:
    """The promise, and what it does not say."""
    first = report.certificates[0]
    limits = [*first.limits, *report.not_promised]
    return html.section(
        "promise",
        "What is promised, and what is not",
        tag("blockquote", first.promise),
        tag("h3", "Not promised"),
        html.items(limits),
    )


def adjacency(certificate: PrivacyCertificate) -> str:
    """Adjacency in words."""
    return "add/remove one patient" if certificate.adjacency == "add_remove" else certificate.adjacency
