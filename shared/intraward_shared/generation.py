"""Token batches, sampling with a key-value cache, and scoring of prompt and answer texts.

Prompt and completion are tokenised apart and the end token appended, so that no merge crosses the
boundary (facts on PPO, A.3). Prompts are padded on the left with position ids from the mask; scored
sequences on the right. Sampling draws by given uniforms or an explicit ``torch.Generator``, never a global
one; there is no top-k or top-p, so the behaviour policy is the one whose log-probabilities are computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from intraward_shared.decoding import OpenRows, draw
from intraward_shared.modeling import AdaptedModel, BaseModel
from intraward_shared.reward_heads import HeadTerms


def prompt_ids(base: BaseModel, prompt: str, limit: int) -> list[int]:
    """Ids of a prompt, at most ``limit``, through the chat template where the tokenizer has one.

    Of a longer prompt the first tokens are left out, because its question stands last; the template around
    it stays whole, unless it alone is longer than ``limit``: then the last tokens of all are kept.
    """
    tokenizer = base.tokenizer
    ids = _as_turn(tokenizer, prompt)
    if len(ids) > limit and tokenizer.chat_template:
        own = list(tokenizer(prompt, add_special_tokens=False)["input_ids"])
        kept = len(own) - (len(ids) - limit)
        while kept > 0 and len(ids) > limit:  # again where other merges at the cut made a token more
            ids = _as_turn(tokenizer, tokenizer.decode(own[-kept:]).lstrip("\ufffd"))
            kept -= max(1, len(ids) - limit)
    return ids[-limit:] or [
        int(tokenizer.eos_token_id)
    ]  # no text may leave a row without a token to start from


def _as_turn(tokenizer: Any, prompt: str) -> list[int]:
    """Ids of a prompt as the user's turn, ready for the answer; as it is without a chat template."""
    text = prompt
    if tokenizer.chat_template:
        turn = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def completion_ids(base: BaseModel, completion: str, limit: int) -> list[int]:
    """Ids of an answer with the end token; at most ``limit``, the end token kept."""
    ids = list(base.tokenizer(completion, add_special_tokens=False)["input_ids"])[: limit - 1]
    return [*ids, int(base.tokenizer.eos_token_id)]


@dataclass(frozen=True, repr=False)
class Sequences:
    """Right-padded prompt+completion rows.

    ids, mask: ``(rows, tokens)``; completion: ``(rows, tokens)`` true on completion tokens.
    """

    ids: Tensor
    mask: Tensor
    completion: Tensor

    def __len__(self) -> int:
        return int(self.ids.shape[0])


def pad_sequences(
    base: BaseModel, rows: Sequence[tuple[list[int], list[int]]], length: int | None = None
) -> Sequences:
    """Right-pad rows of (prompt ids, completion ids), to ``length`` tokens if given."""
    width = length or max((len(p) + len(c) for p, c in rows), default=1)
    ids = torch.full((len(rows), width), int(base.tokenizer.pad_token_id))
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    completion = torch.zeros((len(rows), width), dtype=torch.bool)
    for row, (prompt, answer) in enumerate(rows):
        end = len(prompt) + len(answer)
        ids[row, :end] = torch.tensor(prompt + answer)
        mask[row, :end] = 1
        completion[row, len(prompt) : end] = True
    return Sequences(ids.to(base.device), mask.to(base.device), completion.to(base.device))


def encode_pairs(
    base: BaseModel,
    texts: Sequence[tuple[str, str]],
    max_prompt: int,
    max_completion: int,
    length: int | None = None,
) -> Sequences:
    """Tokenise and pad (prompt, completion) texts."""
    rows = [(prompt_ids(base, p, max_prompt), completion_ids(base, c, max_completion)) for p, c in texts]
    return pad_sequences(base, rows, length)


@dataclass(frozen=True, repr=False)
class Rollout:
    """A batch of sampled completions.

    prompts, prompt_mask: ``(rows, prompt tokens)`` left padded; completions, completion_mask:
    ``(rows, new tokens)``, mask true up to and including the first end token; logprobs ``(rows, new
    tokens)`` under the sampling distribution (temperature applied), zero outside the mask. states: the
    hidden state that each token was drawn from ``(rows, new tokens, width)``, if asked for.
    """

    prompts: Tensor
    prompt_mask: Tensor
    completions: Tensor
    completion_mask: Tensor
    logprobs: Tensor
    states: Tensor | None
    _eos: int

    @property
    def ended(self) -> Tensor:
        """``(rows,)`` true where the end token was sampled."""
        eos_at_end = self.completions.gather(1, (self.completion_mask.sum(1, keepdim=True) - 1).clamp(min=0))
        return eos_at_end.squeeze(1) == self._eos


def left_pad(base: BaseModel, rows: Sequence[list[int]], width: int | None = None) -> tuple[Tensor, Tensor]:
    """Left-padded ids and mask ``(rows, tokens)``, as wide as the longest row or as given."""
    width = width or max((len(row) for row in rows), default=1)
    ids = torch.full((len(rows), width), int(base.tokenizer.pad_token_id))
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, width - len(row) :] = torch.tensor(row)
        mask[index, width - len(row) :] = 1
    return ids.to(base.device), mask.to(base.device)


