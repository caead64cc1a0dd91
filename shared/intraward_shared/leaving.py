"""What a hospital that leaves signs for the consortium: that it takes part no more, and its ledger's head.

Rule 9 of DESIGN.md. It holds nothing that the coordinator has not countersigned already: the site's name and
key, a time, and the ledger's head. Reasons stay at the hospital.
"""

from __future__ import annotations

from pydantic import Field

from intraward_shared.config import Strict
from intraward_shared.ledger_entry import Time
from intraward_shared.protocol import Digest, Name

LEAVE_DOMAIN = "intraward/leave/v1"


class LeaveStatement(Strict):
    """A site's last word. The head is null where the ledger could not be read."""

    site: Name
    public: Digest
    time: Time
    ledger_sequence: int | None = Field(ge=0)
    ledger_entry: Digest | None
