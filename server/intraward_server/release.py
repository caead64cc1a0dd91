"""A release: gates judged, and the bundle signed that a review board, hospitals and auditors can check alone.

Rule 9 of DESIGN.md. Everything is gathered in memory, judged by the gates that were fixed before the first
round, written beside its place and run through the auditor's own checks (``audit_release``) before it gets
its name: what ``intraward-audit bundle`` would refuse is never released.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from intraward_server.checkpoint import ProgramState, load_state
from intraward_server.decisions import objections
from intraward_server.gates import fixed_gates
from intraward_server.home import ServerHome
from intraward_server.registry import Registry, server_code
from intraward_server.revocations import revocations
from intraward_shared.attack_results import AttackResult, read_attacks
from intraward_shared.attacked_code import Standing, against_release, attacked
from intraward_shared.audit_release import gate_table, judge_bundle, verify_release
from intraward_shared.certificates import privacy_report
from intraward_shared.durable import sync_folder, write_durably
from intraward_shared.errors import ConfigError, ReleaseRefused, RoundFailed
from intraward_shared.ledger_chain import VerifiedLedger, policy_entry, read_ledger
from intraward_shared.program import load_program
from intraward_shared.protocol import sign_value, to_bytes
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
    RELEASE_FILE,
    REPORT,
    RESULTS,
    REVOKED,
    RULES,
    HubTerms,
    Release,
    ReleasedSite,
    read_release,
)
from intraward_shared.release_card import release_card
from intraward_shared.release_gates import GateResult
from intraward_shared.signed_adapter import MANIFEST_FILE, AdapterManifest
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Stage

Files = dict[str, bytes]
_REVOKED = "release an earlier policy that does not descend from it (--adapter), or run a further program"


@dataclass(frozen=True)
class Released:
    """What was signed, where it lies, what the gates said, and whether attacks were run on this code."""

    release: Release
    folder: Path
    gates: tuple[GateResult, ...]
    attacked_code: Mapping[str, Standing]


class GatesFailed(ReleaseRefused):
    """A gate failed, or a hospital stopped the adapter; every gate's result is at hand."""

    def __init__(self, gates: Sequence[GateResult], stopped: Sequence[str]) -> None:
        failed = [result for result in gates if not result.passed]
        said = [f"{len(failed)} of {len(gates)} release gates failed"] if failed else []
        said += [f"{len(stopped)} of the hospitals stopped this adapter"] if stopped else []
        lines = [*stopped, *(f"{result.status:<12} {result.reason}" for result in gates)]
        super().__init__(
            "; ".join(said) + ":\n- " + "\n- ".join(lines),
            remedy="nothing was signed; mend what is named and run the command again",
        )
        self.gates, self.stopped = tuple(gates), tuple(stopped)


