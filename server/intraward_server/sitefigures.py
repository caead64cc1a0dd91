"""Sites that disagree: what a reward model is worth to each of them, with the worst beside the mean.

On the coordinator's own pairs, so every figure is free. A pair may name the site whose clinicians judged it;
then the reward model is measured on each site's pairs. With a head for each site, a site's head is measured
too, on that site's pairs, or on all of them where none names a site. Sites weigh alike in the mean, whatever
the number of their pairs. A site that nobody measured leaves the worst one unknown: a gate that asks for it
fails, instead of passing on the sites that were looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intraward_server.publicdata import Record, numbered_objects
from intraward_server.statistics import grouped_rate
from intraward_shared.errors import InputError
from intraward_shared.reward_heads import RewardHeads

FIELDS = ("prompt", "chosen", "rejected")
SITE = "site"
"""Field of a pair: the site whose clinicians judged it."""


def read_pairs(path: Path, cohort: Sequence[str], limit: int | None = None) -> list[Record]:
    """Preference pairs, each with its ``site`` where it names one.

    Raises:
        ConfigError: the file cannot be read, or holds no row.
        InputError: a line is not such a row, or names a site that the program does not have.
    """
    pairs = []
    for number, row in numbered_objects(path, FIELDS):
        if row.get(SITE) is not None and row[SITE] not in cohort:
            raise InputError(
                path, number, "field 'site' is none of the program's sites", remedy="correct it, or drop it"
            )
        pairs.append({name: row[name] for name in (*FIELDS, SITE) if row.get(name) is not None})
    return pairs if limit is None else pairs[:limit]


def site_figures(
    pairs: Sequence[Record], members: NDArray[np.float64], heads: RewardHeads, cohort: Sequence[str]
) -> dict[str, Any]:
    """Figures of each site, the worst and the mean; nothing where no pair and no head is a site's.

    Args:
        members: score differences ``(pairs, members)``, chosen minus rejected.
        cohort: the program's sites, in any order.
    """
    named = any(SITE in pair for pair in pairs)
    if not named and not heads.per_site:
        return {}
    out: dict[str, Any] = {}
    own = {s: np.array([not named or p.get(SITE) == s for p in pairs], dtype=bool) for s in sorted(cohort)}
    if named:
        out["by_site"] = {site: _rate(pairs, rows, members.mean(1)) for site, rows in own.items()}
        out |= _over_sites(out["by_site"], "site_accuracy")
    if heads.per_site:
        out["own_heads"] = {
            site: _rate(pairs, rows, members[:, sorted(cohort).index(site)]) for site, rows in own.items()
        }
        out |= _over_sites(out["own_heads"], "own_head")
    return out


def _rate(
    pairs: Sequence[Record], rows: NDArray[np.bool_], differences: NDArray[np.float64]
) -> dict[str, Any]:
    """Accuracy on those ``rows``, ties half; the interval counts prompts, as everywhere."""
    if not rows.any():
        return {"pairs": 0, "accuracy": None, "accuracy_interval": None}
    won = (np.sign(differences[rows]) / 2 + 0.5).tolist()
    rate = grouped_rate(won, [pair["prompt"] for pair, kept in zip(pairs, rows, strict=True) if kept])
    return {"pairs": rate.total, "accuracy": rate.value, "accuracy_interval": rate.interval}


def _over_sites(by_site: dict[str, dict[str, Any]], name: str) -> dict[str, Any]:
    """``worst_...`` with its interval and site, and ``mean_...``; all None where a site was not measured."""
    values = {site: figures["accuracy"] for site, figures in by_site.items()}
    keys = (f"worst_{name}", f"worst_{name}_interval", f"worst_{name}_of", f"mean_{name}")
    if any(value is None for value in values.values()):
        return dict.fromkeys(keys)
    worst = min(values, key=lambda site: float(values[site]))
    mean = float(np.mean(list(values.values())))
    found = (values[worst], by_site[worst]["accuracy_interval"], worst, mean)
    return dict(zip(keys, found, strict=True))
