"""Where an adapter comes from, and the card in its folder that says so: how to load it, what it is worth.

The card is one of the files that the adapter's manifest signs (rule 9 of DESIGN.md), so what it says of a
reward model was measured before. It promises nothing that a ledger or an evaluation does not show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from intraward_server.checkpoint import LedgerHead
from intraward_shared.protocol import LoraSpec
from intraward_shared.release import HubTerms
from intraward_shared.release_card import front_matter, model_index
from intraward_shared.stages import Stage


@dataclass(frozen=True)
class Lineage:
    """Where an adapter comes from: stage and round that made it, parents, plans, ledger heads.

    ``round`` is 0 for an initial adapter, which no hospital has touched; ``iteration`` is the version.
    """

    run_id: str
    stage: Stage
    round: int
    base_model: str
    simulated: bool
    parents: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    heads: Mapping[str, LedgerHead] | None = None
    iteration: int = 1


def card(
    lineage: Lineage,
    lora: LoraSpec,
    name: str,
    heads: tuple[str, ...],
    measured: Mapping[str, Any],
    hub: HubTerms,
) -> str:
    """Model card in the Hub's format: what the folder is, how to load it, what it does not promise."""
    tags = [lineage.stage.value, *(["simulated"] if lineage.simulated else [])]
    head = front_matter(hub, tags, model_index(f"{lineage.run_id}-{name[:8]}", {"reward_model": measured}))
    origin = (
        f"stage {lineage.stage.value}, round {lineage.round} of run `{lineage.run_id}`{_version(lineage)}"
        if lineage.round
        else f"initial adapter of stage {lineage.stage.value}, run `{lineage.run_id}`; no hospital touched it"
    )
    simulated = (
        "\n**Simulated**: made with seeded noise on simulated hospitals; carries no privacy guarantee.\n"
        if lineage.simulated
        else ""
    )
    extra = f"`heads.safetensors` holds {', '.join(f'`{h}`' for h in heads)}.\n" if heads else ""
    return f"""{head}
# intraward adapter {name[:16]}

LoRA adapter (r = {lora.r}, lora_alpha = {lora.lora_alpha}), {origin}.
Base model digest `{lineage.base_model}`. Adapter digest `{name}`.
{simulated}
Load: `PeftModel.from_pretrained(base, "this folder")`. {extra}
Verify before use: `intraward-audit adapter DIR --public-key HEX`. What privacy it cost stands in the
hospitals' ledgers, not here: `intraward-audit recompute LEDGER`.
{_measured(measured)}
Not a medical device. Not evaluated for clinical use; a person must read every answer.
"""


def _version(lineage: Lineage) -> str:
    """Which version an adapter is on the way to; sft comes before the first."""
    if lineage.stage is Stage.SFT:
        return ""
    kind = "reward model" if lineage.stage is Stage.REWARD else "policy"
    return f",\n{kind} v{lineage.iteration} (iteration {lineage.iteration})"


def _measured(figures: Mapping[str, Any]) -> str:
    """What a reward model is worth, on public pairs of the coordinator; nothing where it has none."""
    if not figures:
        return ""
    rows = [
        ("accuracy", _share(figures, "accuracy")),
        ("the longer answer wins", _share(figures, "length_baseline")),
        ("accuracy where both are about as long", _share(figures, "length_matched")),
        ("Brier score (0.25 knows nothing)", f"{figures['brier']:.3f}"),
        ("expected calibration error", f"{figures['calibration_error']:.3f}"),
    ]
    if "members" in figures:
        right, wrong = (figures[f"disagreement_{where}"] for where in ("right", "wrong"))
        rows += [
            (f"disagreement of the {figures['members']} members", f"{figures['disagreement']:.3f}"),
            ("where they are right, and wrong", f"{_number(right)}, {_number(wrong)}"),
            ("pairs on which all of them agree", f"{100 * figures['unanimous']:.1f} %"),
        ]
    for what, figure in (("on the pairs", "site_accuracy"), ("of the own head", "own_head")):
        if (worst := figures.get(f"worst_{figure}_of")) is not None:
            mean = f"{100 * figures[f'mean_{figure}']:.1f} %"
            rows += [
                (f"accuracy {what} of the worst site, {worst}", _share(figures, f"worst_{figure}")),
                (f"accuracy {what} of a site, mean", mean),
            ]
    lines = "\n".join(f"| {name} | {value} |" for name, value in rows)
    return f"\n## Measured on {figures['pairs']} public pairs\n| | |\n|---|---|\n{lines}\n"


def _share(figures: Mapping[str, Any], key: str) -> str:
    value, interval = figures[key], figures[f"{key}_interval"]
    if value is None:
        return "not measured"
    return f"{100 * value:.1f} % (95 %: {100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
