"""A transformers token classifier as a recognizer: read in windows, every failure an exception.

Keeps rules 2 and 9 of DESIGN.md. Departs from Presidio's ``HuggingFaceNerRecognizer``, which answers "nothing
found" when the model fails, lets unknown labels pass, reads only what the tokenizer does not cut off, and
takes pickle weights. Here long texts are read in overlapping windows, a token is taken when any window takes
it, and it is taken when "no identifier" is not the likelier answer (recall counts for more than precision).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intraward_client.deid.libraries import LocalRecognizer, NlpArtifacts, RecognizerResult
from intraward_shared.errors import DeidError

if TYPE_CHECKING:
    import torch

_NAME = "IntrawardTokenClassifier"
_SCORE = 0.9
_ODDS = 0.5
"""A token is taken when all labels together are at least as likely as none."""
_PREFIX = re.compile(r"^[BIULESD][-_](?=.)")
_LONGEST_WINDOW = 512
_BATCH = 8
_OLDEST = 89
_REMEDY = "see client/README.md, stronger models"


def bare(label: str) -> str:
    """A label without its B-, I-, L-, U-, E- or S-."""
    return _PREFIX.sub("", label)


class TokenClassifier(LocalRecognizer):
    """A transformers token classifier, read in windows; raises when anything about it fails."""

    def __init__(self, directory: Path, labels: Mapping[str, str]) -> None:
        from transformers import AutoModelForTokenClassification, AutoTokenizer

        offline: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(str(directory), use_fast=True, **offline)
            self._model = AutoModelForTokenClassification.from_pretrained(
                str(directory), use_safetensors=True, **offline
            ).eval()
        except Exception as error:
            raise DeidError(
                f"the recognizer cannot be loaded ({type(error).__name__})", remedy=_REMEDY
            ) from None
        if not self._tokenizer.is_fast:
            raise DeidError("the recognizer's tokenizer keeps no offsets", remedy="add its tokenizer.json")
        config = self._model.config
        self._entities = [labels.get(bare(config.id2label[index])) for index in range(config.num_labels)]
        roomy = getattr(config, "max_position_embeddings", _LONGEST_WINDOW) - _offset(config)
        self._window = min(int(self._tokenizer.model_max_length), roomy, _LONGEST_WINDOW)
        super().__init__(supported_entities=sorted(set(labels.values())), name=_NAME)

    def load(self) -> None:
        """Loaded already."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of the model's labels, united over all windows; whole words only."""
        marks: list[str | None] = [None] * len(text)
        for start, end, entity in self._tokens(text):
            marks[start:end] = [entity] * (end - start)
        return [
            RecognizerResult(entity, start, end, _SCORE, recognition_metadata=_metadata(self))
            for start, end, entity in _spans(text, marks)
            if entity != "AGE_OVER_89" or _is_old(text[start:end])
        ]

    def _tokens(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Every token that some window takes for an identifier."""
        import torch

        encoded = self._tokenizer(
            text,
            truncation=True,
            max_length=self._window,
            stride=self._window // 4,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            padding=True,
            return_tensors="pt",
        )
        offsets = encoded.pop("offset_mapping")
        encoded.pop("overflow_to_sample_mapping")
        with torch.inference_mode():
            for first in range(0, len(offsets), _BATCH):
                part = {name: values[first : first + _BATCH] for name, values in encoded.items()}
                logits = self._model(**part).logits
                if not bool(torch.isfinite(logits).all()):
                    raise DeidError("the recognizer's answer is not finite", remedy="the note is quarantined")
                yield from self._taken(logits, offsets[first : first + _BATCH])

    def _taken(self, logits: torch.Tensor, offsets: torch.Tensor) -> Iterator[tuple[int, int, str]]:
        """Tokens whose mapped labels together reach the odds; the likeliest names the entity.

        Args:
            logits: (windows, tokens, labels).
            offsets: (windows, tokens, 2); special tokens and padding are empty.
        """
        import torch

        identifying = [index for index, entity in enumerate(self._entities) if entity is not None]
        shares = torch.softmax(logits.float(), dim=-1)[..., identifying]
        best, taken = shares.argmax(dim=-1), shares.sum(dim=-1) >= _ODDS
        for window, token in taken.nonzero().tolist():
            start, end = offsets[window, token].tolist()
            entity = self._entities[identifying[int(best[window, token])]]
            if end > start and entity is not None:
                yield start, end, entity


def _spans(text: str, marks: list[str | None]) -> Iterator[tuple[int, int, str]]:
    """Runs of marked characters, grown to whole words and over single spaces; the first mark names them."""
    index = 0
    while index < len(text):
        entity = marks[index]
        if entity is None:
            index += 1
            continue
        start = end = index
        while start > 0 and text[start - 1].isalnum() and text[start].isalnum():
            start -= 1
        while end < len(text) and (
            marks[end] == entity
            or (text[end].isalnum() and text[end - 1].isalnum())
            or (text[end] == " " and end + 1 < len(text) and marks[end + 1] == entity)
        ):
            end += 1
        stripped = text[start:end].strip()
        if stripped:
            begin = text.index(stripped, start)
            yield begin, begin + len(stripped), entity
        index = end


def _is_old(span: str) -> bool:
    """Whether an age is over 89; one in words is taken to be."""
    digits = re.search(r"\d+", span)
    return digits is None or int(digits.group()) > _OLDEST


def _offset(config: Any) -> int:
    """Positions that RoBERTa-like models keep for padding."""
    return (
        2 if getattr(config, "model_type", "") in {"roberta", "xlm-roberta", "camembert", "longformer"} else 0
    )


def _metadata(recognizer: LocalRecognizer) -> dict[str, Any]:
    return {
        RecognizerResult.RECOGNIZER_NAME_KEY: _NAME,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: recognizer.id,
    }
