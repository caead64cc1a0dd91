"""A further program of the same consortium, which begins where a released policy of the last one ended.

DESIGN.md section 4 (the stage machine) and rule 9. The folder, its keys, members, SuperLink, registry and
releases stay; what belongs to the finished run goes to ``earlier/RUN``. The new program names the policy that
it begins with, so hospitals read it before they agree, and it has to be one that was released: what of it
hospitals paid for stands in their ledgers, which go on. A new schedule is signed and charged when it begins.

A move that was killed goes on when it is called again: the old program is the first thing that goes, so
nothing can be started meanwhile, and the old state the last.
"""

from __future__ import annotations

import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from intraward_server.checkpoint import load_state
from intraward_server.datafiles import beside
from intraward_server.decisions import objections
from intraward_server.gates import agreed_gates
from intraward_server.home import ServerHome
from intraward_server.members import read_members
from intraward_server.plans import name_run
from intraward_server.registry import Registry
from intraward_server.release import bundles
from intraward_server.revocations import revocations
from intraward_server.sole import sole_coordinator
from intraward_shared.config import load_toml, parse
from intraward_shared.durable import sync_folder, write_durably
from intraward_shared.errors import ConfigError, ReleaseRefused, RoundFailed
from intraward_shared.program import ProgramConfig
from intraward_shared.release import RELEASE_FILE, Release, read_release
from intraward_shared.signing import SigningKey

_FILES = ("schedule.json", "history.jsonl", "evaluation.json", "agreed-gates.toml")
_FOLDERS = ("plans", "receipts", "inbox", "public", "moments")


@dataclass(frozen=True)
class Following:
    """What was put aside, and the release that the new program begins with."""

    earlier: Path
    release: Release
    sites: tuple[str, ...]


def released_as(home: ServerHome, public: str, adapter: str) -> Release | None:
    """The newest release of an adapter; None where there is none."""
    for _, folder in reversed(bundles(home)):
        value = read_release(folder / RELEASE_FILE, public)
        if value.adapter == adapter:
            return value
    return None


def check_start(home: ServerHome, key: SigningKey, registry: Registry, policy: str) -> Release:
    """Refuse a policy to begin with that was not released, was revoked, or stopped by a hospital.

    Raises:
        ReleaseRefused: says which.
        ContractError and its kin: the adapter or its lineage is missing or was altered.
    """
    registry.load(policy)
    value = released_as(home, key.public, policy)
    if value is None:
        raise ReleaseRefused(
            f"adapter {policy[:16]} was never released here, so no program begins with it",
            remedy="name the adapter of a release: intraward-server registry list",
        )
    revocations(home, key).refuse(registry.ancestry([policy]))
    if stopped := objections(home, key.public, policy):
        raise ReleaseRefused("; ".join(stopped), remedy="begin with another release")
    return value


def follow(home: ServerHome, program: Path) -> Following:
    """Put the finished run aside and take a further program in its place.

    Args:
        home: the coordinator's folder, its program finished.
        program: the new program, its data files beside it; without ``[[sites]]`` the members take part.

    Raises:
        ConfigError, InputError: the program does not fit; nothing was moved.
        RoundFailed: the present program is not finished.
        ReleaseRefused: the policy that it names is not a release in good standing.
    """
    with sole_coordinator(home, wait_s=0):
        key = SigningKey.load(home.key)
        if home.coming.exists():  # a move that was killed
            config = load_toml(home.coming, ProgramConfig)
            return _move(home, key, config, program.parent)
        state = load_state(home.state)
        if state is None or state.status != "finished":
            raise RoundFailed("the program is not finished, so none can follow it", remedy="start it")
        if program.parent.resolve() == home.root.resolve():
            raise ConfigError(
                program, "", "lies in the coordinator's own folder", remedy="keep it and its data elsewhere"
            )
        before, config = load_toml(home.program, ProgramConfig), load_toml(program, ProgramConfig)
        if config.program.policy is None:
            current = read_release(home.release, key.public).adapter if home.release.exists() else None
            raise ConfigError(
                program,
                "program.policy",
                "is missing: a program that follows names the released policy that it begins with",
                remedy=f'policy = "{current}"' if current else "release one: intraward-server release",
            )
        _check_run(home, program, before, config)
        _check_same(program, before, config, state.base_model)
        check_start(home, key, Registry(home.adapters, key, before.lora), config.program.policy)
        beside(program, config)
        agreed_gates(config, program.parent)
        text = _with_sites(home, key, program, before)
        config = parse(tomllib.loads(text), ProgramConfig, program)
        write_durably(home.coming, text.encode())
        return _move(home, key, config, program.parent)


def _check_run(home: ServerHome, program: Path, before: ProgramConfig, config: ProgramConfig) -> None:
    """A seed and a name make a run's id, of which there is one."""
    again = (config.program.seed, config.program.name) == (before.program.seed, before.program.name)
    if config.program.seed is not None and (again or home.earlier(name_run(config)).exists()):
        raise ConfigError(
            program, "program.seed", "with this name it was that of an earlier run", remedy="take another"
        )


def _check_same(program: Path, before: ProgramConfig, config: ProgramConfig, base_model: str) -> None:
    """What cannot change where an adapter of the run before goes on."""
    for name, same in (
        ("lora", config.lora == before.lora),
        ("program.simulated", config.program.simulated == before.program.simulated),
        ("model.sha256", config.model.sha256 in (None, base_model)),
        ("model.path", Path(config.model.path).is_absolute()),
    ):
        if not same:
            raise ConfigError(
                program,
                name,
                "is not that of the run before, whose policy is to go on",
                remedy="put what stood there, or begin anew: intraward-server init",
            )


def _with_sites(home: ServerHome, key: SigningKey, program: Path, before: ProgramConfig) -> str:
    """The program's text with its cohort: its own, or the members who are not revoked."""
    text = program.read_text(encoding="utf-8")
    if "sites" in tomllib.loads(text):
        return text
    out = read_members(home, key.public).revoked
    blocks = [
        f'\n[[sites]]\nname = "{site.name}"\npublic_key = "{site.public_key}"\n'
        for site in before.sites
        if site.name not in out
    ]
    return text.rstrip("\n") + "\n" + "".join(blocks)


def _move(home: ServerHome, key: SigningKey, config: ProgramConfig, source: Path) -> Following:
    """The move itself; every step may be repeated."""
    state = load_state(home.state)
    if state is not None:
        place = home.earlier(state.run_id)
        place.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = load_toml(home.program if home.program.exists() else place / home.program.name, ProgramConfig)
        data = beside(home.program, named, there=False)
        for name in (home.program.name, *data, *_FILES, *_FOLDERS, home.state.name):
            _put_aside(home.root / name, place / name)
    else:
        place = max(home.root.glob("earlier/*"), key=lambda path: path.stat().st_mtime)
    for name in beside(source / home.program.name, config):
        (home.root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, home.root / name)
    home.make()
    home.coming.replace(home.program)
    sync_folder(home.root)
    release = released_as(home, key.public, str(config.program.policy))
    assert release is not None
    return Following(place, release, config.cohort)


def _put_aside(path: Path, target: Path) -> None:
    if path.exists():
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.replace(target)
        sync_folder(target.parent)
