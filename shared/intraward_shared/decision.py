"""What a person at a hospital decided about an adapter, signed for the consortium.

DESIGN.md section 6, what else could speak: a drift alarm and an evaluation on private data cross the boundary
only as a charged figure or by a person's signed decision. So a decision holds which adapter, what is to be
done, and one code of a closed list: no text, no figure, nothing that a computer worked out by itself.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import Field

from intraward_shared.config import Strict
from intraward_shared.ledger_entry import Time
from intraward_shared.protocol import Digest, Name

DECISION_DOMAIN = "intraward/decision/v1"
MAX_DECISION_BYTES = 10_000


class Verdict(StrEnum):
    """What the hospital wants of an adapter. ``STOP`` bars its release until the hospital says ``KEEP``."""

    KEEP = "keep"
    STOP = "stop"
    LABEL_AGAIN = "label-again"


class Reason(StrEnum):
    """Why, in a code: the whole of what a decision may say beyond its verdict."""

    ROUTINE = "routine-review"
    FLAGS = "flags-rose"
    JUDGED = "judged-worse"
    EVALUATION = "evaluation-worse"
    SAFETY = "safety"
    OPERATIONS = "operations"


class Decision(Strict):
    """One decision. ``number`` counts this site's decisions from 1; the highest about an adapter stands."""

    schema_version: Literal[1] = 1
    site: Name
    public: Digest
    number: int = Field(ge=1, le=1_000_000)
    adapter: Digest
    verdict: Verdict
    reason: Reason
    time: Time
