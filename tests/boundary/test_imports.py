"""Who may import whom (DESIGN.md section 4), read from the source, imports inside functions included.

The second net under import-linter: it needs no install, sees imports by string, and names file and line.
"""

from __future__ import annotations

import pytest
from tests.boundary.sources import Source, imports, source, sources, within

RAW = "intraward_client.deid.raw"
RAW_READERS = ("intraward_client.deid", "intraward_client.store")
TORCH_ROOMS = tuple(
    f"intraward_shared.{name}"
    for name in ("base_model", "modeling", "depth", "decoding", "generation", "scoring")
)
FLOWER_ROOMS = ("intraward_shared.wire",)

FORBIDDEN = {
    "intraward_client": ("intraward_server", "intraward_simulation"),
    "intraward_server": (
        "intraward_client",
        "intraward_simulation",
        "presidio_analyzer",
        "presidio_anonymizer",
        "opacus",
        "spacy",
    ),
    "intraward_shared": (
        "intraward_client",
        "intraward_server",
        "intraward_simulation",
        "presidio_analyzer",
        "presidio_anonymizer",
        "opacus",
        "spacy",
    ),
}


def slips(module: Source) -> list[str]:
    """Forbidden imports of one module, as ``module:line target``."""
    return sorted({f"{module.name}:{line} {hit}" for line, hit in imports(module) if _forbidden(module, hit)})


def _forbidden(module: Source, target: str) -> bool:
    package = module.name.split(".")[0]
    if any(within(target, other) for other in FORBIDDEN.get(package, ())):
        return True
    if within(target, RAW) and not any(within(module.name, reader) for reader in RAW_READERS):
        return True
    if package != "intraward_shared":
        return False
    if within(target, "flwr"):
        return module.name not in FLOWER_ROOMS
    heavy = any(within(target, name) for name in ("torch", "transformers", "peft"))
    return heavy and module.name not in TORCH_ROOMS


def test_every_import_keeps_the_boundaries() -> None:
    assert [slip for module in sources() for slip in slips(module)] == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("intraward_client.ward", "import intraward_server.rounds"),
        ("intraward_client.ward", "def hidden():\n    from intraward_server import rounds"),
        ("intraward_client.ward", "import importlib\nimportlib.import_module('intraward_server.app')"),
        ("intraward_server.app", "from intraward_client.egress import seal"),
        ("intraward_server.app", "def hidden():\n    import presidio_analyzer as p"),
        ("intraward_shared.privacy", "from opacus.accountants import PRVAccountant"),
        ("intraward_shared.audit", "if True:\n    import torch"),
        ("intraward_shared.protocol", "import flwr"),
        ("intraward_shared.wire", "import torch"),
        ("intraward_client.training.sft", "from intraward_client.deid.raw import RawNote"),
        ("intraward_client.training.sft", "from intraward_client.deid import raw"),
        ("intraward_client.ward", "from .deid import raw"),
        ("intraward_simulation.run", "import intraward_client.deid.raw as harmless"),
    ],
)
def test_a_planted_slip_is_found(name: str, text: str) -> None:
    assert slips(source(text, name)) != []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("intraward_client.deid.deidentifier", "from .raw import RawNote"),
        ("intraward_client.store.importers", "from intraward_client.deid.raw import ingest"),
        ("intraward_shared.modeling", "import torch"),
        ("intraward_simulation.run", "from intraward_client.ward import Ward"),
        ("intraward_client.privacy.engine", "import opacus"),
    ],
)
def test_what_the_design_allows_passes(name: str, text: str) -> None:
    assert slips(source(text, name)) == []
