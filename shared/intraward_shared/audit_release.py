"""``intraward-audit bundle``: a release bundle verified alone, by numbered checks; no torch needed.

Rules 7 and 9 of DESIGN.md. The coordinator runs the same checks before it signs a release.

1. ``release.json`` is signed by the coordinator, and every file is as signed, none missing, none added.
2. The adapter is a signed one, and the one that the release names.
3. Every ancestor's manifest is there and signed, down to adapters that no hospital touched. What comes from
   an earlier run was released there: that release's signed list is here, and no other adapter of it is used.
4. Every hospital on the way has its ledger here: whole, under the key and with the head that the release
   names, and each round on the way stands in it as released. No other ledger.
5. Every round's signed plan is there, fits adapter and ledger, and names these gates: they were fixed before.
   (The gates of an earlier run's rounds are those of its own release.)
6. Every receipt is signed and held by its ledger, and each round on the way has one.
7. Neither the adapter nor an ancestor is revoked, by the bundle's list or by a newer one that continues it.
8. The privacy report is what ledgers and attack results say, epsilon recomputed.
9. Evaluation is of this run and adapter; every gate, judged anew, passes, and says what the bundle says.
10. The card is what evaluation, report and gates say.

What no check can see: that evaluation and attacks were measured as they say; that ``code`` in the release and
the accountant's version in the report are those that ran.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from intraward_shared.attack_results import AttackResult, open_attack
from intraward_shared.certificates import privacy_report
from intraward_shared.errors import ContractError, LedgerError, ReleaseRefused
from intraward_shared.ledger_chain import VerifiedLedger, open_ledger, policy_entry
from intraward_shared.ledger_head import entry_at
from intraward_shared.ledger_receipts import check_receipt
from intraward_shared.lineage import ancestry, check_origin, check_paid
from intraward_shared.privacy import TOLERANCE
from intraward_shared.protocol import PLAN_DOMAIN, RECEIPT_DOMAIN, Receipt, RoundPlan, open_signed
from intraward_shared.release import (
    ADAPTER,
    ATTACKS,
    CARD,
    EARLIER,
    EVALUATION,
    LEDGERS,
    LINEAGE,
    PLANS,
    RECEIPTS,
    RELEASE_DOMAIN,
    REPORT,
    RESULTS,
    REVOKED,
    RULES,
    Bundle,
    Release,
    open_bundle,
)
from intraward_shared.release_card import release_card
from intraward_shared.release_gates import GateResult, judge_release, read_gates
from intraward_shared.revocation import RevocationList, newer_list, read_list, read_revocations
from intraward_shared.signed_adapter import MANIFEST_FILE, AdapterManifest, open_manifest, tensors_of
from intraward_shared.signing import digest

_ACCOUNTING = re.compile(r"dp-accounting [0-9][0-9a-z.+-]{0,31}, privacy loss distribution")
_REMEDY = "do not use it; ask the coordinator for a bundle that intraward-audit passes"


@dataclass(frozen=True)
class VerifiedRelease:
    """A bundle that passed every check, with what was found on the way."""

    bundle: Bundle
    manifests: Mapping[str, AdapterManifest]
    ledgers: Mapping[str, VerifiedLedger]
    report: Mapping[str, Any]
    gates: tuple[GateResult, ...]
    tensors: int


def verify_release(
    folder: Path, public: str, site_keys: Mapping[str, str] | None = None, revoked: Path | None = None
) -> VerifiedRelease:
    """Run every check on a bundle.

    Args:
        folder: the bundle.
        public: public key (hex) of the coordinator.
        site_keys: public key by site, where they are known from elsewhere.
        revoked: a newer list of revoked adapters than the bundle's.

    Raises:
        IntrawardError: the first check that fails; names it and the file.
    """
    return verify_bundle(open_bundle(folder, public), public, site_keys or {}, revoked)


def verify_bundle(
    bundle: Bundle, public: str, site_keys: Mapping[str, str], revoked: Path | None = None
) -> VerifiedRelease:
    """Checks 2 to 10 on a bundle whose signature and digests are right; as ``verify_release``."""
    tensors = _adapter(bundle, public)
    manifests = _lineage(bundle, public)
    ledgers = _ledgers(bundle, manifests, site_keys)
    _plans(bundle, public, manifests, ledgers)
    _receipts(bundle, public, manifests, ledgers)
    _revocations(bundle, public, revoked).refuse(manifests)
    report, attacks = _privacy(bundle, ledgers)
    evaluation = _evaluation(bundle)
    gates = judge_bundle(bundle.files, evaluation, report, attacks)
    if _json(bundle, RESULTS) != gate_table(gates):
        raise _refuse(9, f"{RESULTS} is not what the gates say of the bundle's own figures")
    failed = [result.reason for result in gates if not result.passed]
    if failed:
        raise _refuse(9, "; ".join(failed))
    if release_card(bundle.release, evaluation, report, gates).encode() != _file(bundle, CARD):
        raise _refuse(10, f"{CARD} is not what evaluation, privacy report and gates say")
    return VerifiedRelease(bundle, manifests, ledgers, report, gates, tensors)


def judge_bundle(
    files: Mapping[str, bytes],
    evaluation: Mapping[str, Any],
    report: Mapping[str, Any],
    attacks: Mapping[str, AttackResult],
) -> tuple[GateResult, ...]:
    """What the bundle's own gates say of its figures."""
    sites = {item["site"]: item for item in report["certificates"]}
    privacy = {"sites": sites, **{key: report[key] for key in ("all_sites_epsilon", "delta")}}
    tried = {name: result.model_dump(mode="json") for name, result in attacks.items()}
    figures = {"evaluation": evaluation, "privacy": privacy, "attacks": tried}
    return judge_release(read_gates(files[RULES], RULES), figures)


