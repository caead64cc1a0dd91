"""The real losses of every stage through the private engine: exact sums, and one patient moves C at most.

Each sum is compared with a loop of plain backward passes, one record at a time, over ragged rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from intraward_client.privacy.engine import PrivateEngine, PublicEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.training import dpo, ppo, reward, rloo, rollout, sft
from intraward_client.training.inputs import FILLERS, ROLES, TrainingInputs
from intraward_client.training.schedule import open_engine
from intraward_shared.errors import TrainingAborted
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import ON_POLICY, Stage

STAGES = (Stage.SFT, Stage.REWARD, Stage.DPO, Stage.PPO, Stage.RLOO)
RECORDS = (3, 1, 2, 1)
"""Records of each patient."""


def mechanism(max_grad_norm: float = 0.5, **other: Any) -> Mechanism:
    values = {"sample_rate": 0.5, "noise_multiplier": 1.0, "steps": 2, "nominal_batch": 4}
    return Mechanism(max_grad_norm=max_grad_norm, max_records_per_unit=8, **(values | other))


def noise(seed: int = 1) -> NoiseSource:
    return NoiseSource.seeded(seed, "north", "0" * 64, 1)


@contextmanager
def loaded(inputs: TrainingInputs) -> Iterator[AdaptedModel]:
    with adapted(inputs.base, inputs.plan.lora, ROLES[inputs.plan.stage]) as model:
        inputs.load(model)
        model.use(inputs.plan.trained_input)
        yield model


def prepare(
    inputs: TrainingInputs, model: AdaptedModel, units: list[list[Any]]
) -> tuple[list[list[Any]], Callable[[Sequence[Any]], RowLosses]]:
    """What the stage hands to its engine: records and their losses (for PPO and RLOO, rollouts by index)."""
    stage = inputs.plan.stage
    if stage not in ON_POLICY:
        module = {Stage.SFT: sft, Stage.REWARD: reward, Stage.DPO: dpo}[stage]
        return units, partial(module.losses, inputs, model)
    experience = rollout.collect(inputs, model, noise(), 0, [record for unit in units for record in unit])
    moved = dataclasses.replace(  # as if some steps had been made since: nothing is at ratio 1
        experience,
        logprobs=experience.logprobs - 0.1,
        values=experience.values + 0.3,
        advantages=experience.advantages * 2,
    )
    places = iter(range(len(moved)))
    loss = (ppo if stage is Stage.PPO else rloo).losses
    return [[next(places) for _ in unit] for unit in units], partial(loss, inputs, model, moved)


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def largest_difference(found: Tensor, expected: Tensor) -> float:
    """Largest difference of any coordinate, relative to the largest coordinate."""
    return float((found - expected).abs().max() / expected.abs().max())


def one_record_gradient(
    inputs: TrainingInputs, model: AdaptedModel, loss: Callable[[Sequence[Any]], RowLosses], record: Any
) -> Tensor:
    parameters = model.parameters_of(inputs.plan.trained_input, inputs.trained)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    checkpointing, model.checkpointing = model.checkpointing, False  # the plain truth to compare with
    gradients = torch.autograd.grad(loss([record]).losses.sum(), list(parameters.values()))
    model.checkpointing = checkpointing
    return flat(dict(zip(parameters, gradients, strict=True)))


def naive_sum(
    inputs: TrainingInputs,
    model: AdaptedModel,
    units: list[list[Any]],
    loss: Callable[[Sequence[Any]], RowLosses],
    bound: float,
) -> tuple[Tensor, list[float]]:
    means = [
        torch.stack([one_record_gradient(inputs, model, loss, record) for record in unit]).mean(0)
        for unit in units
    ]
    norms = [float(mean.norm()) for mean in means]
    return sum(m * min(1.0, bound / n) for m, n in zip(means, norms, strict=True)), norms  # type: ignore[return-value]


@pytest.fixture
def batch_of(record_of: Any) -> Callable[[Stage], list[list[Any]]]:
    def make(stage: Stage) -> list[list[Any]]:
        index = iter(range(100))
        return [[record_of(stage, f"u{u}", next(index)) for _ in range(n)] for u, n in enumerate(RECORDS)]

    return make


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("stage", STAGES)
def test_clipped_sum_is_that_of_single_backward_passes(
    stage: Stage, kind: str, inputs_of: Any, batch_of: Any
) -> None:
    units = batch_of(stage)
    rows = [record for unit in units for record in unit]
    for options in ({"micro_batch": 64}, {"micro_batch": 2}, {"micro_batch": 3, "checkpointing": True}):
        inputs = inputs_of(stage, rows, mechanism=mechanism(), kind=kind, scale=0.05, **options)
        with loaded(inputs) as model:
            records, loss = prepare(inputs, model, units)
            bound = sorted(naive_sum(inputs, model, records, loss, 1.0)[1])[1]  # some clipped, some not
            plan = inputs.plan.model_copy(update={"mechanism": mechanism(bound)})
            inputs = dataclasses.replace(inputs, plan=plan)
            expected, norms = naive_sum(inputs, model, records, loss, bound)
            assert min(norms) < bound < max(norms)
            with open_engine(inputs, model, noise()) as engine:
                assert isinstance(engine, PrivateEngine)
                found = flat(engine.clipped_sum(records, loss))
                filler = FILLERS[stage] if stage not in ON_POLICY else 0
                filled = flat(engine.clipped_sum(records, loss, filler))
        assert largest_difference(found, expected) < 1e-5
        assert largest_difference(filled, expected) < 1e-5


@pytest.mark.parametrize("stage", STAGES)
def test_removing_a_patient_changes_the_sum_by_c_at_most(
    stage: Stage, inputs_of: Any, record_of: Any
) -> None:
    bound, units = 0.01, [[record_of(stage, f"u{u}", u)] for u in range(8)]
    units[1] = [record_of(stage, "u1", 40 + index) for index in range(5)]
    if stage is Stage.REWARD:
        for place, margin in ((2, float("nan")), (3, float("inf")), (4, float("-inf")), (5, 1e38)):
            units[place] = [dataclasses.replace(units[place][0], margin=margin)]
    rows = [record for unit in units for record in unit]
    inputs = inputs_of(stage, rows, scale=0.2, mechanism=mechanism(bound), micro_batch=3)
    with loaded(inputs) as model, open_engine(inputs, model, noise()) as engine:
        assert isinstance(engine, PrivateEngine)

        def clipped(present: list[list[Any]]) -> Tensor:
            return flat(engine.clipped_sum(*prepare(inputs, model, present)))

        whole = clipped(units)
        assert bool(whole.isfinite().all())
        moves = [float((whole - clipped(units[:u] + units[u + 1 :])).norm()) for u in range(8)]
    assert max(moves) <= bound * (1 + 1e-5)
    assert max(moves) > 0.99 * bound


def test_weights_beyond_all_bounds_make_a_finite_sum(inputs_of: Any, record_of: Any) -> None:
    """Rows whose gradients overflow count as zero; the others stay whole."""
    units = [[record_of(Stage.REWARD, f"u{u}", u)] for u in range(3)]
    inputs = inputs_of(Stage.REWARD, [u[0] for u in units], scale=0.1, mechanism=mechanism())
    with loaded(inputs) as model, open_engine(inputs, model, noise()) as engine:
        assert isinstance(engine, PrivateEngine)
        loss = partial(reward.losses, inputs, model)

        def scaled(factor: float) -> Callable[[Sequence[Any]], RowLosses]:
            def losses(records: Sequence[Any]) -> RowLosses:
                found = loss(records)
                factors = torch.tensor([factor if r.unit == "u1" else 1.0 for r in records])
                return RowLosses(found.losses * factors, found.record)

            return losses

        without = flat(engine.clipped_sum([units[0], units[2]], loss))
        for factor in (float("inf"), float("nan"), 3e38):
            whole = flat(engine.clipped_sum(units, scaled(factor)))
            assert bool(whole.isfinite().all())
            assert float((whole - without).norm()) <= 0.5 * (1 + 1e-5)
        for factor in (float("inf"), float("nan")):
            assert float((flat(engine.clipped_sum(units, scaled(factor))) - without).norm()) < 1e-6
        huge = flat(engine.clipped_sum(units, scaled(1e30)))
        assert float((huge - without).norm()) == pytest.approx(0.5, rel=1e-4)


def test_noise_has_its_deviation_and_empty_batches_get_it(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.REWARD, [], mechanism=mechanism(0.5, noise_multiplier=2.0))
    with loaded(inputs) as model, open_engine(inputs, model, noise()) as engine:
        assert isinstance(engine, PrivateEngine)
        total = engine.clipped_sum([], partial(reward.losses, inputs, model))
        assert float(flat(total).norm()) == 0.0
        noised = flat(engine._add_noise(total))
        assert float(noised.std()) == pytest.approx(1.0, rel=5 / (2 * len(noised)) ** 0.5)
        assert bool((noised / 2.0**-21 == (noised / 2.0**-21).round()).all())


def test_empty_batches_step_and_draw_new_noise(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.REWARD, [], mechanism=mechanism())
    with loaded(inputs) as model, open_engine(inputs, model, noise()) as engine:
        states = [model.state("reward", inputs.trained)]
        for _ in range(2):
            engine.step([], partial(reward.losses, inputs, model))
            states.append(model.state("reward", inputs.trained))
    name = inputs.trained[0]
    first, second = states[1][name] - states[0][name], states[2][name] - states[1][name]
    assert abs(first).min() > 0
    assert abs(first - second).max() > 0


def test_nothing_private_stays_on_the_model(inputs_of: Any, batch_of: Any) -> None:
    units = batch_of(Stage.REWARD)
    inputs = inputs_of(Stage.REWARD, [r for u in units for r in u], scale=0.05, mechanism=mechanism())
    with loaded(inputs) as model:
        hooks = [dict(module._forward_hooks) for module in model.modules()]  # some are transformers'
        with open_engine(inputs, model, noise()) as engine:
            engine.step(units, partial(reward.losses, inputs, model))
            for parameter in model.parameters():
                assert parameter.grad is None
                assert getattr(parameter, "grad_sample", None) is None
        for module, before in zip(model.modules(), hooks, strict=True):
            assert not module.training
            assert dict(module._forward_hooks) == before
            assert not module._backward_hooks
            assert "activations" not in module.__dict__


def test_a_tensor_outside_the_loss_is_refused(inputs_of: Any, batch_of: Any) -> None:
    units = batch_of(Stage.REWARD)
    inputs = inputs_of(Stage.REWARD, [r for u in units for r in u], scale=0.05, mechanism=mechanism())

    def headless(model: AdaptedModel, records: list[Any]) -> RowLosses:
        loss = reward.losses(inputs, model, records)
        return RowLosses(loss.losses * 0 + model.score.weight.sum() * 0, torch.arange(len(records)))

    with (
        loaded(inputs) as model,
        open_engine(inputs, model, noise()) as engine,
        pytest.raises(TrainingAborted, match="gradient for each row"),
    ):
        engine.step(units, partial(headless, model))


def test_an_optimizer_on_other_tensors_is_refused(inputs_of: Any, batch_of: Any) -> None:
    """Tensors replaced after the hooks were set (opacus #820) stop training at the first step."""
    units = batch_of(Stage.REWARD)
    inputs = inputs_of(Stage.REWARD, [r for u in units for r in u], mechanism=mechanism())
    with (
        loaded(inputs) as model,
        open_engine(inputs, model, noise()) as engine,
        pytest.raises(TrainingAborted, match="want gradients"),
    ):
        model.score.weight = torch.nn.Parameter(model.score.weight.detach().clone())
        engine.step(units, partial(reward.losses, inputs, model))


def test_public_engine_clips_the_mean_gradient(inputs_of: Any, batch_of: Any) -> None:
    records = [r for u in batch_of(Stage.SFT) for r in u]
    inputs = inputs_of(Stage.SFT, [dataclasses.replace(r, unit="public") for r in records], scale=0.1)
    with loaded(inputs) as model:
        loss = partial(sft.losses, inputs, model)
        mean = torch.stack([one_record_gradient(inputs, model, loss, r) for r in records]).mean(0)
        clipped = mean * min(1.0, 1.0 / float(mean.norm()))
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PublicEngine)
            seen: dict[str, torch.Tensor] = {}
            engine._optimizer.apply = seen.update  # type: ignore[method-assign,assignment]
            engine.step([[r] for r in records], loss)
    assert float((flat(seen) - clipped).norm() / clipped.norm()) < 1e-5
