"""Figures against literal computations on the tiny model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from intraward_server.evaluation import (
    Limits,
    closed_accuracy,
    completion_loss,
    length_baseline,
    pair_scores,
    reward_accuracy,
    reward_scores,
    sample_answers,
)
from intraward_shared.adapters import Array
from intraward_shared.generation import completion_ids, prompt_ids
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted, initial_state
from intraward_shared.protocol import LoraSpec
from intraward_shared.stages import Stage

LORA = LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj", "v_proj"))
LIMITS = Limits(8, 6, 1.0, 4)


def _state(base: BaseModel, seed: int, stage: Stage = Stage.SFT, scale: float = 0.5) -> dict[str, Array]:
    draw = np.random.Generator(np.random.Philox(seed))
    made = initial_state(base, LORA, stage, seed)
    return {n: a + draw.normal(0, scale, a.shape).astype(np.float32) for n, a in made.items()}


@pytest.fixture
def model(base: BaseModel):  # type: ignore[no-untyped-def]
    states = {
        "policy": _state(base, 1),
        "reference": _state(base, 2),
        "reward": _state(base, 3, Stage.REWARD),
    }
    with adapted(base, LORA, tuple(states)) as made:  # type: ignore[arg-type]
        for role, state in states.items():
            made.load(role, state)  # type: ignore[arg-type]
        yield made


def test_length_baseline_counts_ties_half() -> None:
    pairs = [
        {"prompt": "p", "chosen": "long answer", "rejected": "short"},
        {"prompt": "p", "chosen": "aa", "rejected": "bb"},
        {"prompt": "p", "chosen": "a", "rejected": "bbb"},
    ]
    rate = length_baseline(pairs)
    assert rate.value == 0.5 and rate.total == 3


def test_reward_accuracy_is_the_share_of_higher_scores(model: AdaptedModel) -> None:
    pairs = [{"prompt": f"w{i}", "chosen": f"w{i} w2", "rejected": f"w3 w{i + 1} w5"} for i in range(9)]
    pairs.append({"prompt": "w1", "chosen": "w2", "rejected": "w2"})
    chosen, rejected = pair_scores(model, pairs, LIMITS)
    got = reward_accuracy(pairs, (chosen - rejected).mean(1).tolist())
    wins = 0.0
    for pair in pairs:
        a, b = reward_scores(model, [(pair["prompt"], pair[k]) for k in ("chosen", "rejected")], LIMITS)
        wins += 0.5 if pair["chosen"] == pair["rejected"] else float(a > b)
    assert got.value == pytest.approx(wins / 10) and got.low < got.value < got.high


def test_score_reads_the_reward_adapter(model: AdaptedModel, base: BaseModel) -> None:
    ids = torch.tensor([prompt_ids(base, "w1", 8) + completion_ids(base, "w2 w3", 6)])
    model.use("reward")
    with torch.no_grad():
        hidden, _ = model.hidden(ids, torch.ones_like(ids))
        wanted = float(model.score(hidden[0, -1]))
    model.use("policy")
    assert reward_scores(model, [("w1", "w2 w3")], LIMITS)[0] == pytest.approx(wanted, abs=1e-6)


def test_kl_is_the_exact_token_divergence_on_the_sample(model: AdaptedModel, base: BaseModel) -> None:
    got = sample_answers(model, "policy", ["w1 w2", "w3", "w4 w5 w6"], LIMITS, 7, "reference")
    for prompt, text, kl in zip(["w1 w2", "w3", "w4 w5 w6"], got.texts, got.kl, strict=True):
        start = prompt_ids(base, prompt, 8)
        words = list(base.tokenizer(text, add_special_tokens=False)["input_ids"])
        if len(words) < LIMITS.max_completion:
            words.append(int(base.tokenizer.eos_token_id))
        if any(word in (0, 1, 2) for word in words) or len(text.split()) != len([w for w in words if w > 3]):
            continue  # a special token was sampled: its text does not give the tokens back
        ids = torch.tensor([start + words])
        logs = []
        with torch.no_grad():
            for role in ("policy", "reference"):
                model.use(role)
                logs.append(model(ids, torch.ones_like(ids))[0, len(start) - 1 : -1].log_softmax(-1))
        wanted = float((logs[0].exp() * (logs[0] - logs[1])).sum())
        assert kl == pytest.approx(wanted, rel=1e-4, abs=1e-5) and kl > 0
        break
    else:
        pytest.fail("no sample without special tokens; choose another seed")


def test_kl_to_itself_is_zero_and_seeds_are_shared(model: AdaptedModel) -> None:
    model.load("reference", model.state("policy", tuple(model.lora("policy"))))
    ours = sample_answers(model, "policy", ["w1", "w2"], LIMITS, 3, "reference")
    theirs = sample_answers(model, "reference", ["w1", "w2"], LIMITS, 3)
    assert ours.texts == theirs.texts and theirs.kl == ()
    np.testing.assert_allclose(ours.kl, 0, atol=1e-5)


def test_completion_loss_by_hand(model: AdaptedModel, base: BaseModel) -> None:
    records = [{"prompt": "w1 w2", "completion": "w3"}, {"prompt": "w4", "completion": "w5 w6 w7"}]
    total, count = 0.0, 0
    model.use("policy")
    for record in records:
        start, end = prompt_ids(base, record["prompt"], 8), completion_ids(base, record["completion"], 6)
        ids = torch.tensor([start + end])
        with torch.no_grad():
            logs = model(ids, torch.ones_like(ids))[0].log_softmax(-1)
        for place, token in enumerate(end):
            total -= float(logs[len(start) + place - 1, token])
            count += 1
    assert completion_loss(model, "policy", records, LIMITS) == pytest.approx(total / count, rel=1e-5)
    assert count == 6
    assert math.isnan(completion_loss(model, "policy", [], LIMITS))


def test_closed_questions_by_likelihood(model: AdaptedModel, base: BaseModel) -> None:
    prompts = [f"w{i} w{i + 1}" for i in range(8)]
    model.use("policy")
    answers = {word: int(base.tokenizer(word)["input_ids"][0]) for word in ("yes", "no", "maybe")}
    said = []
    for prompt in prompts:
        ids = torch.tensor([prompt_ids(base, prompt, 8)])
        with torch.no_grad():
            last = model(ids, torch.ones_like(ids))[0, -1]
        said.append(max(answers, key=lambda word: float(last[answers[word]])))
    questions = [{"prompt": p, "label": label} for p, label in zip(prompts, said, strict=True)]
    questions[0]["label"] = next(word for word in answers if word != said[0])
    right, common = closed_accuracy(model, "policy", questions, LIMITS)
    assert right.value == 7 / 8
    labels = [question["label"] for question in questions]
    assert common.value == max(labels.count(word) for word in answers) / 8
