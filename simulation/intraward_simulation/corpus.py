"""The public synthetic text: prompts, answers as an unaligned model would give them, held-out pairs.

Everything here is public by construction, so a model pre-trained on it, and PPO on its prompts, cost
no privacy (DESIGN.md section 6, free stages). Answers mix ordinary advice, safety nets, dangerous
advice and filler so that the mean gold reward is low and length says little about it: rewards sit in
what is said. Held-out prompts are split off by a hash of the text, so no seed can mix the two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from intraward_simulation.clinicians import TIE_GAP, true_reward
from intraward_simulation.complaints import COMPLAINTS, DANGERS, FILLERS, NETS, Complaint

HELD_OUT_OF = 8
"""One prompt in this many is held out."""
OFF_TOPIC = 0.12
"""Share of advice and red flags that belong to another complaint, as a small model's do."""
MAX_WORDS = 18
"""Longest answer; about 27 tokens of the tiny model."""
_SENTENCES = (0.25, 0.50, 0.25)  # one, two or three sentences
_KINDS = ("advice", "net", "danger", "filler")
_KIND_WEIGHTS = (0.40, 0.19, 0.15, 0.26)
_ONCE = ("net", "danger")


@dataclass(frozen=True)
class Example:
    """A prompt and one completion of it; tokenised apart, no space between is stored."""

    prompt: str
    completion: str


def is_held_out(prompt: str) -> bool:
    """Whether a prompt belongs to the held-out part, by a hash of its text."""
    return hashlib.sha256(prompt.encode()).digest()[0] % HELD_OUT_OF == 0


def write_prompt(draw: np.random.Generator, complaint: Complaint, age: int, sex: str) -> str:
    """A prompt about ``complaint`` that is not held out; ``sex`` is ``man`` or ``woman``."""
    while True:
        prompt = _prompt(draw, complaint, age, sex)
        if not is_held_out(prompt):
            return prompt


def public_prompts(seed: int, n: int) -> tuple[str, ...]:
    """``n`` prompts, none of them held out; repeats are possible."""
    return tuple(prompt for prompt, _ in _prompts(np.random.default_rng([seed, 1]), n, held_out=False))


def heldout_prompts(seed: int, n: int) -> tuple[str, ...]:
    """``n`` held-out prompts."""
    return tuple(prompt for prompt, _ in _prompts(np.random.default_rng([seed, 2]), n, held_out=True))


def public_corpus(seed: int, n: int) -> list[Example]:
    """``n`` examples on public prompts, of mixed quality like an unaligned corpus."""
    draw = np.random.default_rng([seed, 3])
    return [
        Example(prompt, write_answer(draw, complaint))
        for prompt, complaint in _prompts(draw, n, held_out=False)
    ]


def heldout_pairs(seed: int, n: int) -> list[dict[str, str]]:
    """``n`` noise-free pairs ``{"prompt", "chosen", "rejected"}`` on held-out prompts, ties left out.

    Both answers come from the corpus's own mixture. The share of pairs in which the longer answer
    (in words) wins is what the mixture gives, about 0.55.
    """
    draw = np.random.default_rng([seed, 4])
    pairs: list[dict[str, str]] = []
    while len(pairs) < n:
        [(prompt, complaint)] = _prompts(draw, 1, held_out=True)
        first, second = write_answer(draw, complaint), write_answer(draw, complaint)
        gap = true_reward(prompt, first) - true_reward(prompt, second)
        if abs(gap) >= TIE_GAP:
            chosen, rejected = (first, second) if gap > 0 else (second, first)
            pairs.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return pairs


def write_answer(draw: np.random.Generator, complaint: Complaint) -> str:
    """One to three sentences of mixed quality about ``complaint``, at most ``MAX_WORDS`` words."""
    while True:
        answer = _draw_answer(draw, complaint)
        if len(answer.split()) <= MAX_WORDS:
            return answer


def _draw_answer(draw: np.random.Generator, complaint: Complaint) -> str:
    count = 1 + int(draw.choice(3, p=_SENTENCES))
    kinds: list[str] = []
    sentences: list[str] = []
    while len(sentences) < count:
        kind = str(draw.choice(_KINDS, p=_KIND_WEIGHTS))
        sentence = _sentence(draw, kind, complaint)
        if not (kind in _ONCE and kind in kinds) and sentence not in sentences:
            kinds.append(kind)
            sentences.append(sentence)
    return " ".join(sentences)


def _sentence(draw: np.random.Generator, kind: str, complaint: Complaint) -> str:
    about = complaint if draw.random() >= OFF_TOPIC else COMPLAINTS[int(draw.integers(len(COMPLAINTS)))]
    if kind == "advice":
        return _pick(draw, about.advice)
    if kind == "net":
        return _pick(draw, NETS).format(flag=_pick(draw, about.flags))
    texts = DANGERS if kind == "danger" else FILLERS
    return _pick(draw, texts).format(complaint=complaint.name)


def _prompts(draw: np.random.Generator, n: int, held_out: bool) -> Iterator[tuple[str, Complaint]]:
    while n:
        complaint = COMPLAINTS[int(draw.integers(len(COMPLAINTS)))]
        prompt = _prompt(draw, complaint, int(draw.integers(18, 90)), _pick(draw, ("man", "woman")))
        if is_held_out(prompt) == held_out:
            yield prompt, complaint
            n -= 1


def _prompt(draw: np.random.Generator, complaint: Complaint, age: int, sex: str) -> str:
    number, unit = (int(draw.integers(2, 7)), "days") if draw.random() < 0.6 else (int(draw.integers(2, 9)), "weeks")
    return f"Patient: {age} year old {sex} with {complaint.name} for {number} {unit}. Advice:"


def _pick(draw: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(draw.integers(len(options)))]
