"""Write ``golden.json``: what the oracles that are installed here compute on the ragged inputs.

Two of them are versions of one package, so run it once in each of two environments, beside this
project: ``pip install --no-deps trl==1.16.0 torchrl==0.14.1 tensordict choix==0.4.1``, then
``pip install --no-deps trl==0.11.4 tyro``. From the repository:

    python -m tests.parity.make_golden

Numbers of oracles that are not installed stay as they are in the file.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tests.parity.oracles import ORACLES, golden

GOLDEN = Path(__file__).with_name("golden.json")


def installed(package: str, wanted: str) -> bool:
    """Whether this very version is importable here."""
    try:
        return version(package) == wanted
    except PackageNotFoundError:
        return False


def main() -> None:
    """Add or replace what can be computed here."""
    found: dict[str, Any] = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    for name, (package, wanted, _) in ORACLES.items():
        if installed(package, wanted):
            found[name] = {"oracle": f"{package} {wanted}", "values": golden(name)}
    GOLDEN.write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
