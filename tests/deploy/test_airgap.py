"""The installer of wheels: what the lock does not name, or names otherwise, is not installed."""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tests.deploy.shipped import DEPLOY

AIRGAP = DEPLOY / "airgap"
NAME = "intraward_trial-1.0-py3-none-any.whl"


def wheel(folder: Path, says: str) -> Path:
    """A wheel of one module, by the specification of the format."""
    about = "intraward_trial-1.0.dist-info"
    files = {
        "intraward_trial.py": f"def main() -> None:\n    print({says!r})\n",
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: intraward-trial\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/entry_points.txt": "[console_scripts]\nintraward-trial=intraward_trial:main\n",
    }
    record = f"{about}/RECORD"
    rows = []
    with zipfile.ZipFile(folder / NAME, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
            told = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            rows.append(f"{name},sha256={told},{len(text.encode())}")
        archive.writestr(record, "\n".join([*rows, f"{record},,"]) + "\n")
    return folder / NAME


@pytest.fixture
def wheelhouse(tmp_path: Path) -> Path:
    """What build.sh leaves, of one wheel."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    made = wheel(folder, "from the wheelhouse")
    lock = f"intraward-trial==1.0 --hash=sha256:{hashlib.sha256(made.read_bytes()).hexdigest()}\n"
    (folder / "requirements.lock").write_text(lock)
    shutil.copyfile(AIRGAP / "install.sh", folder / "install.sh")
    return folder


def install(folder: Path, prefix: Path, digest: str | None = None) -> subprocess.CompletedProcess[str]:
    """install.sh with this Python, and a package index that cannot be."""
    digest = digest or hashlib.sha256((folder / "requirements.lock").read_bytes()).hexdigest()
    environment = os.environ | {"PYTHON": sys.executable, "PIP_INDEX_URL": "http://127.0.0.1:9/simple"}
    return subprocess.run(
        ["sh", str(folder / "install.sh"), digest, str(prefix)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_another_lock_than_the_one_told_is_refused_at_once(wheelhouse: Path, tmp_path: Path) -> None:
    told = hashlib.sha256((wheelhouse / "requirements.lock").read_bytes()).hexdigest()
    (wheelhouse / "requirements.lock").write_text("intraward-trial==1.0 --hash=sha256:" + "0" * 64)
    done = install(wheelhouse, tmp_path / "opt", told)
    assert done.returncode == 1 and "does not have that digest" in done.stderr
    assert not (tmp_path / "opt").exists()


def test_nothing_is_installed_over_something(wheelhouse: Path, tmp_path: Path) -> None:
    (tmp_path / "opt").mkdir()
    done = install(wheelhouse, tmp_path / "opt")
    assert done.returncode == 1 and "is there already" in done.stderr


@pytest.mark.slow
def test_wheels_are_installed_by_hash_and_a_changed_one_leaves_nothing(
    wheelhouse: Path, tmp_path: Path
) -> None:
    done = install(wheelhouse, tmp_path / "opt")
    assert done.returncode == 0, done.stderr
    assert "intraward-trial" in done.stdout
    said = subprocess.run(
        [tmp_path / "opt" / "bin" / "intraward-trial"], capture_output=True, check=True
    ).stdout
    assert said == b"from the wheelhouse\n"
    wheel(wheelhouse, "from somebody else")
    done = install(wheelhouse, tmp_path / "other")
    assert done.returncode == 1 and "is not the one in the lock" in done.stderr
    assert not (tmp_path / "other").exists()


def test_every_version_stands_in_the_constraints() -> None:
    """build.sh takes versions from there and from nowhere else."""
    text = (AIRGAP / "build.sh").read_text()
    assert "PIP_CONSTRAINT=" in text and "--upgrade" not in text and "--pre" not in text
    assert "--no-index" in (AIRGAP / "install.sh").read_text()
