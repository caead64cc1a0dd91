"""Membership inference: was this patient in the training table?

Recipe C of facts on privacy, section 4: 128 patients with one random text each, half of them in the table of
one private round of supervised fine-tuning of a tiny LoRA GPT-2. The attacker has the sealed update and every
text, and scores a patient by how much the update lowers the loss of theirs (Yeom et al., arXiv 1709.01604,
with the base model as calibration). Random texts and no other patients are the worst case; an average record
of a real table is harder to tell. The bound ``TPR <= e^epsilon FPR + delta`` is tested at the threshold
without false positives; with 64 non-members it has force only against claims below about 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from intraward_client.store.datasets import SftRecord
from intraward_client.training.sequences import completion_logprobs
from intraward_shared.adapters import State
from intraward_shared.attack_results import AttackFigure, AttackResult, Privacy
from intraward_shared.generation import encode_pairs
from intraward_shared.modeling import adapted
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_simulation.attacks.bounds import auc, rates_epsilon
from intraward_simulation.attacks.claims import calibrated, check_epsilon, claim_of
from intraward_simulation.attacks.release import Target, release, released_adapter, without_privacy
from intraward_simulation.attacks.result import Tell, conclude, figures, part_of
from intraward_simulation.attacks.tiny import all_linear, text_of, tiny_gpt2

EPSILONS = (8.0,)
SEEDS = (1, 2, 3)
DELTA = 1e-3
PATIENTS, WORDS, TOKENS, RANK = 128, 496, 12, 8
SHAPE = Mechanism(
    sample_rate=0.25,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=120,
    nominal_batch=16,
    max_records_per_unit=1,
)
TRAINING = TrainingSpec(learning_rate=0.02, max_prompt_tokens=1, max_completion_tokens=TOKENS, micro_batch=32)


@dataclass(frozen=True)
class Patients:
    """(prompt, completion) of every patient, and who is in the table."""

    texts: tuple[tuple[str, str], ...] = field(repr=False)
    inside: NDArray[np.bool_] = field(repr=False)


def run_membership(
    epsilons: Sequence[float] = EPSILONS, seeds: Sequence[int] = SEEDS, tell: Tell = lambda _: None
) -> AttackResult:
    """Attack the sealed update of one round, with and without privacy.

    Raises:
        ConfigError: an epsilon that cannot be attacked.
    """
    measured: list[AttackFigure] = []
    for epsilon in epsilons:
        check_epsilon(epsilon)
    claimed = {epsilon: calibrated(SHAPE, epsilon, DELTA) for epsilon in epsilons}
    runs: list[tuple[Privacy, float, Mechanism, int]] = []
    for seed in seeds:
        runs.append(("off", epsilons[0], without_privacy(SHAPE), seed))
        runs += [("on", epsilon, claimed[epsilon], seed) for epsilon in epsilons]
    for index, (privacy, epsilon, mechanism, seed) in enumerate(runs):
        inside, outside = membership_scores(mechanism, seed, part_of(tell, index, len(runs)))
        rate, refuted = rates_epsilon(inside, outside, DELTA)
        values = {"auc": auc(inside, outside), "true_positive_rate": rate, "rates_epsilon": refuted}
        values["rate_excess"] = refuted - epsilon
        measured += figures(privacy, epsilon, seed, values)
    claims = [claim_of(mechanism, epsilon, DELTA) for epsilon, mechanism in claimed.items()]
    settings = {"patients": PATIENTS, "words": WORDS, "tokens": TOKENS, "lora_r": RANK}
    return conclude("membership", measured, claims, settings | {"learning_rate": TRAINING.learning_rate})


def membership_scores(
    mechanism: Mechanism, seed: int, tell: Tell = lambda _: None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How much the released update lowers each patient's loss: of members, of non-members."""
    patients = _patients(seed)
    target = Target(tiny_gpt2(seed, WORDS), all_linear(RANK), TRAINING, seed=seed)
    rows = [SftRecord(f"p{index:03}", *patients.texts[index]) for index in np.flatnonzero(patients.inside)]
    update = release(target, rows, mechanism, tell)
    before = text_losses(target, target.initial["policy"], patients.texts)
    scores = before - text_losses(target, released_adapter(target, update), patients.texts)
    return scores[patients.inside], scores[~patients.inside]


def text_losses(target: Target, adapter: State, texts: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
    """Negative log-likelihood of each completion ``(texts,)`` under an adapter."""
    spec = target.training
    with adapted(target.base, target.lora, ("policy",)) as model:
        model.load("policy", adapter)
        model.use("policy")
        rows = encode_pairs(target.base, texts, spec.max_prompt_tokens, spec.max_completion_tokens)
        with torch.no_grad():
            return -completion_logprobs(model, rows).double().sum(1).numpy()


def _patients(seed: int) -> Patients:
    draw = np.random.default_rng(seed)
    words = draw.integers(0, WORDS, size=(PATIENTS, TOKENS)).tolist()
    texts = tuple((text_of(row[:1]), text_of(row[1:])) for row in words)
    return Patients(texts, draw.permutation(PATIENTS) < PATIENTS // 2)
