"""``label prepare``: the ward answers over its own socket, and the answers become items, each once."""

from __future__ import annotations

import json
import stat
from contextlib import closing
from typing import Any

import pytest

from intraward_client import preparing
from intraward_client.config import load_policy
from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.desksocket import ask, desk
from intraward_client.home import SiteHome
from intraward_client.installed import install, shelf
from intraward_client.labeling.events import Actor
from intraward_client.labeling.opening import open_book
from intraward_client.labeling.preparation import prepare
from intraward_client.store.notes import store_outcomes
from intraward_client.store.prompts import candidates_of, prompt_records
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError, IntrawardError
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage

ADMIN = Actor("ana", "admin")
SAMPLING = {"candidates": 3, "max_prompt_tokens": 4, "max_completion_tokens": 4}


def _notes(home: SiteHome, patients: int) -> None:
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    texts = [f"Question: w{p % 20} w{p % 7} w1" for p in range(patients)]
    notes = [seal_note(f"n{p}", f"p{p}", text, receipt) for p, text in enumerate(texts)]
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        store_outcomes(vault, notes)


@pytest.fixture
def site(make_site: Any, release: Any) -> SiteHome:
    """A site with eleven prompts and an installed policy."""
    home: SiteHome = make_site(0)
    _notes(home, 11)
    install(release(1), home, load_policy(home.policy))
    return home


def _prepared(home: SiteHome, ward: Ward, **more: Any) -> Any:
    def told(request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(preparing.answer_request(ward, json.dumps(request).encode()))
        if "error" in answer:
            raise IntrawardError(answer["error"], remedy=answer["remedy"])
        return answer

    values: dict[str, Any] = {"kind": "answers", "specialty": "heart", "sampling": SAMPLING, "reward": None}
    with (
        open_book(home) as book,
        closing(Vault.open(home.vault, home.vault_keys)) as vault,
    ):
        return prepare(book, vault, told, ADMIN, **(values | more)), book.items()


def test_every_prompt_is_answered_and_queued_once(site: SiteHome) -> None:
    with closing(Ward(site)) as ward:
        first, items = _prepared(site, ward)
        again, same = _prepared(site, ward)
    assert first.answered == 11 and first.items + first.alike == 11 and first.items == len(items) > 5
    assert (again.answered, again.items) == (0, 0) and same == items
    with closing(Vault.open(site.vault, site.vault_keys)) as vault:
        units = {prompt.prompt_id: prompt.unit for prompt in prompt_records(vault)}
        for item in items:
            kept = {c.candidate_id: c.answer.split() for c in candidates_of(vault, item.prompt_id)}
            assert item.unit == units[item.prompt_id] and item.specialty == "heart" and item.propensity == 1.0
            assert len({tuple(kept[name]) for name in item.candidate_ids}) == len(item.candidate_ids) > 1


def test_a_new_release_answers_anew(site: SiteHome, release: Any) -> None:
    with closing(Ward(site)) as ward:
        _prepared(site, ward)
        install(release(2), site, load_policy(site.policy))
        second, items = _prepared(site, ward)
    assert second.answered == 11 and len({item.item_id for item in items}) == len(items) > second.items > 0


def test_an_ensemble_gives_the_chance_that_is_stored(site: SiteHome, release: Any, lora_of: Any) -> None:
    policy = load_policy(site.policy)
    chosen = shelf(site, policy)[0].manifest.digest
    lora = lora_of("llama").model_copy(update={"reward": RewardHeads(members=3)})
    ensemble = install(release(3, stage=Stage.REWARD, lora=lora), site, policy)
    with closing(Ward(site)) as ward:
        made, items = _prepared(site, ward, reward=ensemble.digest)
        again, same = _prepared(site, ward, reward=ensemble.digest)
    assert made.items == len(items) > 0 and made.adapter == chosen
    assert all(0.2 < item.propensity <= 1.0 for item in items)
    assert again.items == 0 and same == items


def test_a_reward_model_that_cannot_disagree_is_refused(site: SiteHome, release: Any) -> None:
    policy = load_policy(site.policy)
    single = install(release(3, stage=Stage.REWARD), site, policy)
    with closing(Ward(site)) as ward:
        for adapter in (single.digest, shelf(site, policy)[0].manifest.digest):
            with pytest.raises(IntrawardError, match="no reward model with several members"):
                _prepared(site, ward, reward=adapter)
        with pytest.raises(IntrawardError, match="answers nothing"):
            _prepared(site, ward, sampling={**SAMPLING, "adapter": single.digest})


def test_chances_follow_the_wards_figures(site: SiteHome) -> None:
    with closing(Ward(site)) as ward:

        def told(request: dict[str, Any]) -> dict[str, Any]:
            if request["kind"] == "score":  # by two members that were never released here
                figures = {name: 0.5 if int(name, 16) % 2 else 0.0 for name in request["prompts"]}
                return {"disagreement": figures}
            return dict(json.loads(preparing.answer_request(ward, json.dumps(request).encode())))

        with (
            open_book(site) as book,
            closing(Vault.open(site.vault, site.vault_keys)) as vault,
        ):
            options: dict[str, Any] = {"kind": "safety", "specialty": "", "sampling": SAMPLING}
            made = prepare(book, vault, told, ADMIN, reward="a" * 64, **options)
            again = prepare(book, vault, told, ADMIN, reward="a" * 64, **options)
            items = book.items()
    sure = [item for item in items if int(item.prompt_id, 16) % 2]
    assert all(item.propensity == 1.0 for item in sure)
    assert all(item.propensity == pytest.approx(0.2) for item in items if item not in sure)
    assert made.items == len(items) and made.not_drawn > 0
    assert again.items == 0 and again.not_drawn == made.not_drawn  # nobody is drawn a second time


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (b"{}", "not one that the ward knows"),
        (b'{"kind": "answer", "candidates": 5}', "not one that the ward knows"),
        (b'{"kind": "answer", "adapter": "abcdef0"}', "no installed adapter"),
        (b'{"kind": "answer", "max_prompt_tokens": 30000}', "context"),
        (b'{"kind": "answer", "text": "w1"}', "not one that the ward knows"),
    ],
)
def test_a_wrong_request_is_refused_in_words(site: SiteHome, request_: bytes, told: str) -> None:
    with closing(Ward(site)) as ward:
        assert told in json.loads(preparing.answer_request(ward, request_))["error"]


