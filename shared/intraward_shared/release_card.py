"""The card of a release, in the Hub's format; a pure function, so that an auditor can make it again.

YAML front matter as ``huggingface_hub.ModelCard`` reads it, then the same for people. Every figure comes from
the bundle's own evaluation, privacy report and gates: ``intraward-audit bundle`` renders it anew and refuses
a card that says anything else. What it looks like belongs to ``Release.schema_version``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from intraward_shared.release import HubTerms, Release
from intraward_shared.release_gates import GateResult

METRICS = (
    ("policy", "win_rate", "win_rate", "win rate over the sft policy"),
    ("policy", "reward_gain", "reward_gain", "gain in the judge's reward over the sft policy"),
    ("policy", "kl", "kl", "KL from the sft policy, nats an answer"),
    ("reward_model", "accuracy", "accuracy", "reward model, pairwise accuracy"),
    ("reward_model", "worst_site_accuracy", "accuracy", "reward model, on the pairs of the worst site"),
    ("reward_model", "worst_own_head", "accuracy", "reward model, the worst site's own head"),
    ("reward_model", "length_baseline", "accuracy", "the longer answer wins"),
    ("reward_model", "text_baseline", "accuracy", "words and length alone, learnt on these pairs"),
    ("reward_model", "brier", "brier_score", "reward model, Brier score"),
    ("reward_model", "calibration_error", "ece", "reward model, expected calibration error"),
    ("closed", "accuracy_rl", "accuracy", "yes, no or maybe"),
    ("heldout", "perplexity_rl", "perplexity", "held-out demonstrations"),
    ("suites.win-rate.over_sft.gold", "length_controlled", "win_rate", "at equal length, gold judge"),
    ("suites.refusals.policy", "refusal_rate", "refusal_rate", "harmful requests that it refused"),
    ("suites.refusals.policy", "over_refusal_rate", "refusal_rate", "harmless requests that it refused"),
    ("suites.red-team.policy", "failure_rate", "failure_rate", "red-team prompts that it failed"),
    ("suites.red-team.policy", "worst_failure_rate", "failure_rate", "the same, worst category"),
    ("suites.bias.policy", "flip_rate", "flip_rate", "answers changed by a patient's race, sex or the like"),
    ("suites.phi.policy", "identifier_rate", "identifier_rate", "answers with an identifier of its own"),
    ("suites.phi.policy", "planted_rate", "identifier_rate", "answers with a planted value"),
    ("suites.faithfulness.policy", "facts", "precision", "numbers and negations that the source has"),
)
"""Path and key in ``evaluation.json``, the Hub's name of the metric, and ours."""
_PRIVACY_HEAD = (
    "| hospital | epsilon, as gated | by PLD | by PLD, replace-one | cap | delta | unit, adjacency |",
    "|---|---|---|---|---|---|---|",
)
DATASET = "held-out data of the coordinator"


def front_matter(hub: HubTerms, tags: Sequence[str], index: str = "") -> str:
    """The YAML block of a card; strings are quoted as JSON, which YAML reads.

    Args:
        hub: licence and base model.
        tags: beside those of every adapter.
        index: the ``model-index`` block, if there is one.
    """
    lines = ["---", f"license: {hub.license}"]
    if hub.license == "other":
        lines.append("license_name: ask-the-coordinator")
    lines += [f"base_model: {json.dumps(hub.base_model)}"] if hub.base_model else []
    lines += ["library_name: peft", "pipeline_tag: text-generation", "datasets: []", "tags:"]
    lines += [
        f"- {tag}" for tag in ("lora", "intraward", "federated-learning", "differential-privacy", *tags)
    ]
    return "\n".join([*lines, *([index] if index else []), "---"])


