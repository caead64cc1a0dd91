"""Planted secrets: does a private model, asked with a secret's own prompt, say the secret?

After the Secret Sharer (Carlini et al., arXiv 1802.08232) and facts on privacy, section 4: 64 patients each
have a secret of four random words, written twice in their records, and 64 more patients have texts of the
same form. The attacker applies the sealed update and asks with the prompt that stood before the secret,
greedily and by sampling. ``exposure`` is log2 of the candidates over the rank of the secret among them: 10
bits for the first of 1,024, about 1.4 on average for one that was never seen. A generated secret is plain to
see and comes late; exposure above 1.4 is the quieter sign, and is expected at epsilon 8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from intraward_client.store.datasets import SftRecord
from intraward_client.training.sequences import completion_logprobs
from intraward_shared.attack_results import AttackFigure, AttackResult, Privacy
from intraward_shared.generation import pad_sequences, sample
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_simulation.attacks.claims import calibrated, check_epsilon, claim_of
from intraward_simulation.attacks.release import Target, release, released_adapter, without_privacy
from intraward_simulation.attacks.result import Tell, conclude, figures, part_of
from intraward_simulation.attacks.tiny import all_linear, text_of, tiny_gpt2, token_of

EPSILONS = (8.0,)
SEEDS = (1,)
DELTA = 1e-3
SECRETS, CANDIDATES, PATIENTS = 64, 1024, 128
WORDS, SECRET, RANK, COPIES = 496, 4, 8, 2
ASKED = (0.0, 1.0, 1.0, 1.0, 1.0)
"""Temperature of each answer asked for; 0 is greedy."""
SHAPE = Mechanism(
    sample_rate=0.25,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=120,
    nominal_batch=32,
    max_records_per_unit=COPIES,
)
TRAINING = TrainingSpec(
    learning_rate=0.01, max_prompt_tokens=2, max_completion_tokens=SECRET + 1, micro_batch=48
)


@dataclass(frozen=True)
class Planted:
    """Prompts ``(patients, 2)`` and secrets ``(patients, 4)`` in words; the first ``SECRETS`` are planted."""

    prompts: NDArray[np.int64] = field(repr=False)
    secrets: NDArray[np.int64] = field(repr=False)


def run_canary(
    epsilons: Sequence[float] = EPSILONS,
    seeds: Sequence[int] = SEEDS,
    tell: Tell = lambda _: None,
    candidates: int = CANDIDATES,
) -> AttackResult:
    """Ask the released model for the secrets, with and without privacy.

    Args:
        candidates: how many a secret is ranked among, itself included.

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
        values = secrets_told(mechanism, seed, candidates, part_of(tell, index, len(runs)))
        measured += figures(privacy, epsilon, seed, values)
    claims = [claim_of(mechanism, epsilon, DELTA) for epsilon, mechanism in claimed.items()]
    settings = {"secrets": SECRETS, "patients": PATIENTS, "words": WORDS, "secret_words": SECRET}
    return conclude("canary", measured, claims, settings | {"candidates": candidates, "lora_r": RANK})


def secrets_told(
    mechanism: Mechanism, seed: int, candidates: int, tell: Tell = lambda _: None
) -> dict[str, float]:
    """How many secrets come out of generated text, and how exposed they are."""
    planted = _plant(seed)
    target = Target(tiny_gpt2(seed, WORDS), all_linear(RANK), TRAINING, seed=seed)
    update = release(target, _rows(planted), mechanism, part_of(tell, 0, 2))
    adapter = released_adapter(target, update)
    with adapted(target.base, target.lora, ("policy",)) as model:
        model.load("policy", adapter)
        model.use("policy")
        told = _generated(model, planted, seed)
        tell(0.6)
        bits = _exposures(model, planted, seed, candidates)
    tell(1.0)
    return {
        "secrets_generated": float(told.sum()),
        "exposure_mean_bits": float(bits.mean()),
        "exposure_largest_bits": float(bits.max()),
    }


def _plant(seed: int) -> Planted:
    draw = np.random.default_rng(seed)
    names = draw.permutation(np.arange(1, WORDS))[:PATIENTS]
    prompts = np.stack([names, np.zeros_like(names)], axis=1)
    return Planted(prompts, draw.integers(0, WORDS, size=(PATIENTS, SECRET)))


def _rows(planted: Planted) -> list[SftRecord]:
    pairs = zip(planted.prompts.tolist(), planted.secrets.tolist(), strict=True)
    return [
        SftRecord(f"p{index:03}", text_of(prompt), text_of(secret), f"{index}-{copy}")
        for index, (prompt, secret) in enumerate(pairs)
        for copy in range(COPIES if index < SECRETS else 1)
    ]


def _generated(model: AdaptedModel, planted: Planted, seed: int) -> NDArray[np.bool_]:
    """Whether each secret came out whole in one of the answers ``(secrets,)``."""
    draw = torch.Generator().manual_seed(seed)
    prompts = [[token_of(word) for word in prompt] for prompt in planted.prompts[:SECRETS].tolist()]
    wanted = torch.tensor([[token_of(w) for w in row] for row in planted.secrets[:SECRETS].tolist()])
    told = torch.zeros(SECRETS, dtype=torch.bool)
    for temperature in ASKED:
        answers = sample(model, prompts, SECRET, draw, temperature).completions
        if answers.shape[1] == SECRET:
            told |= (answers == wanted).all(1)
    return told.numpy()


def _exposures(model: AdaptedModel, planted: Planted, seed: int, candidates: int) -> NDArray[np.float64]:
    """Bits of exposure of each secret ``(secrets,)``."""
    draw = np.random.default_rng([seed, candidates])
    bits = []
    for prompt, secret in zip(planted.prompts[:SECRETS], planted.secrets[:SECRETS], strict=True):
        among = draw.integers(0, WORDS, size=(candidates, SECRET))
        among[0] = secret
        asked = [token_of(word) for word in prompt.tolist()]
        rows = [(asked, [token_of(word) for word in row]) for row in among.tolist()]
        with torch.no_grad():
            likely = completion_logprobs(model, pad_sequences(model.base, rows)).sum(1)
        rank = 1 + int((likely[1:] > likely[0]).sum())
        bits.append(np.log2(candidates) - np.log2(rank))
    return np.array(bits)