def test_an_error_inside_is_told_without_its_text(site: SiteHome, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("w1 w2 secret")

    monkeypatch.setattr(preparing, "sample_answers", fail)
    with closing(Ward(site)) as ward:
        told = preparing.answer_request(ward, json.dumps({"kind": "answer", **SAMPLING}).encode())
    assert b"RuntimeError" in told and b"secret" not in told


def test_the_wards_second_socket(site: SiteHome) -> None:
    with closing(Ward(site)) as ward:
        with desk(ward):
            assert stat.S_IMODE(site.desk_socket.parent.stat().st_mode) == 0o700
            told = ask(site.desk_socket, {"kind": "answer", **SAMPLING})
            assert told["answered"] == preparing.BATCH and told["left"] == 3
            with pytest.raises(IntrawardError, match="not one that the ward knows"):
                ask(site.desk_socket, {"kind": "execute"})
        assert not site.desk_socket.exists()
    with pytest.raises(ConfigError, match="does not answer"):
        ask(site.desk_socket, {"kind": "answer"})


def test_the_command_asks_the_running_ward(site: SiteHome, call: Any) -> None:
    short = ("--max-prompt-tokens", 4, "--max-new-tokens", 4, "--home", site.root)
    with closing(Ward(site)) as ward, desk(ward):
        code, told = call("label", "prepare", "--answers", 3, "--kind", "safety", *short, "--json")
        made = json.loads(told)
        assert code == 0 and made["answered"] == 11 and made["items"] + made["alike"] == 11
        code, told = call("label", "prepare", *short)
        assert code == 0 and "0 prompts answered" in told
        code, told = call("label", "prepare", "--adapter", "abcdef0", *short)
        assert code == 1 and "no installed adapter" in told
    with open_book(site) as book:
        assert {item.kind for item in book.items()} == {"safety"} and len(book.items()) == made["items"]
    assert call("label", "prepare", *short)[0] == 1
