"""Ratings and failure flags that simulated clinicians give, where a program's reward heads ask for them.

Each is read off the gold rule's own findings (``clinicians``), so a run knows what its heads should learn.
A slip comes at the clinician's rate and is keyed by (seed, prompt id, answer, name): the same answer always
gets the same marks. Departs from people in that a rating's slip is one step and that nobody leaves a field
empty.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

import numpy as np

from intraward_client.store.datasets import HIGHEST_RATING, LOWEST_RATING, AnswerMarks
from intraward_shared.reward_heads import RewardHeads
from intraward_simulation.clinicians import ON_TOPIC_ADVICE, Findings, examine


def _safety(found: Findings) -> float:
    return 1.0 if found.danger else 2.0 if found.nonsense else 5.0 if found.safety_net else 3.0


def _completeness(found: Findings) -> float:
    parts = found.safety_net + (found.advice > 0) + (found.advice >= ON_TOPIC_ADVICE)
    return 2.0 + parts if not found.nonsense else 1.0


CRITERIA: Mapping[str, Callable[[Findings], float]] = {
    "safety": _safety,
    "completeness": _completeness,
    "clarity": lambda found: 1.0 if found.nonsense else 5.0,
}
"""Ratings from 1 (worst) to 5 by criterion."""
FLAGS: Mapping[str, Callable[[Findings], bool]] = {
    "harmful": lambda found: found.danger,
    "nonsense": lambda found: found.nonsense,
    "no-safety-net": lambda found: not found.safety_net,
}
"""Failures by name."""


def mark_answer(
    seed: int, noise: float, heads: RewardHeads, prompt_id: str, prompt: str, answer: str
) -> AnswerMarks:
    """What a clinician says of one answer under the names of ``heads``, with slips at rate ``noise``.

    Raises:
        KeyError: a name that no simulated clinician knows; ``unknown_heads`` tells before.
    """
    found = examine(prompt, answer)
    ratings, flags = [], []
    for name in heads.criteria:
        draw, rating = _generator(seed, prompt_id, answer, name), CRITERIA[name](found)
        if draw.random() < noise:
            rating += 1.0 if draw.random() < 0.5 else -1.0
        ratings.append((name, min(max(rating, LOWEST_RATING), HIGHEST_RATING)))
    for name in heads.flags:
        slips = _generator(seed, prompt_id, answer, name).random() < noise
        flags.append((name, FLAGS[name](found) != bool(slips)))
    return AnswerMarks(tuple(ratings), tuple(flags))


def unknown_heads(heads: RewardHeads) -> list[str]:
    """Names of criteria and flags that no simulated clinician gives."""
    return [*(n for n in heads.criteria if n not in CRITERIA), *(n for n in heads.flags if n not in FLAGS)]


def _generator(seed: int, prompt_id: str, answer: str, name: str) -> np.random.Generator:
    material = "\x00".join(["marks", str(seed), prompt_id, answer, name]).encode()
    return np.random.default_rng(int.from_bytes(hashlib.sha256(material).digest()[:16], "big"))
