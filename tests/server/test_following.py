"""A further program begins with a released policy: what stays, what is put aside, what is proved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.server.test_decisions import write
from tests.server.test_with_wards import NAMES, _federate
from tests.shared.release.conftest import copy_of
from tests.shared.release.consortium import COORDINATOR, SITES, Finished, finish, signed

from intraward_server import following as following_module
from intraward_server.checkpoint import load_state, read_history
from intraward_server.cli import describe
from intraward_server.concluding import measure
from intraward_server.following import follow
from intraward_server.home import ServerHome
from intraward_server.program import run
from intraward_server.release import release
from intraward_shared.audit_release import verify_release
from intraward_shared.config import load_toml
from intraward_shared.decision import Verdict
from intraward_shared.errors import ConfigError, ReleaseRefused, RoundFailed
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import sign_value
from intraward_shared.release import RELEASE_DOMAIN, RELEASE_FILE, read_release
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked
from intraward_shared.signing import digest
from intraward_simulation.federation import InProcessGrid

Table = dict[str, Any]


class Died(BaseException):
    """The process is killed at this point."""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A coordinator that has released its policy; a test copies it first."""
    made = finish(tmp_path_factory.mktemp("program"))
    signed(made)
    return made


@pytest.fixture
def mine(done: Finished, tmp_path: Path) -> Finished:
    """A copy that may be changed."""
    return copy_of(done, tmp_path / "copy")


def policy_of(home: Path) -> str:
    state = load_state(ServerHome(home).state)
    assert state is not None and state.policy is not None
    return state.policy


def next_program(made: Finished, change: Callable[[Table], object] = lambda _: None) -> Path:
    """The finished program without sft and sites, beginning with its policy; data beside it."""
    folder = made.home.parent / "next"
    folder.mkdir(exist_ok=True)
    table = load_toml(ServerHome(made.home).program, ProgramConfig).model_dump(mode="json", exclude_none=True)
    table = {key: table[key] for key in ("program", "model", "lora", "stages", "evaluation", "release")}
    table["program"] |= {"policy": policy_of(made.home), "seed": 77}
    table["stages"] = [stage for stage in table["stages"] if stage["stage"] != "sft"]
    change(table)
    (folder / "prompts.jsonl").write_text('{"prompt": "w1"}\n')
    path = folder / "program.toml"
    path.write_text(tomli_w.dumps(_plain(table)))
    return path


