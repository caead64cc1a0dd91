"""One patient more or less moves the pre-noise sum by C at most: many random and adversarial neighbours.

The reach of rule 5 (DESIGN.md), by running: for every stage's loss, tables of random patients and of
monsters (eight notes, four-way rankings with ties, margins of NaN, infinity and 1e38, rewards and
advantages of 1e30, one word repeated), each patient in turn taken away. ``make test`` takes some of
them, ``make e2e`` a thousand a loss.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, PromptRecord, RankingRecord, SftRecord
from intraward_client.training import dpo, ppo, reward, rloo, rollout, sft
from intraward_client.training.inputs import FILLERS, ROLES, TrainingInputs
from intraward_client.training.rollout import Experience
from intraward_client.training.schedule import open_engine
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import ON_POLICY, Stage

STAGES = (Stage.SFT, Stage.REWARD, Stage.DPO, Stage.PPO, Stage.RLOO)
CHOSEN: tuple[tuple[Stage, dict[str, Any]], ...] = (
    *((stage, {}) for stage in STAGES),
    (Stage.REWARD, {"ranking": "plackett_luce"}),
    (Stage.REWARD, {"tie_nu": 0.7}),
    (Stage.DPO, {"loss_type": "ipo"}),
    (Stage.DPO, {"loss_type": "robust", "label_smoothing": 0.2}),
)
"""Every stage, and the losses that a plan may choose for it."""
BOUND = 0.01
PATIENTS = 10
MARGINS = (0.0, 1.0, 3.0, float("nan"), float("inf"), float("-inf"), 1e38, -1e38)
HUGE = (1.0, 1e3, 1e30, -1e30, float("inf"), float("nan"))

mechanism = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=BOUND,
    steps=2,
    nominal_batch=4,
    max_records_per_unit=8,
)


def words(draw: random.Random, most: int) -> str:
    """Some words; now and then one word over and over."""
    count = draw.randint(1, most)
    if draw.random() < 0.2:
        return " ".join([f"w{draw.randrange(20)}"] * count)
    return " ".join(f"w{draw.randrange(20)}" for _ in range(count))


def record(stage: Stage, unit: str, number: int, draw: random.Random) -> Any:
    prompt, name = words(draw, 4), f"{unit}-{number}"
    if stage is Stage.SFT:
        return SftRecord(unit, prompt, words(draw, 6), name)
    if stage in ON_POLICY:
        return PromptRecord(unit, name, prompt)
    if stage is Stage.REWARD and draw.random() < 0.4:
        count = draw.choice((2, 3, 4, 4))
        answers = tuple(words(draw, 6) for _ in range(count))
        return RankingRecord(unit, prompt, answers, tuple(draw.randint(1, count) for _ in answers), name)
    return PairRecord(unit, prompt, words(draw, 6), words(draw, 6), draw.choice(MARGINS), name)


def table(stage: Stage, draw: random.Random) -> list[list[Any]]:
    """Patients with one to eight records, one of whom has eight copies of the same."""
    units = [
        [record(stage, f"u{u}", n, draw) for n in range(draw.choice((1, 1, 2, 3, 8)))]
        for u in range(PATIENTS)
    ]
    first = units[0][0]
    key = "prompt_id" if stage in ON_POLICY else "row_id"
    units[0] = [dataclasses.replace(first, **{key: f"u0-{n}"}) for n in range(8)]
    return units


def spoiled(experience: Experience, units: list[list[PromptRecord]], seed: int, group: int) -> Experience:
    """Rollouts whose rewards some patients made as large as they like; each patient's own, by name."""
    factor = torch.ones(len(experience))
    place = 0
    for unit in units:
        rows = len(unit) * group
        factor[place : place + rows] = random.Random(f"{seed}/{unit[0].unit}").choice(HUGE)
        place += rows
    scale = factor[:, None]
    return dataclasses.replace(
        experience,
        logprobs=experience.logprobs - 0.1,
        values=experience.values + 0.3,
        advantages=experience.advantages * scale,
        returns=experience.returns * scale,
    )


