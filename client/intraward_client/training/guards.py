"""Guards of on-policy training: is the trained policy the one that sampled, and has it gone too far?

The identity check catches dropout, padding, temperature and dtype mistakes at once: before the first
optimiser step the ratio of new to old policy is one (facts on PPO, A.3). Stops work on public prompts
only; on patients' rows they would couple patients (DESIGN.md section 6). Figures are for curves that
stay in the ward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from threading import Lock

import torch
from torch import Tensor

from intraward_client.training.rollout import Experience
from intraward_shared.errors import TrainingAborted
from intraward_shared.protocol import TrainingSpec

IDENTITY = 1e-3
"""Largest distance of a token's ratio from one in fp32 (tiny models stay below 1e-5)."""
IDENTITY_BF16 = 0.05
"""Mean distance under bf16 autocast, where single tokens differ more in batches of another shape."""
KL_SLACK = 1.5
"""Passes stop at this multiple of ``target_kl`` (OpenAI baselines)."""


class PassFigures:
    """Sums over one pass on a batch of rollouts; nothing here carries a gradient.

    Args:
        records: how many are real; what stands behind them only fills the plan's shape.
    """

    def __init__(self, records: int) -> None:
        self._records, self._tokens, self._rows, self.largest = records, 0.0, 0.0, 0.0
        self._adding = Lock()  # devices add at the same time
        self._sums = dict.fromkeys(("ratio", "distance", "kl", "clipped", "policy_loss", "value_loss"), 0.0)

    @torch.no_grad()
    def add(
        self,
        index: Sequence[int],
        ratio: Tensor,
        mask: Tensor,
        cliprange: float,
        policy: Tensor,
        value: Tensor | None = None,
    ) -> None:
        """Note one micro-batch.

        Args:
            index: place of each row's record; ratio, mask: ``(rows, tokens)``; policy, value: loss of
                each row ``(rows,)``.
        """
        real = torch.tensor([place < self._records for place in index], device=ratio.device)
        keep = (mask & real[:, None]).to(ratio.dtype)
        change = ratio.log()
        distance = (ratio - 1).abs() * keep
        largest = float(distance.max()) if bool(distance.isfinite().all()) else inf
        sums = {
            "ratio": (ratio * keep).sum(),
            "distance": distance.sum(),
            "kl": ((ratio - 1 - change) * keep).sum(),  # Schulman's k3 of the policy that sampled
            "clipped": (((ratio - 1).abs() > cliprange) * keep).sum(),
            "policy_loss": (policy * real).sum(),
            "value_loss": torch.zeros(()) if value is None else (value * real).sum(),
        }
        added = {name: float(total) for name, total in sums.items()}
        tokens, rows = float(keep.sum()), float(real.sum())
        with self._adding:
            self._tokens, self._rows = self._tokens + tokens, self._rows + rows
            self.largest = max(self.largest, largest)
            for name, total in added.items():
                self._sums[name] += total

    def mean(self, name: str) -> float:
        """Mean over tokens, or over rows for a loss."""
        return self._sums[name] / max(1.0, self._rows if name.endswith("loss") else self._tokens)


def check_identity(figures: PassFigures, bf16: bool) -> None:
    """Refuse to step when the policy that is trained is not the one that sampled.

    Raises:
        TrainingAborted: the ratio is not one before the first step.
    """
    if not (figures.mean("distance") <= IDENTITY_BF16 if bf16 else figures.largest <= IDENTITY):
        raise TrainingAborted(
            "the trained policy is not the one that sampled: its ratio is not 1 before the first step",
            remedy="check dropout, padding and temperature of this model, or plan without bf16",
        )


def tells_to_stop(figures: PassFigures, spec: TrainingSpec) -> bool:
    """Whether the passes over this batch end here, after its step. Never asked of patients' rows."""
    too_far = spec.target_kl is not None and not figures.mean("kl") <= KL_SLACK * spec.target_kl
    return too_far or (spec.max_ratio is not None and not figures.mean("ratio") <= spec.max_ratio)


def step_figures(experience: Experience, figures: PassFigures) -> Mapping[str, float]:
    """Figures of a step's rollouts (masked means) and of the last pass over them."""
    rows = max(1, len(experience))
    mask = experience.mask
    tokens = max(1.0, float(mask.sum()))
    out = {
        "reward": float(experience.scores.sum()) / rows,
        "kl": float(experience.kl.sum()) / rows,
        "entropy": -float((experience.logprobs * mask).sum()) / tokens,  # of sampled tokens: unbiased
        "length": float(mask.sum()) / rows,
        "ended": float(experience.ended.sum()) / rows,
        "loss": figures.mean("policy_loss"),
        "value_loss": figures.mean("value_loss"),
        "approx_kl": figures.mean("kl"),
        "clip_fraction": figures.mean("clipped"),
        "ratio": figures.mean("ratio"),
    }
    returns = experience.returns[mask] if len(experience) else torch.zeros(0)
    if len(returns) > 1 and float(returns.var()) > 0:
        residual = returns - experience.values[mask]
        out["explained_variance"] = 1 - float(residual.var() / returns.var())
    return out
