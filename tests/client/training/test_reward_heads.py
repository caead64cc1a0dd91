"""Several heads over one LoRA: ensemble members, criteria, flags, and the reward that is made of them."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from intraward_client.privacy.engine import PrivateEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord, TrainingTable
from intraward_client.training import reward
from intraward_client.training.inputs import FILLERS, TrainingInputs
from intraward_client.training.marks import mark_losses, member_shares
from intraward_client.training.schedule import open_engine
from intraward_client.training.sequences import encode_texts
from intraward_client.training.train import train
from intraward_shared.errors import VaultError
from intraward_shared.generation import score_texts
from intraward_shared.modeling import Appraisal, adapted, initial_state
from intraward_shared.protocol import LoraSpec, Mechanism, RoundPlan, TrainingSpec
from intraward_shared.reward_heads import HeadTerms, RewardHeads
from intraward_shared.scoring import apply_veto, combined_scores
from intraward_shared.stages import Stage

HEADS = RewardHeads(members=3, criteria=("accuracy", "safety"), flags=("invented-dose",))
BOUND = 0.01
MECHANISM = Mechanism(
    sample_rate=0.5,
    noise_multiplier=1.0,
    max_grad_norm=BOUND,
    steps=2,
    nominal_batch=4,
    max_records_per_unit=8,
)
VETO = HeadTerms(veto_criterion="safety", veto_below=-0.5, veto_flag=0.9, veto_reward=-6.0)


def noise() -> NoiseSource:
    return NoiseSource.seeded(1, "north", "0" * 64, 1)


@pytest.fixture
def headed(tiny: Any, plan_of: Any, lora_of: Any) -> Callable[..., TrainingInputs]:
    """``headed(rows, heads=..., mechanism=..., **training)``: a reward stage with those heads."""

    def make(
        rows: Any = (),
        heads: RewardHeads = HEADS,
        mechanism: Mechanism | None = MECHANISM,
        scale: float = 0.3,
        **training: Any,
    ) -> TrainingInputs:
        lora: LoraSpec = lora_of("llama").model_copy(update={"reward": heads})
        plan: RoundPlan = plan_of(Stage.REWARD, mechanism=mechanism, **training)
        base = tiny("llama")
        drawn = np.random.default_rng(5)
        state = {
            name: (array + scale * drawn.normal(size=array.shape)).astype(np.float32)
            for name, array in initial_state(base, lora, Stage.REWARD, 3).items()
        }
        plan = plan.model_copy(update={"lora": lora})
        return TrainingInputs(plan, base, {"reward": state}, TrainingTable(tuple(rows)))

    return make


def marks(draw: random.Random) -> AnswerMarks:
    """Some criteria rated, some flags answered, a name that no plan declares among them."""
    ratings = [(name, draw.uniform(1, 5)) for name in (*HEADS.criteria, "warmth") if draw.random() < 0.7]
    return AnswerMarks(tuple(ratings), tuple((n, draw.random() < 0.5) for n in HEADS.flags))


def flat(tensors: dict[str, Tensor]) -> Tensor:
    return torch.cat([tensors[name].double().flatten() for name in sorted(tensors)])


def words(draw: random.Random) -> str:
    return " ".join(f"w{draw.randrange(20)}" for _ in range(draw.randint(1, 5)))


def comparison(unit: str, number: int, draw: random.Random) -> PairRecord | RankingRecord:
    name, prompt = f"{unit}-{number}", words(draw)
    if draw.random() < 0.4:
        count = draw.choice((2, 3, 4))
        answers = tuple(words(draw) for _ in range(count))
        ranks = tuple(draw.randint(1, count) for _ in answers)
        given = tuple(marks(draw) for _ in answers) if draw.random() < 0.7 else ()
        return RankingRecord(unit, prompt, answers, ranks, name, given)
    given = (marks(draw), marks(draw)) if draw.random() < 0.7 else ()
    margin = draw.choice((0.0, 1.0, 1e30, float("nan")))
    return PairRecord(unit, prompt, words(draw), words(draw), margin, name, given)


def test_one_patient_moves_the_sum_over_all_heads_by_the_bound_at_most(headed: Any) -> None:
    largest = 0.0
    for trial in range(3):
        draw = random.Random(trial)
        units = [[comparison(f"u{u}", n, draw) for n in range(draw.choice((1, 2, 8)))] for u in range(6)]
        inputs = headed(micro_batch=draw.choice((7, 32)))
        with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model:
            inputs.load(model)
            model.use("reward")
            with open_engine(inputs, model, noise()) as engine:
                assert isinstance(engine, PrivateEngine)
                loss = partial(reward.losses, inputs, model)
                sums = [
                    flat(engine.clipped_sum(present, loss, FILLERS[Stage.REWARD]))
                    for present in (units, *(units[:u] + units[u + 1 :] for u in range(len(units))))
                ]
        assert all(bool(total.isfinite().all()) for total in sums)
        largest = max(largest, *(float((sums[0] - without).norm()) for without in sums[1:]))
    assert 0.99 * BOUND < largest <= BOUND * (1 + 1e-5)


def test_a_records_loss_is_the_same_alone_and_among_others(headed: Any) -> None:
    draw = random.Random(3)
    records = [comparison("u", n, draw) for n in range(8)]
    records = [dataclasses.replace(r, margin=0.0) if isinstance(r, PairRecord) else r for r in records]
    inputs = headed(records)
    with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model:
        inputs.load(model)
        model.use("reward")
        together = reward.losses(inputs, model, records).losses
        for index, record in enumerate(records):
            alone = reward.losses(inputs, model, [record]).losses
            assert float(alone) == pytest.approx(float(together[index]), rel=1e-4)


def test_each_of_several_members_leaves_out_its_own_part_of_the_records(headed: Any) -> None:
    plan = headed().plan
    draw = random.Random(1)
    records = [comparison("u", n, draw) for n in range(300)]
    shares = member_shares(plan, records)
    assert all(sorted(share) == [0.0, 0.5, 0.5] for share in shares)
    assert all(70 < sum(share[m] == 0 for share in shares) < 130 for m in range(3))
    assert member_shares(plan, records[7:8]) == shares[7:8]
    other = plan.model_copy(update={"run_id": "other"})
    assert member_shares(other, records) != shares
    single = plan.model_copy(update={"lora": plan.lora.model_copy(update={"reward": RewardHeads()})})
    assert member_shares(single, records) == [[1.0]] * 300


def test_members_start_apart_and_the_other_heads_start_undecided(tiny: Any, lora_of: Any) -> None:
    lora = lora_of("llama").model_copy(update={"reward": HEADS})
    head = initial_state(tiny("llama"), lora, Stage.REWARD, 3)["score.weight"]
    assert head.shape == (6, 32)
    assert min(np.abs(head[a] - head[b]).max() for a, b in ((0, 1), (0, 2), (1, 2))) > 0.1
    assert not head[3:].any()


def test_losses_of_marks_are_those_of_the_formula_and_missing_ones_add_nothing() -> None:
    found = Appraisal(torch.zeros(2, 1), torch.tensor([[0.5, 9.0], [0.0, 9.0]]), torch.tensor([[0.0], [2.0]]))
    given = (AnswerMarks((("accuracy", 5.0),), (("invented-dose", True),)), AnswerMarks((("warmth", 1.0),)))
    record = PairRecord("u", "w1", "w2", "w3", marks=given)
    terms = HeadTerms(criteria_loss=2.0, flags_loss=3.0)
    owner = torch.tensor([0, 0])
    loss = float(mark_losses(found, HEADS, terms, [record], owner))
    assert loss == pytest.approx(2 * (0.5 - 1) ** 2 / (2 * 2) + 3 * np.log(2) / 2)
    bare = dataclasses.replace(record, marks=())
    assert float(mark_losses(found, HEADS, terms, [bare], owner)) == 0


def test_training_teaches_every_head(headed: Any) -> None:
    """Good answers hold w1, bad ones w2: members, criterion and flag all come to tell them apart."""
    good = AnswerMarks((("safety", 5.0),), (("invented-dose", False),))
    bad = AnswerMarks((("safety", 1.0),), (("invented-dose", True),))
    rows = [
        PairRecord("public", f"w{n + 5}", f"w1 w{n % 3 + 3}", f"w2 w{n % 4 + 3}", marks=(good, bad))
        for n in range(12)
    ]
    inputs = headed(rows, mechanism=None, scale=0.0, steps=60, batch=12)
    update = train(inputs, noise())
    state = {name: array + update.tensors[name] for name, array in inputs.adapters["reward"].items()}
    with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model, torch.no_grad():
        model.load("reward", state)
        model.use("reward")
        seen = encode_texts(inputs, [("w9", "w1 w4"), ("w9", "w2 w4")])
        found = model.appraise(seen.ids, seen.mask)
    assert bool((found.members[0] > found.members[1]).all())
    safety = HEADS.criteria.index("safety")
    assert float(found.criteria[0, safety]) > 0 > float(found.criteria[1, safety])
    assert float(found.flags[1, 0]) > 0 > float(found.flags[0, 0])


def test_reward_is_the_members_mean_with_criteria_and_less_for_disagreement() -> None:
    found = Appraisal(
        torch.tensor([[1.0, 3.0], [2.0, 2.0]]), torch.tensor([[0.5, -1.0], [0.0, 1.0]]), torch.zeros(2, 1)
    )
    terms = HeadTerms(criteria={"accuracy": 2.0, "safety": 1.0}, uncertainty_coef=0.5)
    heads = HEADS.model_copy(update={"members": 2})
    assert combined_scores(found, heads, terms).tolist() == pytest.approx([2 + 1 - 1 - 0.5, 2 + 0 + 1 - 0])
    assert combined_scores(found, heads, HeadTerms()).tolist() == [2.0, 2.0]


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.floats(0, 3), st.floats(0.1, 3), st.floats(-5, 5))
def test_the_worst_member_is_below_the_mean_in_any_order(
    seed: int, members: int, coefficient: float, scale: float, shift: float
) -> None:
    draw = torch.Generator().manual_seed(seed)
    scores, criteria = torch.randn(4, members, generator=draw), torch.randn(4, 2, generator=draw)
    heads = HEADS.model_copy(update={"members": members})
    weights = {"accuracy": 1.5, "safety": -0.5}
    worst = HeadTerms(criteria=weights, reduce="worst")
    mean = HeadTerms(criteria=weights)
    doubted = HeadTerms(criteria=weights, uncertainty_coef=coefficient)

    def of(members: Tensor, terms: HeadTerms) -> Tensor:
        return combined_scores(Appraisal(members, criteria, torch.zeros(4, 1)), heads, terms)

    order = torch.randperm(members, generator=draw)
    for terms in (worst, mean, doubted):
        torch.testing.assert_close(of(scores[:, order], terms), of(scores, terms))
    assert bool((of(scores, worst) <= of(scores, mean) + 1e-6).all())
    assert bool((of(scores, doubted) <= of(scores, mean) + 1e-6).all())
    added = of(torch.zeros_like(scores), worst)  # what the criteria add, whatever the members say
    moved = scale * (of(scores, worst) - added) + shift
    torch.testing.assert_close(of(scale * scores + shift, worst) - added, moved, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(of(scores, worst) - added, scores.min(1).values, rtol=1e-4, atol=1e-4)


def test_no_merit_outweighs_a_veto_and_what_cannot_be_told_is_forbidden() -> None:
    safety = torch.tensor([0.9, -0.6, 0.9, float("nan"), -0.6])
    flags = torch.tensor([[-3.0], [-3.0], [3.0], [-3.0], [-3.0]])
    found = Appraisal(torch.zeros(5, 3), torch.stack([torch.zeros(5), safety], 1), flags)
    scores = torch.tensor([2.0, 3.0, 3.0, 3.0, -9.0])
    assert apply_veto(scores, found, HEADS, VETO).tolist() == [2.0, -6.0, -6.0, -6.0, -9.0]
    assert torch.equal(apply_veto(scores, found, HEADS, HeadTerms()), scores)


@pytest.mark.parametrize(
    ("heads", "terms", "words"),
    [
        (HEADS, {"criteria": {"warmth": 1.0}}, "does not declare"),
        (HEADS, {"veto_criterion": "warmth", "veto_below": 0.0, "veto_reward": -6.0}, "does not declare"),
        (RewardHeads(criteria=("a",)), {"veto_flag": 0.5, "veto_reward": -6.0}, "lora.reward.flags"),
        (RewardHeads(), {"uncertainty_coef": 0.5}, "members of at least 2"),
        (RewardHeads(), {"reduce": "worst"}, "members of at least 2"),
    ],
)
def test_plans_name_declared_heads_only(heads: RewardHeads, terms: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        HeadTerms(**terms).check(heads)


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        ({"veto_criterion": "safety", "veto_reward": -6.0}, "together"),
        ({"veto_flag": 0.5}, "veto_reward"),
        ({"veto_reward": -6.0}, "only then"),
        ({"reduce": "worst", "uncertainty_coef": 0.5}, "two penalties"),
        ({"criteria": {"safety": 101.0}}, "at most 100"),
    ],
)
def test_terms_that_contradict_themselves_are_refused(terms: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HeadTerms(**terms)


@pytest.mark.parametrize("reward_of_veto", [0.0, -3.9])
def test_a_veto_that_costs_less_than_being_bad_is_refused(reward_of_veto: float) -> None:
    with pytest.raises(ValidationError, match="outweigh"):
        TrainingSpec(learning_rate=0.1, heads=HeadTerms(veto_flag=0.5, veto_reward=reward_of_veto))
    TrainingSpec(learning_rate=0.1, heads=HeadTerms(veto_flag=0.5, veto_reward=-4.0))


def test_names_are_given_once() -> None:
    with pytest.raises(ValidationError, match="different names"):
        RewardHeads(criteria=("safety",), flags=("safety",))


def test_marks_are_whole_and_say_nothing_in_their_repr() -> None:
    with pytest.raises(VaultError, match="1 to 5"):
        AnswerMarks((("safety", 6.0),))
    with pytest.raises(VaultError, match="1 to 5"):
        AnswerMarks((("safety", float("nan")),))
    with pytest.raises(VaultError, match="twice"):
        AnswerMarks(flags=(("unsafe", True), ("unsafe", False)))
    with pytest.raises(VaultError, match="all answers"):
        PairRecord("u", "w1", "w2", "w3", marks=(AnswerMarks(),))
    record = PairRecord("u", "w1", "w2", "w3", marks=(AnswerMarks((("safety", 2.0),)), AnswerMarks()))
    assert "safety" not in repr(record) and "safety" not in repr(record.marks)


@pytest.mark.parametrize("reduce", ["mean", "worst"])
def test_the_score_that_is_calibrated_is_the_one_a_policy_is_given(headed: Any, reduce: Any) -> None:
    """``score_texts``, which the coordinator normalises by, makes the same as ``combined_scores``."""
    inputs = headed()
    texts = [("w1 w2", "w3 w4 w5"), ("w6", "w7")]
    terms = HeadTerms(criteria={"safety": 2.0}, reduce=reduce)
    with adapted(inputs.base, inputs.plan.lora, ("reward",)) as model, torch.no_grad():
        inputs.load(model)
        model.use("reward")
        seen = encode_texts(inputs, texts)
        wanted = combined_scores(model.appraise(seen.ids, seen.mask), HEADS, terms)
        found = score_texts(model, texts, max_prompt=4, max_completion=6, terms=terms)
        plain = score_texts(model, texts, max_prompt=4, max_completion=6)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert not torch.allclose(plain, wanted, atol=1e-2)
