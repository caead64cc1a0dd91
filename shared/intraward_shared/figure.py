"""One noised figure of a hospital's own data: its terms, what is signed of it, and what anyone can verify.

DESIGN.md section 6, what else could speak: a judged win rate, or any per-site figure, crosses the boundary
only as a charged, noised release. The figure is a mean over patients of a share in [0, 1]. A patient adds the
vector ``(share - 1/2, 1/2)``, once, whatever the number of their records: at most ``BOUND`` long, so that
adding or removing one moves the pre-noise sums by no more. Both sums get Gaussian noise of
``noise_multiplier`` times ``BOUND`` in one unsampled step, which the ledger has charged before; quotient,
rounding and the decision to say nothing (``None``) are made of the noised sums and cost no more. The sums
themselves are not given: the noised number of patients would be one more thing that leaves, unasked.

The denominator is a noised count and not a public constant, because a constant that is not the true count
makes a rate that is off by their ratio.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from intraward_shared.config import Strict
from intraward_shared.errors import ContractError, SignatureError
from intraward_shared.ledger_entry import LEDGER_DOMAIN, FigureName, Kind, LedgerEntry, Time
from intraward_shared.protocol import Digest, Mechanism, Name, Real, to_bytes
from intraward_shared.signing import digest, verify
from intraward_shared.stages import Stage

FIGURE_DOMAIN = "intraward/figure/v1"
FIGURE_STAGE = Stage.REWARD
"""Every figure is made of comparisons, which are the table of this stage."""
BOUND = math.sqrt(0.5)
"""Longest vector of one patient: (1/2, 1/2)."""
_DIGITS = 3
_Z95 = 1.959963984540054


class FigureTerms(Strict):
    """What is fixed before a row is read; its digest is what the ledger reserves for.

    ``against`` is the adapter that a win rate compares with. A value is said only where it is certain to
    ``max_error``, with 95 %, noise and number of patients together.
    """

    schema_version: Literal[1] = 1
    site: Name
    public: Digest
    name: FigureName
    adapter: Digest
    against: Digest | None = None
    mechanism: Mechanism
    max_error: Real = Field(gt=0, le=0.5)
    simulated: bool
    time: Time
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes."""
        return digest(to_bytes(self))

    @property
    def run_id(self) -> str:
        """A figure is a run of its own in the ledger, with one round."""
        return f"figure-{self.digest[:16]}"

    @property
    def schedule(self) -> None:
        """It stands in no schedule."""
        return


class Figure(Strict):
    """A figure as it leaves: its terms, the ledger entry that paid for it, and the value or None."""

    terms: FigureTerms
    entry: LedgerEntry
    value: Real | None = Field(ge=0, le=1)

    @property
    def site(self) -> str:
        """Name of the hospital."""
        return self.terms.site

    @property
    def public(self) -> str:
        """Its public signing key."""
        return self.terms.public


def figure_mechanism(noise_multiplier: float, records: int) -> Mechanism:
    """The one event of a figure: every patient, one step; at most ``records`` records of each are read."""
    return Mechanism(
        sample_rate=1.0,
        noise_multiplier=noise_multiplier,
        max_grad_norm=BOUND,
        steps=1,
        nominal_batch=1,
        max_records_per_unit=records,
    )


def figure_value(excess: float, halves: float, noise_multiplier: float, max_error: float) -> float | None:
    """The rate that two noised sums say, or None where they do not say it well enough.

    Args:
        excess: noised sum of ``share - 1/2``; halves: noised sum of ``1/2``.
        noise_multiplier: of both; max_error: half the widest 95 % interval that is still told.
    """
    patients = 2 * halves
    if not (math.isfinite(excess) and math.isfinite(patients)) or patients <= 0:
        return None
    offset, noise = excess / patients, noise_multiplier * BOUND / patients
    spread = noise**2 * (1 + 4 * offset**2) + 0.25 / patients
    if _Z95 * math.sqrt(spread) > max_error:
        return None
    return round(min(1.0, max(0.0, 0.5 + offset)), _DIGITS)


def fewest_patients(noise_multiplier: float, max_error: float) -> int:
    """From how many patients on ``figure_value`` says any rate, did noise leave their number as it is.

    Of public terms alone: the root of ``figure_value``'s bound at a rate of 0 or 1, where noise weighs most.
    """
    noise, bound = noise_multiplier * BOUND, (max_error / _Z95) ** 2
    return math.ceil((0.25 + math.sqrt(0.0625 + 8 * bound * noise**2)) / (2 * bound))


def check_figure(figure: Figure) -> None:
    """Hold a figure, whose own signature was verified, against the ledger entry that it brings.

    Raises:
        SignatureError: the entry is not signed by the same hospital.
        ContractError: the entry did not pay for this figure.
    """
    terms, entry = figure.terms, figure.entry
    try:
        verify(terms.public, LEDGER_DOMAIN, entry.signed_bytes, entry.signature)
    except SignatureError:
        raise SignatureError("its ledger entry is not signed by the same hospital") from None
    own = (Kind.RESERVE, terms.digest, terms.run_id, terms.name, terms.mechanism)
    if (entry.kind, entry.plan, entry.run_id, entry.figure, entry.mechanism) != own:
        raise ContractError("its ledger entry is of something else")
    charged = tuple(slot.mechanism for slot in entry.charges)
    if charged != (terms.mechanism,) or (entry.site, entry.simulated) != (terms.site, terms.simulated):
        raise ContractError("its ledger entry did not pay for it")
    if terms.mechanism != figure_mechanism(
        terms.mechanism.noise_multiplier, terms.mechanism.max_records_per_unit
    ):
        raise ContractError("its mechanism is not that of a figure")
