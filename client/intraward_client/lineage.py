"""Where a plan's adapters come from: every ancestor released, none private. Pure.

"Free stages" in section 6 of DESIGN.md: policy optimisation on public prompts costs nothing only if
all that goes into it is public or released. The whole ancestry of a plan's inputs comes with it as
signed manifests; where this site took part, its own ledger must hold the very entry, released. Other
sites' ledgers are not here to be seen; an auditor holds them (``intraward-audit adapter``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from intraward_shared.errors import ContractError, PlanRefused
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.lineage import ancestry, check_origin, check_paid
from intraward_shared.protocol import RoundPlan
from intraward_shared.signed_adapter import AdapterManifest
from intraward_shared.stages import ON_POLICY

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
    seen = set()
    try:
        for name, manifest in ancestry(plan.inputs.values(), manifests):
            seen.add(name)
            _check_agreement(plan, manifest)
            check_origin(manifest)
            check_paid(manifest, site, ledger)
    except ContractError as error:
        raise _refuse(error.message) from None
    if seen != set(manifests):
        raise _refuse("a manifest came along that belongs to no input of the plan")
    if plan.stage in ON_POLICY and manifests[plan.inputs["reward"]].round == 0:
        raise _refuse("the reward model of a ppo plan was never released by a round")


def _check_agreement(plan: RoundPlan, manifest: AdapterManifest) -> None:
    ours = (plan.base_model, plan.lora, plan.simulated)
    if (manifest.base_model, manifest.lora, manifest.simulated) != ours:
        raise _refuse("an adapter is of another base model, shape or kind of run than the plan")


def _refuse(message: str) -> PlanRefused:
    return PlanRefused("lineage", message, remedy=_ASK)
