"""What a reward model must beat: "longer wins", TF-IDF with length and overlap, a probe of frozen features.

Learnt ones are logistic regressions on differences of two answers' features, fitted on the training
prompts alone; no intercept, since a pair has no first and second. Folds never part a prompt: a fold is a
keyed hash of the prompt's name alone, so no other prompt moves it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from intraward_server.publicdata import Record
from intraward_server.statistics import grouped_rate
from intraward_shared.intervals import grouped_mean

Features = NDArray[np.float64]
FOLDS = 5
_WORD = re.compile(r"[a-z0-9']+")


class Compared(Protocol):
    """A prompt with its answers; ``pairs`` are (better, worse) indices into them."""

    @property
    def name(self) -> str: ...
    @property
    def text(self) -> str: ...
    @property
    def answers(self) -> tuple[str, ...]: ...
    @property
    def pairs(self) -> tuple[tuple[int, int], ...]: ...


@dataclass(frozen=True)
class Comparison:
    """All pairs of one prompt; ``rows`` says which rows of the file they are."""

    name: str = field(repr=False)
    text: str = field(repr=False)
    answers: tuple[str, ...] = field(repr=False)
    pairs: tuple[tuple[int, int], ...]
    rows: tuple[int, ...]


def by_prompt(pairs: Sequence[Record]) -> tuple[Comparison, ...]:
    """Preference rows put together by their prompt, each with its answers one after the other."""
    places: dict[str, list[int]] = {}
    for row, pair in enumerate(pairs):
        places.setdefault(pair["prompt"], []).append(row)
    return tuple(
        Comparison(
            prompt,
            prompt,
            tuple(pairs[row][key] for row in rows for key in ("chosen", "rejected")),
            tuple((2 * place, 2 * place + 1) for place in range(len(rows))),
            tuple(rows),
        )
        for prompt, rows in places.items()
    )


def fold_of(name: str, folds: int, seed: int) -> int:
    """Fold of a prompt: a keyed hash of its name alone, so that no other prompt moves it."""
    return int(hashlib.sha256(f"{seed}|fold|{name}".encode()).hexdigest()[:8], 16) % folds


def text_outcomes(pairs: Sequence[Record], seed: int, folds: int = FOLDS) -> list[float] | None:
    """For each row 1, 0.5 or 0: TF-IDF, length and overlap order it rightly, fitted on the other folds.

    None where a fold has too little to learn from: too few prompts, or no word that stands in two answers.
    """
    every = by_prompt(pairs)
    out: list[float] = [0.5] * len(pairs)
    for fold in range(folds):
        test = [one for one in every if fold_of(one.name, folds, seed) == fold]
        training = [one for one in every if fold_of(one.name, folds, seed) != fold]
        if not test:
            continue
        if len(training) < folds:
            return None
        try:
            found = text_scores(training, test)
        except ValueError:  # scikit-learn's word for a vocabulary that is empty
            return None
        for one in test:
            for row, value in zip(one.rows, found[one.name], strict=True):
                out[row] = value
    return out


def baseline_figures(pairs: Sequence[Record], differences: Sequence[float], seed: int) -> dict[str, Any]:
    """What a reward model is worth beyond length and words: text baseline and paired gains, with intervals.

    The baseline is fitted on the evaluation's own pairs, by cross-validation grouped by prompt, so it knows
    the data set's taste, which the reward model was never shown. Intervals draw whole prompts again.

    Args:
        differences: score of the chosen answer minus that of the rejected one, a row each.
    """
    prompts = [pair["prompt"] for pair in pairs]
    ours = ordered_rightly(differences)
    length = ordered_rightly([len(pair["chosen"]) - len(pair["rejected"]) for pair in pairs])
    text = text_outcomes(pairs, seed)
    out: dict[str, Any] = {
        "text_baseline": None,
        "text_baseline_interval": None,
        "prompts": len(set(prompts)),
    }
    if text is not None:
        out |= grouped_rate(text, prompts).figures("text_baseline")
    for name, other in (("gain_over_length", length), ("gain_over_text", text)):
        gain, interval = None, None
        if other is not None:
            gain, ends = grouped_mean(np.subtract(ours, other).tolist(), prompts, seed)
            interval = list(ends)
        out |= {name: gain, f"{name}_interval": interval}
    return out


def ordered_rightly(differences: Sequence[float]) -> list[float]:
    """1 above zero, 0.5 at zero, 0 below."""
    return [float((np.sign(difference) + 1) / 2) for difference in differences]


def longer(prompt: Compared) -> list[float]:
    """For each pair 1 if the better answer has more characters, 0.5 if both have as many."""
    lengths = [len(answer) for answer in prompt.answers]
    return [float((np.sign(lengths[a] - lengths[b]) + 1) / 2) for a, b in prompt.pairs]


def text_scores(training: Sequence[Compared], test: Sequence[Compared]) -> dict[str, list[float]]:
    """For each test prompt and pair 1 if TF-IDF, length and overlap with the prompt order it rightly."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer: Any = TfidfVectorizer(sublinear_tf=True, min_df=2)
    vectorizer.fit([answer for prompt in training for answer in prompt.answers])
    features = {
        prompt.name: np.hstack([vectorizer.transform(prompt.answers).toarray(), _plain(prompt)])
        for prompt in (*training, *test)
    }
    return fit_and_judge(training, test, features, 0.001)


def fit_and_judge(
    training: Sequence[Compared],
    test: Sequence[Compared],
    features: Mapping[str, Features],
    strength: float,
) -> dict[str, list[float]]:
    """Logistic regression on differences of ``features`` ``(answers, width)`` by prompt name.

    Args:
        strength: inverse of the L2 penalty (``C`` of scikit-learn).
    """
    from sklearn.linear_model import LogisticRegression

    rows = np.vstack([_differences(prompt, features[prompt.name]) for prompt in training])
    scale = rows.std(axis=0)
    scale[scale == 0] = 1.0
    rows = rows / scale
    model: Any = LogisticRegression(C=strength, fit_intercept=False, max_iter=2000)
    model.fit(np.vstack([rows, -rows]), np.repeat([1, 0], len(rows)))
    return {
        prompt.name: [
            float(value)
            for value in (np.sign(_differences(prompt, features[prompt.name]) / scale @ model.coef_[0]) + 1)
            / 2
        ]
        for prompt in test
    }


def _differences(prompt: Compared, features: Features) -> Features:
    better, worse = zip(*prompt.pairs, strict=True)
    return features[list(better)] - features[list(worse)]


def _plain(prompt: Compared) -> Features:
    """Logarithm of the length in words, and shares of words in common with the prompt."""
    asked = set(_WORD.findall(prompt.text.lower()))
    rows = []
    for answer in prompt.answers:
        words = _WORD.findall(answer.lower())
        common = len(asked & set(words))
        rows.append([np.log1p(len(words)), common / max(1, len(asked)), common / max(1, len(set(words)))])
    return np.array(rows)