def loss_of(
    inputs: TrainingInputs, model: AdaptedModel, units: list[list[Any]], seed: int
) -> tuple[list[list[Any]], Callable[[Sequence[Any]], Any], Any]:
    """Records, losses and filler as the stage hands them to its engine."""
    stage = inputs.plan.stage
    if stage not in ON_POLICY:
        module = {Stage.SFT: sft, Stage.REWARD: reward, Stage.DPO: dpo}[stage]
        return units, partial(module.losses, inputs, model), FILLERS[stage]
    records = [record for unit in units for record in unit]
    source = NoiseSource.seeded(seed, "north", "0" * 64, 1)
    group = rollout.group_of(inputs)
    experience = spoiled(rollout.collect(inputs, model, source, 0, records), units, seed, group)
    places = iter(range(len(records)))
    indexed = [[next(places) for _ in unit] for unit in units]
    module = ppo if stage is Stage.PPO else rloo
    return indexed, partial(module.losses, inputs, model, experience), len(experience) // group - 1


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def largest_moves(stage: Stage, chosen: dict[str, Any], trials: int, inputs_of: Any) -> tuple[float, int]:
    """Largest change of the clipped sum over all neighbours, and how many there were."""
    largest, count = 0.0, 0
    for trial in range(trials):
        draw = random.Random(1000 * trial + STAGES.index(stage))
        units = table(stage, draw)
        scale, kind = draw.choice((0.05, 0.3)), draw.choice(("llama", "gpt2"))
        size = draw.choice((7, 32, 32))
        inputs = inputs_of(stage, [], kind, scale=scale, mechanism=mechanism, micro_batch=size, **chosen)
        roles = ROLES[stage]
        with adapted(inputs.base, inputs.plan.lora, roles) as model:
            inputs.load(model)
            model.use(inputs.plan.trained_input)
            noise = NoiseSource.seeded(1, "north", "0" * 64, 1)
            with open_engine(inputs, model, noise) as engine:
                assert isinstance(engine, PrivateEngine)
                records, loss, filler = loss_of(inputs, model, units, trial)
                sums = [
                    flat(engine.clipped_sum(present, loss, filler))
                    for present in (records, *(records[:u] + records[u + 1 :] for u in range(len(units))))
                ]
        assert all(bool(total.isfinite().all()) for total in sums)
        largest = max([largest, *(float((sums[0] - without).norm()) for without in sums[1:])])
        count += len(units)
    return largest, count


@pytest.mark.parametrize(("stage", "chosen"), CHOSEN)
def test_some_neighbours(stage: Stage, chosen: dict[str, Any], inputs_of: Any) -> None:
    largest, _ = largest_moves(stage, chosen, 2, inputs_of)
    assert 0.99 * BOUND < largest <= BOUND * (1 + 1e-5)


def moves_of_rewards(stage: Stage, trial: int, rewarded_of: Any) -> list[float]:
    """Changes of the clipped sum over neighbours, each rolled out and rewarded anew with every term on.

    In odd trials the reward heads overflow, so that scores are infinite or not a number, and vetoed.
    """
    draw = random.Random(f"rewards/{trial}/{stage}")
    units = table(stage, draw)[:6]
    scale = {"heads_scale": 1e37} if trial % 2 else {}
    inputs = rewarded_of(stage, [], mechanism=mechanism, micro_batch=16, **scale)
    module = ppo if stage is Stage.PPO else rloo

    def fresh() -> NoiseSource:
        return NoiseSource.seeded(trial, "north", "0" * 64, 1)

    with adapted(inputs.base, inputs.plan.lora, ROLES[stage]) as model:
        inputs.load(model)
        model.use("policy")
        with open_engine(inputs, model, fresh()) as engine:
            assert isinstance(engine, PrivateEngine)

            def summed(present: list[list[PromptRecord]]) -> Tensor:
                records = [record for unit in present for record in unit]
                seen = rollout.collect(inputs, model, fresh(), 0, records)
                places, last = iter(range(len(records))), len(seen) // rollout.group_of(inputs) - 1
                index = [[next(places) for _ in unit] for unit in present]
                return flat(engine.clipped_sum(index, partial(module.losses, inputs, model, seen), last))

            whole = summed(units)
            assert bool(whole.isfinite().all())
            return [float((whole - summed(units[:u] + units[u + 1 :])).norm()) for u in range(len(units))]


@pytest.mark.parametrize("stage", ON_POLICY)
def test_some_neighbours_under_every_term_of_a_reward(stage: Stage, rewarded_of: Any) -> None:
    """Heads, vetoes, uncertainty penalty, rules, critique and length: no reward is anybody else's affair."""
    moves = [move for trial in range(2) for move in moves_of_rewards(stage, trial, rewarded_of)]
    assert 0.99 * BOUND < max(moves) <= BOUND * (1 + 1e-5)


@pytest.mark.exhaustive
@pytest.mark.parametrize("stage", ON_POLICY)
def test_many_neighbours_under_every_term_of_a_reward(stage: Stage, rewarded_of: Any) -> None:
    moves = [move for trial in range(2, 14) for move in moves_of_rewards(stage, trial, rewarded_of)]
    assert len(moves) == 72 and max(moves) <= BOUND * (1 + 1e-5)


@pytest.mark.exhaustive
@pytest.mark.parametrize(("stage", "chosen"), CHOSEN)
def test_a_thousand_neighbours(stage: Stage, chosen: dict[str, Any], inputs_of: Any) -> None:
    trials = 30 if chosen else 100
    largest, count = largest_moves(stage, chosen, trials, inputs_of)
    assert count >= 10 * trials
    assert 0.99 * BOUND < largest <= BOUND * (1 + 1e-5)
