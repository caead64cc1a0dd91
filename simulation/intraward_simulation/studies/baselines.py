"""What a reward model must beat: "longer wins", TF-IDF with length and overlap, a probe of frozen features.

Learnt ones are logistic regressions on differences of two answers' features, fitted on the training
prompts alone; no intercept, since a pair has no first and second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from intraward_simulation.studies.judged import Prompt

Features = NDArray[np.float64]
_WORD = re.compile(r"[a-z0-9']+")


def longer(prompt: Prompt) -> list[float]:
    """For each pair 1 if the better answer has more characters, 0.5 if both have as many."""
    lengths = [len(answer) for answer in prompt.answers]
    return [float((np.sign(lengths[a] - lengths[b]) + 1) / 2) for a, b in prompt.pairs]


def text_scores(training: Sequence[Prompt], test: Sequence[Prompt]) -> dict[str, list[float]]:
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
    training: Sequence[Prompt], test: Sequence[Prompt], features: Mapping[str, Features], strength: float
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


def _differences(prompt: Prompt, features: Features) -> Features:
    better, worse = zip(*prompt.pairs, strict=True)
    return features[list(better)] - features[list(worse)]


def _plain(prompt: Prompt) -> Features:
    """Logarithm of the length in words, and shares of words in common with the prompt."""
    asked = set(_WORD.findall(prompt.text.lower()))
    rows = []
    for answer in prompt.answers:
        words = _WORD.findall(answer.lower())
        common = len(asked & set(words))
        rows.append([np.log1p(len(words)), common / max(1, len(asked)), common / max(1, len(set(words)))])
    return np.array(rows)
