"""Which code it was: a digest over an installed package's source files (rule 9 of DESIGN.md)."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

from intraward_shared.signing import canonical_json, digest


def code_digest(root: Path) -> str:
    """SHA-256 over names and contents of all Python files of a package's folder."""
    files = sorted(root.rglob("*.py"))
    return digest(canonical_json([[f.relative_to(root).as_posix(), digest(f.read_bytes())] for f in files]))


@cache
def installed_code(package: str) -> str | None:
    """``code_digest`` of a package as it is installed here, found and not imported; None where it is not."""
    spec = find_spec(package)
    return code_digest(Path(spec.origin).parent) if spec is not None and spec.origin else None
