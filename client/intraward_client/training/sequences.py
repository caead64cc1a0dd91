"""Records to padded token rows, and log-probabilities of completions.

Under a mechanism every row is padded to the plan's own lengths, so that no shape depends on a
neighbour (DESIGN.md section 6, step); public rows are padded to the longest of their batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from intraward_client.training.inputs import TrainingInputs
from intraward_shared.generation import Sequences, pad_sequences
from intraward_shared.modeling import AdaptedModel


def most_scored(inputs: TrainingInputs) -> int | None:
    """``completion_logprobs``' bound of a private round; None for public rows."""
    return inputs.longest if inputs.private else None


def encode_texts(inputs: TrainingInputs, texts: Sequence[tuple[str, str]]) -> Sequences:
    """Right-padded rows of (prompt, completion) texts."""
    spec = inputs.plan.training
    length = spec.max_prompt_tokens + inputs.longest if inputs.private else None
    rows = [(inputs.prompt_ids(prompt), inputs.completion_ids(completion)) for prompt, completion in texts]
    return pad_sequences(inputs.base, rows, length)


def token_logprobs(model: AdaptedModel, hidden: Tensor, ids: Tensor, temperature: float = 1.0) -> Tensor:
    """Log-probability of each token of ``ids`` given the hidden state before it.

    Args:
        hidden: ``(..., width)``; ids: ``(...)``, the token that follows each state.
        temperature: the sampling temperature of the policy that is meant.
    """
    logits = model.logits(hidden) / temperature
    return logits.gather(-1, ids[..., None]).squeeze(-1) - logits.logsumexp(-1)


def completion_logprobs(model: AdaptedModel, rows: Sequences, most: int | None = None) -> Tensor:
    """Log-probabilities on completion tokens ``(rows, tokens)``, 0 elsewhere; active adapter.

    The vocabulary is spanned at completion tokens only, which is most of the memory of a step.

    Args:
        most: completion tokens that a row can have. With it that many are spanned for every row, so that
            no shape depends on how long the rows beside a row are.
    """
    hidden = model.hidden(rows.ids, rows.mask)[0]
    scored = rows.completion[:, 1:]
    states, targets = hidden[:, :-1][scored], rows.ids[:, 1:][scored]
    count = len(states)
    if most is not None:
        spare = len(rows) * most - count
        states, targets = pad(states, (0, 0, 0, spare)), pad(targets, (0, spare))
    found = token_logprobs(model, states, targets)[:count]
    out = torch.zeros(rows.ids.shape, dtype=found.dtype, device=found.device)
    place = torch.zeros_like(rows.completion)
    place[:, 1:] = scored
    return out.masked_scatter(place, found)
