"""Where an adapter comes from: every ancestor untouched by hospitals or paid for in their ledgers. Pure.

Rule 9 and "Free stages" in section 6 of DESIGN.md; what the hospital asks of a plan's inputs and an
auditor of a released adapter. An adapter that no hospital touched is public (round 0: fixed random
numbers, or tensors of its parents). Any other was made by a round that hospitals paid for: its manifest
names the plan and the ledger entry of each of them, which must stand in that site's ledger, released.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from intraward_shared.errors import ContractError
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.ledger_head import entry_at, is_burned
from intraward_shared.signed_adapter import AdapterManifest


def ancestry(
    names: Iterable[str], manifests: Mapping[str, AdapterManifest]
) -> Iterator[tuple[str, AdapterManifest]]:
    """Some adapters and all that they descend from, each once.

    Args:
        names: adapter digests.
        manifests: by adapter digest, signatures verified.

    Raises:
        ContractError: a manifest is missing; names the adapter.
    """
    waiting, seen = list(names), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name not in manifests:
            raise ContractError(
                f"adapter {name[:16]}: used, or an ancestor of one that is used, without its signed manifest",
                remedy="get the adapters folder of the coordinator whole, and have that adapter in it",
            )
        yield name, manifests[name]
        waiting += manifests[name].parents


def check_origin(manifest: AdapterManifest) -> None:
    """Refuse an adapter that is neither untouched nor paid for.

    Raises:
        ContractError: a round made it and no ledger paid, or none made it and it names ledgers.
    """
    if not manifest.round and (manifest.plans or manifest.ledger_heads):
        raise ContractError("an adapter that says no hospital touched it names their plans")
    if manifest.round and not (manifest.plans and manifest.ledger_heads):
        raise ContractError("an adapter descends from one that no ledger paid for, so it is private")


def check_paid(manifest: AdapterManifest, site: str, ledger: Sequence[LedgerEntry]) -> bool:
    """Hold what an adapter says of one site against that site's ledger.

    Returns:
        False when the site took no part, or its entry was lost and an officer's BURN charged for it.

    Raises:
        ContractError: the ledger does not hold the entry, or its round was not released.
    """
    head = manifest.ledger_heads.get(site)
    if head is None:
        return False
    entry = entry_at(ledger, head[0])
    if entry is None or entry.hash != head[1] or entry.plan not in manifest.plans:
        if is_burned(ledger, *head):
            return False
        raise ContractError(f"an adapter names an entry that the ledger of {site} does not hold")
    if not any(
        later.kind is Kind.RELEASE and (later.plan, later.attempt) == (entry.plan, entry.attempt)
        for later in ledger
    ):
        raise ContractError(f"an adapter names a round of {site} that was never released")
    return True
