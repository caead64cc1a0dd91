"""The base of the package's own recognizers: spans with a fixed score and the name of who found them."""

from __future__ import annotations

from typing import Any, ClassVar

from intraward_client.deid.libraries import LocalRecognizer, RecognizerResult


class OwnRecognizer(LocalRecognizer):
    """A recognizer that needs nothing loaded, whose findings all have one score."""

    SCORE: ClassVar[float] = 0.9
    """Above the model: of two findings of one place Presidio keeps the higher, and the model is filtered."""
    name: str

    def load(self) -> None:
        """Nothing to load; rules and lists come with the package."""

    def found(self, entity: str, start: int, end: int) -> RecognizerResult:
        """The finding of ``entity`` at ``start`` to ``end`` of the text, by this recognizer."""
        metadata: dict[str, Any] = {
            RecognizerResult.RECOGNIZER_NAME_KEY: self.name,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return RecognizerResult(entity, start, end, self.SCORE, recognition_metadata=metadata)
