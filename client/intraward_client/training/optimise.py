"""The loop that PPO and RLOO share: roll out, then pass over the rollouts, one batch of prompts a step.

Public prompts may be reused for ``epochs`` passes, and are watched: the ratio of new to old policy is
one before the first pass, and ``target_kl`` or ``max_ratio`` end the passes early. Under a mechanism
every pass is another access to the patients drawn, so there is exactly one; only they are rolled out,
with public fillers up to the plan's number of micro-batches, and nothing stops by what they show
(DESIGN.md section 6).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from intraward_client.privacy.engine import LossRows, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.training.guards import PassFigures, check_identity, step_figures, tells_to_stop
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.rollout import Experience, collect, group_of
from intraward_client.training.schedule import Progress, draw_batches, open_engine, step_count
from intraward_shared.modeling import AdaptedModel

RolloutLosses = Callable[
    [TrainingInputs, AdaptedModel, Experience, Sequence[int], PassFigures | None], RowLosses
]
"""Losses of the records ``index`` of an ``Experience``, which also notes the pass's figures."""


def optimise(
    inputs: TrainingInputs,
    model: AdaptedModel,
    noise: NoiseSource,
    losses: RolloutLosses,
    progress: Progress,
) -> bool:
    """All steps of an on-policy round.

    Returns:
        whether some row's gradient was not finite; not to leave the ward.

    Raises:
        TrainingAborted: the policy that is trained is not the one that sampled.
    """
    with open_engine(inputs, model, noise) as engine:
        for step, batch in enumerate(draw_batches(inputs, noise)):
            records = [record for unit in batch for record in unit]
            experience = collect(inputs, model, noise, step, records)
            rolled = len(experience) // group_of(inputs)
            places = iter(range(len(records)))
            units = [[next(places) for _ in unit] for unit in batch]
            if not inputs.private:  # length buckets
                units.sort(key=lambda unit: experience.tokens(unit[0] * group_of(inputs), group_of(inputs)))
            filler = len(records) if rolled > len(records) else 0
            for each in range(1 if inputs.private else inputs.plan.training.epochs):
                figures = PassFigures(len(records))
                checked = each == 0 and not inputs.private
                devices = inputs.on_devices(model)
                watched = [_watched(*each, losses, experience, figures, checked) for each in devices]
                engine.step(units, watched, filler)
                if not inputs.private and tells_to_stop(figures, inputs.plan.training):
                    break
            inputs.track(step, step_figures(experience.rows(range(len(records) * group_of(inputs))), figures))
            if progress is not None:
                progress((step + 1) / step_count(inputs))
        return engine.flagged


def _watched(
    inputs: TrainingInputs,
    model: AdaptedModel,
    losses: RolloutLosses,
    experience: Experience,
    figures: PassFigures,
    checked: bool,
) -> LossRows[int]:
    """Losses of one pass; ``checked``: nothing was stepped since the policy sampled."""

    def of(index: Sequence[int]) -> RowLosses:
        found = losses(inputs, model, experience, index, figures)
        if checked:
            check_identity(figures, inputs.plan.training.bf16)
        return found

    return of
