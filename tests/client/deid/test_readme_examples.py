"""The example of each profile on the hospital's page is what the de-identifier makes of the note."""

from __future__ import annotations

import pytest
from tests.boundary.pages import blocks

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.note import DeidentifiedNote

WIDTH = 13
SETTINGS = {
    "safe-harbor": DeidSettings(reference_year=2026),
    "surrogates": DeidSettings(replacement="surrogates", reference_year=2026),
    "research": DeidSettings(profile="research", reference_year=2026),
}


def example() -> dict[str, str]:
    """Text by the name that stands before its first line."""
    (block,) = [block for block in blocks("client/README.md", "text") if block.startswith("before")]
    found: dict[str, list[str]] = {}
    for line in block.rstrip().split("\n"):
        name = line[:WIDTH].strip()
        (found.setdefault(name, []) if name else list(found.values())[-1]).append(line[WIDTH:])
    return {name: "\n".join(lines) for name, lines in found.items()}


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_the_example_is_true(name: str) -> None:
    engine = Deidentifier(SETTINGS[name], bytes(32))
    outcome = engine.deidentify_text(example()["before"], "P-1", {"first": "Alicia", "last": "Varga"})
    assert isinstance(outcome, DeidentifiedNote) and outcome.text == example()[name]
    assert outcome.receipt.profile == SETTINGS[name].profile
