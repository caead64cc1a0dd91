"""Loggers that could say a note's text, closed.

Keeps rule 1 of DESIGN.md. Presidio logs text at DEBUG and, with ``log_decision_process``, entities, tokens
and lemmas of the note at INFO; tldextract logs what it was asked. No level that is set opens them again.
"""

from __future__ import annotations

import logging

_TALKATIVE = ("presidio-analyzer", "presidio-anonymizer", "decision_process", "tldextract")


class Silence(logging.Filter):
    """Lets nothing through."""

    def filter(self, record: logging.LogRecord) -> bool:
        """False, whatever the level."""
        return False


def silence() -> None:
    """Close the loggers; calling it again changes nothing."""
    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        logger.setLevel(logging.CRITICAL)
        logger.propagate = False
        if not any(isinstance(one, Silence) for one in logger.filters):
            logger.addFilter(Silence())