@dataclass(frozen=True, repr=False)
class _BlankRollout:
    """A rollout that is being filled in, column by column."""

    completions: Tensor
    mask: Tensor
    logprobs: Tensor
    states: Tensor | None

    @classmethod
    def of(cls, rows: int, new: int, pad: int, width: int, device: torch.device) -> _BlankRollout:
        """Nothing but padding; ``width`` of the hidden states, 0 for none."""
        return cls(
            torch.full((rows, new), pad, device=device),
            torch.zeros((rows, new), dtype=torch.bool, device=device),
            torch.zeros((rows, new), device=device),
            torch.zeros((rows, new, width), device=device) if width else None,
        )

    def put(self, column: int, rows: OpenRows, ids: Tensor, logprobs: Tensor, states: Tensor) -> None:
        """The tokens ``(rows,)`` just drawn in the open rows."""
        self.completions[rows.place, column] = ids
        self.mask[rows.place, column] = rows.alive
        self.logprobs[rows.place, column] = torch.where(rows.alive, logprobs, 0.0)
        if self.states is not None:
            self.states[rows.place, column] = states.float()

    def rollout(self, start: tuple[Tensor, Tensor], columns: int, eos: int) -> Rollout:
        """The columns that were filled, behind their prompts and mask."""
        states = None if self.states is None else self.states[:, :columns]
        filled = self.completions[:, :columns], self.mask[:, :columns], self.logprobs[:, :columns]
        return Rollout(*start, *filled, states, eos)


@torch.no_grad()
def sample(
    model: AdaptedModel,
    prompts: Sequence[list[int]],
    max_new: int,
    source: torch.Generator | Tensor,
    temperature: float = 1.0,
    *,
    width: int | None = None,
    states: bool = False,
) -> Rollout:
    """Sample one completion per row of prompt ids with the model's active adapter.

    Args:
        prompts: ids of each prompt, ragged.
        max_new: most tokens to sample, the end token included.
        source: uniform draws on [0, 1) of each row ``(rows, max_new)``, fp64, or a generator (on the CPU)
            that makes them: a row's answer does not depend on the rows beside it.
        temperature: 0 means greedy.
        width: of the padded prompts. With it ``max_new`` tokens of every row are always computed, so that no
            shape, and so no rounding, depends on the rows beside a row. Without it rows that have ended are
            left out.
        states: whether the rollout keeps the hidden states.
    """
    tokenizer = model.base.tokenizer
    eos, pad = int(tokenizer.eos_token_id), int(tokenizer.pad_token_id)
    start = left_pad(model.base, prompts, width)
    if isinstance(source, torch.Generator):
        source = torch.rand(len(prompts), max_new, generator=source, dtype=torch.float64)
    rows = OpenRows.begin(*start, source, max_new)
    out = _BlankRollout.of(
        len(prompts), max_new, pad, model.base.hidden_size if states else 0, rows.ids.device
    )
    length = 0
    while length < max_new and len(rows.place):
        hidden = model.hidden(rows.ids, rows.seen(), rows.cache)[0][:, -1]
        logits = model.logits(hidden) / (temperature or 1.0)
        logprobs = logits - logits.logsumexp(-1, keepdim=True)
        if temperature:
            chosen = draw(logprobs.exp(), rows.uniforms[:, length, None])
        else:
            chosen = logits.argmax(-1, keepdim=True)
        ids = torch.where(rows.alive[:, None], chosen, pad)
        out.put(length, rows, ids[:, 0], logprobs.gather(1, chosen)[:, 0], hidden)
        length += 1
        rows.go_on(ids, eos, shrink=width is None)
    return out.rollout(start, length, eos)


def decode(base: BaseModel, rollout: Rollout) -> list[str]:
    """Texts of a rollout's completions, special tokens removed."""
    rows = zip(rollout.completions.tolist(), rollout.completion_mask.tolist(), strict=True)
    kept = [[token for token, keep in zip(row, flags, strict=True) if keep] for row, flags in rows]
    return [str(text).strip() for text in base.tokenizer.batch_decode(kept, skip_special_tokens=True)]


def batches(count: int, size: int) -> Iterator[slice]:
    """Consecutive slices of at most ``size``."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


def generate_texts(
    model: AdaptedModel,
    prompts: Sequence[str],
    *,
    max_prompt: int,
    max_new: int,
    generator: torch.Generator,
    temperature: float = 1.0,
    batch: int = 128,
) -> list[str]:
    """One sampled answer per prompt text, in order."""
    answers: list[str] = []
    for part in batches(len(prompts), batch):
        rows = [prompt_ids(model.base, prompt, max_prompt) for prompt in prompts[part]]
        answers += decode(model.base, sample(model, rows, max_new, generator, temperature))
    return answers


@torch.no_grad()
def score_texts(
    model: AdaptedModel,
    texts: Sequence[tuple[str, str]],
    *,
    max_prompt: int,
    max_completion: int,
    batch: int = 128,
    terms: HeadTerms | None = None,
) -> Tensor:
    """Reward ``(rows,)`` of (prompt, answer) texts with the active adapter and the score head.

    ``terms``: what is made of the members, and which criteria are added; their mean without.
    """
    terms = terms or HeadTerms()
    scores = [
        model.appraise(rows.ids, rows.mask).weighted(model.heads, terms)
        for rows in (
            encode_pairs(model.base, texts[part], max_prompt, max_completion)
            for part in batches(len(texts), batch)
        )
    ]
    return torch.cat(scores).cpu() if scores else torch.zeros(0)
