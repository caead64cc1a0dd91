"""The site key is rotated: killed between any two steps the vault opens, and no two processes collide."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.store import keys as keys_module
from intraward_client.store.notes import note_records, store_outcomes
from intraward_client.store.vault import Vault
from intraward_client.trail import Action, read_trail
from intraward_shared.errors import VaultError
from intraward_shared.signing import SigningKey


class Died(BaseException):
    """The process is killed at this point."""


def note(name: str, patient: str) -> Any:
    return seal_note(name, patient, f"text of {name}", DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {}))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    with closing(Vault.create(tmp_path / "vault.db", tmp_path / "keys")) as made:
        store_outcomes(made, [note(f"n{number}", f"P-{number // 2}") for number in range(6)])
    return tmp_path


def opened(place: Path) -> Vault:
    return Vault.open(place / "vault.db", place / "keys")


def texts(place: Path) -> set[str]:
    with closing(opened(place)) as vault:
        return {record.text for record in note_records(vault)}


def kek(place: Path) -> bytes:
    return (place / "keys" / "site.key").read_bytes()


def on_disk(place: Path) -> bytes:
    return b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())


@contextmanager
def dying_at(step: int) -> Iterator[list[int]]:
    """The process dies at its ``step``-th write, sync, rename, removal, statement or commit."""
    count = [0]

    def tick(*_: object) -> None:
        count[0] += 1
        if count[0] == step:
            raise Died

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in (
            (os, "fsync"),
            (os, "open"),
            (Path, "replace"),
            (Path, "unlink"),
            (keys_module, "_write"),
            (Connection, "execute"),
        ):
            real = getattr(owner, name)

            def step_then(*words: Any, real: Any = real, **more: Any) -> Any:
                tick()
                return real(*words, **more)

            patch.setattr(owner, name, step_then)
        event.listen(Connection, "commit", tick)
        try:
            yield count
        finally:
            event.remove(Connection, "commit", tick)


def test_a_rotation_changes_the_key_and_no_text(place: Path) -> None:
    before, old = texts(place), kek(place)
    os.link(place / "keys" / "site.key", place / "linked")  # shows that the very bytes are overwritten
    with closing(opened(place)) as vault:
        with vault.transaction() as connection:
            wrapped = connection.exec_driver_sql("SELECT wrapped_key FROM patients").scalars().all()
        vault.rotate()
        store_outcomes(vault, [note("later", "P-9")])
    content = on_disk(place)
    assert old not in content and not any(key in content for key in wrapped)
    assert texts(place) == before | {"text of later"} and kek(place) != old
    assert not (place / "keys" / "site.key.next").exists()


def test_killed_between_any_two_steps_it_is_settled_and_can_be_repeated(place: Path) -> None:
    whole, step, kept, switched = texts(place), 0, 0, 0
    while True:
        step += 1
        old, vault = kek(place), opened(place)
        with dying_at(step) as count:
            try:
                vault.rotate()
                break
            except Died:
                pass
            finally:
                vault.close()
        assert count[0] == step
        assert texts(place) == whole, step
        assert not (place / "keys" / "site.key.next").exists()
        kept, switched = kept + (kek(place) == old), switched + (kek(place) != old)
        if kek(place) != old:
            assert old not in on_disk(place)
        with closing(opened(place)) as again:
            again.rotate()
        assert texts(place) == whole and kek(place) != old
    assert step > 15 and kept > 5 and switched > 5


@pytest.mark.parametrize("moment", ["before the commit", "before the rename"])
def test_a_process_that_opens_meanwhile_waits_and_destroys_nothing(
    place: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    whole, others = texts(place), list[tuple[threading.Thread, bool]]()
    owner: Any = Vault if moment == "before the commit" else keys_module.SiteKeys
    name = "_rewrap" if owner is Vault else "finish_rotation"
    step = getattr(owner, name)

    def somebody_opens(self: Any, *words: Any) -> None:
        if not others:
            other = threading.Thread(target=lambda: opened(place).close())
            other.start()
            other.join(0.3)
            others.append((other, other.is_alive()))
        step(self, *words)

    monkeypatch.setattr(owner, name, somebody_opens)
    with closing(opened(place)) as vault:
        vault.rotate()
    ((other, waited),) = others
    other.join(30)
    assert waited and not other.is_alive() and texts(place) == whole


def test_a_ward_that_runs_reads_and_writes_between_commit_and_rename(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, finish = texts(place), keys_module.SiteKeys.finish_rotation
    with closing(opened(place)) as ward, closing(opened(place)) as vault:

        def ward_works(self: keys_module.SiteKeys, fresh: bytes) -> None:
            assert {record.text for record in note_records(ward)} == whole
            store_outcomes(ward, [note("new", "P-new")])
            finish(self, fresh)

        with monkeypatch.context() as patch:
            patch.setattr(keys_module.SiteKeys, "finish_rotation", ward_works)
            vault.rotate()
        store_outcomes(ward, [note("newer", "P-newer")])
    assert texts(place) == whole | {"text of new", "text of newer"}


def test_keys_of_another_vault_are_refused(place: Path) -> None:
    (place / "keys" / "site.key").write_bytes(os.urandom(32))
    with pytest.raises(VaultError, match="not those of this vault"):
        opened(place)


def test_the_command_says_what_it_rotated_and_what_not(make_site: Any, call: Any) -> None:
    home = make_site(2)
    before = (home.vault_keys / "site.key").read_bytes()
    code, told = call("keys", "rotate", "--home", home.root)
    assert code == 0 and "coordinator" in told and "signing.key" in told
    assert (home.vault_keys / "site.key").read_bytes() != before
    code, told = call("keys", "rotate", "--home", home.root, "--json")
    assert json.loads(told)["rotated"] == str(home.vault_keys / "site.key")
    entries = read_trail(home, SigningKey.load(home.signing_key).public)
    assert [entry.action for entry in entries] == [Action.ROTATE] * 2
