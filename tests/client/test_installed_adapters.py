"""Released adapters at a hospital: what is refused, what is in use, what `try` says, how to go back."""

from __future__ import annotations

import io
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

import intraward_client.installed as installed_module
from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.installed import find, install, rollback, shelf
from intraward_client.trail import Action, read_trail
from intraward_shared.errors import ConfigError, ContractError, DigestError, SignatureError
from intraward_shared.signed_adapter import MANIFEST_FILE
from intraward_shared.signing import SigningKey
from intraward_shared.stages import Stage

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
PROMPT = "w1 w2 w3"


class Died(BaseException):
    """The process is killed at this point."""


def used(home: SiteHome) -> list[bool]:
    return [one.in_use for one in shelf(home, load_policy(home.policy))]


def actions(home: SiteHome) -> list[Action]:
    public = SigningKey.load(home.signing_key).public
    return [entry.action for entry in read_trail(home, public)]


def test_install_use_and_rollback_each_leave_a_line(make_site: Any, release: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    first, second = (install(release(seed), home, policy) for seed in (1, 2))
    assert [one.manifest.digest for one in shelf(home, policy) if one.in_use] == [second.digest]
    install(release(3), home, policy)
    back = rollback(home, policy)
    assert back is not None and back.manifest == second
    back = rollback(home, policy)
    assert back is not None and back.manifest == first
    assert rollback(home, policy) is None and used(home) == [False] * 3
    with pytest.raises(ConfigError, match="no adapter is in use"):
        rollback(home, policy)
    assert actions(home) == [Action.INSTALL] * 3 + [Action.ROLLBACK] * 3


def test_a_reward_model_is_kept_and_never_in_use(make_site: Any, release: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    first = install(release(1), home, policy)
    folder = release(2, stage=Stage.REWARD)
    install(folder, home, policy)
    judge = install(folder, home, policy)
    here = {one.manifest.digest: one for one in shelf(home, policy)}
    assert here[first.digest].in_use and not here[judge.digest].in_use and here[judge.digest].since
    assert find(home, policy, None)[0] == first and find(home, policy, judge.digest)[0] == judge
    assert actions(home) == [Action.INSTALL, Action.SHELVE]
    assert rollback(home, policy) is None


def test_installing_the_same_again_changes_nothing(make_site: Any, release: Any) -> None:
    home = make_site(0)
    folder = release(1)
    for _ in range(2):
        install(folder, home, load_policy(home.policy))
    assert actions(home) == [Action.INSTALL] and used(home) == [True]


@pytest.mark.parametrize(
    ("changes", "kind", "why"),
    [
        ({"key": SigningKey.from_seed(b"\x01" * 32)}, SignatureError, "trusted"),
        ({"base_model": "f" * 64}, ContractError, "another base model"),
        ({"round": 2}, ContractError, "no ledger paid"),
        (
            {"round": 2, "plans": ("d" * 64,), "ledger_heads": {"north": (4, "e" * 64)}},
            ContractError,
            "ledger of north does not hold",
        ),
        ({"plans": ("d" * 64,)}, ContractError, "names their plans"),
    ],
)
def test_what_is_not_released_for_this_site_is_refused(
    make_site: Any, release: Any, changes: dict[str, Any], kind: type[Exception], why: str
) -> None:
    home = make_site(0)
    with pytest.raises(kind, match=why) as refused:
        install(release(1, **changes), home, load_policy(home.policy))
    assert ".incoming" not in str(refused.value)
    assert list(home.adapters.iterdir()) == [] and actions(home) == []


def test_a_missing_ancestor_is_found_where_their_folder_is_given(
    make_site: Any, release: Any, tmp_path: Path
) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    parent = release(1)
    name = json.loads(json.loads((parent / MANIFEST_FILE).read_bytes())["payload"])["digest"]
    child = release(2, parents=(name,))
    (tmp_path / "adapters").mkdir()
    with pytest.raises(ContractError, match="without its signed manifest"):
        install(child, home, policy, tmp_path / "adapters")
    shutil.copytree(parent, tmp_path / "adapters" / "parent")
    install(child, home, policy, tmp_path / "adapters")


@pytest.mark.parametrize("change", ["edited", "added"])
def test_a_changed_file_is_refused_before_and_after_install(
    make_site: Any, release: Any, change: str
) -> None:
    home = make_site(0)
    policy, folder = load_policy(home.policy), release(1)
    kept = install(release(2), home, policy)
    for place in (folder, home.adapters / kept.digest[:16]):
        if change == "edited":
            with (place / "adapter_config.json").open("ab") as file:
                file.write(b" ")
        else:
            (place / "more.txt").write_text("x")
    with pytest.raises(DigestError):
        install(folder, home, policy)
    with pytest.raises(DigestError):
        shelf(home, policy)


def test_killed_before_the_trail_a_second_install_completes_it(
    make_site: Any, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, folder = make_site(0), release(1)

    def dies(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch:
        patch.setattr(installed_module, "record", dies)
        with pytest.raises(Died):
            install(folder, home, load_policy(home.policy))
    assert used(home) == [False]
    install(folder, home, load_policy(home.policy))
    assert used(home) == [True]


def test_a_rollback_to_one_that_is_gone_changes_nothing(make_site: Any, release: Any) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    gone = install(release(1), home, policy)
    install(release(2), home, policy)
    shutil.rmtree(home.adapters / gone.digest[:16])
    with pytest.raises(ConfigError, match="no installed adapter"):
        rollback(home, policy)
    assert used(home) == [True]


def test_try_answers_and_keeps_nothing(
    make_site: Any, release: Any, call: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = make_site(0)
    assert call("adapter", "try", "--home", home.root)[0] == 1
    names = [
        json.loads(call("adapter", "install", release(seed), "--home", home.root, "--json")[1])["digest"]
        for seed in (1, 2)
    ]
    prompt = tmp_path / "prompt.txt"
    prompt.write_text(PROMPT)
    before = {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()}
    words = ("adapter", "try", "--max-new-tokens", 8, "--home", home.root)
    said = {}
    for name in names:
        code, told = call(*words, "--prompt-file", prompt, "--adapter", name[:10], "--json")
        value = json.loads(told)
        assert code == 0 and value["adapter"] == name and PROMPT not in told
        said[name] = value["answer"]
    assert said[names[0]] != said[names[1]]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(PROMPT.encode())))
    assert call(*words) == (0, said[names[1]] + "\n")
    assert {path: path.read_bytes() for path in home.root.rglob("*") if path.is_file()} == before
    prompt.write_text("w1 " * 5000)  # longer than the context: its end is kept
    assert call(*words[:2], *words[4:], "--max-new-tokens", 4096, "--prompt-file", prompt)[0] == 0


def test_try_refuses_without_a_word_of_the_prompt(
    make_site: Any, release: Any, call: Any, tmp_path: Path
) -> None:
    home = make_site(0)
    code, told = call("adapter", "install", release(1, stage=Stage.REWARD), "--home", home.root)
    assert code == 0 and "a reward model, so what is in use stays" in told
    (judge,) = shelf(home, load_policy(home.policy))
    prompt = tmp_path / "prompt.txt"
    for text, why in ((PROMPT.encode(), "reward model"), (b"", "no prompt"), (b"\xffw1", "not UTF-8")):
        prompt.write_bytes(text)
        named = ("--adapter", judge.manifest.digest, "--home", home.root)
        code, told = call("adapter", "try", "--prompt-file", prompt, *named)
        assert code == 1 and why in told and "w1" not in told
    assert "no adapter is in use" in call("adapter", "try", "--prompt-file", prompt, "--home", home.root)[1]
