"""What the faults strike: the tiny model, sites and requests of the hospital's tests, and a consortium."""

# ruff: noqa: F811  (a fixture that asks for another one of this file)

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import (  # noqa: F401  fixtures of the hospital's tests
    adapter_of,
    fill_vault,
    lora_of,
    make_site,
    policy_table,
    rounds,
    tiny,
    tiny_folder,
)
from tests.faults.bench import EXPIRES, SLOT, Bench
from tests.faults.plant import Plant, plant

import intraward_client.ward as ward_module
from intraward_client.config import SitePolicy
from intraward_client.home import SiteHome
from intraward_client.initialise import initialise
from intraward_shared.config import parse
from intraward_shared.signing import SigningKey, digest


@pytest.fixture
def bench(
    make_site: Any,
    rounds: Any,
    tiny: Any,
    tiny_folder: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    """A hospital with three patients, and two rounds that may be asked of it."""
    return bench_of(make_site, rounds, tiny, tiny_folder, monkeypatch)


def bench_of(make: Any, rounds: Any, tiny: Any, folder: Any, patch: pytest.MonkeyPatch) -> Bench:
    """The bench; the model is loaded once in the process, not once a ward."""
    base = tiny("llama")
    patch.setattr(ward_module, "load_base", lambda *_: base)
    requests = {number: rounds(number, slot_time=SLOT, expires=EXPIRES) for number in (1, 2)}
    return Bench(make(3), folder("llama"), requests)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A scratch folder with a short path: sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="iw-") as made:
        yield Path(made)


@pytest.fixture
def make_simulated(tiny_folder: Callable[[str], Path]) -> Callable[[Path, str, str], SiteHome]:
    """``make_simulated(root, site, coordinator)``: a simulated site with five patients."""

    def make(root: Path, site: str, coordinator: str) -> SiteHome:
        table = policy_table(tiny_folder("llama")) | {"site": site, "simulation": {"allowed": True}}
        table["coordinator"] = {"public_key": coordinator}
        key = SigningKey.from_seed(bytes.fromhex(digest(site.encode())))
        policy = parse(table, SitePolicy, "policy")
        home = initialise(root, policy, key=key, time="2029-12-31T00:00:00Z")
        fill_vault(home, 5)
        return home

    return make


@pytest.fixture
def consortium(
    short_folder: Path, tiny_folder: Callable[[str], Path], make_simulated: Any
) -> Callable[[int], AbstractContextManager[Plant]]:
    """``consortium(rounds)``: three simulated sites and their coordinator, as real processes."""
    return lambda rounds: plant(short_folder, tiny_folder("llama"), make_simulated, rounds)
