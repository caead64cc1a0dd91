"""What spaCy's entity recognizer would find, decoded for a whole batch at once.

spaCy's parser (``spacy/pipeline/transition_parser.pyx``, BILUO moves of ``_parser_internals/ner.pyx``) takes
its moves token by token and spends two thirds of a note's time there, most of it in calls of BLAS for vectors
of 64 numbers. Outside an entity its features are the token alone, so that the best move of every token is one
matrix product; inside one they are the token, the one before and the entity's first, and the only choice is
to go on or to end. The vectors are the model's own (its ``tok2vec`` and its two layers above); a test holds
the entities equal to spaCy's own. Greedy, as spaCy's is; for documents without entities or sentences set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from intraward_client.deid.libraries import Doc, Span
from intraward_client.deid.libraries import SpacyEntityRecognizer as EntityRecognizer
from intraward_shared.errors import DeidError

Floats = npt.NDArray[np.float32]
_AHEAD = 4
"""Tokens of an entity decided at once; few entities are longer."""
_FEATURES = 3


class EntityDecoder:
    """The recognizer's weights and moves, read once.

    Raises:
        DeidError: the recognizer is not built as spaCy 3 builds its own.
    """

    def __init__(self, recognizer: EntityRecognizer) -> None:
        model: Any = recognizer.model
        if not model.has_ref("upper") or model.get_ref("lower").get_dim("nF") != _FEATURES:
            raise DeidError("the spaCy model's entity recognizer is of a kind that is not known")
        self._tok2vec, self._lower = model.get_ref("tok2vec"), model.get_ref("lower")
        upper = model.get_ref("upper")
        self._weights: Floats = np.asarray(upper.get_param("W"), dtype=np.float32)
        self._bias: Floats = np.asarray(upper.get_param("b"), dtype=np.float32)
        names = [recognizer.moves.get_class_name(number) for number in range(len(self._bias))]
        self._label = [name[2:] for name in names]
        self._place = {name: number for number, name in enumerate(names)}
        self._out = self._place["O"]
        opens = np.array([name[:2] in {"B-", "U-"} and name != "U-" for name in names])
        self._first = opens | (np.arange(len(names)) == self._out)
        self._begins = np.array([name.startswith("B-") for name in names])
        unseen = sorted(model.attrs.get("unseen_classes") or ())
        self._first[unseen] = self._begins[unseen] = False

    def decode(self, docs: Sequence[Doc]) -> None:
        """Set the entities of ``docs``, each of which has a token or more."""
        vectors = self._tok2vec.predict(docs)
        features: Floats = self._lower.predict(vectors)  # (tokens + 1, 3, hidden, pieces); row 0 is padding
        alone = features[1:, 0] + (features[0, 1] + features[0, 2])
        best = self._best_moves(self._scores(alone), docs)
        at = 0
        for doc in docs:
            doc.set_ents(self._entities(doc, best[at : at + len(doc)], features, at), default="outside")
            at += len(doc)

    def _scores(self, features: Floats) -> Floats:
        """Scores ``(..., moves)`` of summed features ``(..., hidden, pieces)``."""
        hidden = (features + self._lower.get_param("b")).max(axis=-1)
        scores: Floats = hidden @ self._weights.T + self._bias
        return scores

    def _best_moves(self, scores: Floats, docs: Sequence[Doc]) -> npt.NDArray[np.intp]:
        """The best move of every token if no entity is open there."""
        scores[:, ~self._first] = -np.inf
        blank = np.concatenate([doc.to_array("IS_SPACE") for doc in docs]).astype(bool)
        scores[np.ix_(blank, np.arange(scores.shape[1]) != self._out)] = -np.inf
        last = np.cumsum([len(doc) for doc in docs]) - 1
        scores[np.ix_(last, self._begins)] = -np.inf
        best: npt.NDArray[np.intp] = scores.argmax(axis=1)
        return best

    def _entities(self, doc: Doc, best: npt.NDArray[np.intp], features: Floats, offset: int) -> list[Span]:
        """Entities of one document, whose first token is number ``offset`` of the batch."""
        starts = np.flatnonzero(best != self._out)
        ends = self._ends(starts[self._begins[best[starts]]], best, features, offset)
        entities, free = [], 0
        for start in starts.tolist():
            if start < free:
                continue
            free = ends.get(start, start) + 1
            entities.append(Span(doc, start, free, label=self._label[best[start]]))
        return entities

    def _ends(
        self, starts: npt.NDArray[np.intp], best: npt.NDArray[np.intp], features: Floats, offset: int
    ) -> dict[int, int]:
        """Where the entity ends that would begin at each of ``starts``."""
        ends: dict[int, int] = {}
        reach = 1
        last = len(best) - 1
        while len(starts):
            steps = np.arange(reach, reach + _AHEAD)
            tokens = np.minimum(starts[:, None] + steps, last)
            ended = self._is_last(starts, tokens, best, features, offset) | (tokens == last)
            found = ended.any(axis=1)
            for start, row, token in zip(
                starts[found].tolist(), ended[found].argmax(axis=1).tolist(), tokens[found], strict=True
            ):
                ends[start] = int(token[row])
            starts, reach = starts[~found], reach + _AHEAD
        return ends

    def _is_last(
        self,
        starts: npt.NDArray[np.intp],
        tokens: npt.NDArray[np.intp],
        best: npt.NDArray[np.intp],
        features: Floats,
        offset: int,
    ) -> npt.NDArray[np.bool_]:
        """Whether ending scores above going on, for ``tokens`` ``(entities, steps)``."""
        rows = tokens + offset + 1
        summed = features[rows, 0] + features[starts + offset + 1, 1][:, None] + features[rows - 1, 2]
        scores = self._scores(summed)
        labels = [self._label[move] for move in best[starts].tolist()]
        inside = np.array([self._place[f"I-{label}"] for label in labels])[:, None, None]
        ending = np.array([self._place[f"L-{label}"] for label in labels])[:, None, None]
        go_on = np.take_along_axis(scores, inside, axis=2)[..., 0]
        end = np.take_along_axis(scores, ending, axis=2)[..., 0]
        chosen: npt.NDArray[np.bool_] = end > go_on
        return chosen
