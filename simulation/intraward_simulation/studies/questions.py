"""Open medical questions with short answers, dealt by topic to the policies, to the gold judge, or held out.

medquad_sft's articles are longer than what a small study can sample, so an answer is cut to its leading whole
sentences: a policy learns to stop by itself. Rows that are headings, lists or other questions are left out.
Sides are chosen by a keyed hash of the topic, so that no disease is on two of them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from intraward_client.store.datasets import PairRecord, SftRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_simulation.data import read_rows

FILE = "medquad_sft/sft.jsonl"
FEWEST_WORDS = 8
"""Shorter leading sentences are headings more often than answers."""
MOST_WORDS_ASKED = 14
Side = Literal["training", "gold", "held out"]
_SIDES: tuple[Side, ...] = ("held out", "gold", "gold")
_SIDES_OUT_OF = 8
"""Of so many topics one is held out and two are gold's; the others are for training."""
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z(])")
_NO_PROSE = re.compile(r"[?:]|Key Points|\s[-*]\s|Human Phenotype")


@dataclass(frozen=True)
class Question:
    """A question with its reference answer; ``kind`` is the set's own type of question."""

    topic: str = field(repr=False)
    kind: str
    text: str = field(repr=False)
    answer: str = field(repr=False)

    @property
    def demonstration(self) -> SftRecord:
        """The reference answer, to imitate."""
        return SftRecord(PUBLIC_UNIT, self.text, self.answer)


def read_questions(folder: Path, most_words: int, seed: int) -> dict[Side, list[Question]]:
    """Questions by side, each list in the order of a keyed hash.

    Raises:
        ConfigError, InputError: the file is missing or a line is not what it should be.
    """
    found: dict[Side, list[Question]] = {"training": [], "gold": [], "held out": []}
    seen: set[str] = set()
    for row in read_rows(folder / FILE, "prompt", "response", "focus", "qtype"):
        question = Question(
            row["focus"].lower(), row["qtype"], row["prompt"], shorten(row["response"], most_words)
        )
        if question.text not in seen and _is_answered(question):
            seen.add(question.text)
            found[side_of(question.topic, seed)].append(question)
    for questions in found.values():
        questions.sort(key=lambda question: _hash(seed, "order", question.text))
    return found


def side_of(topic: str, seed: int) -> Side:
    """Side of a topic: a keyed hash of its name alone."""
    place = int(_hash(seed, "side", topic)[:8], 16) % _SIDES_OUT_OF
    return _SIDES[place] if place < len(_SIDES) else "training"


def shorten(text: str, most_words: int) -> str:
    """The leading whole sentences of ``text`` that have at most ``most_words`` words together."""
    kept: list[str] = []
    for sentence in _SENTENCE.split(text):
        if sum(len(part.split()) for part in (*kept, sentence)) > most_words:
            break
        kept.append(sentence)
    return " ".join(kept)


def constructed_pairs(question: Question, others: Sequence[Question], seed: int) -> list[PairRecord]:
    """Synthetic preferences: the reference over an answer to another question, and over its own first half.

    Args:
        others: questions of the same side; one of another topic is taken, of the same kind if possible.
    """
    apart = [other for other in others if other.topic != question.topic]
    alike = [other for other in apart if other.kind == question.kind] or apart
    words = question.answer.split()
    worse = [" ".join(words[: len(words) // 2])]
    if alike:
        worse.append(alike[int(_hash(seed, "other", question.text)[:8], 16) % len(alike)].answer)
    return [PairRecord(PUBLIC_UNIT, question.text, question.answer, text) for text in worse]


def _is_answered(question: Question) -> bool:
    answer = question.answer
    if len(answer.split()) < FEWEST_WORDS or not answer.endswith(".") or _NO_PROSE.search(answer):
        return False
    return len(question.text.split()) <= MOST_WORDS_ASKED


def _hash(seed: int, purpose: str, text: str) -> str:
    return hashlib.sha256(f"{seed}|{purpose}|{text}".encode()).hexdigest()
