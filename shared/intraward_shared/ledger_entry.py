"""One line of a site's privacy ledger: what was done, signed; never what it costs, never how many.

DESIGN.md sections 5 (ledger entry) and 6 (spending). Values are frozen; canonical JSON is what is
hashed and signed. There is no field for a count of patients, an id or a metric. ``charges`` is what an
entry adds to the spend, ``mechanism`` what will run; they differ because a signed schedule is charged
as a whole before its first round. Events as frozen values follow google/dp_accounting's ``dp_event``.

Fields that came after the first ledgers (officer, second path, burn, figure) are left out of the line when
they are not used, so that an old line keeps its bytes and its hash.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from intraward_shared.config import Strict
from intraward_shared.protocol import Digest, Mechanism, Name, Real, Slot, to_bytes
from intraward_shared.scalars import unused
from intraward_shared.signing import SigningKey, canonical_json, digest
from intraward_shared.stages import Stage

LEDGER_DOMAIN = "intraward/ledger/v1"
OFFICER_DOMAIN = "intraward/officer/v1"
NO_PREVIOUS = "0" * 64
MAX_ATTEMPTS = 3
_UNSIGNED = "0" * 128

Time = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
KeyId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
Signature = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{128}$")]
AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/[^\x00-\x1f\x7f]{1,499}$")]


class Kind(StrEnum):
    """What an entry records."""

    POLICY = "POLICY"
    RESERVE = "RESERVE"
    RELEASE = "RELEASE"
    ABORT = "ABORT"
    BURN = "BURN"


class FigureName(StrEnum):
    """What a charged figure says; both are means over patients of a share of their comparisons."""

    WIN_RATE = "judged-win-rate"
    REWARD_ACCURACY = "reward-accuracy"


class PolicyTerms(Strict):
    """What a POLICY entry adds: the site's public key, its lifetime cap, the digest of its policy.

    ``officer`` is the public key of the privacy officer, named in the first entry or never; ``second_path``
    the file on another volume that repeats the ledger's head.
    """

    public: Digest
    policy: Digest
    lifetime_epsilon: Real = Field(gt=0, le=1000)
    officer: Digest | None = Field(default=None, exclude_if=unused)
    second_path: AbsolutePath | None = Field(default=None, exclude_if=unused)


class Burn(Strict):
    """What a BURN entry says: the highest lost entry that is known, and by what it is known.

    ``entry`` is null where a receipt proves only that the RELEASE of its round was there, not its hash.
    ``rounds`` of ``mechanism`` is what it charges; ``ledger_burn`` says why so many.
    """

    sequence: int = Field(ge=0)
    entry: Digest | None
    evidence: Literal["second_head", "receipt"]
    rounds: int = Field(ge=1, le=10_000_000)
    mechanism: Mechanism


class LedgerEntry(Strict):
    """One entry. Fields that its kind does not use are null.

    ``time`` is the plan's slot time, never a clock's. ``charges`` of a schedule's RESERVE are its slots,
    so its digest can be recomputed; ``slot`` then draws one of them without a new charge.
    ``figure`` is said of a RESERVE that pays for a noised figure instead of an update.
    ``process_died`` is said of an ABORT: only such an attempt may be made again. ``countersignature`` is the
    privacy officer's, over everything but the two signatures.
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
    burn: Burn | None = Field(default=None, exclude_if=unused)
    figure: FigureName | None = Field(default=None, exclude_if=unused)
    countersignature: Signature | None = Field(default=None, exclude_if=unused)
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
    def officer_bytes(self) -> bytes:
        """Canonical bytes that the officer signs: this very place in the chain, without the signatures."""
        return canonical_json(self.model_dump(mode="json", exclude={"signature", "countersignature"}))

    @property
    def is_schedule(self) -> bool:
        """Whether this RESERVE charges a whole schedule rather than one round."""
        return self.kind is Kind.RESERVE and self.plan is None


def sign_entry(key: SigningKey, officer: SigningKey | None = None, **fields: Any) -> LedgerEntry:
    """An entry signed by the site, and before that by the privacy officer where one is given."""
    draft = LedgerEntry(key_id=key.key_id, signature=_UNSIGNED, **fields)
    if officer is not None:
        signed = officer.sign(OFFICER_DOMAIN, draft.officer_bytes)
        draft = draft.model_copy(update={"countersignature": signed})
    return draft.model_copy(update={"signature": key.sign(LEDGER_DOMAIN, draft.signed_bytes)})
