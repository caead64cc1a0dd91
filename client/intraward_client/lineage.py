"""Where a plan's adapters come from: every ancestor released, none private. Pure.

"Free stages" in section 6 of DESIGN.md: policy optimisation on public prompts costs nothing only if
all that goes into it is public or released. The whole ancestry of a plan's inputs comes with it as
signed manifests. An adapter that no hospital touched is public (round 0: fixed random numbers, or
tensors of its parents). Any other was made by a round that hospitals paid for: its manifest names the
plan and the ledger entry of each of them, and where this site is one, its own ledger must hold that
very entry, released. An adapter without such a receipt is private, and refuses the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intraward_shared.errors import PlanRefused
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.ledger_head import entry_at, is_burned
from intraward_shared.protocol import RoundPlan
from intraward_shared.signed_adapter import AdapterManifest
from intraward_shared.stages import Stage

_ASK = "ask the coordinator for a plan whose adapters were all released, with their manifests"


def check_lineage(
    plan: RoundPlan,
    manifests: Mapping[str, AdapterManifest],
    site: str,
    ledger: Sequence[LedgerEntry],
) -> None:
    """Refuse a plan with an input that is not public or released, or descends from one that is not.

    Args:
        plan: verified.
        manifests: of the inputs and all their ancestors, by adapter digest; signatures verified.
        site: this site.
        ledger: its own entries, verified.

    Raises:
        PlanRefused: rule ``lineage``.
    """
    released = {(entry.plan, entry.attempt) for entry in ledger if entry.kind is Kind.RELEASE}
    waiting, seen = list(plan.inputs.values()), set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        manifest = manifests.get(name)
        if manifest is None:
            raise _refuse("an input adapter or an ancestor of one came without its signed manifest")
        _check_agreement(plan, manifest)
        if manifest.round:
            _check_receipt(manifest, site, ledger, released)
        elif manifest.plans or manifest.ledger_heads:
            raise _refuse("an adapter that says no hospital touched it names their plans")
        waiting += manifest.parents
    if seen != set(manifests):
        raise _refuse("a manifest came along that belongs to no input of the plan")
    if plan.stage is Stage.PPO and manifests[plan.inputs["reward"]].round == 0:
        raise _refuse("the reward model of a ppo plan was never released by a round")


def _check_agreement(plan: RoundPlan, manifest: AdapterManifest) -> None:
    ours = (plan.base_model, plan.lora, plan.simulated)
    if (manifest.base_model, manifest.lora, manifest.simulated) != ours:
        raise _refuse("an adapter is of another base model, shape or kind of run than the plan")


def _check_receipt(
    manifest: AdapterManifest,
    site: str,
    ledger: Sequence[LedgerEntry],
    released: set[tuple[str | None, int | None]],
) -> None:
    if not manifest.plans or not manifest.ledger_heads:
        raise _refuse("an adapter descends from one that no ledger paid for, so it is private")
    own = manifest.ledger_heads.get(site)
    if own is None:
        return
    entry = entry_at(ledger, own[0])
    if entry is None or entry.hash != own[1] or entry.plan not in manifest.plans:
        if is_burned(ledger, *own):  # lost, and charged for by an officer's signature
            return
        raise _refuse("an adapter names an entry that this site's ledger does not hold")
    if (entry.plan, entry.attempt) not in released:
        raise _refuse("an adapter names a round of this site that was never released")


def _refuse(message: str) -> PlanRefused:
    return PlanRefused("lineage", message, remedy=_ASK)
