"""What the package uses of Presidio and spaCy, imported without torch and transformers.

Both look for the two at import and do without them where they are missing; none of what is used here needs
them, and they cost five of seven seconds and 300 MB in every process of the pool. So they are hidden while
the libraries are imported, unless somebody has them already or GLiNER, which needs them, is installed.
A stronger recognizer (``tokenclassifier``) imports them for itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

_HEAVY = ("torch", "transformers")


@contextmanager
def _hidden() -> Iterator[None]:
    hide = [name for name in _HEAVY if name not in sys.modules] if find_spec("gliner") is None else []
    for name in hide:
        sys.modules[name] = None  # type: ignore[assignment]  # Python's way to make an import fail
    try:
        yield
    finally:
        for name in hide:
            del sys.modules[name]


with _hidden():
    from presidio_analyzer import (
        AnalyzerEngine,
        EntityRecognizer,
        LocalRecognizer,
        RecognizerRegistry,
        RecognizerResult,
        pattern_recognizer,
    )
    from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
    from presidio_analyzer.nlp_engine import NerModelConfiguration, NlpArtifacts, SpacyNlpEngine
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        GLiNERRecognizer,
        IbanRecognizer,
        IpRecognizer,
        MacAddressRecognizer,
        MedicalLicenseRecognizer,
        PhoneRecognizer,
        SpacyRecognizer,
        UsMbiRecognizer,
    )
    from presidio_anonymizer import AnonymizerEngine
    from presidio_anonymizer.entities import OperatorConfig
    from presidio_anonymizer.entities import RecognizerResult as AnonymizerSpan
    from presidio_anonymizer.operators import Operator, OperatorType
    from spacy.lang.en.stop_words import STOP_WORDS
    from spacy.lookups import Lookups
    from spacy.pipeline.ner import EntityRecognizer as SpacyEntityRecognizer
    from spacy.tokens import Doc, Span
    from thinc.api import NumpyOps

__all__ = [
    "STOP_WORDS",
    "AnalyzerEngine",
    "AnonymizerEngine",
    "AnonymizerSpan",
    "ContextAwareEnhancer",
    "CreditCardRecognizer",
    "Doc",
    "EntityRecognizer",
    "GLiNERRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
    "LocalRecognizer",
    "Lookups",
    "MacAddressRecognizer",
    "MedicalLicenseRecognizer",
    "NerModelConfiguration",
    "NlpArtifacts",
    "NumpyOps",
    "Operator",
    "OperatorConfig",
    "OperatorType",
    "PhoneRecognizer",
    "RecognizerRegistry",
    "RecognizerResult",
    "SpacyEntityRecognizer",
    "SpacyNlpEngine",
    "SpacyRecognizer",
    "Span",
    "UsMbiRecognizer",
    "pattern_recognizer",
]
