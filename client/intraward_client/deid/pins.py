"""The rule pack's pin: shipped beside it, compared at every start, written anew by whoever changes a rule.

Keeps rule 2 of DESIGN.md (facts on de-identification, section 8.1). A pack that was changed on a hospital's
machine, or installed in halves, is refused. After changing a rule or a list: ``python -m
intraward_client.deid.pins``.
"""

from __future__ import annotations

from pathlib import Path

from intraward_client.deid.recognizers import pack_digest
from intraward_shared.errors import DeidError

_REMEDY = "install the client extra again; who changed a rule: python -m intraward_client.deid.pins"
PIN = Path(__file__).with_name("pack.sha256")


def check_pack(pack_sha256: str) -> None:
    """Hold the digest of the pack in memory against the pin.

    Raises:
        DeidError: there is no pin, or it is another pack's.
    """
    try:
        pinned = PIN.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise DeidError("the rule pack has no pin", remedy="install the client extra again") from None
    if pinned != pack_sha256:
        raise DeidError("the rule pack is not the pinned one", remedy=_REMEDY)


def main() -> None:
    """Write the pin of the pack as it is now."""
    PIN.write_text(pack_digest() + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
