"""The release: one signed sentence that says which adapter of which run the consortium stands for.

Rule 9 of DESIGN.md. The pointer names the adapter and the evaluation by digest, so neither can change
under it. Release gates (refusing by figures) are not built yet; a person reads ``evaluation.json``
and runs the command.
"""

from __future__ import annotations

from pathlib import Path

from intraward_server.checkpoint import load_state
from intraward_server.home import ServerHome
from intraward_server.registry import Registry
from intraward_shared.config import Strict
from intraward_shared.durable import write_durably
from intraward_shared.errors import RoundFailed
from intraward_shared.program import load_program
from intraward_shared.protocol import Digest, Name, open_signed, sign_value
from intraward_shared.signing import SigningKey, digest

RELEASE_DOMAIN = "intraward/release/v1"


class Release(Strict):
    """What was released. ``folder`` is below the coordinator's home."""

    run_id: Name
    adapter: Digest
    base_model: Digest
    evaluation: Digest
    folder: str
    simulated: bool


def release(root: Path) -> Release:
    """Sign the pointer to the finished run's policy.

    Raises:
        RoundFailed: the program is not finished.
        SignatureError, DigestError: the adapter on disk is not the one that was signed.
    """
    home = ServerHome(root)
    config, key, state = load_program(home.program), SigningKey.load(home.key), load_state(home.state)
    if state is None or state.status != "finished" or state.policy is None:
        raise RoundFailed("the program is not finished, so there is nothing to release", remedy="start it")
    registry = Registry(home.adapters, key, config.lora)
    registry.load(state.policy)
    value = Release(
        run_id=state.run_id,
        adapter=state.policy,
        base_model=state.base_model,
        evaluation=digest(home.evaluation.read_bytes()),
        folder=registry.path(state.policy).relative_to(root).as_posix(),
        simulated=config.program.simulated,
    )
    write_durably(home.release, sign_value(value, RELEASE_DOMAIN, key))
    return value


def read_release(path: Path, public: str) -> Release:
    """Verify a release pointer with the coordinator's public key.

    Raises:
        ContractError, SignatureError: not a release, or signed by another key.
    """
    return open_signed(path.read_bytes(), RELEASE_DOMAIN, Release, public)
