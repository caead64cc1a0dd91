"""Everything ``intraward-audit report`` says, as one frozen tree: what ``privacy_report.json`` holds.

Rules 7 and 9 and sections 6 and 7 of DESIGN.md. To the certificates it adds what an auditor looked at: chain
and receipts of each ledger, what was spent round by round, a second accountant, adapters traced to the
ledgers that paid, and the fields that the public registry of DP deployments (arXiv 2509.13509) and NIST
SP 800-226 ask for. Every epsilon is recomputed from the entries; none is read off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from intraward_shared import __version__
from intraward_shared.attack_results import AttackResult
from intraward_shared.attacked_code import Standing, against_installed, attacked
from intraward_shared.audit_adapter import trace
from intraward_shared.audit_release import verify_release
from intraward_shared.audit_release_text import attacked_standing
from intraward_shared.audit_verify import burn_text, verify_ledgers
from intraward_shared.certificates import PrivacyCertificate, PrivacyReport, privacy_report
from intraward_shared.config import Strict
from intraward_shared.errors import IntrawardError
from intraward_shared.ledger_chain import charged, read_ledger, stage_charges
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.privacy import TOLERANCE
from intraward_shared.protocol import Mechanism
from intraward_shared.release_gates import GateResult
from intraward_shared.signed_adapter import read_signed_adapter
from intraward_shared.spending import charges_of, thinned

Accountant = Callable[[Sequence[Mechanism], float], float]
MOST_STEPS = 60
"""Bars of a picture of spending; each asks the accountant once."""

NOT_PROMISED = (
    "It is no legal finding: whether a use is lawful is for the hospital to decide.",
    "Nothing here is called anonymous, and epsilon is a bound and not a measurement: a small lower bound of "
    "an attack does not prove it.",
    "It does not protect the people who label: their judgments are their own data.",
    "It does not prevent backdoors, nor say that a hospital sent honest updates or that answers are right.",
    "De-identification has no guaranteed recall; the noise stands behind it.",
    "That the installed program is the one whose ledger this is cannot be seen from a ledger.",
)


class SpentRound(Strict):
    """A charged round: what became of it, epsilon of everything up to it (PLD), and the cap of its time."""

    stage: str
    outcome: str
    retry: bool
    epsilon: float
    cap: float


class SiteAudit(Strict):
    """What was checked of one site beside its certificate.

    ``left`` is the cap less the gate's figure. ``receipts`` is ``None`` where none were given;
    ``accountants`` holds epsilon by name of the accountant, then by ``total`` and stage.
    """

    site: str
    verified: bool
    problem: str = ""
    key_pinned: bool = False
    receipts: int | None = None
    releases: int | None = None
    releases_without_receipt: tuple[str, ...] = ()
    burned: tuple[str, ...] = ()
    left: float
    rounds: int
    spending: tuple[SpentRound, ...]
    accountants: dict[str, dict[str, float]] = Field(default={})
    accountants_differ_by: float | None = None


class Ancestor(Strict):
    """One adapter on the way back, and how each of its sites' ledgers stands to it."""

    adapter: str
    stage: str
    round: int
    sites: dict[str, str]


class AdapterAudit(Strict):
    """One adapter that was given, newest ancestor first; ``problem`` is empty where all of it holds."""

    folder: str
    adapter: str = ""
    simulated: bool = False
    problem: str = ""
    lineage: tuple[Ancestor, ...] = ()


class ReleaseAudit(Strict):
    """One release bundle, with every gate as it was recomputed; ``problem`` is empty where it verifies.

    ``attacked_code``: whether each attack in it was run on this release's code.
    """

    folder: str
    number: int = 0
    time: str = ""
    adapter: str = ""
    problem: str = ""
    gates: tuple[GateResult, ...] = ()
    attacked_code: dict[str, Standing] = Field(default={})


class AuditReport(PrivacyReport):
    """The certificates with everything that was checked. ``passed`` is the exit code's word.

    ``attacked_code``: how the code of each attack that was given stands to the code installed here.
    """

    made_by: str = f"intraward {__version__}"
    sites: tuple[SiteAudit, ...]
    problems: tuple[str, ...]
    receipts_without_ledger: tuple[str, ...]
    adapters: tuple[AdapterAudit, ...]
    releases: tuple[ReleaseAudit, ...] = ()
    deployment: dict[str, str]
    nist_sp_800_226: dict[str, str]
    attacked_code: dict[str, Standing] = Field(default={})
    not_promised: tuple[str, ...] = NOT_PROMISED
    passed: bool


