"""What a private step does besides its sum: shapes, passes, fillers, flags, precision, rankings."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from intraward_client.privacy.engine import PrivateEngine, RowLosses
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.training import dpo, reward, rollout, sft
from intraward_client.training.inputs import FILLERS, ROLES, TrainingInputs
from intraward_client.training.schedule import open_engine
from intraward_client.training.train import train
from intraward_shared.errors import VaultError
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

BOUND = 0.5
MODULES = {Stage.SFT: sft, Stage.REWARD: reward, Stage.DPO: dpo}


def mechanism(**other: Any) -> Mechanism:
    values: dict[str, Any] = {"sample_rate": 0.5, "noise_multiplier": 1.0, "steps": 2, "nominal_batch": 4}
    return Mechanism(**({"max_grad_norm": BOUND, "max_records_per_unit": 8} | values | other))


def noise(seed: int = 1) -> NoiseSource:
    return NoiseSource.seeded(seed, "north", "0" * 64, 1)


def opened(inputs: TrainingInputs) -> Any:
    return adapted(inputs.base, inputs.plan.lora, ROLES[inputs.plan.stage])


def ready(inputs: TrainingInputs, model: AdaptedModel) -> Any:
    """Loads the adapters; returns the stage's losses."""
    inputs.load(model)
    model.use(inputs.plan.trained_input)
    return partial(MODULES[inputs.plan.stage].losses, inputs, model)


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


@pytest.mark.parametrize("stage", list(MODULES))
def test_every_pass_has_the_plans_shape_and_the_plans_number_is_the_least(
    stage: Stage, inputs_of: Any, record_of: Any
) -> None:
    """Nobody, one patient and four patients: the same forward passes; more patients take more of them."""
    seen: dict[int, list[int]] = {}
    for patients in (0, 1, 4, 9):
        units = [[record_of(stage, f"u{u}", u)] for u in range(patients)]
        rows = [record for unit in units for record in unit]
        inputs = inputs_of(stage, rows, mechanism=mechanism(), micro_batch=2, micro_batches=2)
        sizes = seen[patients] = []
        with opened(inputs) as model:
            losses = ready(inputs, model)

            def counted(records: Sequence[Any], losses: Any = losses, sizes: Any = sizes) -> RowLosses:
                sizes.append(len(records))
                return losses(records)  # type: ignore[no-any-return]

            with open_engine(inputs, model, noise()) as engine:
                engine.step(units, counted, FILLERS[stage])
    assert seen[0] == seen[1] == seen[4] == [2, 2]
    assert seen[9] == [2, 2, 2, 2, 2]


def test_private_rollouts_come_in_whole_micro_batches(inputs_of: Any, record_of: Any) -> None:
    for patients in (0, 1, 3, 5):
        rows = [record_of(Stage.PPO, f"u{u}", u) for u in range(patients)]
        inputs = inputs_of(Stage.PPO, rows, mechanism=mechanism(), micro_batch=2, micro_batches=2)
        with opened(inputs) as model:
            inputs.load(model)
            model.use("policy")
            assert len(rollout.collect(inputs, model, noise(), 0, rows)) == max(4, 2 * ((patients + 1) // 2))


def test_a_filler_adds_nothing_whatever_its_gradient(inputs_of: Any, record_of: Any) -> None:
    units = [[record_of(Stage.REWARD, f"u{u}", u)] for u in range(3)]
    inputs = inputs_of(Stage.REWARD, [], scale=0.05, mechanism=mechanism(), micro_batch=8)
    monster = PairRecord("public", "w1", "w2", "w3", margin=float("nan"))
    with opened(inputs) as model:
        losses = ready(inputs, model)
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)
            plain = flat(engine.clipped_sum(units, losses, FILLERS[Stage.REWARD]))
            other = flat(engine.clipped_sum(units, losses, monster))
            assert not engine.flagged
    assert float((plain - other).abs().max() / plain.abs().max()) < 1e-6


def test_a_bad_row_is_zero_and_flagged_and_leaves_its_patients_other_rows(
    inputs_of: Any, record_of: Any
) -> None:
    good, other = record_of(Stage.REWARD, "u0", 0), record_of(Stage.REWARD, "u0", 1)
    bad = dataclasses.replace(other, margin=float("nan"))
    inputs = inputs_of(Stage.REWARD, [], scale=0.05, mechanism=mechanism(max_grad_norm=100.0))
    with opened(inputs) as model:
        losses = ready(inputs, model)
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)
            alone = flat(engine.clipped_sum([[good]], losses))
            assert not engine.flagged
            mixed = flat(engine.clipped_sum([[good, bad]], losses))
            assert engine.flagged
    assert float((mixed - alone / 2).norm() / alone.norm()) < 1e-5  # still the mean over two records


def test_the_flag_stays_in_the_ward(inputs_of: Any, record_of: Any) -> None:
    row, every = record_of(Stage.REWARD, "u0", 0), mechanism(sample_rate=1.0)
    bad = dataclasses.replace(row, margin=float("nan"))
    update = train(inputs_of(Stage.REWARD, [bad], mechanism=every), noise())
    assert update.flagged
    assert "flagged" not in repr(update)
    assert not train(inputs_of(Stage.REWARD, [row], mechanism=every), noise()).flagged


