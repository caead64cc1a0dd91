"""A ledger of 100,000 entries through ``intraward-audit``: seconds, beside its Ed25519 checks alone.

Run: ``make bench`` or ``pytest -m bench -s tests/benchmarks/test_ledger_size.py``.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.ledger_chain import read_ledger
from intraward_shared.ledger_entry import (
    LEDGER_DOMAIN,
    NO_PREVIOUS,
    Kind,
    LedgerEntry,
    PolicyTerms,
    sign_entry,
)
from intraward_shared.protocol import Mechanism, Slot, to_bytes
from intraward_shared.signing import SigningKey, digest, verify
from intraward_shared.stages import Stage

pytestmark = pytest.mark.bench
ENTRIES = 100_000
KEY = SigningKey.from_seed(b"s" * 32)
STEP = Mechanism(
    sample_rate=0.01,
    noise_multiplier=2.0,
    max_grad_norm=1.0,
    steps=1,
    nominal_batch=32,
    max_records_per_unit=4,
)


def write_ledger(path: Path, entries: int) -> list[LedgerEntry]:
    """A POLICY entry and released rounds, each charged by itself."""
    constants: dict[str, Any] = {"site": "north", "unit": "patient", "adjacency": "add_remove", "delta": 1e-5}
    constants |= {"simulated": False, "time": "2030-01-01T00:00:00Z"}
    terms = PolicyTerms(public=KEY.public, policy="c" * 64, lifetime_epsilon=1000.0)
    first = sign_entry(KEY, kind=Kind.POLICY, sequence=0, previous=NO_PREVIOUS, terms=terms, **constants)
    written = [first]
    for number in range(1, entries):
        about: dict[str, Any] = {
            "run_id": "run",
            "round": (number + 1) // 2,
            "stage": Stage.REWARD,
            "attempt": 1,
        }
        about["plan"] = digest(b"%d" % about["round"])
        if number % 2:
            charge = (Slot(stage=Stage.REWARD, round=(number + 1) // 2, mechanism=STEP),)
            own: dict[str, Any] = {"kind": Kind.RESERVE, "mechanism": STEP, "charges": charge}
        else:
            own = {"kind": Kind.RELEASE, "output": "f" * 64}
        written.append(
            sign_entry(KEY, sequence=number, previous=written[-1].hash, **about, **own, **constants)
        )
    path.write_bytes(b"".join(to_bytes(entry) + b"\n" for entry in written))
    return written


def seconds(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def test_a_ledger_of_100_000_entries_is_verified_and_recomputed(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    written = write_ledger(path, ENTRIES)
    signed = [(entry.signed_bytes, entry.signature) for entry in written]

    def command(name: str) -> Callable[[], object]:
        words = [str(Path(sys.executable).with_name("intraward-audit")), name, str(path)]
        return lambda: subprocess.run(words, check=True, capture_output=True)

    def signatures() -> None:
        for data, signature in signed:
            verify(KEY.public, LEDGER_DOMAIN, data, signature)

    bare = seconds(signatures)
    figures = {
        "read_ledger": seconds(lambda: read_ledger(path)),
        "intraward-audit verify": seconds(command("verify")),
        "intraward-audit recompute": seconds(command("recompute")),
    }
    print(f"\n{ENTRIES} entries, {path.stat().st_size / 1e6:.0f} MB; their Ed25519 checks alone {bare:.1f} s")
    for name, taken in figures.items():
        print(f"  {name:<26} {taken:5.1f} s, {taken / bare:.2f} of the signature checks")
    assert len(read_ledger(path)) == ENTRIES