def audit_report(
    ledgers: Sequence[Path],
    attacks: Sequence[AttackResult] = (),
    *,
    keys: Mapping[str, str] | None = None,
    receipts: Path | None = None,
    coordinator_key: str | None = None,
    adapters: Sequence[Path] = (),
    ancestors: Path | None = None,
    releases: Sequence[Path] = (),
    accountants: Mapping[str, Accountant] | None = None,
) -> AuditReport:
    """Verify, recompute and gather.

    Args:
        ledgers: a file a site.
        attacks: results that were read (``read_attacks``).
        keys: public key (hex) by site.
        receipts: the coordinator's receipts; with ``coordinator_key`` (hex), which signed adapters and
            releases too.
        adapters: signed adapter folders to trace.
        ancestors: the coordinator's adapters folder.
        releases: release bundles to verify, each with its gates.
        accountants: others to ask beside PLD, by name.

    Raises:
        LedgerError: a ledger is not whole, so that nothing can be said of it.
    """
    every = [read_ledger(path) for path in ledgers]
    told = privacy_report(every, attacks)
    checks = verify_ledgers(ledgers, keys or {}, receipts, coordinator_key)
    sites = tuple(
        _site(entries, certificate, row, accountants or {})
        for entries, certificate, row in zip(every, told.certificates, checks["ledgers"], strict=True)
    )
    traced = tuple(_adapter(folder, coordinator_key or "", ancestors, ledgers) for folder in adapters)
    good = all(result.passed for result in attacks) and all(item.within_cap for item in told.certificates)
    bundles = tuple(_release(folder, coordinator_key or "", keys or {}) for folder in releases)
    good = (
        good
        and checks["verified"]
        and not any([item.problem for item in traced] + [item.problem for item in bundles])
    )
    good = good and all((site.accountants_differ_by or 0.0) <= TOLERANCE for site in sites)
    return AuditReport(
        **{name: getattr(told, name) for name in PrivacyReport.model_fields},
        sites=sites,
        problems=tuple(checks["problems"]),
        receipts_without_ledger=tuple(checks["receipts_without_ledger"]),
        adapters=traced,
        releases=bundles,
        deployment=deployment(told),
        nist_sp_800_226=nist(told),
        attacked_code=against_installed(attacked(attacks)),
        passed=good,
    )


def asked(
    accountants: Mapping[str, Accountant], entries: Sequence[LedgerEntry], certificate: PrivacyCertificate
) -> tuple[dict[str, dict[str, float]], float]:
    """Epsilon by other accountants, in total and by stage, and how far the farthest is from PLD."""
    charges = {"total": list(charged(entries)), **stage_charges(entries)}
    figures = {"total": certificate.epsilon_if_fixed} | {s.stage: s.epsilon for s in certificate.stages}
    found = {
        name: {part: second(events, certificate.delta) for part, events in charges.items()}
        for name, second in accountants.items()
    }
    gaps = [abs(parts[part] - figures[part]) for parts in found.values() for part in parts]
    return found, max(gaps, default=0.0)


def deployment(report: PrivacyReport) -> dict[str, str]:
    """Fields of the public registry of DP deployments, in words; figures of all sites together."""
    first = report.certificates[0]
    most = max(report.certificates, key=lambda item: item.epsilon)
    return {
        "Product": "a clinical language model: LoRA adapters trained by federated RLHF",
        "Deployed by": f"{len(report.certificates)} hospitals, each for itself, and one coordinator",
        "Privacy unit": f"{first.unit}: {first.unit_meaning}",
        "Flavour": f"{first.flavour}, adjacency {first.adjacency}",
        "Parameters": f"epsilon at most {most.epsilon:.4f} ({most.site}) at delta {most.delta:g}; "
        f"by PLD {most.epsilon_if_fixed:.4f}, replace-one {most.epsilon_replace_one:.4f}; a patient of all "
        "these hospitals "
        f"{report.all_sites_epsilon:.4f} at delta {report.delta:g}",
        "Model": first.trust_model,
        "Mechanism": first.mechanism,
        "Accounting": first.accounting,
        "Budget renewal": first.budget_renewal,
        "Implementation": f"intraward {__version__}, open source; per-patient clipping on Opacus, own noise",
        "Justification of parameters": "each hospital bounds unit, clip norm, noise, sampling rate and "
        "lifetime cap in a policy of its own, whose digest stands in its ledger; delta is a constant of the "
        "site, at most 1e-5 and a tenth of one over the most patients that it declared",
    }


