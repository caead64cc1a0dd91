"""Length buckets and reused log-probabilities: less is computed, and every record's figures stay its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, PromptRecord, RankingRecord, SftRecord
from intraward_client.training import ppo, rloo, rollout, schedule
from intraward_client.training.buckets import bucket_order, bucketed, token_count
from intraward_client.training.inputs import ROLES, TrainingInputs
from intraward_client.training.rollout import Experience, evaluate_policy
from intraward_client.training.sft import train_sft
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import ON_POLICY, Stage

LENGTHS = (1, 6, 2, 5, 1, 6, 2, 5, 1)
MECHANISM = Mechanism(
    sample_rate=0.5, noise_multiplier=1.0, max_grad_norm=1.0, steps=2, nominal_batch=4, max_records_per_unit=2
)


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


def text(row: int, words: int) -> str:
    return " ".join(f"w{(row + at) % 20}" for at in range(words))


def prompts() -> list[PromptRecord]:
    return [PromptRecord("public", f"p{row}", text(row, words)) for row, words in enumerate(LENGTHS)]


def unordered(_: TrainingInputs, records: Any) -> list[int]:
    return list(range(len(records)))


@contextmanager
def loaded(inputs: TrainingInputs) -> Iterator[AdaptedModel]:
    with adapted(inputs.base, inputs.plan.lora, ROLES[inputs.plan.stage]) as model:
        inputs.load(model)
        model.use("policy")
        yield model


def computed(model: AdaptedModel, act: Callable[[], Any]) -> tuple[Any, list[tuple[int, ...]]]:
    """What ``act`` returns, and the shape of every forward pass that it took."""
    shapes: list[tuple[int, ...]] = []
    whole = model.hidden

    def counted(ids: Any, *others: Any, **named: Any) -> Any:
        shapes.append(tuple(ids.shape))
        return whole(ids, *others, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model, "hidden", counted)
        return act(), shapes


def tokens(shapes: list[tuple[int, ...]]) -> int:
    return sum(rows * width for rows, width in shapes)


def test_public_records_are_ordered_by_their_longest_row_and_patients_are_not(inputs_of: Any) -> None:
    records: list[Any] = [
        RankingRecord("public", text(0, 2), (text(1, 1), text(2, 5), text(3, 2)), (1, 2, 3)),
        PairRecord("public", text(0, 1), text(1, 2), text(2, 4)),
        PairRecord("public", text(0, 4), text(1, 1), text(2, 1)),
        PairRecord("public", text(0, 1), text(1, 1), text(2, 1)),
    ]
    public = inputs_of(Stage.REWARD, [], micro_batch=2)
    assert [token_count(public, record) for record in records] == [8, 6, 6, 3]
    assert bucket_order(public, records) == [3, 1, 2, 0]
    assert bucketed(public, [[record] for record in records])[0] == [records[3]]
    assert token_count(public, SftRecord("public", text(0, 3), text(1, 2))) == 6
    whole = inputs_of(Stage.REWARD, [], micro_batch=4)
    assert bucket_order(whole, records) == [0, 1, 2, 3]  # one pass takes them all
    private = inputs_of(Stage.REWARD, [], micro_batch=2, mechanism=MECHANISM)
    units = [records[:2], records[2:]]
    assert bucketed(private, units) == units
    assert bucket_order(private, records) == [0, 1, 2, 3]


@pytest.mark.parametrize("stage", ON_POLICY)
@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_buckets_change_no_rollout_and_compute_less(
    stage: Stage, kind: str, inputs_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = inputs_of(stage, prompts(), kind, scale=0.1, micro_batch=3)
    found, shapes = {}, {}
    for name in ("bucketed", "as they stand"):
        if name == "as they stand":
            monkeypatch.setattr(rollout, "bucket_order", unordered)
        with loaded(inputs) as model:
            act = partial(rollout.collect, inputs, model, noise(), 0, prompts())
            found[name], shapes[name] = computed(model, act)
    one, other = found["bucketed"], found["as they stand"]
    assert len(one) == len(LENGTHS) * rollout.group_of(inputs)
    for field in dataclasses.fields(Experience):
        a, b = getattr(one, field.name), getattr(other, field.name)
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-4, msg=field.name)
    assert tokens(shapes["bucketed"]) < tokens(shapes["as they stand"])


@pytest.mark.parametrize("stage", ON_POLICY)
def test_a_pass_over_rollouts_is_as_wide_as_its_own_rows(stage: Stage, inputs_of: Any) -> None:
    losses = (ppo if stage is Stage.PPO else rloo).losses
    inputs = inputs_of(stage, prompts(), "gpt2", scale=0.1, micro_batch=3)
    private = dataclasses.replace(inputs, plan=inputs.plan.model_copy(update={"mechanism": MECHANISM}))
    with loaded(inputs) as model, torch.no_grad():
        experience = rollout.collect(inputs, model, noise(), 0, prompts())
        for index in ([0, 4, 8], [1, 5], [2]):
            trimmed, shapes = computed(model, partial(losses, inputs, model, experience, index))
            whole, fixed = computed(model, partial(losses, private, model, experience, index))
            torch.testing.assert_close(trimmed.losses, whole.losses, atol=1e-6, rtol=1e-4)
            assert fixed[0][1] == experience.ids.shape[1]  # patients' rows keep the shape that they came in
            group = rollout.group_of(inputs)
            rows = experience.rows([at * group + member for at in index for member in range(group)])
            assert int(rows.attention.sum(1).max()) <= shapes[0][1] <= fixed[0][1]
            assert rows.trimmed().attention[:, 0].any() and rows.trimmed().mask[:, -1].any()
    short = experience.rows(range(rollout.group_of(inputs)))
    assert short.trimmed().ids.shape[1] < experience.ids.shape[1]


def test_a_public_step_of_ragged_rows_computes_less_and_a_private_one_the_plans_shape(
    inputs_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [SftRecord("public", text(row, n), text(row, n), f"r{row}") for row, n in enumerate(LENGTHS)]
    options: dict[str, Any] = {"micro_batch": 3, "batch": len(rows), "steps": 1}
    inputs = inputs_of(Stage.SFT, rows, **options)
    counts = []
    for order in (bucketed, lambda _, batch: batch):
        monkeypatch.setattr(schedule, "bucketed", order)
        with loaded(inputs) as model:
            act = partial(train_sft, inputs, model, noise(), None)
            counts.append(tokens(computed(model, act)[1]))
    assert counts[0] < 0.9 * counts[1]
    private = inputs_of(Stage.SFT, rows, mechanism=MECHANISM, **options)
    with loaded(private) as model:
        _, shapes = computed(model, partial(train_sft, private, model, noise(), None))
    assert len(set(shapes)) == 1


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
@pytest.mark.parametrize("stage", ON_POLICY)
def test_public_rollouts_reuse_what_sampling_computed(stage: Stage, kind: str, inputs_of: Any) -> None:
    inputs = inputs_of(stage, prompts(), kind, scale=0.1, temperature=0.7)
    with loaded(inputs) as model, torch.no_grad():
        assert rollout.reuses_sampling(inputs, model)
        act = partial(rollout.collect, inputs, model, noise(), 0, prompts())
        experience, shapes = computed(model, act)
        assert len([1 for _, width in shapes if width > 1]) == 3  # sampling's first, reference, reward
        new = experience.mask.shape[1]
        logprobs, values = evaluate_policy(model, experience.ids, experience.attention, new, 0.7)
    kept = experience.mask
    torch.testing.assert_close(experience.logprobs[kept], logprobs[kept], atol=1e-5, rtol=0)
    if stage is Stage.PPO:
        torch.testing.assert_close(experience.values[kept], values[kept], atol=1e-5, rtol=0)


def test_patients_rows_and_bf16_are_evaluated_in_a_pass_of_their_own(inputs_of: Any) -> None:
    for options in ({"mechanism": MECHANISM, "micro_batch": 9}, {"bf16": True}):
        inputs = inputs_of(Stage.PPO, prompts(), scale=0.1, **options)
        with loaded(inputs) as model:
            assert not rollout.reuses_sampling(inputs, model)
            act = partial(rollout.collect, inputs, model, noise(), 0, prompts())
            experience, shapes = computed(model, act)
            assert len([1 for _, width in shapes if width > 1]) == 4
            new, limit = experience.mask.shape[1], inputs.plan.training.temperature
            with torch.no_grad():
                again = evaluate_policy(model, experience.ids, experience.attention, new, limit)[0]
        assert torch.equal(experience.logprobs[experience.mask], again[experience.mask])