def _plain(value: Any) -> Any:
    """Reals travel as strings in JSON; a program file holds numbers."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    try:
        return float(value) if isinstance(value, str) and "." in value else value
    except ValueError:
        return value


def files_of(root: Path) -> dict[str, str]:
    found = (path for path in root.rglob("*") if path.is_file() and path.name != "coordinator.lock")
    return {path.relative_to(root).as_posix(): digest(path.read_bytes()) for path in found}


def test_what_belongs_to_the_run_is_put_aside_and_the_rest_stays(mine: Finished) -> None:
    before, policy = files_of(mine.home), policy_of(mine.home)
    made = follow(ServerHome(mine.home), next_program(mine))
    assert made.release.adapter == policy and made.sites == SITES
    after, aside = files_of(mine.home), files_of(made.earlier)
    moved = {name for name in before if name.split("/")[0] in ("plans", "receipts", "state.json")}
    assert moved and all(aside[name] == before[name] and name not in after for name in moved)
    kept = [name for name in before if name.split("/")[0] in ("adapters", "releases", "keys", "release.json")]
    assert kept and all(after[name] == before[name] for name in kept)
    told = describe(mine.home)
    assert (told["run_id"], told["rounds_done"], told["next"]) == ("not begun", 0, "reward 1")
    with pytest.raises(RoundFailed, match="not finished"):
        follow(ServerHome(mine.home), next_program_again(mine))


def next_program_again(made: Finished) -> Path:
    return made.home.parent / "next" / "program.toml"


@pytest.mark.parametrize("after", range(1, 5))
def test_killed_in_the_middle_it_goes_on_and_ends_the_same(
    mine: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    twin = copy_of(mine, tmp_path / "twin")
    program = next_program(mine)
    follow(ServerHome(twin.home), next_program(twin))
    calls, real = 0, following_module._put_aside

    def dies(path: Path, target: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == 2 * after:
            raise Died
        real(path, target)

    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(following_module, "_put_aside", dies)
        follow(ServerHome(mine.home), program)
    assert not ServerHome(mine.home).program.exists()  # nothing can be started in this state
    follow(ServerHome(mine.home), program)
    assert files_of(mine.home).keys() == files_of(twin.home).keys()


def _set(section: str, key: str, value: Any) -> Callable[[Table], object]:
    return lambda table: table[section].__setitem__(key, value)


@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        (lambda t: t["program"].pop("policy"), ConfigError, r"program\.policy: is missing"),
        (_set("program", "policy", "0" * 64), Exception, "no such adapter"),
        (_set("program", "policy", "0" * 16), ConfigError, r"program\.policy: .* registry show has all 64"),
        (_set("program", "seed", 5), ConfigError, r"program\.seed"),
        (_set("lora", "r", 4), ConfigError, "lora: is not that of the run before"),
        (_set("model", "sha256", "0" * 64), ConfigError, r"model\.sha256"),
    ],
)
def test_a_program_that_does_not_fit_is_refused_and_nothing_moves(
    mine: Finished, change: Callable[[Table], object], error: type[Exception], why: str
) -> None:
    before = files_of(mine.home)
    with pytest.raises(error, match=why):
        follow(ServerHome(mine.home), next_program(mine, change))
    assert files_of(mine.home) == before


def test_only_a_release_in_good_standing_begins_a_program(mine: Finished, tmp_path: Path) -> None:
    home, policy = ServerHome(mine.home), policy_of(mine.home)
    state = load_state(home.state)
    assert state is not None and state.sft is not None
    with pytest.raises(ReleaseRefused, match="never released here"):
        follow(home, next_program(mine, _set("program", "policy", state.sft)))
    stop = write(tmp_path, "beta", policy, Verdict.STOP)
    home.decision("beta", 1).parent.mkdir(parents=True)
    stop.rename(home.decision("beta", 1))
    with pytest.raises(ReleaseRefused, match="veto of beta"):
        follow(home, next_program(mine))
    shutil.rmtree(home.decisions)
    listed = RevocationList(revoked=(Revoked(adapter=policy, time="2026-02-01T00:00:00Z", reason="unsafe"),))
    home.revoked.write_bytes(sign_value(listed, REVOCATION_DOMAIN, COORDINATOR))
    with pytest.raises(ReleaseRefused, match="was revoked"):
        follow(home, next_program(mine))


@pytest.mark.slow
def test_real_wards_train_on_from_the_release_and_the_second_bundle_proves_both_runs(
    tmp_path: Path, program: Table, model_dir: Path, public_files: Any
) -> None:
    gate = {"name": "near", "source": "evaluation", "figure": "policy.kl", "at_most": 25.0}
    (tmp_path / "gates.toml").write_text(tomli_w.dumps({"gates": [gate]}))
    program["release"] = {"gates": str(tmp_path / "gates.toml")}
    wards, home = _federate(tmp_path, program, model_dir, public_files)
    first = run(InProcessGrid(wards), home)
    ledgers = [tmp_path / name / "ledger.jsonl" for name in NAMES]
    release(home, ledgers, [], datetime(2026, 3, 1, tzinfo=UTC))
    _an_earlier_policy_is_released_once_it_was_measured(home, ledgers)
    folder = tmp_path / "next"
    folder.mkdir()
    public_files(folder)
    table = {key: value for key, value in program.items() if key != "sites"}
    (tmp_path / "gates.toml").write_text(tomli_w.dumps({"gates": [gate | {"at_most": 20.0}]}))
    training = program["stages"][0]["training"]
    table["program"] |= {"policy": first.policy, "seed": 6}
    table["stages"] = [
        {"stage": "reward", "public": "pairs.jsonl", "training": training},
        {"stage": "ppo", "rounds": 2, "public": "prompts.jsonl", "training": training},
    ]
    (folder / "program.toml").write_text(tomli_w.dumps(table))
    made = follow(ServerHome(home), folder / "program.toml")
    assert made.sites == NAMES
    second = run(InProcessGrid(wards), home)
    for ward in wards.values():
        ward.close()
    assert second.run_id != first.run_id and second.policy != first.policy
    runs = [{entry.run_id for entry in read_ledger(path) if entry.run_id} for path in ledgers]
    assert runs == [{first.run_id, second.run_id}] * 2  # the hospitals' ledgers go on
    bundle = release(home, ledgers, [], datetime(2026, 4, 1, tzinfo=UTC))
    assert bundle.release.number == 3
    found = verify_release(bundle.folder, COORDINATOR.public)
    assert {manifest.run_id for manifest in found.manifests.values()} == {first.run_id, second.run_id}
    assert first.policy in found.manifests
    _tampered(bundle.folder, first.run_id, first.policy)


def _an_earlier_policy_is_released_once_it_was_measured(home: Path, ledgers: list[Path]) -> None:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    history = read_history(ServerHome(home).history)
    earlier, reward = history[-2]["adapter"], history[3]["adapter"]
    with pytest.raises(ReleaseRefused, match="were never measured"):
        release(home, ledgers, [], now, earlier)
    for name in (reward, history[-1]["adapter"][:8] + "0"):
        with pytest.raises((ReleaseRefused, ConfigError)):
            measure(home, name)
    with pytest.raises(ReleaseRefused, match="no policy of this run"):
        release(home, ledgers, [], now, reward)
    place, figures = measure(home, earlier[:10])
    last = json.loads(ServerHome(home).evaluation.read_text())
    assert figures["adapters"]["policy"] == earlier and figures["policy"] != last["policy"]
    made = release(home, ledgers, [], now, earlier[:10])
    assert made.release.adapter == earlier and made.release.number == 2
    assert (made.folder / "evaluation.json").read_bytes() == place.read_bytes()


def _tampered(bundle: Path, run_id: str, policy: str | None) -> None:
    """Without the earlier release, or with that of another adapter, the bundle does not pass."""
    place = bundle / "earlier" / f"{run_id}.json"
    value, whole = read_release(bundle / RELEASE_FILE, COORDINATOR.public), place.read_bytes()
    earlier = read_release(place, COORDINATOR.public)
    other = next(
        name
        for name in (bundle / "lineage").iterdir()
        if json.loads(json.loads(name.read_bytes())["payload"])["run_id"] == run_id and name.stem != policy
    )
    forged = sign_value(earlier.model_copy(update={"adapter": other.stem}), RELEASE_DOMAIN, COORDINATOR)
    for data, why in ((forged, "unreleased there"), (None, "missing")):
        files = dict(value.files)
        if data is None:
            place.unlink()
            del files[f"earlier/{run_id}.json"]
        else:
            place.write_bytes(data)
            files[f"earlier/{run_id}.json"] = digest(data)
        changed = value.model_copy(update={"files": files})
        (bundle / RELEASE_FILE).write_bytes(sign_value(changed, RELEASE_DOMAIN, COORDINATOR))
        with pytest.raises(ReleaseRefused, match=f"check 3.*{why}"):
            verify_release(bundle, COORDINATOR.public)
    place.write_bytes(whole)
