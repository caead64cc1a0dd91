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

from intraward_simulation.clinicians import TIE_GAP, Score, true_reward
from intraward_simulation.complaints import COMPLAINTS, DANGERS, FILLERS, NETS, Complaint

HELD_OUT_OF = 8
"""One prompt in this many is held out."""
OFF_TOPIC = 0.06
"""Share of advice and red flags that belong to another complaint, as a small model's do."""
MAX_WORDS = 18
"""Longest answer; about 27 tokens of the tiny model."""
KINDS = ("advice", "elsewhere", "net", "danger", "filler")
"""Advice on the complaint, advice on another one, safety net, dangerous advice, filler."""
_SENTENCES = (0.25, 0.50, 0.25)  # one, two or three sentences
_KIND_WEIGHTS = {"advice": 0.40, "net": 0.19, "danger": 0.15, "filler": 0.26}
_ONCE = ("net", "danger")


@dataclass(frozen=True)
class Example:
    """A prompt and one completion of it; tokenised apart, no space between is stored.

    ``kinds`` is an index of what sorts of sentence the completion holds (``KINDS``), in its order.
    It says what is there, not whether that is good.
    """

    prompt: str
    completion: str
    kinds: tuple[str, ...] = ()


def is_held_out(prompt: str) -> bool:
    """Whether a prompt belongs to the held-out part, by a hash of its text."""
    return hashlib.sha256(prompt.encode()).digest()[0] % HELD_OUT_OF == 0


def person_word(age: int, female: bool) -> str:
    """``woman``, ``man``, ``girl`` or ``boy``."""
    return ("girl" if female else "boy") if age < 18 else "woman" if female else "man"


def write_prompt(draw: np.random.Generator, complaint: Complaint, age: int, person: str) -> str:
    """A prompt about ``complaint`` that is not held out; ``person`` as ``person_word`` gives it."""
    while True:
        prompt = _prompt(draw, complaint, age, person)
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
        Example(prompt, *write_answer(draw, complaint))
        for prompt, complaint in _prompts(draw, n, held_out=False)
    ]


def heldout_pairs(seed: int, n: int, score: Score = true_reward) -> list[dict[str, str]]:
    """``n`` noise-free pairs ``{"prompt", "chosen", "rejected"}`` on held-out prompts, ties left out.

    ``score``: what decides; the gold rule by default.

    Both answers come from the corpus's own mixture. The share of pairs in which the longer answer
    (in words) wins is what the mixture gives, about 0.55.
    """
    draw = np.random.default_rng([seed, 4])
    pairs: list[dict[str, str]] = []
    while len(pairs) < n:
        [(prompt, complaint)] = _prompts(draw, 1, held_out=True)
        first, second = (write_answer(draw, complaint)[0] for _ in range(2))
        gap = score(prompt, first) - score(prompt, second)
        if abs(gap) >= TIE_GAP:
            chosen, rejected = (first, second) if gap > 0 else (second, first)
            pairs.append({"prompt": prompt, "chosen": chosen, "rejected": rejected})
    return pairs


def write_answer(draw: np.random.Generator, complaint: Complaint) -> tuple[str, tuple[str, ...]]:
    """One to three sentences of mixed quality, at most ``MAX_WORDS`` words, and their kinds."""
    while True:
        sentences = _draw_sentences(draw, complaint)
        text = " ".join(sentences)
        if len(text.split()) <= MAX_WORDS:
            return text, tuple(sentences.values())


def _draw_sentences(draw: np.random.Generator, complaint: Complaint) -> dict[str, str]:
    """Sentence -> kind, in the order of the answer."""
    count = 1 + int(draw.choice(3, p=_SENTENCES))
    sentences: dict[str, str] = {}
    while len(sentences) < count:
        kind = str(draw.choice(list(_KIND_WEIGHTS), p=list(_KIND_WEIGHTS.values())))
        if kind not in _ONCE or kind not in sentences.values():
            sentence, kind = _sentence(draw, kind, complaint)
            sentences[sentence] = kind
    return sentences


def _sentence(draw: np.random.Generator, kind: str, complaint: Complaint) -> tuple[str, str]:
    about = complaint if draw.random() >= OFF_TOPIC else COMPLAINTS[int(draw.integers(len(COMPLAINTS)))]
    if kind == "advice":
        return _pick(draw, about.advice), kind if about is complaint else "elsewhere"
    if kind == "net":
        return _pick(draw, NETS).format(flag=_pick(draw, about.flags)), kind
    texts = DANGERS if kind == "danger" else FILLERS
    return _pick(draw, texts).format(complaint=complaint.name), kind


def _prompts(draw: np.random.Generator, n: int, held_out: bool) -> Iterator[tuple[str, Complaint]]:
    while n:
        complaint = COMPLAINTS[int(draw.integers(len(COMPLAINTS)))]
        age = int(draw.integers(2, 90))
        prompt = _prompt(draw, complaint, age, person_word(age, bool(draw.random() < 0.5)))
        if is_held_out(prompt) == held_out:
            yield prompt, complaint
            n -= 1


def _prompt(draw: np.random.Generator, complaint: Complaint, age: int, person: str) -> str:
    number, unit = (
        (int(draw.integers(2, 7)), "days") if draw.random() < 0.6 else (int(draw.integers(2, 9)), "weeks")
    )
    return f"Patient: {age} year old {person} with {complaint.name} for {number} {unit}. Advice:"


def _pick(draw: np.random.Generator, options: tuple[str, ...]) -> str:
    return options[int(draw.integers(len(options)))]
