"""Two finished coordinators and a release, made once; a test that changes one copies it first."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.shared.release.consortium import Finished, finish, signed


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A finished coordinator."""
    return finish(tmp_path_factory.mktemp("consortium"))


@pytest.fixture(scope="session")
def released(done: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its release bundle."""
    copied = copy_of(done, tmp_path_factory.mktemp("released") / "copy")
    return signed(copied).folder


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release bundle of another run of the same coordinator and hospitals."""
    return signed(finish(tmp_path_factory.mktemp("other"), seed=6)).folder


@pytest.fixture
def mine(done: Finished, tmp_path: Path) -> Finished:
    """A finished coordinator that may be changed."""
    return copy_of(done, tmp_path / "copy")


@pytest.fixture
def bundle(released: Path, tmp_path: Path) -> Path:
    """A release bundle that may be changed."""
    shutil.copytree(released, tmp_path / "bundle")
    return tmp_path / "bundle"


def copy_of(made: Finished, root: Path) -> Finished:
    """The whole consortium in another folder."""
    shutil.copytree(made.home.parent, root)
    return Finished(root / "server", [root / path.name for path in made.ledgers], root / "attacks")
