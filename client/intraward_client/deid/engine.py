"""The parts of a de-identifier that take seconds to load: model, analyzer with the rules, anonymizer.

One in each process that reads texts, and none in a process that leaves them to workers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from intraward_client.deid.detection import Detector
from intraward_client.deid.libraries import AnalyzerEngine, AnonymizerEngine
from intraward_client.deid.model import load_engine
from intraward_client.deid.recognizers import REQUIRED, build_analyzer
from intraward_client.deid.surrogates import SurrogateOperator
from intraward_shared.config import Strict

if TYPE_CHECKING:
    from intraward_client.deid.stronger import Gliner
    from intraward_client.deid.tokenclassifier import TokenClassifier


class Stronger(Strict):
    """A recognizer beside the small model: its folder, pin and what its labels are (``deid.stronger``)."""

    path: str
    sha256: str
    labels: dict[str, str] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Engine:
    """What reads and replaces; ``words`` is the lower-case English word list behind the filters."""

    analyzer: AnalyzerEngine
    detector: Detector
    words: frozenset[str]
    stronger: TokenClassifier | Gliner | None
    anonymizer: AnonymizerEngine


def load_parts(model: str, model_sha256: str, stronger: Stronger | None) -> Engine:
    """Load everything from disk.

    Raises:
        DeidError: a model is missing, or is not the pinned one.
    """
    engine, words = load_engine(model, model_sha256)
    analyzer = build_analyzer(engine, words)
    beside = None
    if stronger is not None:
        from intraward_client.deid.stronger import load_stronger

        beside = load_stronger(Path(stronger.path), stronger.sha256, stronger.labels, REQUIRED)
        analyzer.registry.add_recognizer(beside)
    anonymizer = AnonymizerEngine()  # type: ignore[no-untyped-call]
    anonymizer.add_anonymizer(SurrogateOperator)
    return Engine(analyzer, Detector(engine, analyzer, words), words, beside, anonymizer)
