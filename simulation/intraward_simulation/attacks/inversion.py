"""LoRA inversion: which words stood in the note, from one released update of ``lora_B``.

Recipe D of facts on privacy, section 4, after DAGER (Petrov et al., arXiv 2405.15586): the gradient of
``lora_B`` of a layer is a sum of outer products with ``A x`` over the note's tokens, so its row space holds
``A x`` of every token. In the first layer ``x`` depends on word and position alone: each candidate's
distance to that space tells, word by word, what was there. Clipping changes nothing, noise does.

AdamW stands between gradient and update. Its first step is near to a sign, of full rank, which blurs most
of the note for this attack (``tokens_recovered_plain_plan``) and is no guarantee. So the plan is chosen by
a coordinator who means harm, within what a plan may say: a tiny clip norm and a huge nominal batch bring
the gradient far below AdamW's own 1e-8, where its step is linear. Then the sealed update *is* the gradient,
scaled. The attacker is even given the best rank to cut the space at, which they could not know. With
several local steps, or more tokens than the rank, this attack weakens; others do not (UTR, arXiv
2601.17533; TIGER, arXiv 2606.18312).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from intraward_client.store.datasets import SftRecord
from intraward_shared.adapters import State
from intraward_shared.attack_results import AttackFigure, AttackResult, Privacy
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_shared.stages import Part
from intraward_simulation.attacks.claims import calibrated, check_epsilon, claim_of
from intraward_simulation.attacks.release import NO_NOISE, Target, release
from intraward_simulation.attacks.result import Tell, conclude, figures, part_of
from intraward_simulation.attacks.tiny import all_linear, text_of, tiny_gpt2, token_of

EPSILONS = (8.0,)
SEEDS = (1, 2, 3)
DELTA = 1e-5
WORDS, TOKENS, PROMPT, RANK = 1996, 12, 4, 16
NOTES = 5
"""Attacked one by one at each seed: a lucky guess at one rank of one note is a word in twelve."""
LAYER = "h.0.attn.c_attn.lora_B.weight"
HARMFUL = Mechanism(
    sample_rate=1.0,
    noise_multiplier=1.0,
    max_grad_norm=1e-3,
    steps=1,
    nominal_batch=1_000_000,
    max_records_per_unit=1,
)
PLAIN = HARMFUL.model_copy(update={"max_grad_norm": 1.0, "nominal_batch": 1})
TRAINING = TrainingSpec(
    learning_rate=1.0, max_prompt_tokens=PROMPT, max_completion_tokens=TOKENS - PROMPT + 1, micro_batch=1
)


def run_inversion(
    epsilons: Sequence[float] = EPSILONS, seeds: Sequence[int] = SEEDS, tell: Tell = lambda _: None
) -> AttackResult:
    """Invert the sealed update of one step on one patient, with and without noise; clipped in both.

    Raises:
        ConfigError: an epsilon that cannot be attacked.
    """
    measured: list[AttackFigure] = []
    for epsilon in epsilons:
        check_epsilon(epsilon)
    noises = {epsilon: calibrated(HARMFUL, epsilon, DELTA).noise_multiplier for epsilon in epsilons}
    runs: list[tuple[Privacy, float, float, int]] = []
    for seed in seeds:
        runs.append(("off", epsilons[0], NO_NOISE, seed))
        runs += [("on", epsilon, noises[epsilon], seed) for epsilon in epsilons]
    for index, (privacy, epsilon, noise, seed) in enumerate(runs):
        values = {
            "tokens_recovered": tokens_recovered(_noised(HARMFUL, noise), seed),
            "tokens_recovered_plain_plan": tokens_recovered(_noised(PLAIN, noise), seed),
        }
        measured += figures(privacy, epsilon, seed, values)
        part_of(tell, index, len(runs))(1.0)
    claims = [claim_of(_noised(HARMFUL, noise), epsilon, DELTA) for epsilon, noise in noises.items()]
    settings: dict[str, int | float | str] = {"notes": NOTES, "max_grad_norm": HARMFUL.max_grad_norm}
    settings |= {"words": WORDS, "tokens": TOKENS, "lora_r": RANK, "nominal_batch": HARMFUL.nominal_batch}
    return conclude("inversion", measured, claims, settings)


def tokens_recovered(mechanism: Mechanism, seed: int) -> float:
    """Share of the notes' words that the attacker names, each at its place, at the rank that suits best."""
    notes = np.random.default_rng(seed).integers(0, WORDS, size=(NOTES, TOKENS)).tolist()
    target = Target(tiny_gpt2(seed, WORDS), all_linear(RANK), TRAINING, Part.B, seed)
    right = []
    for words in notes:
        row = SftRecord("p1", text_of(words[:PROMPT]), text_of(words[PROMPT:]))
        update = release(target, [row], mechanism, lambda _: None)
        truth = torch.tensor([token_of(word) for word in words])
        right.append((named_tokens(target, update, TOKENS) == truth).double().mean(1))
    return float(torch.stack(right).mean(0).max())


def named_tokens(target: Target, update: State, tokens: int) -> Tensor:
    """The token named at each place ``(ranks, tokens)``, for every rank at which the space may be cut."""
    name = next(name for name in update if name.endswith(LAYER))
    factor = torch.from_numpy(target.initial["policy"][name.replace("lora_B", "lora_A")]).double()
    _, _, space = torch.linalg.svd(torch.tensor(update[name]).double(), full_matrices=False)
    named = []
    for place in range(tokens):
        candidates = _first_inputs(target, place) @ factor.T
        candidates = candidates / candidates.norm(dim=1, keepdim=True)
        within = (candidates @ space.T).square().cumsum(1)[:, :-1]  # the whole space holds everything
        named.append(within.argmax(0))
    return torch.stack(named, dim=1)


def _first_inputs(target: Target, place: int) -> Tensor:
    """What the first attention layer is given for every token at ``place`` ``(vocabulary, width)``."""
    body = target.base.network.transformer
    embedded = body.wte.weight.detach().double() + body.wpe.weight.detach().double()[place]
    norm = body.h[0].ln_1
    weight, bias = norm.weight.detach().double(), norm.bias.detach().double()
    return torch.nn.functional.layer_norm(embedded, embedded.shape[1:], weight, bias, norm.eps)


def _noised(mechanism: Mechanism, noise: float) -> Mechanism:
    return mechanism.model_copy(update={"noise_multiplier": noise})
