"""Sentences that name nobody are not shown to the model: half of a note's tokens, and of the model's time.

A sentence whose capitalised words are all words of the clinic or of the dictionary, and in no list of names,
holds nothing that the model would rightly find: dates have rules of their own, and so has whatever a cue
gives away. It is blanked, so that offsets stay.
"""

from __future__ import annotations

import re

from intraward_client.deid.wordkinds import Kind, WordKinds

_SENTENCE = re.compile(r"[^\n.;]+(?:[.;](?=\S)[^\n.;]*)*[.;]?")
_WORD = re.compile(r"[^\W\d_][^\W\d_'-]*")
_PLAIN = frozenset({Kind.CLINICAL, Kind.WORD})


def spared(text: str, kinds: WordKinds) -> str:
    """``text`` with spaces in the place of every sentence whose words with a capital are plain ones."""
    return _SENTENCE.sub(lambda match: " " * len(match[0]) if _is_plain(match[0], kinds) else match[0], text)


def _is_plain(sentence: str, kinds: WordKinds) -> bool:
    return all(kinds.of(word) in _PLAIN for word in _WORD.findall(sentence) if word[0].isupper())