def gate_table(gates: tuple[GateResult, ...]) -> dict[str, Any]:
    """What ``gates.json`` holds."""
    return {"passed": all(r.passed for r in gates), "gates": [r.model_dump(mode="json") for r in gates]}


def _adapter(bundle: Bundle, public: str) -> int:
    release = bundle.release
    contents = dict(bundle.under(ADAPTER))
    envelope = contents.pop(MANIFEST_FILE, b"")
    manifest = open_manifest(envelope, public, ADAPTER + MANIFEST_FILE)
    if missing := sorted(set(manifest.files) - set(contents)):
        raise _refuse(2, f"{ADAPTER}{missing[0]} is missing")
    named = {name: contents[name] for name in manifest.files}
    state = tensors_of(manifest, named, set(contents), Path(ADAPTER))
    same = ("run_id", "base_model", "stage", "round", "iteration", "simulated")
    if manifest.digest != release.adapter or any(getattr(manifest, k) != getattr(release, k) for k in same):
        raise _refuse(2, f"{ADAPTER} holds another adapter than the release names")
    if _file(bundle, f"{LINEAGE}{release.adapter}.json") != envelope:
        raise _refuse(2, "the adapter's manifest is not the one in its lineage")
    return len(state)


def _lineage(bundle: Bundle, public: str) -> dict[str, AdapterManifest]:
    release = bundle.release
    found = {
        name.removesuffix(".json"): open_manifest(data, public, LINEAGE + name)
        for name, data in bundle.under(LINEAGE)
    }
    for name, manifest in ancestry([release.adapter], found):
        try:
            check_origin(manifest)
        except ContractError as error:
            raise _refuse(3, f"adapter {name[:16]}: {error.message}") from None
        if manifest.digest != name:
            raise _refuse(3, f"{LINEAGE}{name}.json is the manifest of another adapter")
        if (manifest.base_model, manifest.simulated) != (release.base_model, release.simulated):
            raise _refuse(3, f"adapter {name[:16]}: is of another base model or kind than the release")
    if extra := set(found) - {name for name, _ in ancestry([release.adapter], found)}:
        raise _refuse(3, f"{LINEAGE}{min(extra)}.json is no ancestor of the adapter")
    _earlier_runs(bundle, public, found)
    return found