def release(
    root: Path, ledgers: Sequence[Path], attacks: Sequence[Path], now: datetime, adapter: str | None = None
) -> Released:
    """Judge a policy of the finished run, its last if none is named, and sign its release bundle.

    Args:
        root: the coordinator's folder.
        ledgers: a ledger file of every hospital behind the adapter.
        attacks: results of the attack suite, or folders of them.
        now: the coordinator's clock, UTC.
        adapter: digest of an earlier policy of the run, or its beginning; its figures must be at hand.

    Raises:
        ConfigError: no adapter of this name.
        RoundFailed: the program is not finished.
        GatesFailed: a gate failed, or a hospital stopped the adapter; names every gate.
        ReleaseRefused: an adapter on the way was revoked, or a check of the bundle failed.
        IntrawardError: a ledger, adapter, receipt or result is missing or was altered; names it.
    """
    home = ServerHome(root)
    config, key, state = load_program(home.program), SigningKey.load(home.key), load_state(home.state)
    if state is None or state.status != "finished" or state.policy is None:
        raise RoundFailed("the program is not finished, so there is nothing to release", remedy="start it")
    registry = Registry(home.adapters, key, config.lora, config.release)
    chosen = state.policy if adapter is None else registry.find(adapter)
    manifests = _lineage(registry, chosen, state)
    revocations(home, key).refuse(manifests, remedy=_REVOKED)
    books = _books(manifests.values(), ledgers)
    tried: dict[str, AttackResult] = {each.attack: each for each in read_attacks(attacks)}
    report = privacy_report([books[s] for s in sorted(books)], [tried[n] for n in sorted(tried)])
    figures = report.model_dump(mode="json")
    told, evaluation = _evaluation(home, state, chosen)
    files = _evidence(home, key.public, state, registry, chosen, manifests, books, tried)
    files |= {EVALUATION: told, RULES: fixed_gates(home, state.gates), REPORT: _pretty(figures)}
    gates = judge_bundle(files, evaluation, figures, tried)
    _refuse_failed(gates, objections(home, key.public, chosen))
    files[RESULTS] = _pretty(gate_table(gates))
    made = manifests[chosen]
    value = Release(
        number=1 + max((number for number, _ in bundles(home)), default=0),
        time=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        run_id=state.run_id,
        adapter=chosen,
        base_model=state.base_model,
        stage=made.stage,
        round=made.round,
        iteration=made.iteration,
        simulated=made.simulated,
        sites={site: _site(entries) for site, entries in books.items()},
        hub=HubTerms(license=config.release.license, base_model=config.release.base_model),
        code_version=version("intraward"),
        code=server_code(),
        files={},
    )
    files[CARD] = release_card(value, evaluation, figures, gates).encode()
    value = value.model_copy(update={"files": {name: digest(data) for name, data in files.items()}})
    standing = against_release(attacked(tried.values()), value)
    return Released(value, _write(home, value, files, key), gates, standing)


def bundles(home: ServerHome) -> list[tuple[int, Path]]:
    """Release bundles by number, oldest first; a torn one is none."""
    if not home.releases.is_dir():
        return []
    return sorted((int(path.name), path) for path in home.releases.iterdir() if path.name.isdigit())


def _refuse_failed(gates: Sequence[GateResult], stopped: Sequence[str]) -> None:
    """Name every gate, and every hospital that stopped the adapter, at once."""
    if stopped or not all(result.passed for result in gates):
        raise GatesFailed(gates, stopped)


def _lineage(registry: Registry, name: str, state: ProgramState) -> dict[str, AdapterManifest]:
    registry.load(name)
    found = {each: registry.manifest(each) for each in registry.ancestry([name])}
    if found[name].stage is Stage.REWARD or found[name].run_id != state.run_id:
        raise ReleaseRefused(
            f"adapter {name[:16]} is no policy of this run", remedy="see intraward-server registry list"
        )
    if not found[name].round:
        raise ReleaseRefused("no hospital has trained the policy", remedy="run the program's rounds first")
    return found


def _books(manifests: Iterable[AdapterManifest], paths: Sequence[Path]) -> dict[str, VerifiedLedger]:
    """The ledger of every hospital on the way, by name; those of others are not asked for."""
    named = sorted({site for manifest in manifests for site in manifest.ledger_heads})
    found: dict[str, VerifiedLedger] = {}
    for path in paths:
        entries = read_ledger(path)
        site = policy_entry(entries).site
        if site in found:
            raise ConfigError(path, "", "a ledger of this hospital was given before", remedy="give one")
        if site not in named:
            raise ConfigError(path, "", "is of a hospital that took no part", remedy="leave it out")
        found[site] = entries
    if missing := [site for site in named if site not in found]:
        raise ReleaseRefused(
            f"no ledger was given of {', '.join(missing)}",
            remedy="ask each hospital for a copy of its ledger.jsonl and name it on the command line",
        )
    return found


