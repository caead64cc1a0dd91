"""The product's own source files, and where each import or call in them really points.

One reader for the boundary tests: it follows ``import a as b``, ``from a import b``, relative imports
and imports inside functions, so that an alias cannot hide a slip.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {
    "intraward_client": ROOT / "client",
    "intraward_server": ROOT / "server",
    "intraward_shared": ROOT / "shared",
    "intraward_simulation": ROOT / "simulation",
}


@dataclass(frozen=True)
class Source:
    """One parsed module: its dotted name, whether it is a package's ``__init__``, and its tree."""

    name: str
    is_package: bool
    tree: ast.Module


@cache
def sources(*packages: str) -> tuple[Source, ...]:
    """Every module of the packages, parsed; all four packages when none is named."""
    found = [
        source(path.read_text(encoding="utf-8"), _dotted(path, folder), path.name == "__init__.py")
        for package in packages or tuple(PACKAGES)
        for folder in (PACKAGES[package],)
        for path in sorted((folder / package).rglob("*.py"))
    ]
    assert found, "no source files found; the boundary tests would pass on nothing"
    return tuple(found)


def source(text: str, name: str, is_package: bool = False) -> Source:
    """Parse ``text`` as the module ``name``."""
    return Source(name, is_package, ast.parse(text))


def _dotted(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(module: Source) -> Iterator[tuple[int, str]]:
    """``(line, dotted target)`` of every import, at any depth; ``from a import b`` gives ``a.b`` and ``a``.

    Imports by string (``import_module("a.b")``, ``__import__("a.b")``) count too.
    """
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, module)
            yield node.lineno, origin
            for alias in node.names:
                yield node.lineno, f"{origin}.{alias.name}"
        elif isinstance(node, ast.Call) and _last_name(node.func) in ("import_module", "__import__"):
            for argument in node.args[:1]:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield node.lineno, argument.value


def _origin(node: ast.ImportFrom, module: Source) -> str:
    if not node.level:
        return node.module or ""
    parents = module.name.split(".")
    kept = parents[: len(parents) - node.level + (1 if module.is_package else 0)]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def calls(module: Source) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name it resolves to through the module's imports; ``""`` if none."""
    names = _bindings(module)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            yield node, _resolve(node.func, names)


def _bindings(module: Source) -> dict[str, str]:
    names: dict[str, str] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                local = alias.asname or alias.name.split(".")[0]
                names[local] = alias.name if alias.asname else local
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                names[alias.asname or alias.name] = f"{_origin(node, module)}.{alias.name}"
    return names


def _resolve(node: ast.expr, names: dict[str, str]) -> str:
    if isinstance(node, ast.Name):
        return names.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        base = _resolve(node.value, names)
        return f"{base}.{node.attr}" if base else ""
    return ""


def within(target: str, package: str) -> bool:
    """Whether a dotted name is ``package`` or something inside it."""
    return target == package or target.startswith(package + ".")


def tracked_files() -> tuple[Path, ...]:
    """Files that git tracks; skips where there is no git checkout."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    try:
        listing = subprocess.run(command, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    paths = [ROOT / name.decode() for name in listing.split(b"\0") if name]
    return tuple(path for path in paths if path.is_file())
