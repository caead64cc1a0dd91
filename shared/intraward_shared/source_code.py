"""Which code it was: a digest over an installed package's source files (rule 9 of DESIGN.md)."""

from __future__ import annotations

from pathlib import Path

from intraward_shared.signing import canonical_json, digest


def code_digest(root: Path) -> str:
    """SHA-256 over names and contents of all Python files of a package's folder."""
    files = sorted(root.rglob("*.py"))
    return digest(canonical_json([[f.relative_to(root).as_posix(), digest(f.read_bytes())] for f in files]))
