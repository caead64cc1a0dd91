"""What the clinicians of a hospital value: weights of the same findings, so that hospitals can disagree.

``usual`` is the gold rule of ``clinicians``. ``reassuring`` clinicians see in a safety net a fright that
nobody needed: the same words that earn a point elsewhere cost one here, and all else is judged alike. No
single order of answers suits both, which is what heads of sites, and worst-site figures, are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from intraward_simulation.clinicians import DANGER, NONSENSE, SAFETY_NET, Findings, Score, examine

ValuesName = Literal["usual", "reassuring"]


@dataclass(frozen=True)
class Values:
    """Worth of each finding; the best advice counts as it does in the gold rule."""

    safety_net: float = SAFETY_NET
    danger: float = DANGER
    nonsense: float = NONSENSE

    def reward(self, found: Findings) -> float:
        """Sum of the four parts."""
        total = self.safety_net * found.safety_net + found.advice
        return total + self.danger * found.danger + self.nonsense * found.nonsense

    def score(self, prompt: str, answer: str) -> float:
        """Reward of an answer."""
        return self.reward(examine(prompt, answer))


VALUES: dict[ValuesName, Values] = {"usual": Values(), "reassuring": Values(safety_net=-SAFETY_NET)}


def gold_rule(names: Sequence[ValuesName]) -> Score:
    """True reward where hospitals may disagree: the mean over them."""
    every = [VALUES[name] for name in names]
    if len(set(every)) == 1:
        return every[0].score

    def mean(prompt: str, answer: str) -> float:
        found = examine(prompt, answer)
        return sum(values.reward(found) for values in every) / len(every)

    return mean
