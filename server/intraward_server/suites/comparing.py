"""Win rates of the newest policy over the ones before it, by each judge, and with length held equal.

Ties count half; the length-controlled rate and the intervals over prompts are those of ``winrates``. The
reward model's word is not a second opinion: it is what the policy was trained on. A gold judge or blind
clinicians (``intraward-server blind``) are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from intraward_shared.winrates import outcomes, win_rate

Judge = Callable[[Sequence[str], Sequence[str]], list[float]]
"""Score of each answer to its prompt, higher is better."""


def win_figures(
    prompts: Sequence[str],
    answers: Mapping[str, Sequence[str]],
    judges: Mapping[str, Judge],
    seed: int,
) -> dict[str, Any]:
    """Rates of the first policy of ``answers`` over each of the others, by judge.

    Args:
        answers: by policy, one a prompt.
    """
    ours, *others = answers
    scores = {
        judge: {name: ask(prompts, said) for name, said in answers.items()} for judge, ask in judges.items()
    }
    words = {name: np.array([len(text.split()) for text in said], float) for name, said in answers.items()}
    return {
        f"over_{other}": {
            judge: rate_figures(found[ours], found[other], words[ours] - words[other], seed)
            for judge, found in scores.items()
        }
        for other in others
    }


def rate_figures(
    ours: Sequence[float], theirs: Sequence[float], longer: np.ndarray[Any, np.dtype[np.float64]], seed: int
) -> dict[str, Any]:
    """One judge's rate and the length-controlled one.

    Args:
        longer: words of our answer minus words of theirs ``(prompts,)``.
    """
    found = win_rate(outcomes(ours, theirs)[None], longer[None], seed)
    return {
        "win_rate": found.rate,
        "win_rate_interval": list(found.interval),
        "length_controlled": found.controlled,
        "length_controlled_interval": list(found.controlled_interval),
        "words_more": float(longer.mean()),
        "prompts": len(longer),
    }