def _evaluation(home: ServerHome, state: ProgramState, chosen: str) -> tuple[bytes, dict[str, Any]]:
    """The run's figures; those of an earlier policy are its own (``concluding.measure``)."""
    path = home.evaluation if chosen == state.policy else home.earlier_evaluation(chosen)
    if chosen != state.policy and not path.exists():
        raise ReleaseRefused(
            f"{path}: the figures of adapter {chosen[:16]} were never measured, so no gate can be asked",
            remedy=f"intraward-server measure {chosen[:16]}, then run the command again",
        )
    try:
        data = path.read_bytes()
        value: dict[str, Any] = json.loads(data)
    except (OSError, ValueError):
        raise ReleaseRefused(f"{path}: cannot be read", remedy="restore it, or measure again") from None
    return data, value


def _evidence(
    home: ServerHome,
    public: str,
    state: ProgramState,
    registry: Registry,
    chosen: str,
    manifests: Mapping[str, AdapterManifest],
    books: Mapping[str, VerifiedLedger],
    tried: Mapping[str, AttackResult],
) -> Files:
    policy = registry.path(chosen)
    files = {f"{ADAPTER}{path.name}": path.read_bytes() for path in policy.iterdir()}
    for name, manifest in manifests.items():
        files[f"{LINEAGE}{name}.json"] = (registry.path(name) / MANIFEST_FILE).read_bytes()
        for plan in manifest.plans:
            own = manifest.run_id == state.run_id
            root = home if own else ServerHome(home.earlier(manifest.run_id))
            files[f"{PLANS}{plan}.json"] = _read(root.plan(manifest.round))
        if manifest.run_id != state.run_id:
            files[f"{EARLIER}{manifest.run_id}.json"] = _earlier(home, public, manifest.run_id, manifests)
    for site, entries in books.items():
        files[f"{LEDGERS}{site}.jsonl"] = _lines(entries)
        for path in sorted(home.receipt(site, 1).parent.glob("*.json")):
            files[f"{RECEIPTS}{site}/{path.name}"] = path.read_bytes()
        for path in sorted(home.root.glob(f"earlier/*/receipts/{site}/*.json")):
            files[f"{RECEIPTS}{site}/{path.parents[2].name}-{path.name}"] = path.read_bytes()
    for name, result in tried.items():
        files[f"{ATTACKS}{name}.json"] = _pretty(result.model_dump(mode="json"))
    return files | {REVOKED: _read(home.revoked)}


def _earlier(home: ServerHome, public: str, run_id: str, manifests: Mapping[str, AdapterManifest]) -> bytes:
    """The signed list of the release with which the run after it began."""
    begun_with = {
        parent
        for manifest in manifests.values()
        for parent in manifest.parents
        if manifests[parent].run_id != manifest.run_id
    }
    for _, folder in reversed(bundles(home)):
        value = read_release(folder / RELEASE_FILE, public)
        if value.run_id == run_id and value.adapter in begun_with:
            return _read(folder / RELEASE_FILE)
    raise ReleaseRefused(
        f"no release of run {run_id} is here, from which the policy descends",
        remedy="restore the releases folder from your backup",
    )


def _site(entries: VerifiedLedger) -> ReleasedSite:
    last = entries[-1]
    return ReleasedSite(public_key=policy_entry(entries).public, sequence=last.sequence, head=last.hash)


def _lines(entries: VerifiedLedger) -> bytes:
    return b"".join(to_bytes(entry) + b"\n" for entry in entries)


def _write(home: ServerHome, value: Release, files: Files, key: SigningKey) -> Path:
    """Write the bundle beside its place, check it as an auditor does, and give it its name."""
    draft, place = home.releases / ".part", home.releases / str(value.number)
    shutil.rmtree(draft, ignore_errors=True)
    envelope = sign_value(value, RELEASE_DOMAIN, key)
    try:
        for name, data in {**files, RELEASE_FILE: envelope}.items():
            write_durably(draft / name, data)
        verify_release(draft, key.public)
        draft.rename(place)
        sync_folder(home.releases)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    write_durably(home.release, envelope)
    return place


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise ReleaseRefused(f"{path}: cannot be read", remedy="restore it from your backup") from None


def _pretty(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