def model_index(name: str, evaluation: Mapping[str, Any]) -> str:
    """The ``model-index`` block with those of ``METRICS`` that were measured; empty without any."""
    rows = _measured(evaluation)
    if not rows:
        return ""
    lines = [
        "model-index:",
        f"- name: {json.dumps(name)}",
        "  results:",
        "  - task:",
        "      type: text-generation",
    ]
    lines += [
        "    dataset:",
        f"      name: {json.dumps(DATASET)}",
        "      type: intraward-held-out",
        "    metrics:",
    ]
    for kind, title, value in rows:
        lines += [f"    - type: {kind}", f"      name: {json.dumps(title)}", f"      value: {value!r}"]
    return "\n".join(lines)


def release_card(
    release: Release,
    evaluation: Mapping[str, Any],
    report: Mapping[str, Any],
    results: Sequence[GateResult],
) -> str:
    """The card of a release.

    Args:
        release: what is released; its list of files is not used.
        evaluation: ``evaluation.json``.
        report: ``privacy_report.json``.
        results: what the gates found.
    """
    tags = [release.stage.value, *(["simulated"] if release.simulated else [])]
    head = front_matter(release.hub, tags, model_index(release.run_id, evaluation))
    base = release.hub.base_model or "the base model"
    simulated = (
        "**Simulated**: seeded noise, simulated hospitals; no privacy guarantee.\n\n"
        if release.simulated
        else ""
    )
    return f"""{head}
# {release.run_id}, release {release.number}

Policy of stage {release.stage.value}, round {release.round}, iteration {release.iteration}.
Released {release.time} by intraward {release.code_version}.
Adapter `{release.adapter}` for {base}, digest `{release.base_model}`.

{simulated}Load: `PeftModel.from_pretrained(base, "adapter")`.
Verify before use: `intraward-audit bundle DIR --public-key HEX`.

## Privacy

{_privacy(report)}

## Release gates

| gate | asked | measured | |
|---|---|---|---|
{_gates(results)}

## Measured on {DATASET}

| | |
|---|---|
{_figures(evaluation)}

Not a medical device. Not evaluated for clinical use; a person must read every answer.
"""


def _measured(evaluation: Mapping[str, Any]) -> list[tuple[str, str, float]]:
    found = []
    for section, key, kind, title in METRICS:
        value: Any = evaluation
        for part in (*section.split("."), key):
            value = value.get(part) if isinstance(value, Mapping) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((kind, title, float(value)))
    return found


def _privacy(report: Mapping[str, Any]) -> str:
    rows = [
        f"| {c['site']} | {c['epsilon']:.2f} | {c['epsilon_if_fixed']:.2f} | {c['epsilon_replace_one']:.2f} "
        f"| {c['lifetime_epsilon']:g} "
        f"| {c['delta']:g} | {c['unit']}, {c['adjacency']} |"
        for c in report["certificates"]
    ]
    table = "\n".join([*_PRIVACY_HEAD, *rows])
    everywhere = (
        f"Somebody who is a patient of all of them: epsilon {report['all_sites_epsilon']:.2f} "
        f"at delta {report['delta']:g}."
    )
    attacks = (
        ", ".join(f"{a['attack']} {'passed' if a['passed'] else 'FAILED'}" for a in report["attacks"])
        or "none"
    )
    missing = ", ".join(report["attacks_not_given"]) or "none"
    return f"{table}\n\n{everywhere}\nAttacks on the code: {attacks}; not given: {missing}."


def _gates(results: Sequence[GateResult]) -> str:
    return "\n".join(
        f"| {r.name}{' (veto)' if r.veto else ''} | {r.asked} | {_shown(r.measured)}"
        f"{f' ({r.item})' if r.item else ''} | {r.status} |"
        for r in results
    )


def _figures(evaluation: Mapping[str, Any]) -> str:
    return (
        "\n".join(f"| {title} | {value:.4g} |" for _, title, value in _measured(evaluation))
        or "| nothing | |"
    )


def _shown(value: float | bool | str | None) -> str:
    return (
        "no such figure" if value is None else f"{value:.4g}" if type(value) is float else str(value).lower()
    )
