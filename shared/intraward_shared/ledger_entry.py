"""One line of a site's privacy ledger: what was done, signed; never what it costs, never how many.

DESIGN.md sections 5 (ledger entry) and 6 (spending). Values are frozen; canonical JSON is what is
hashed and signed. There is no field for a count of patients, an id or a metric. ``charges`` is what an
entry adds to the spend, ``mechanism`` what will run; they differ because a signed schedule is charged
as a whole before its first round. Events as frozen values follow google/dp_accounting's ``dp_event``.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from intraward_shared.config import Strict
from intraward_shared.protocol import Digest, Mechanism, Name, Real, Slot, to_bytes
from intraward_shared.signing import canonical_json, digest
from intraward_shared.stages import Stage

LEDGER_DOMAIN = "intraward/ledger/v1"
NO_PREVIOUS = "0" * 64
MAX_ATTEMPTS = 3

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]


class Kind(StrEnum):
    """What an entry records."""

    POLICY = "POLICY"
    RESERVE = "RESERVE"
    RELEASE = "RELEASE"
    ABORT = "ABORT"


class PolicyTerms(Strict):
    """What a POLICY entry adds: the site's public key, its lifetime cap, the digest of its policy."""

    public: Digest
    policy: Digest
    lifetime_epsilon: Real = Field(gt=0, le=1000)


class LedgerEntry(Strict):
    """One entry. Fields that its kind does not use are null.

    ``time`` is the plan's slot time, never a clock's. ``charges`` of a schedule's RESERVE are its slots,
    so its digest can be recomputed; ``slot`` then draws one of them without a new charge.
    ``process_died`` is said of an ABORT: only such an attempt may be made again.
    """

    schema_version: Literal[1] = 1
    sequence: int = Field(ge=0)
    previous: Digest
    kind: Kind
    site: Name
    run_id: Name | None = None
    round: int | None = Field(default=None, ge=1)
    stage: Stage | None = None
    plan: Digest | None = None
    attempt: int | None = Field(default=None, ge=1, le=MAX_ATTEMPTS)
    mechanism: Mechanism | None = None
    charges: tuple[Slot, ...] = ()
    schedule: Digest | None = None
    slot: int | None = Field(default=None, ge=0)
    output: Digest | None = None
    process_died: bool | None = None
    terms: PolicyTerms | None = None
    unit: Literal["patient"]
    adjacency: Literal["add_remove"]
    delta: Real = Field(gt=0, lt=1)
    simulated: bool
    time: Time
    key_id: KeyId
    signature: Signature

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical line, signature included; the next entry's ``previous``."""
        return digest(to_bytes(self))

    @property
    def signed_bytes(self) -> bytes:
        """Canonical bytes that the signature covers: all but itself."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature"}))

    @property
    def is_schedule(self) -> bool:
        """Whether this RESERVE charges a whole schedule rather than one round."""
        return self.kind is Kind.RESERVE and self.plan is None