def _earlier_runs(bundle: Bundle, public: str, manifests: Mapping[str, AdapterManifest]) -> None:
    """Whatever a run took over from another one was released there."""
    given = {name.removesuffix(".json"): data for name, data in bundle.under(EARLIER)}
    runs = {manifest.run_id for manifest in manifests.values()} - {bundle.release.run_id}
    for run in sorted(runs ^ set(given)):
        what = "missing" if run in runs else "no adapter on the way is of that run"
        raise _refuse(3, f"{EARLIER}{run}.json: {what}")
    released = {run: open_signed(data, RELEASE_DOMAIN, Release, public) for run, data in given.items()}
    for run, value in released.items():
        made = manifests.get(value.adapter)
        if value.run_id != run or made is None or made.run_id != run:
            raise _refuse(3, f"{EARLIER}{run}.json is not the release of an adapter on the way")
    for name, manifest in manifests.items():
        for parent in manifest.parents:
            run = manifests[parent].run_id
            if run != manifest.run_id and (run not in released or released[run].adapter != parent):
                raise _refuse(3, f"adapter {name[:16]}: is of another run than its parent, unreleased there")


def _ledgers(
    bundle: Bundle, manifests: Mapping[str, AdapterManifest], site_keys: Mapping[str, str]
) -> dict[str, VerifiedLedger]:
    named = {site for manifest in manifests.values() for site in manifest.ledger_heads}
    given = {name.removesuffix(".jsonl"): data for name, data in bundle.under(LEDGERS)}
    for site in sorted(named ^ set(given)):
        raise _refuse(
            4, f"ledger of {site}: " + ("missing" if site in named else "no round on the way is its")
        )
    if set(bundle.release.sites) != named:
        raise _refuse(4, "the release names other hospitals than its lineage")
    if unknown := sorted(set(site_keys) - named):
        raise _refuse(4, f"{unknown[0]}: a key was given of a hospital that has no part in this release")
    ledgers = {}
    for site, data in given.items():
        told = bundle.release.sites[site]
        entries = open_ledger(data, f"{LEDGERS}{site}.jsonl", site_keys.get(site, told.public_key))
        terms = policy_entry(entries)
        if (terms.site, terms.public) != (
            site,
            told.public_key,
        ) or terms.simulated != bundle.release.simulated:
            raise _refuse(4, f"ledger of {site}: is of another hospital, key or kind than the release says")
        if (entries[-1].sequence, entries[-1].hash) != (told.sequence, told.head):
            raise _refuse(4, f"ledger of {site}: does not end where the release says")
        ledgers[site] = entries
    for manifest in manifests.values():
        for site in sorted(manifest.ledger_heads):
            try:
                check_paid(manifest, site, ledgers[site])
            except ContractError as error:
                raise _refuse(4, f"adapter {manifest.digest[:16]}: {error.message}") from None
    return ledgers


def _plans(
    bundle: Bundle,
    public: str,
    manifests: Mapping[str, AdapterManifest],
    ledgers: Mapping[str, VerifiedLedger],
) -> None:
    found = {name.removesuffix(".json"): data for name, data in bundle.under(PLANS)}
    wanted = {plan for manifest in manifests.values() for plan in manifest.plans}
    for name in sorted(wanted ^ set(found)):
        raise _refuse(
            5, f"{PLANS}{name}.json is " + ("missing" if name in wanted else "of no round on the way")
        )
    gates = digest(_file(bundle, RULES))
    for manifest in manifests.values():
        for name in manifest.plans:
            plan = open_signed(found[name], PLAN_DOMAIN, RoundPlan, public)
            if plan.digest != name or not _fits(plan, manifest):
                raise _refuse(5, f"{PLANS}{name}.json is not the plan of the adapter's round")
            if plan.run_id == bundle.release.run_id and plan.gates != gates:
                raise _refuse(
                    5, f"{RULES} is not what round {plan.round} was planned under: changed afterwards"
                )
            for site, (sequence, _) in manifest.ledger_heads.items():
                entry = entry_at(ledgers[site], sequence)
                if entry is not None and entry.plan == name and entry.mechanism != plan.mechanism:
                    raise _refuse(5, f"ledger of {site}: round {plan.round} is not what its plan says")


