"""Where a hospital node keeps its things: one folder, one place for each, private to its user."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class SiteHome:
    """Paths below a site's folder. ``ledger.jsonl`` and ``outbox`` hold no text; the vault is encrypted."""

    root: Path

    @property
    def policy(self) -> Path:
        """The hospital's own terms."""
        return self.root / "policy.toml"

    @property
    def signing_key(self) -> Path:
        """Ed25519 key that signs ledger and updates."""
        return self.root / "keys" / "signing.key"

    @property
    def vault_keys(self) -> Path:
        """Folder of the vault's key-encryption key; put it on another volume."""
        return self.root / "keys" / "vault"

    @property
    def vault(self) -> Path:
        """Encrypted database."""
        return self.root / "vault.db"

    @property
    def ledger(self) -> Path:
        """Append-only privacy ledger."""
        return self.root / "ledger.jsonl"

    @property
    def outbox(self) -> Path:
        """Sealed updates that left or may leave; sent again byte for byte, never made again."""
        return self.root / "outbox"

    @property
    def plans(self) -> Path:
        """Plans that were paid for, as the coordinator signed them: who asked, and for what."""
        return self.root / "plans"

    @property
    def receipt(self) -> Path:
        """Last countersigned ledger head."""
        return self.root / "receipt.json"

    @property
    def refused_receipt(self) -> Path:
        """The last receipt that this ledger does not bear out; evidence for the privacy officer."""
        return self.root / "receipt.refused.json"

    @property
    def adapters(self) -> Path:
        """Released adapters that the operator installed."""
        return self.root / "adapters"

    @property
    def revoked(self) -> Path:
        """The newest list of revoked adapters that the coordinator signed and this site has seen."""
        return self.root / "revoked.json"

    def evaluation(self, adapter: str) -> Path:
        """What an adapter is worth on this site's held-out patients; private, read by nothing."""
        return self.root / "evaluation" / f"{adapter[:16]}.json"

    def figure(self, terms: str) -> Path:
        """A noised figure that was charged and signed, by the digest of its terms."""
        return self.root / "figures" / f"{terms[:16]}.json"

    def decision(self, number: int) -> Path:
        """A decision about an adapter that somebody here signed for the coordinator."""
        return self.root / "decisions" / f"{number}.json"

    @property
    def curves(self) -> Path:
        """Training curves of each round, private data; there only if the policy keeps them."""
        return self.root / "curves"

    @property
    def socket(self) -> Path:
        """The ward's Unix-domain socket, in a folder that only ward and gateway may enter."""
        return self.root / "run" / "ward.sock"

    @property
    def desk_socket(self) -> Path:
        """Where the ward takes the hospital's own requests, in a folder that its user alone may enter."""
        return self.root / "desk" / "ward.sock"

    @property
    def gateway(self) -> Path:
        """All that the gateway's user may read besides the socket: node key and what came with the kit."""
        return self.root / "gateway"

    @property
    def node_key(self) -> Path:
        """Private key of this site's SuperNode."""
        return self.gateway / "node"

    @property
    def authority(self) -> Path:
        """Certificate of the consortium's authority, from the kit."""
        return self.gateway / "ca.crt"

    @property
    def kit(self) -> Path:
        """Manifest of the kit that was joined with: where the SuperLink's proxy answers."""
        return self.gateway / "kit.json"

    @property
    def enrolment(self) -> Path:
        """Request for the coordinator, signed by both keys of the site; public."""
        return self.root / "enrolment.json"

    @property
    def consortium(self) -> Path:
        """What came with the kit for people to read: the program's proposal, and what is enrolled."""
        return self.root / "consortium"

    @property
    def log(self) -> Path:
        """What the operator may read: slot, plan and code of each request; no text, no count."""
        return self.root / "ward.log"

    @property
    def trail(self) -> Path:
        """Audit trail: what people did to this node, signed and chained."""
        return self.root / "trail.jsonl"

    @property
    def label_book(self) -> Path:
        """The label station's database, where it is SQLite; what people said of an item is encrypted."""
        return self.root / "label.db"

    @property
    def label_lock(self) -> Path:
        """Held by the label station that runs on this site."""
        return self.root / "label.lock"

    @property
    def label_socket(self) -> Path:
        """The label station's Unix-domain socket, in a folder that only it and the proxy may enter."""
        return self.root / "label" / "station.sock"

    @property
    def exports(self) -> Path:
        """Judgments in other tools' files, for use inside the hospital; forgetting a patient empties it."""
        return self.root / "exports"

    @property
    def leave_statement(self) -> Path:
        """The signed statement of a site that left the consortium; there only then."""
        return self.root / "leave.json"

    def make(self) -> None:
        """Create the folders with mode 0700 (0750 for the socket's)."""
        for folder in (self.root, self.root / "keys", self.outbox, self.adapters):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket.parent.mkdir(exist_ok=True, mode=0o750)
        self.gateway.mkdir(exist_ok=True, mode=0o700)

    def note(self, event: dict[str, Any]) -> None:
        """Append one line to the operator's log."""
        handle = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "a", encoding="utf-8") as file:
            file.write(json.dumps(event, sort_keys=True) + "\n")
