"""Means over seeds with 95 % t-intervals, and paired differences: of arms, and of what privacy left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.stats import t

Runs = Sequence[Mapping[str, Any]]
"""Of each seed, ``accuracy`` by privacy and arm."""
CHANCE = 0.5
OFF = "off"


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean and its 95 % t-interval; of a single seed none."""
    found = np.asarray(values, dtype=float)
    mean = float(found.mean())
    if len(found) < 2:
        return {"mean": mean, "interval": None, "seeds": list(values)}
    half = float(t.ppf(0.975, len(found) - 1) * found.std(ddof=1) / np.sqrt(len(found)))
    return {"mean": mean, "interval": [mean - half, mean + half], "seeds": [float(v) for v in found]}


def seed_table(runs: Runs) -> dict[str, Any]:
    """By privacy: each arm, federated minus local and minus pooled, and the gain that privacy kept."""
    table: dict[str, Any] = {
        "noise_multiplier": runs[0]["noise_multiplier"],
        "test_pairs": runs[0]["test_pairs"],
        "patients_a_site": runs[0]["patients_a_site"],
    }
    gaps = [run["product_gap"] for run in runs if run["product_gap"] is not None]
    if gaps:
        table["product_gap"] = over_seeds(gaps)
    for privacy in runs[0]["accuracy"]:
        arms = {
            name: [run["accuracy"][privacy][name] for run in runs] for name in runs[0]["accuracy"][privacy]
        }
        row: dict[str, Any] = {name: over_seeds(values) for name, values in arms.items()}
        for name, one, other in (
            ("federated_minus_local", "federated", "local"),
            ("federated_minus_pooled", "federated", "pooled"),
        ):
            if one in arms and other in arms:
                row[name] = over_seeds([a - b for a, b in zip(arms[one], arms[other], strict=True)])
        free = [run["accuracy"].get(OFF, {}).get("federated") for run in runs]
        if privacy != OFF and "federated" in arms and None not in free:
            row["gain_kept"] = _kept(arms["federated"], free)
        table[privacy] = row
    return table


def _kept(private: Sequence[float], free: Sequence[float]) -> dict[str, Any] | None:
    """Share of the gain over chance that is left, seed by seed; None where there was none to keep."""
    if min(free) <= CHANCE:
        return None
    return over_seeds([(a - CHANCE) / (b - CHANCE) for a, b in zip(private, free, strict=True)])


def as_text(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Every mean with its interval, a line each."""
    lines = []
    for name, table in sets.items():
        for privacy, row in table.items():
            if not isinstance(row, Mapping):
                continue
            for figure, found in row.items():
                if isinstance(found, Mapping) and "mean" in found:
                    low_high = found["interval"]
                    spread = "" if low_high is None else f"  ({low_high[0]:.4f} to {low_high[1]:.4f})"
                    lines.append(f"{name:<16} {privacy:<10} {figure:<24} {found['mean']:.4f}{spread}")
    return "\n".join(lines)
