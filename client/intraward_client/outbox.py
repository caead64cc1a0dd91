"""What left the building: sealed updates as they lie in the outbox, read from their own headers."""

from __future__ import annotations

from typing import Any

from intraward_client.home import SiteHome
from intraward_shared.protocol import open_update
from intraward_shared.signing import SigningKey, digest


def listing(home: SiteHome) -> list[dict[str, Any]]:
    """One row per sealed update, in order of rounds.

    Raises:
        ContractError, SignatureError: a file in the outbox is not what this site sealed.
    """
    public = SigningKey.load(home.signing_key).public
    rows = []
    for path in sorted(home.outbox.glob("*.sealed")):
        data = path.read_bytes()
        header, _ = open_update(data, public)
        rows.append(
            {
                "run_id": header.run_id,
                "round": header.round,
                "stage": header.stage.value,
                "plan": header.plan,
                "ledger_sequence": header.ledger_sequence,
                "bytes": len(data),
                "sha256": digest(data),
                "simulated": header.simulated,
            }
        )
    return sorted(rows, key=lambda row: (row["run_id"], row["round"]))
