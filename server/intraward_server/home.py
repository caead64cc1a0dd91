"""Where the coordinator keeps its things: one folder, one place for each, private to its user.

Rule 10 of DESIGN.md: every file here is written whole or not at all (``durable.write_durably``),
so that a killed coordinator finds its last finished round and goes on from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ServerHome:
    """Paths below the coordinator's folder. Nothing in it is private to a patient."""

    root: Path

    @property
    def program(self) -> Path:
        """The program, ``ProgramConfig`` as TOML."""
        return self.root / "program.toml"

    @property
    def key(self) -> Path:
        """Ed25519 key that signs plans, schedule, receipts and adapters."""
        return self.root / "keys" / "coordinator.key"

    @property
    def authority_key(self) -> Path:
        """Private key of the consortium's certificate authority; signs server certificates."""
        return self.root / "keys" / "authority.key"

    @property
    def authority(self) -> Path:
        """The authority's certificate, which every hospital gets in its kit."""
        return self.root / "tls" / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        """TLS certificate of SuperLink and proxy."""
        return self.root / "tls" / "server.crt"

    @property
    def server_key(self) -> Path:
        """Its private key."""
        return self.root / "tls" / "server.key"

    @property
    def members(self) -> Path:
        """Signed ``MemberList``: who is enrolled, who was revoked."""
        return self.root / "members.json"

    def leave_statement(self, site: str) -> Path:
        """What a hospital that left signed; kept as evidence."""
        return self.root / "left" / f"{site}.json"

    @property
    def node_keys(self) -> Path:
        """Public node keys of the members, as files that Flower's command line reads."""
        return self.root / "nodes"

    @property
    def flower(self) -> Path:
        """``FLWR_HOME`` of the SuperLink and of the coordinator's own ``flwr`` calls."""
        return self.root / "flwr"

    @property
    def coming(self) -> Path:
        """A program that is to follow, while what the one before left is put aside (``following``)."""
        return self.root / "program.next.toml"

    def earlier(self, run_id: str) -> Path:
        """What a finished run left, once another program has followed it."""
        return self.root / "earlier" / run_id

    @property
    def schedule(self) -> Path:
        """Signed ``ProgramSchedule``: every charged slot of the run."""
        return self.root / "schedule.json"

    @property
    def state(self) -> Path:
        """``ProgramState`` after the last finished round."""
        return self.root / "state.json"

    @property
    def moments(self) -> Path:
        """Moments of the server optimizer, by the adapter that they led to."""
        return self.root / "moments"

    @property
    def lock(self) -> Path:
        """Held by the process that runs the program; empty."""
        return self.root / "coordinator.lock"

    @property
    def history(self) -> Path:
        """One JSON line per finished round."""
        return self.root / "history.jsonl"

    @property
    def evaluation(self) -> Path:
        """Final figures, on data of the coordinator only."""
        return self.root / "evaluation.json"

    def earlier_evaluation(self, adapter: str) -> Path:
        """Final figures of a policy of the run that is not its last."""
        return self.root / "evaluations" / f"{adapter[:16]}.json"

    @property
    def gates(self) -> Path:
        """Release gates as they were when the run began; every plan names their digest."""
        return self.root / "agreed-gates.toml"

    @property
    def releases(self) -> Path:
        """Release bundles, one numbered folder each."""
        return self.root / "releases"

    @property
    def release(self) -> Path:
        """The signed list of the release in force, a copy of its bundle's."""
        return self.root / "release.json"

    @property
    def revoked(self) -> Path:
        """Signed ``RevocationList``: adapters that nobody is to use any more."""
        return self.root / "revoked.json"

    @property
    def decisions(self) -> Path:
        """What people at hospitals decided about adapters, as they signed it."""
        return self.root / "decisions"

    def figure(self, site: str, terms: str) -> Path:
        """A charged figure of a hospital, as it signed it, by the digest of its terms."""
        return self.root / "figures" / site / f"{terms[:16]}.json"

    def figure_receipt(self, site: str, terms: str) -> Path:
        """Countersignature of the ledger entry that paid for a figure."""
        return self.root / "receipts" / site / f"figure-{terms[:16]}.json"

    def decision(self, site: str, number: int) -> Path:
        """One decision of a hospital."""
        return self.decisions / site / f"{number}.json"

    @property
    def adapters(self) -> Path:
        """Signed adapters, one PEFT folder each."""
        return self.root / "adapters"

    def plan(self, number: int) -> Path:
        """Signed plan of a round, written before it is sent."""
        return self.root / "plans" / f"{number}.json"

    def inbox(self, plan_digest: str) -> Path:
        """Admitted sealed updates of one plan."""
        return self.root / "inbox" / plan_digest[:16]

    def receipt(self, site: str, number: int) -> Path:
        """Countersigned ledger head of a site after a round."""
        return self.root / "receipts" / site / f"{number}.json"

    def public(self, data_digest: str) -> Path:
        """Public records of a stage by digest, as they are sent."""
        return self.root / "public" / f"{data_digest}.json"

    def make(self) -> None:
        """Create the folders with mode 0700."""
        for name in ("", "keys", "plans", "inbox", "receipts", "adapters", "public", "tls"):
            (self.root / name).mkdir(parents=True, exist_ok=True, mode=0o700)
