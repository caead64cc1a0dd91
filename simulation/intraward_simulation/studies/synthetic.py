"""Synthetic clinical preferences to start a reward model on, made of open demonstrations by rules.

A prompt's reference is above what it is degraded to: of an article, another section of the same article and
then an article on something else; of a dialogue's note, a part of its sentences, that part with a stranger's
sentence, and a stranger's note. So a model learns relevance, completeness and faithfulness before it sees a
single judgment. No dialogue that people judged is among them, and no judgment is used.
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
LONGEST_DIALOGUE = 1200
"""In characters, and so a note's longest too; a longer one costs more than it teaches."""
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n+")

Row = dict[str, str]


def synthetic_rankings(folder: Path, most: int, judged: Iterable[str], seed: int) -> list[RankingRecord]:
    """At most ``most`` rankings, half of them of articles and half of dialogues, mixed.

    Args:
        judged: prompts that are judged; none of them is used.

    Raises:
        ConfigError, InputError: a file is missing or a line is not what it should be.
    """
    draw = np.random.Generator(np.random.Philox(seed))
    found = _article_rankings(folder, most // 2, draw)
    found += _dialogue_rankings(folder, most - most // 2, set(judged), draw)
    return [found[place] for place in draw.permutation(len(found))]


def _article_rankings(folder: Path, most: int, draw: np.random.Generator) -> list[RankingRecord]:
    rows = read_rows(folder / ARTICLES, "doc", "focus", "qtype", "prompt", "response")
    sections, alike = defaultdict[str, list[Row]](list), defaultdict[str, list[Row]](list)
    for row in rows:
        sections[row["doc"]].append(row)
        alike[row["qtype"]].append(row)
    found: list[RankingRecord] = []
    for place in draw.permutation(len(rows)):
        if len(found) == most:
            break
        row = rows[place]
        worse = [_pick([r for r in sections[row["doc"]] if r["qtype"] != row["qtype"]], draw)]
        worse += [_pick([r for r in alike[row["qtype"]] if r["focus"] != row["focus"]], draw)]
        worse += [_pick([r for r in rows if r["doc"] != row["doc"] and r["focus"] != row["focus"]], draw)]
        levels = [(rank, text) for rank, text in zip((2, 3, 3), worse, strict=True) if text]
        found += _ranked(row["prompt"], [(1, row["response"]), *levels])
    return found


def _dialogue_rankings(
    folder: Path, most: int, judged: set[str], draw: np.random.Generator
) -> list[RankingRecord]:
    rows = [
        row
        for row in read_rows(folder / DIALOGUES, "prompt", "response")
        if row["prompt"] not in judged and len(row["prompt"] + row["response"]) <= LONGEST_DIALOGUE
    ]
    found: list[RankingRecord] = []
    for place in draw.permutation(len(rows)):
        if len(found) == most:
            break
        row = rows[place]
        stranger = _pick([other for other in rows if other is not row], draw)
        levels = [(1, row["response"]), *_degraded(row["response"], stranger, draw), (4, stranger)]
        found += _ranked(row["prompt"], levels)
    return found


def _degraded(note: str, stranger: str, draw: np.random.Generator) -> list[tuple[int, str]]:
    """(rank, text): some of the note's sentences, or half its words, and that with a stranger's sentence."""
    sentences = _sentences(note)
    if len(sentences) < 2:
        words = note.split()
        part = " ".join(words[: len(words) // 2])
        return [(2, part)] if len(words) > 5 else []
    count = int(draw.integers(1, len(sentences)))
    kept = [sentences[i] for i in sorted(draw.choice(len(sentences), count, replace=False))]
    foreign = _sentences(stranger)
    mixed = [*kept, foreign[int(draw.integers(len(foreign)))]] if foreign else kept
    return [(2, " ".join(kept)), (3, " ".join(mixed[i] for i in draw.permutation(len(mixed))))]


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(text.strip()) if part]


def _pick(rows: Sequence[Row], draw: np.random.Generator) -> str:
    return rows[int(draw.integers(len(rows)))]["response"] if rows else ""


def _ranked(prompt: str, levels: Sequence[tuple[int, str]]) -> list[RankingRecord]:
    """One record, or none where two answers are the same or fewer than two are left."""
    ranks, answers = zip(*levels, strict=True)
    if len(answers) < 2 or len(set(answers)) < len(answers):
        return []
    return [RankingRecord(PUBLIC_UNIT, prompt, tuple(answers), tuple(ranks))]