def _fits(plan: RoundPlan, manifest: AdapterManifest) -> bool:
    own = (plan.run_id, plan.round, plan.stage, plan.base_model, plan.simulated, plan.lora)
    made = (
        manifest.run_id,
        manifest.round,
        manifest.stage,
        manifest.base_model,
        manifest.simulated,
        manifest.lora,
    )
    parents = tuple(sorted(set(plan.inputs.values()))) == manifest.parents
    return own == made and parents and set(manifest.ledger_heads) <= set(plan.cohort)


def _receipts(
    bundle: Bundle,
    public: str,
    manifests: Mapping[str, AdapterManifest],
    ledgers: Mapping[str, VerifiedLedger],
) -> None:
    heads = set()
    for name, data in bundle.under(RECEIPTS):
        try:
            receipt = open_signed(data, RECEIPT_DOMAIN, Receipt, public)
            if receipt.site != name.split("/")[0] or receipt.site not in ledgers:
                raise ContractError("is of another hospital than its folder")
            check_receipt(ledgers[receipt.site], receipt)
        except (ContractError, LedgerError) as error:
            raise _refuse(6, f"{RECEIPTS}{name}: {error.message}") from None
        heads.add((receipt.site, receipt.ledger_sequence, receipt.ledger_entry))
    for manifest in manifests.values():
        for site, head in manifest.ledger_heads.items():
            if (site, *head) not in heads:
                raise _refuse(6, f"receipt of {site} for round {manifest.round}: missing")


def _revocations(bundle: Bundle, public: str, newer: Path | None) -> RevocationList:
    """The bundle's list, or the newer one that was brought."""
    own = read_revocations(_file(bundle, REVOKED), public, REVOKED)
    if newer is None:
        return own
    return newer_list(own, read_revocations(read_list(newer), public, newer), newer)


def _privacy(
    bundle: Bundle, ledgers: Mapping[str, VerifiedLedger]
) -> tuple[dict[str, Any], dict[str, AttackResult]]:
    attacks = {
        name.removesuffix(".json"): open_attack(data, ATTACKS + name) for name, data in bundle.under(ATTACKS)
    }
    if any(result.attack != name for name, result in attacks.items()):
        raise _refuse(8, f"{ATTACKS}: a file is named for another attack than it tells of")
    told = _json(bundle, REPORT)
    made = privacy_report([ledgers[s] for s in sorted(ledgers)], [attacks[n] for n in sorted(attacks)])
    if not _same(told, made.model_dump(mode="json")):
        raise _refuse(8, f"{REPORT} is not what the ledgers and attack results say")
    return told, attacks


def _evaluation(bundle: Bundle) -> dict[str, Any]:
    found, release = _json(bundle, EVALUATION), bundle.release
    if (
        found.get("run_id") != release.run_id
        or (found.get("adapters") or {}).get("policy") != release.adapter
    ):
        raise _refuse(9, f"{EVALUATION} is of another run or adapter than the release")
    return found


def _same(told: Any, made: Any) -> bool:
    """Equal but for the last digits of an epsilon and the accountant's version."""
    if isinstance(told, dict) and isinstance(made, dict):
        return told.keys() == made.keys() and all(
            _accounting(told[k]) if k == "accounting" else _same(told[k], made[k]) for k in made
        )
    if isinstance(told, list) and isinstance(made, list):
        return len(told) == len(made) and all(map(_same, told, made))
    if isinstance(told, float) and isinstance(made, float):
        return math.isclose(told, made, rel_tol=0.0, abs_tol=TOLERANCE)
    return type(told) is type(made) and bool(told == made)


def _accounting(told: Any) -> bool:
    return isinstance(told, str) and _ACCOUNTING.fullmatch(told) is not None


def _json(bundle: Bundle, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_file(bundle, name).decode("utf-8"))
    except (ValueError, RecursionError):
        raise ContractError(f"{name}: not JSON", remedy=_REMEDY) from None
    if not isinstance(value, dict):
        raise ContractError(f"{name}: not a JSON object", remedy=_REMEDY)
    return value


def _file(bundle: Bundle, name: str) -> bytes:
    if name not in bundle.files:
        raise ContractError(f"{name}: is not in the bundle", remedy=_REMEDY)
    return bundle.files[name]


def _refuse(check: int, what: str) -> ReleaseRefused:
    return ReleaseRefused(f"release refused by check {check}: {what}", remedy=_REMEDY)
