"""Synthetic clinical preferences to start a reward model on, made of open demonstrations by rules.

A prompt's reference is above what it is degraded to, so that a model learns relevance, completeness and
faithfulness before it sees a single judgment: of an article, a part of the section, another section, and
another article's section of the same kind; of a dialogue's note, a part of it, the note with one sentence
from a stranger's, and a stranger's note. **No worse answer is longer than the reference.** Without that rule
the model learns to prefer short answers, and judges worse than chance (simulation/RESULTS.md). No dialogue
that people judged is among them, and no judgment is used.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from intraward_client.store.datasets import RankingRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_simulation.data import read_rows

ARTICLES, DIALOGUES = "medquad_sft/sft.jsonl", "mts_dialog/sft.jsonl"
LONGEST_ARTICLE, LONGEST_DIALOGUE = 1000, 1200
"""In characters, the dialogue with its note; a longer one costs more than it teaches."""
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")

Row = dict[str, str]


def article_rankings(folder: Path, most: int, seed: int) -> list[RankingRecord]:
    """At most ``most`` rankings of sections of articles.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    rows = read_rows(folder / ARTICLES, "doc", "focus", "qtype", "prompt", "response")
    sections, alike = defaultdict[str, list[Row]](list), defaultdict[str, list[Row]](list)
    for row in rows:
        sections[row["doc"]].append(row)
        alike[row["qtype"]].append(row)
    found: list[RankingRecord] = []
    for row in (rows[place] for place in draw.permutation(len(rows))):
        if len(found) == most:
            break
        answer = row["response"]
        if len(answer) > LONGEST_ARTICLE:
            continue
        beside = _pick([r for r in sections[row["doc"]] if r["qtype"] != row["qtype"]], draw)
        foreign = _pick([r for r in alike[row["qtype"]] if r["focus"] != row["focus"]], draw)
        worse = [(2, _part(answer, draw)), (2, _fitting(beside, answer)), (3, _fitting(foreign, answer))]
        found += _ranked(row["prompt"], answer, worse)
    return found


def dialogue_rankings(folder: Path, most: int, judged: Iterable[str], seed: int) -> list[RankingRecord]:
    """At most ``most`` rankings of notes of dialogues.

    Args:
        judged: prompts that are judged; none of them is used.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    draw, known = np.random.Generator(np.random.Philox(seed)), set(judged)
    rows = [
        row
        for row in read_rows(folder / DIALOGUES, "prompt", "response")
        if row["prompt"] not in known and len(row["prompt"] + row["response"]) <= LONGEST_DIALOGUE
    ]
    found: list[RankingRecord] = []
    for row in (rows[place] for place in draw.permutation(len(rows))):
        if len(found) == most:
            break
        note = row["response"]
        stranger = _pick([other for other in rows if other is not row], draw)
        worse = [(2, _part(note, draw)), (2, _mixed(note, stranger, draw)), (3, _fitting(stranger, note))]
        found += _ranked(row["prompt"], note, worse)
    return found


def _part(text: str, draw: np.random.Generator) -> str:
    """Some of the sentences, or half the words of a single one; nothing of a short one."""
    sentences = _sentences(text)
    if len(sentences) < 2:
        words = text.split()
        return " ".join(words[: len(words) // 2]) if len(words) > 5 else ""
    count = int(draw.integers(1, len(sentences)))
    return " ".join(sentences[i] for i in sorted(draw.choice(len(sentences), count, replace=False)))


def _mixed(text: str, stranger: str, draw: np.random.Generator) -> str:
    """The text with one sentence replaced by a stranger's that is no longer; nothing where none fits."""
    sentences = _sentences(text)
    place = int(draw.integers(len(sentences)))
    fitting = [foreign for foreign in _sentences(stranger) if len(foreign) <= len(sentences[place])]
    if len(sentences) < 2 or not fitting:
        return ""
    sentences[place] = fitting[int(draw.integers(len(fitting)))]
    return " ".join(sentences)


def _fitting(text: str, reference: str) -> str:
    """As many leading sentences as are together no longer than the reference."""
    kept = ""
    for sentence in _sentences(text):
        longer = f"{kept} {sentence}".strip()
        if len(longer) > len(reference):
            break
        kept = longer
    return kept


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text.strip()) if part]


def _pick(rows: Sequence[Row], draw: np.random.Generator) -> str:
    return rows[int(draw.integers(len(rows)))]["response"] if rows else ""


def _ranked(prompt: str, best: str, worse: Iterable[tuple[int, str]]) -> list[RankingRecord]:
    """One record, or none where no different worse answer is left."""
    levels = {best: 1}
    for rank, text in worse:
        if text:
            levels.setdefault(text, rank)
    if len(levels) < 2:
        return []
    return [RankingRecord(PUBLIC_UNIT, prompt, tuple(levels), tuple(levels.values()))]
