"""From what a run left on disk to the figures of its report; nothing is measured twice or made up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import intraward_shared
from intraward_server.checkpoint import read_history
from intraward_server.home import ServerHome
from intraward_shared.modeling import model_digest
from intraward_simulation.report_data import (
    BaseModelFacts,
    Curves,
    DeidFacts,
    EgressFacts,
    IterationPoint,
    LedgerFacts,
    LineageStep,
    OverOptimisationFacts,
    PolicyFacts,
    PolicyPoint,
    PrivacyFacts,
    ReportData,
    RewardModelFacts,
    RewardPoint,
    RunFacts,
    Sample,
    ScannedPlace,
    SftFacts,
    SiteFacts,
    SiteLedger,
    SiteSpend,
    StageSpend,
)
from intraward_simulation.scenario import Scenario
from intraward_simulation.world import World

Figures = Mapping[str, Any]

_TINY_AID = (
    " The tiny base model was pre-trained on public text in which a word after each answer names what the "
    "answer holds, never how good it is; the private judgments then mostly teach which of it to prefer, an "
    "easier task than on a plain model."
)


def report_data(
    run: Path,
    scenario: Scenario,
    world: World,
    imports: Mapping[str, Figures],
    audit: Figures,
    seconds: Mapping[str, float],
    *,
    base: Path,
    processes: bool,
    scored: Figures | None = None,
) -> ReportData:
    """Everything the report says.

    Args:
        run: folder of the run.
        scenario, world: what was run.
        imports: import report of each site.
        audit: result of ``auditing.audit_run``.
        seconds: seconds of each phase.
        base: the base model's directory.
        processes: whether real Flower processes ran.
        scored: figures of the scenario's own preference file, if it names one.
    """
    home = ServerHome(run / "server")
    history = read_history(home.history)
    evaluation = json.loads(home.evaluation.read_text(encoding="utf-8"))
    return ReportData(
        run=RunFacts(
            name=scenario.run.name,
            model=BaseModelFacts(name=scenario.run.model, digest=model_digest(base)),
            simulated=True,
            seed=scenario.run.seed,
            sites=tuple(_site(site.name, site.patients, imports[site.name]) for site in world.sites),
            rounds=len(history),
            origin="synthetic" if scenario.hospitals is not None else "public",
            processes=processes,
            version=intraward_shared.__version__,
            finished=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        ),
        reward_model=_known(RewardModelFacts, evaluation.get("reward_model", {})),
        policy=_known(PolicyFacts, evaluation.get("policy", {})),
        privacy=PrivacyFacts.of(
            tuple(_spend(site, history) for site in audit["sites"]),
            all_sites_epsilon=audit["all_sites_epsilon"],
        ),
        egress=_egress(audit["scan"], history),
        deid=_deid(imports, audit["scan"] if world.canaries else None),
        ledger=LedgerFacts(
            verified=all(site["verified"] for site in audit["sites"]),
            entries=sum(site["entries"] for site in audit["sites"]),
            sites=tuple(
                SiteLedger(site=s["site"], verified=s["verified"], entries=s["entries"], head=s["head"])
                for s in audit["sites"]
            ),
        ),
        sft=_sft(scenario),
        curves=_curves(history),
        over_optimisation=_known(OverOptimisationFacts, evaluation.get("over_optimisation", {})),
        samples=tuple(Sample(**sample) for sample in evaluation.get("samples", [])),
        evaluation=_further(evaluation, audit, scored),
        lineage=tuple(
            LineageStep(stage=line["stage"], round=line["stage_round"], digest=line["adapter"])
            for line in history
            if line["adapter"]
        ),
        seconds=sum(seconds.values()),
        seconds_by_phase=dict(seconds),
    )


def _known(model: Any, figures: Figures) -> Any:
    """A facts value from those of the figures that it names."""
    return model(**{key: value for key, value in figures.items() if key in model.model_fields})


def _site(name: str, patients: int, imported: Figures) -> SiteFacts:
    return SiteFacts(
        name=name,
        patients=patients,
        notes=imported["rows"],
        released=imported["released"],
        quarantined=imported["quarantined"],
    )


def _spend(site: Figures, history: list[dict[str, Any]]) -> SiteSpend:
    charged = {stage["stage"]: stage for stage in site["stages"]}
    stages = []
    for stage in dict.fromkeys(line["stage"] for line in history):
        if stage in charged:
            pld, prv = charged[stage]["epsilon_pld"], charged[stage]["epsilon_prv"]
            stages.append(StageSpend(stage=stage, epsilon_pld=pld, epsilon_prv=prv))
        else:
            note = "trains nothing" if stage == "label" else "public text"
            stages.append(StageSpend(stage=stage, epsilon_pld=0.0, epsilon_prv=0.0, note=note))
    return SiteSpend(
        site=site["site"],
        stages=tuple(stages),
        total_pld=site["total_pld"],
        total_prv=site["total_prv"],
        total_replace_one=site["total_replace_one"],
        cap=site["cap"],
        delta=site["delta"],
    )


def _egress(scan: Figures, history: list[dict[str, Any]]) -> EgressFacts:
    trained = [line for line in history if line["adapter"]]
    per_site = [line["bytes"] // max(1, len(line["sites"])) for line in trained]
    return EgressFacts(
        identifiers_planted=scan["identifiers"],
        identifiers_found=scan["found"],
        bytes_per_round=round(sum(per_site) / len(per_site)) if per_site else None,
        messages=scan["messages"],
        bytes_out=sum(line["bytes"] for line in history),
        scanned_bytes=scan["scanned_bytes"],
        places=tuple(ScannedPlace(**place) for place in scan["places"]),
        control_found=scan["control_found"],
    )


def _deid(imports: Mapping[str, Figures], scan: Figures | None) -> DeidFacts:
    totals: dict[str, Any] = {"rows": 0, "released": 0, "quarantined": 0, "by_class": {}, "by_reason": {}}
    for report in imports.values():
        for key in ("rows", "released", "quarantined"):
            totals[key] += report[key]
        for key in ("by_class", "by_reason"):
            for name, count in report[key].items():
                totals[key][name] = totals[key].get(name, 0) + count
    left = scan["left_in_vault_text"] if scan is not None else None
    return DeidFacts(
        notes=totals["rows"],
        released=totals["released"],
        quarantined=totals["quarantined"],
        by_class=totals["by_class"],
        by_reason=totals["by_reason"],
        identifiers_left=left,
    )


def _sft(scenario: Scenario) -> SftFacts:
    stage = next((stage for stage in scenario.stages if stage.get("stage") == "sft"), None)
    aid = _TINY_AID if scenario.run.model == "tiny" else ""
    if stage is None:
        return SftFacts(data="public", note="No SFT was run." + aid)
    if stage.get("public"):
        return SftFacts(data="public", note="SFT ran on public text, so it costs no privacy budget." + aid)
    note = "SFT ran on the hospitals' own records; its cost is inside the total."
    return SftFacts(data="private", note=note + aid)


def _curves(history: list[dict[str, Any]]) -> Curves:
    reward = [line for line in history if line["stage"] == "reward"]
    policy = [line for line in history if line["stage"] in ("ppo", "rloo", "dpo")]
    return Curves(
        reward=tuple(
            RewardPoint(round=x["stage_round"], accuracy=x["figures"].get("accuracy")) for x in reward
        ),
        ppo=tuple(
            PolicyPoint(
                round=x["stage_round"],
                gold_reward=x["figures"].get("gold_reward"),
                proxy_reward=x["figures"].get("proxy_reward"),
                kl=x["figures"].get("kl"),
            )
            for x in policy
        ),
        iterations=_iterations(history),
    )


def _iterations(history: list[dict[str, Any]]) -> tuple[IterationPoint, ...]:
    """The end of each iteration; empty for a program that has one."""
    points: dict[int, dict[str, Any]] = {}
    for line in history:
        point, figures = points.setdefault(line["iteration"], {}), line["figures"]
        if line["stage"] == "reward":
            point |= {"reward_model": line["adapter"], "accuracy": figures.get("accuracy")}
        elif "over_sft" in figures:
            named = {key: v for key, v in figures["over_sft"].items() if key in IterationPoint.model_fields}
            point |= {"policy": line["adapter"], **named}
    if len(points) < 2:
        return ()
    return tuple(IterationPoint(iteration=number, **point) for number, point in sorted(points.items()))


def _further(evaluation: Figures, audit: Figures, scored: Figures | None) -> dict[str, Any]:
    out: dict[str, Any] = {f"preferences_{key}": value for key, value in (scored or {}).items()}
    for group in ("heldout", "closed"):
        out |= {f"{group}_{key}": value for key, value in evaluation.get(group, {}).items()}
    policy = evaluation.get("policy", {})
    out |= {f"policy_{key}": policy[key] for key in ("judge", "proxy_sft", "proxy_rl") if key in policy}
    return out | {"adapters_verified": audit["adapters_verified"]}
