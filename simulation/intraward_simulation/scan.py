"""Search for planted identifiers in every byte that a run left behind.

Rule 1 of DESIGN.md, checked from outside: recorded Flower messages, sealed bytes, logs and every
file of the run, each searched for every identifier as UTF-8 (any case), UTF-16, base64 at its three
alignments, hex and percent-encoding.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote


@dataclass(frozen=True)
class ScanResult:
    """How much was searched, how many of the identifiers were found, and in which files."""

    identifiers: int
    found: int
    files: tuple[str, ...]
    scanned_files: int
    scanned_bytes: int
    names: frozenset[str] = field(default=frozenset(), repr=False)


def spellings(identifier: str) -> tuple[bytes, ...]:
    """Lower-cased byte patterns under which an identifier may hide."""
    plain = identifier.encode()
    forms = {plain, identifier.encode("utf-16-le"), identifier.encode("utf-16-be"), plain.hex().encode()}
    forms |= {quote(identifier).encode(), json.dumps(identifier)[1:-1].encode()}
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + plain)
        start, end = (0, 2, 3)[shift], len(coded) - (4 if (len(plain) + shift) % 3 else 0)
        if end - start >= 8:
            forms.add(coded[start:end])
    return tuple(sorted(form.lower() for form in forms))


def scan_bytes(data: bytes, identifiers: Sequence[str]) -> set[str]:
    """Those of the identifiers that occur in ``data`` in any spelling."""
    lowered = data.lower()
    return {name for name in identifiers if any(form in lowered for form in spellings(name))}


def scan_files(paths: Iterable[Path], identifiers: Sequence[str]) -> ScanResult:
    """Search every file below ``paths``; folders are walked, links are not followed."""
    found: set[str] = set()
    hits: list[str] = []
    count = size = 0
    for path in _files(paths):
        data = path.read_bytes()
        count, size = count + 1, size + len(data)
        here = scan_bytes(data, identifiers) | scan_bytes(path.name.encode(), identifiers)
        if here:
            found |= here
            hits.append(str(path))
    return ScanResult(len(identifiers), len(found), tuple(hits), count, size, frozenset(found))


def _files(paths: Iterable[Path]) -> list[Path]:
    every: list[Path] = []
    for path in paths:
        every += (
            [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file() and not p.is_symlink()]
        )
    return sorted(every)
