"""Several devices of one site: the same update as one, and a patient on two of them is clipped once."""

from __future__ import annotations

import copy
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from intraward_client.privacy import replicas
from intraward_client.privacy.engine import PrivateEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.training import rollout, schedule
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.sft import losses
from intraward_client.training.train import train
from intraward_shared.adapters import encode
from intraward_shared.errors import TrainingAborted
from intraward_shared.modeling import AdaptedModel, BaseModel
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import ON_POLICY, Stage

STAGES = (
    Stage.SFT,
    Stage.PPO,
    *(pytest.param(stage, marks=pytest.mark.exhaustive) for stage in (Stage.REWARD, Stage.DPO, Stage.RLOO)),
)
BOUND = 0.5
terms = Mechanism(
    sample_rate=0.9,
    noise_multiplier=0.5,
    max_grad_norm=BOUND,
    steps=3,
    nominal_batch=4,
    max_records_per_unit=3,
)


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def another(base: BaseModel) -> BaseModel:
    """The same base model once more, as on a further device."""
    return BaseModel(copy.deepcopy(base.network), base.tokenizer, base.digest)


def on_three(inputs: TrainingInputs) -> TrainingInputs:
    return replace(inputs, more_bases=(another(inputs.base), another(inputs.base)))


@pytest.mark.parametrize("stage", STAGES)
def test_patients_rows_give_the_same_bytes_on_one_device_and_on_three(
    stage: Stage, inputs_of: Any, record_of: Any
) -> None:
    rows = [record_of(stage, f"u{index // 3}", index) for index in range(15)]
    one = inputs_of(stage, rows, scale=0.05, mechanism=terms, micro_batch=2)
    assert encode(train(on_three(one), noise()).tensors) == encode(train(one, noise()).tensors)


@pytest.mark.exhaustive
@pytest.mark.parametrize("stage", STAGES)
def test_public_rows_give_the_same_update_but_for_the_order_of_sums(
    stage: Stage, inputs_of: Any, record_of: Any
) -> None:
    rows = [record_of(stage, "public", index) for index in range(12)]
    one = inputs_of(stage, rows, scale=0.05, steps=3, batch=6, micro_batch=2)
    found, expected = train(on_three(one), noise()).tensors, train(one, noise()).tensors
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("stage", [Stage.SFT, Stage.PPO])
def test_every_device_works_and_follows(
    stage: Stage, inputs_of: Any, record_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [record_of(stage, f"u{index // 3}", index) for index in range(15)]
    three = on_three(inputs_of(stage, rows, scale=0.05, mechanism=terms, micro_batch=2))
    ran: set[tuple[int, int]] = set()
    whole = replicas.in_turn

    def watched(work: Any, items: Any) -> Any:
        def of(number: int, one: Any) -> Any:
            def run(item: Any) -> Any:
                ran.add((number, threading.get_ident()))
                return one(item)

            return run

        return whole([of(number, one) for number, one in enumerate(work)], items)

    for module in ("engine", "replicas"):
        monkeypatch.setattr(f"intraward_client.privacy.{module}.in_turn", watched)
    monkeypatch.setattr(rollout, "in_turn", watched)
    with three.loaded() as (ready, model), schedule.open_engine(ready, model, noise()) as engine:
        records = [[row] for row in rows[:6]]
        if stage in ON_POLICY:
            rollout.collect(ready, model, noise(), 0, rows[:6])
        else:
            by_device = [
                lambda given, own=own, copied=copied: losses(own, copied, given)
                for own, copied in ready.on_devices(model)
            ]
            engine.step(records, by_device)
        assert {number for number, _ in ran} == {0, 1, 2} and len({thread for _, thread in ran}) > 1
        own = model.parameters_of(three.plan.trained_input, three.trained)
        for _, each in ready.copies:
            for name, parameter in each.parameters_of(three.plan.trained_input, three.trained).items():
                assert parameter is not own[name] and torch.equal(parameter, own[name])


def test_a_patient_on_two_devices_is_clipped_once(inputs_of: Any, record_of: Any) -> None:
    records = [record_of(Stage.SFT, "u", index) for index in range(3)]
    three = on_three(inputs_of(Stage.SFT, records, scale=0.3, mechanism=terms, micro_batch=1))
    with three.loaded() as (ready, model), schedule.open_engine(ready, model, noise()) as engine:

        def loud(own: TrainingInputs, copied: AdaptedModel) -> Any:
            def of(given: Any) -> RowLosses:
                found = losses(own, copied, given)
                return found._replace(losses=1e4 * found.losses)

            return of

        assert isinstance(engine, PrivateEngine)
        total = engine.clipped_sum([records], [loud(*each) for each in ready.on_devices(model)])
        norm = float(torch.stack([value.square().sum() for value in total.values()]).sum().sqrt())
    assert norm == pytest.approx(BOUND, rel=1e-6)


def test_what_fails_on_one_device_ends_the_step(inputs_of: Any, record_of: Any) -> None:
    rows = [record_of(Stage.SFT, "public", index) for index in range(6)]
    three = on_three(inputs_of(Stage.SFT, rows, batch=6, micro_batch=1))
    three.more_bases[1].network.lm_head = None
    with pytest.raises(TrainingAborted, match=r"training stopped with \w+Error"):
        train(three, noise())


def test_items_come_back_in_order() -> None:
    work = [lambda item, plus=plus: item * 10 + plus for plus in range(3)]
    assert list(replicas.in_turn(work, list(range(5)))) == [0, 11, 22, 30, 41]
    assert list(replicas.in_turn(work[:1], [])) == []
