"""Is this de-identifier fit to run? Asked at every start; one no refuses it, and nothing falls back.

Keeps rule 2 of DESIGN.md (facts on de-identification, section 8.1). Presidio itself fails open: a registry
without its NER recognizer finds nothing and says nothing, and a pattern that times out is skipped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from intraward_client.deid import canaries
from intraward_client.deid.libraries import AnalyzerEngine, SpacyRecognizer, pattern_recognizer
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.recognizers import REQUIRED
from intraward_shared.errors import DeidError

if TYPE_CHECKING:
    from intraward_client.deid.stronger import Gliner
    from intraward_client.deid.tokenclassifier import TokenClassifier

_AGAIN = "install the client extra again"
_BUILD = "do not use this build"


def check_detectors(
    analyzer: AnalyzerEngine, stronger: TokenClassifier | Gliner | None, timeout_seconds: float
) -> None:
    """Every entity type has a detector, each model finds something, and no pattern can be skipped unseen.

    Raises:
        DeidError: names the entity type or the part that failed.
    """
    missing = REQUIRED - set(analyzer.get_supported_entities("en"))
    if missing:
        raise DeidError(f"no detector for {sorted(missing)[0]}", remedy=_AGAIN)
    read = analyzer.nlp_engine.process_text(canaries.MODEL_ONLY, "en")
    if not {"PERSON", "LOCATION"} <= {entity.label_ for entity in read.entities}:
        raise DeidError("the model finds no names", remedy=_AGAIN)
    model = [one for one in analyzer.get_recognizers("en") if isinstance(one, SpacyRecognizer)]
    if not any(one.analyze(canaries.MODEL_ONLY, ["PERSON", "LOCATION"], read) for one in model):
        raise DeidError("the model's names do not reach the analyzer", remedy=_AGAIN)
    if stronger is not None and not stronger.analyze(canaries.MODEL_ONLY, sorted(REQUIRED)):
        raise DeidError("the recognizer of [deid] model finds no names", remedy="check its labels")
    if timeout_seconds >= pattern_recognizer.REGEX_TIMEOUT_SECONDS:
        raise DeidError(
            "a pattern of Presidio could time out unseen: its limit is below that of a note",
            remedy="take REGEX_TIMEOUT_SECONDS out of the environment",
        )


def check_canaries(
    deidentify: Callable[[str, str, Mapping[str, str]], DeidentifiedNote | Quarantined],
    left: Callable[[str, DeidentifiedNote], str],
) -> None:
    """One invented identifier of each class is removed, and plain clinical phrases stay whole.

    Args:
        deidentify: text, patient and known identifiers to outcome.
        left: of a canary and its outcome, what was not replaced.

    Raises:
        DeidError: with the class of the canary that failed, never its text.
    """
    for kind, text, secrets in canaries.CANARIES:
        outcome = deidentify(text, "self-test", {})
        if isinstance(outcome, Quarantined) or any(map(left(text, outcome).__contains__, secrets)):
            raise DeidError(f"the self-test canary of class {kind} was not removed", remedy=_BUILD)
    for phrase in canaries.PHRASES:
        outcome = deidentify(phrase, "self-test", {})
        if isinstance(outcome, Quarantined) or outcome.text != phrase:
            raise DeidError("a plain clinical phrase did not survive the self-test", remedy=_BUILD)
