"""What every test shares: one torch thread, no network chatter from libraries, and the open data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Set before a test module imports flwr, transformers or matplotlib: each reads these once.
os.environ.update(
    {
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "MPLBACKEND": "Agg",
    }
)

try:
    import torch
except ImportError:  # the auditor's install has no torch, and its tests need none
    pass
else:
    torch.set_num_threads(1)

DATA_VARIABLE = "INTRAWARD_DATA"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files of tests/e2e first: they take minutes each, and the last test should be a short one."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of open clinical data: ``$INTRAWARD_DATA``, or ``shared/data`` beside the repository."""
    named = os.environ.get(DATA_VARIABLE)
    folder = Path(named) if named else Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the open data folder is not here; name it in {DATA_VARIABLE}")
    return folder