@pytest.mark.parametrize("stage", list(MODULES))
def test_the_bound_holds_in_bfloat16(stage: Stage, inputs_of: Any, record_of: Any) -> None:
    """Gradients come in bf16, norms and clipping are fp32: a patient's share is C, not C (1 +- 1 %)."""
    bound = 0.001
    inputs = inputs_of(stage, [], scale=0.2, mechanism=mechanism(max_grad_norm=bound), bf16=True)
    with opened(inputs) as model:
        losses = ready(inputs, model)
        with open_engine(inputs, model, noise()) as engine:
            assert isinstance(engine, PrivateEngine)
            for index in range(6):
                share = flat(engine.clipped_sum([[record_of(stage, "u", index)]], losses))
                assert bound * (1 - 1e-5) <= float(share.norm()) <= bound * (1 + 1e-5)


def test_a_ranking_of_two_is_a_pair(inputs_of: Any, record_of: Any) -> None:
    pair = record_of(Stage.REWARD, "u0", 3)
    same = RankingRecord("u0", pair.prompt, (pair.rejected, pair.chosen), (2, 1))
    inputs = inputs_of(Stage.REWARD, [], scale=0.1, mechanism=mechanism())
    with opened(inputs) as model:
        losses = ready(inputs, model)
        one, two = (losses([record]).losses for record in (pair, same))
    assert float(one) == pytest.approx(float(two), rel=1e-6)


def test_a_ranking_is_the_mean_of_its_pairs_with_ties_won_half(inputs_of: Any) -> None:
    answers = ("w1 w2", "w3", "w4 w5 w6")
    inputs = inputs_of(Stage.REWARD, [], scale=0.1, mechanism=mechanism(), center_rewards=0.0)
    with opened(inputs) as model:
        losses = ready(inputs, model)

        def pair(better: int, worse: int) -> float:
            return float(losses([PairRecord("u", "w9", answers[better], answers[worse])]).losses)

        found = losses([RankingRecord("u", "w9", answers, (1, 2, 2))])
        expected = (pair(0, 1) + pair(0, 2) + (pair(1, 2) + pair(2, 1)) / 2) / 3
    assert float(found.losses) == pytest.approx(expected, rel=1e-5)
    assert found.record.tolist() == [0, 0, 0]


def test_a_ranking_without_a_rank_for_each_answer_is_refused() -> None:
    for answers, ranks in ((("a",), (1,)), (("a", "b"), (1,))):
        with pytest.raises(VaultError, match="a rank for each"):
            RankingRecord("u", "p", answers, ranks)


class ThreeCriteria(nn.Module):
    """A linear body and a head of three scores that train together."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(6, 5), nn.Linear(5, 3, bias=False)

    def forward(self, rows: Tensor) -> Tensor:
        found: Tensor = self.head(torch.tanh(self.body(rows)))
        return found


def test_several_criteria_share_one_clip_with_the_body() -> None:
    """Accuracy, completeness and safety scored by one head: a patient's whole gradient is clipped once."""
    generator = torch.Generator().manual_seed(3)
    model = ThreeCriteria()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    data = torch.randn(5, 6, generator=generator)
    target = torch.randn(5, 3, generator=generator)

    def losses(records: Sequence[int]) -> RowLosses:
        scores = model(data[list(records)])
        return RowLosses((scores - target[list(records)]).square().sum(1), torch.arange(len(records)))

    parameters = dict(model.named_parameters())
    settings, patients = OptimizerSettings(0.1, 0.1), ([0, 1, 2], [3], [4])
    with PrivateEngine(model, parameters, mechanism(), noise(), settings, 2) as engine:
        found = flat(engine.clipped_sum(patients, losses))
    expected = torch.zeros_like(found)
    for unit in patients:
        own = torch.autograd.grad(losses(unit).losses.mean(), list(parameters.values()))
        whole = flat(dict(zip(parameters, own, strict=True)))
        expected += whole * min(1.0, BOUND / float(whole.norm()))
    assert float((found - expected).norm() / expected.norm()) < 1e-5


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_checkpointing_runs_every_block_again_in_the_backward_pass(
    kind: str, inputs_of: Any, record_of: Any
) -> None:
    runs = {}
    for checkpointing in (False, True):
        inputs = inputs_of(Stage.SFT, [], kind, mechanism=mechanism(), checkpointing=checkpointing)
        with opened(inputs) as model:
            losses = ready(inputs, model)
            seen: list[int] = []
            block = next(m for m in model.modules() if "Attention" in type(m).__name__)
            hook = block.register_forward_hook(lambda *_, seen=seen: seen.append(1))
            with open_engine(inputs, model, noise()) as engine:
                engine.step([[record_of(Stage.SFT, "u", 1)]], losses)
            hook.remove()
            assert not any(module.training for module in model.modules())
        runs[checkpointing] = len(seen)
    assert runs == {False: 1, True: 2}
