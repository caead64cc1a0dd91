"""How well do metrics of faithfulness go with people who counted facts? Rank correlations, with intervals.

For every rated summary: the metrics of ``intraward_shared.faithfulness`` against its dialogue, and what the
annotators of MTS-Dialog counted. Beside them stands length alone, since a short summary has little to get
wrong, and the correlation that is left once length is taken out (partial, on ranks). Intervals draw whole
dialogues again, because summaries of one dialogue are not independent. Prints figures, never a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intraward_shared.errors import ConfigError
from intraward_shared.faithfulness import support
from intraward_simulation.data import read_rows

COUNTED = {
    "precision": ("factual_precision", 1.0),
    "no_hallucination": ("hallucination_rate", -1.0),
    "recall": ("factual_recall", 1.0),
    "f1": ("score", 1.0),
}
"""What people said of a summary: our name, its key in the file, and whether more of it is better."""
LENGTH, UNSUPPORTED = "shorter", "unsupported"
DRAWS = 1000
_FEWEST = 20
Values = NDArray[np.float64]


def validate(path: Path, seed: int = 0) -> dict[str, Any]:
    """Correlation of each metric with each count of ``ranked.jsonl`` of mts_summary_ratings.

    Returns:
        ``summaries``, ``dialogues``, and by metric and count ``spearman`` with its interval, ``kendall``
        (tau-b), ``beyond_length`` (partial Spearman) with its interval, ``summaries`` it could be taken of;
        the last alone where these are of fewer than two dialogues.

    Raises:
        ConfigError, InputError: the file is missing or a line is wrong.
    """
    dialogues, metrics, counts = _read(path)
    if len(set(dialogues)) < _FEWEST:
        raise ConfigError(path, "", f"holds fewer than {_FEWEST} dialogues", remedy="give the whole file")
    out: dict[str, Any] = {"summaries": len(dialogues), "dialogues": len(set(dialogues)), "metrics": {}}
    for metric, values in metrics.items():
        out["metrics"][metric] = {
            count: _correlations(values, told, metrics[LENGTH], dialogues, seed)
            for count, told in counts.items()
        }
    return out


def _read(path: Path) -> tuple[list[str], dict[str, Values], dict[str, Values]]:
    """Dialogue, metrics and counts of every summary; NaN where a metric has nothing to count."""
    dialogues, found, told = list[str](), list[Mapping[str, float | None]](), list[list[float]]()
    for row in read_rows(path, "id", "prompt", "answers"):
        for answer in row["answers"]:
            made = support(row["prompt"], answer["text"]).as_dict()
            found.append(
                {**made, UNSUPPORTED: -made[UNSUPPORTED], LENGTH: -len(answer["text"].split())}  # type: ignore[operator]
            )
            told.append([sign * float(answer[key]) for key, sign in COUNTED.values()])
            dialogues.append(row["id"])
    if not found:
        raise ConfigError(path, "", "holds no rated summary", remedy="give ranked.jsonl of the set")
    metrics = {
        name: np.array([np.nan if (value := each[name]) is None else value for each in found], float)
        for name in found[0]
    }
    return dialogues, metrics, dict(zip(COUNTED, np.array(told).T, strict=True))


def _correlations(
    metric: Values, told: Values, length: Values, dialogues: Sequence[str], seed: int
) -> dict[str, Any]:
    from scipy.stats import kendalltau

    kept = ~np.isnan(metric)
    metric, told, length = metric[kept], told[kept], length[kept]
    names = sorted({name for name, keep in zip(dialogues, kept, strict=True) if keep})
    place = {name: number for number, name in enumerate(names)}
    where = np.array([place[name] for name, keep in zip(dialogues, kept, strict=True) if keep])
    if len(names) < 2:
        return {"summaries": len(metric)}
    rows = [np.flatnonzero(where == number) for number in range(len(names))]
    draw, plain, partial = np.random.default_rng(seed), list[float](), list[float]()
    for _ in range(DRAWS):
        some = np.concatenate([rows[number] for number in draw.integers(len(rows), size=len(rows))])
        plain.append(_spearman(metric[some], told[some]))
        partial.append(_partial(metric[some], told[some], length[some]))
    return {
        "spearman": _spearman(metric, told),
        "spearman_interval": _ends(plain),
        "kendall": float(kendalltau(metric, told).statistic),
        "beyond_length": _partial(metric, told, length),
        "beyond_length_interval": _ends(partial),
        "summaries": len(metric),
    }


def _spearman(one: Values, other: Values) -> float:
    """Rank correlation; 0 where either is constant."""
    from scipy.stats import rankdata

    a, b = rankdata(one), rankdata(other)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else 0.0


def _partial(one: Values, other: Values, held: Values) -> float:
    """Rank correlation once ``held`` is taken out of both; 0 where nothing is left of either."""
    ab, ah, bh = _spearman(one, other), _spearman(one, held), _spearman(other, held)
    left = (1 - ah**2) * (1 - bh**2)
    return float((ab - ah * bh) / np.sqrt(left)) if left > 1e-12 else 0.0


def _ends(values: Sequence[float]) -> list[float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return [float(low), float(high)]
