"""The budget as a picture for the officer's wall: cumulative epsilon after each charge, against the cap.

Item 3 of the privacy section. One bar a charged round, as high as everything charged up to it; the dark
part at its top is what that round added. Colours are stages; with the hatching they are told apart on a grey
print too. Epsilon is by PLD, the auditor's accountant, because it is asked once a bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intraward_client.drawing import FAINT, INK, STAGE_COLOURS, plain_axes, sheet, title
from intraward_shared.ledger_chain import BURNED, FIGURES, policy_entry
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.spending import Charge, charges_of, thinned

_COLOURS = STAGE_COLOURS | {BURNED: "#4D4D4D", FIGURES: "#F0E442"}
_HATCHES = {"paid": "....", "open": "++++", "aborted": "xxxx", "burned": "////"}
_MARKED = {"paid": "paid, not yet run", "open": "under way", "aborted": "aborted"}
_CAP = "#B22222"
_NAMES = {
    "sft": "SFT",
    "reward": "reward model",
    "ppo": "PPO",
    "rloo": "RLOO",
    "dpo": "DPO",
    BURNED: "burn (lost entries)",
    FIGURES: "noised figure",
}


def draw(entries: Sequence[LedgerEntry], cap: float, target: Path) -> int:
    """Write the picture; returns how many charged rounds the ledger has.

    Args:
        entries: a verified ledger.
        cap: the lower of the policy file's and the ledger's, drawn to the end.
        target: ``.svg`` or ``.png``; an older file is replaced when the new one is whole.

    Raises:
        ConfigError: another ending, the file cannot be written, or matplotlib is missing.
    """
    terms = policy_entry(entries)
    every = charges_of(entries)
    charges = thinned(every, terms.delta)
    with sheet(target, (9.0, 5.0), {"hatch.linewidth": 0.6}) as figure:
        axes = figure.subplots()
        _bars(axes, charges)
        _caps(axes, charges, cap)
        _frame(axes, charges, cap)
        _legend(figure, charges)
        stamp = "  SIMULATED, NOT PRIVATE" if terms.simulated else ""
        title(figure, f"Privacy budget of {terms.site}{stamp}")
        meaning = f"(epsilon, {terms.delta:g})-DP per patient within this hospital, add/remove; by PLD"
        axes.set_title(meaning, loc="left", size=9, color=FAINT)
    return len(every)


def _bars(axes: Any, charges: Sequence[Charge]) -> None:
    before = 0.0
    for place, charge in enumerate(charges, start=1):
        colour = _COLOURS.get(charge.stage, "#888888")
        axes.bar(place, before, width=0.8, color=colour, alpha=0.22, linewidth=0)
        hatch = _HATCHES.get(charge.outcome)
        axes.bar(
            place,
            charge.epsilon - before,
            bottom=before,
            width=0.8,
            color=colour,
            edgecolor="white" if hatch else colour,
            hatch=hatch,
            linewidth=0,
        )
        if charge.again:
            axes.annotate(
                "retry", (place, charge.epsilon), (0, 3), textcoords="offset points", ha="center", size=7
            )
        before = charge.epsilon


def _caps(axes: Any, charges: Sequence[Charge], cap: float) -> None:
    edges = [0.4, *[place + 0.5 for place in range(1, len(charges))], len(charges) + 0.9]
    heights = [charge.cap for charge in charges][1:]
    levels = [charges[0].cap, *heights] if charges else [cap]
    levels[-1] = cap
    axes.stairs(levels, edges if charges else [0.4, 1.6], baseline=None, color=_CAP, linewidth=1.8)
    text = f"cap {cap:g}"
    end = edges[-1] if charges else 1.6
    axes.annotate(
        text, (end, cap), (-2, 4), textcoords="offset points", ha="right", color=_CAP, weight="bold", size=10
    )


def _frame(axes: Any, charges: Sequence[Charge], cap: float) -> None:
    from matplotlib.ticker import MaxNLocator

    highest = max([cap, *[charge.cap for charge in charges], *[charge.epsilon for charge in charges]])
    axes.set_ylim(0, highest * 1.13)
    axes.set_xlim(0.4, len(charges) + 0.9 if charges else 1.6)
    axes.set_ylabel("epsilon spent")
    axes.set_xlabel("charged rounds, in the order of the ledger")
    if charges:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=14, min_n_ticks=1))
    else:
        axes.set_xticks([])
    plain_axes(axes)
    if not charges:
        axes.text(1.0, highest / 2, "nothing is charged yet", ha="center", color="#777777", size=12)
        return
    note = f"{charges[-1].epsilon:.2f} spent"
    place = (len(charges), charges[-1].epsilon)
    axes.annotate(note, place, (0, 5), textcoords="offset points", ha="center", weight="bold", color=INK)


def _legend(figure: Any, charges: Sequence[Charge]) -> None:
    from matplotlib.patches import Patch

    stages = list(dict.fromkeys(charge.stage for charge in charges))
    handles = [Patch(facecolor=_COLOURS.get(stage, "#888888"), linewidth=0) for stage in stages]
    labels = [_NAMES.get(stage, stage) for stage in stages]
    for outcome, name in _MARKED.items():
        if any(charge.outcome == outcome for charge in charges):
            handles.append(
                Patch(facecolor="#AAAAAA", edgecolor="white", hatch=_HATCHES[outcome], linewidth=0)
            )
            labels.append(name)
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=len(handles), frameon=False, fontsize=9
        )
