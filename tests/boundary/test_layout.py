"""The shape of the house (STYLE.md): named rooms, a docstring on every door, no file past 400 lines."""

from __future__ import annotations

import ast
import tomllib

from tests.boundary.sources import PACKAGES, ROOT, sources

MOST_LINES = 400
BANNED_NAMES = {"utils", "util", "common", "helpers", "helper", "manager", "misc"}


def test_every_module_says_what_it_is() -> None:
    assert [module.name for module in sources() if not ast.get_docstring(module.tree)] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [m.name for m in sources() if BANNED_NAMES & set(m.name.lower().split("."))] == []


def test_no_file_is_too_long() -> None:
    files = [path for folder in (*PACKAGES.values(), ROOT / "tests") for path in folder.rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in files}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for folder in PACKAGES.values() for path in folder.rglob("*.py")}
    assert [str(f.relative_to(ROOT)) for f in sorted(folders) if not (f / "__init__.py").is_file()] == []


def test_every_package_is_shipped_and_watched() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    shipped = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert sorted(shipped) == sorted(f"{folder.name}/{name}" for name, folder in PACKAGES.items())
    assert sorted(project["tool"]["importlinter"]["root_packages"]) == sorted(PACKAGES)


def test_the_auditors_install_is_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    heavy = {"torch", "flwr", "opacus", "peft", "transformers", "presidio-analyzer", "presidio-anonymizer"}
    heavy |= {
        "fastapi",
        "jinja2",
        "sqlalchemy",
        "alembic",
        "argon2-cffi",
        "psycopg[binary]",
        "python-multipart",
    }
    assert heavy.isdisjoint(project["dependencies"])