def nist(report: PrivacyReport) -> dict[str, str]:
    """What NIST SP 800-226 asks of a guarantee, from its strength down to how the data came in."""
    gates = " and ".join(sorted({item.gate for item in report.certificates}))
    missed = [result.attack for result in report.attacks if not result.passed]
    ran = len(report.attacks)
    tested = f"{ran} of {ran + len(report.attacks_not_given)} attacks were given"
    return {
        "Epsilon and unit": "recomputed from the ledgers on this page, per patient within one hospital, with "
        "the replace-one figure and that of a patient of several hospitals",
        "Composition": f"all stages and programs of a site together, for its whole life; gate: {gates}",
        "Algorithms and correctness": "per-patient clipping and Poisson sampling; "
        + tested
        + (f", of which {', '.join(missed)} missed a gate" if missed else ", none of which missed a gate"),
        "Utility and bias": "not on this page; the coordinator's evaluation and the adapter's card tell",
        "Trust model": "the hospital's own machine and its administrators are trusted; the coordinator and "
        "the network are not",
        "Security and access control": "data side without network, encrypted vault, signed plans and ledger; "
        "to be checked at the site",
        "Side channels": "replies leave at the plan's slot, all of one size, and no field holds a count of "
        "patients; the noise is computational",
        "Data collection exposure": "notes stay in the hospital and are de-identified before anyone reads or "
        "trains; the raw records of the hospital are outside this guarantee",
    }


def _site(
    entries: Sequence[LedgerEntry],
    certificate: PrivacyCertificate,
    row: Mapping[str, Any],
    accountants: Mapping[str, Accountant],
) -> SiteAudit:
    charges = charges_of(entries)
    others, gap = asked(accountants, entries, certificate)
    return SiteAudit(
        site=certificate.site,
        verified=row["verified"],
        problem=row.get("error", ""),
        key_pinned=row.get("key_pinned", False),
        receipts=row.get("receipts"),
        releases=row.get("releases"),
        releases_without_receipt=tuple(row.get("releases_without_receipt", ())),
        burned=tuple(burn_text(item) for item in row.get("burned", ())),
        left=max(0.0, certificate.lifetime_epsilon - max(certificate.gate_epsilon, certificate.epsilon)),
        rounds=len(charges),
        spending=tuple(
            SpentRound(stage=c.stage, outcome=c.outcome, retry=c.again, epsilon=c.epsilon, cap=c.cap)
            for c in thinned(charges, certificate.delta, MOST_STEPS)
        ),
        accountants=others,
        accountants_differ_by=gap if others else None,
    )


def _adapter(folder: Path, public: str, ancestors: Path | None, ledgers: Sequence[Path]) -> AdapterAudit:
    try:
        manifest, _ = read_signed_adapter(folder, public)
        rows = trace(manifest, public, ancestors, ledgers)
    except IntrawardError as error:
        return AdapterAudit(folder=folder.name, problem=error.message)
    return AdapterAudit(
        folder=folder.name,
        adapter=manifest.digest,
        simulated=manifest.simulated,
        lineage=tuple(Ancestor(**row) for row in rows),
    )


def _release(folder: Path, public: str, keys: Mapping[str, str]) -> ReleaseAudit:
    try:
        found = verify_release(folder, public, keys)
    except IntrawardError as error:
        return ReleaseAudit(folder=folder.name, problem=error.message)
    value = found.bundle.release
    return ReleaseAudit(
        folder=folder.name,
        number=value.number,
        time=value.time,
        adapter=value.adapter,
        gates=found.gates,
        attacked_code=attacked_standing(found),
    )
