"""A head for each site: a ward learns with its own row alone, under one clip, one noise and one charge."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import AnswerMarks, PairRecord, TrainingTable
from intraward_client.training import reward
from intraward_client.training.inputs import FILLERS, TrainingInputs
from intraward_client.training.schedule import open_engine
from intraward_client.training.train import train
from intraward_server.admission import norm_bound
from intraward_shared.adapters import l2_norm, shapes
from intraward_shared.errors import ContractError
from intraward_shared.modeling import adapted, initial_state
from intraward_shared.protocol import Mechanism, OutputSpec, RoundPlan
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage

COHORT = ("east", "north", "west")
HEADS = RewardHeads(head="per_site", members=3, criteria=("safety",))
OWN = 1
BOUND = 0.01
MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=BOUND,
    steps=3,
    nominal_batch=4,
    max_records_per_unit=8,
)


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def words(draw: random.Random) -> str:
    return " ".join(f"w{draw.randrange(20)}" for _ in range(draw.randint(1, 5)))


def comparison(unit: str, number: int, draw: random.Random) -> PairRecord:
    given = (AnswerMarks((("safety", 5.0),)), AnswerMarks((("safety", 1.0),)))
    return PairRecord(unit, words(draw), words(draw), words(draw), 0.0, f"{unit}-{number}", given)


@pytest.fixture
def site_of(tiny: Any, plan_of: Any, lora_of: Any) -> Callable[..., TrainingInputs]:
    """``site_of("north", rows)``: a reward round of a site, whose cohort has three."""

    def make(site: str, rows: Any = ()) -> TrainingInputs:
        lora = lora_of("llama").model_copy(update={"reward": HEADS})
        drawn, base = np.random.default_rng(5), tiny("llama")
        state = {
            name: (array + 0.3 * drawn.normal(size=array.shape)).astype(np.float32)
            for name, array in initial_state(base, lora, Stage.REWARD, 3).items()
        }
        plan: RoundPlan = plan_of(Stage.REWARD, mechanism=MECHANISM, micro_batch=16)
        outputs = tuple(OutputSpec(name=name, shape=shape) for name, shape in shapes(state).items())
        plan = plan.model_copy(update={"lora": lora, "cohort": COHORT, "outputs": outputs})
        return TrainingInputs(plan, base, {"reward": state}, TrainingTable(tuple(rows)), site=site)

    return make


def test_a_patient_moves_its_own_sites_row_only_and_all_tensors_together_by_the_bound(site_of: Any) -> None:
    draw = random.Random(1)
    units = [[comparison(f"u{unit}", n, draw) for n in range(draw.choice((1, 3)))] for unit in range(5)]
    inputs = site_of("north")
    with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model:
        inputs.load(model)
        model.use("reward")
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)
            loss = partial(reward.losses, inputs, model)
            whole, *fewer = (
                engine.clipped_sum(present, loss, FILLERS[Stage.REWARD])
                for present in (units, *(units[:u] + units[u + 1 :] for u in range(len(units))))
            )
    head = whole["score.weight"]
    assert not head[[0, 2]].any() and head[OWN].norm() > 0.01 * BOUND and head[3].norm() > 0
    moved = [
        torch.stack([(whole[name] - without[name]).square().sum() for name in whole]).sum().sqrt()
        for without in fewer
    ]
    assert 0.99 * BOUND < max(moved) <= BOUND * (1 + 1e-5)


def test_every_row_that_leaves_is_noised_and_the_bound_of_admission_holds(site_of: Any) -> None:
    """Without a patient, and with some: no row is ever sent as it was, and no row is left out of the norm."""
    draw = random.Random(2)
    for rows in ((), [comparison(f"u{n}", 0, draw) for n in range(6)]):
        inputs = site_of("north", rows)
        update = train(inputs, noise()).tensors
        assert all(update["score.weight"][row].all() for row in range(4))
        assert l2_norm(update) <= norm_bound(inputs.plan, l2_norm(inputs.adapters["reward"]))


def test_sites_own_heads_start_alike(tiny: Any, lora_of: Any) -> None:
    lora = lora_of("llama").model_copy(update={"reward": HEADS})
    head = initial_state(tiny("llama"), lora, Stage.REWARD, 3)["score.weight"]
    assert head.shape == (4, 32) and head[0].any() and not head[3].any()
    np.testing.assert_array_equal(head[:3], head[[0, 0, 0]])
    RewardHeads(head="per_site", members=3, start="zero")


def test_a_site_without_a_head_of_its_own_trains_nothing(site_of: Any) -> None:
    with pytest.raises(ContractError, match="none for this one"):
        replace(site_of("north"), site="south").check(noise())


def test_a_plan_has_one_head_for_each_site_of_its_cohort(site_of: Any) -> None:
    table = site_of("north").plan.model_dump()
    RoundPlan.model_validate(table)
    with pytest.raises(ValueError, match="a member for each site: members = 2"):
        RoundPlan.model_validate(table | {"cohort": COHORT[:2]})


def test_the_usual_choices_leave_no_trace_in_what_is_signed(plan_of: Any) -> None:
    plan = plan_of(Stage.REWARD).model_dump(mode="json")
    assert "head" not in plan["lora"]["reward"] and "reduce" not in plan["training"]["heads"]
    told = RewardHeads(head="per_site", members=2).model_dump(mode="json")
    assert told["head"] == "per_site"
