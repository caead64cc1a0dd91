"""Free policy optimisation: no vault, and no ancestor that is private."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from intraward_client.home import SiteHome
from intraward_client.lineage import check_lineage
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.adapters import encode, shapes
from intraward_shared.errors import PlanRefused
from intraward_shared.ledger import charged, read_ledger
from intraward_shared.ledger_entry import Kind, LedgerEntry
from intraward_shared.modeling import model_digest
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    OutputSpec,
    RoundPlan,
    TrainingSpec,
    pack_request,
    sign_value,
    unpack_parts,
)
from intraward_shared.signed_adapter import ADAPTER_DOMAIN, AdapterManifest
from intraward_shared.signing import SigningKey, canonical_json, digest
from intraward_shared.stages import Part, Stage, trained_names

NOW = datetime(2030, 1, 1, tzinfo=UTC)
COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
HEAD = {"south": (4, "5" * 64)}
PROMPTS = canonical_json([{"prompt": "w1 w2"}, {"prompt": "w3"}])


def parts(reply: bytes) -> tuple[str, bytes]:
    found = unpack_parts(reply)
    return found["code"].decode(), found["update"]


class PpoRound:
    """A free ppo plan over public prompts, with the ancestry of its three inputs."""

    def __init__(self, tiny: Any, tiny_folder: Any, adapter_of: Any, lora_of: Any) -> None:
        base = tiny("llama")
        states = {
            "policy": adapter_of(base, "llama", Stage.PPO, scale=0.01),
            "reference": adapter_of(base, "llama", Stage.SFT, scale=0.01),
            "reward": adapter_of(base, "llama", Stage.REWARD, scale=0.01),
        }
        self.blobs = [*map(encode, states.values()), PROMPTS]
        names = dict(zip(states, map(digest, self.blobs), strict=False))
        shape = shapes(states["policy"])
        self.plan = RoundPlan(
            run_id="run",
            round=9,
            stage=Stage.PPO,
            stage_round=1,
            part=Part.B,
            cohort=("north",),
            base_model=model_digest(tiny_folder("llama")),
            lora=lora_of("llama"),
            inputs=names,  # type: ignore[arg-type]
            public_data=digest(PROMPTS),
            training=TrainingSpec(
                learning_rate=0.01, steps=1, batch=2, max_prompt_tokens=4, max_completion_tokens=4
            ),
            outputs=tuple(
                OutputSpec(name=name, shape=shape[name])
                for name in trained_names(Stage.PPO, Part.B, tuple(shape))
            ),
            slot_time="2030-01-01T00:00:00Z",
            expires="2030-01-02T00:00:00Z",
            nonce="9" * 32,
        )

    def manifest(self, name: str, **lineage: Any) -> AdapterManifest:
        fields: dict[str, Any] = {"run_id": "run", "stage": Stage.SFT, "round": 0, "files": {}}
        fields |= {"base_model": self.plan.base_model, "lora": self.plan.lora, "simulated": False}
        return AdapterManifest(digest=name, **(fields | lineage))

    def ancestry(self, **reward: Any) -> dict[str, AdapterManifest]:
        """policy <- reference <- first; reward <- older reward <- first."""
        names: Mapping[str, str] = self.plan.inputs  # type: ignore[assignment]
        first, older = "a" * 64, "b" * 64
        paid: dict[str, Any] = {"round": 2, "plans": ("1" * 64,), "ledger_heads": HEAD}
        found = (
            self.manifest(names["policy"], parents=(names["reference"],), stage=Stage.PPO),
            self.manifest(names["reference"], parents=(first,), **paid),
            self.manifest(names["reward"], parents=(older,), stage=Stage.REWARD, **(paid | {"round": 3})),
            self.manifest(older, parents=(first,), stage=Stage.REWARD, **(paid | reward)),
            self.manifest(first),
        )
        return {manifest.digest: manifest for manifest in found}

    def request(self, manifests: dict[str, AdapterManifest]) -> bytes:
        signed = {name: sign_value(m, ADAPTER_DOMAIN, COORDINATOR) for name, m in manifests.items()}
        return pack_request(sign_value(self.plan, PLAN_DOMAIN, COORDINATOR), None, None, self.blobs, signed)


@pytest.fixture(scope="module")
def ppo_round(tiny: Any, tiny_folder: Any, adapter_of: Any, lora_of: Any) -> PpoRound:
    return PpoRound(tiny, tiny_folder, adapter_of, lora_of)


def answer(home: SiteHome, request: bytes) -> tuple[str, bytes]:
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        return parts(ward.execute(request))


def test_ppo_on_public_prompts_runs_with_the_vault_unmounted(make_site: Any, ppo_round: PpoRound) -> None:
    home = make_site(3)
    home.vault.unlink()
    for key in home.vault_keys.iterdir():
        key.unlink()
    code, update = answer(home, ppo_round.request(ppo_round.ancestry()))
    assert code == "OK" and update
    assert charged(read_ledger(home.ledger)) == ()


@pytest.mark.parametrize(
    "private",
    [{"ledger_heads": {}}, {"plans": ()}, {"round": 0}, {"simulated": True}, {"base_model": "f" * 64}],
)
def test_a_private_or_foreign_ancestor_two_steps_back_refuses(
    make_site: Any, ppo_round: PpoRound, private: dict[str, Any]
) -> None:
    home = make_site(1)
    before = home.ledger.read_bytes()
    assert answer(home, ppo_round.request(ppo_round.ancestry(**private))) == ("PLAN_REFUSED", b"")
    assert '"rule":"lineage"' in home.log.read_text().replace(" ", "")
    assert home.ledger.read_bytes() == before


def test_every_ancestor_comes_along_and_nobody_else(ppo_round: PpoRound) -> None:
    whole = ppo_round.ancestry()
    check_lineage(ppo_round.plan, whole, "north", ())
    for name in whole:
        with pytest.raises(PlanRefused, match="without its signed manifest"):
            check_lineage(ppo_round.plan, {n: m for n, m in whole.items() if n != name}, "north", ())
    with pytest.raises(PlanRefused, match="belongs to no input"):
        check_lineage(ppo_round.plan, whole | {"c" * 64: ppo_round.manifest("c" * 64)}, "north", ())


def test_a_manifest_by_another_key_or_of_another_adapter_is_not_heard(
    make_site: Any, ppo_round: PpoRound
) -> None:
    home, whole = make_site(1), ppo_round.ancestry()
    stranger = SigningKey.from_seed(b"\x0e" * 32)
    signed = {name: sign_value(m, ADAPTER_DOMAIN, COORDINATOR) for name, m in whole.items()}
    first, second = list(whole)[:2]
    plan = sign_value(ppo_round.plan, PLAN_DOMAIN, COORDINATOR)
    for changed, code in (
        ({first: sign_value(whole[first], ADAPTER_DOMAIN, stranger)}, "SIGNATURE"),
        ({first: signed[second]}, "DIGEST"),
        ({first: sign_value(whole[first], PLAN_DOMAIN, COORDINATOR)}, "SIGNATURE"),
    ):
        request = pack_request(plan, None, None, ppo_round.blobs, signed | changed)
        assert answer(home, request) == (code, b"")


def test_a_reward_model_that_no_round_released_is_refused(ppo_round: PpoRound) -> None:
    whole = ppo_round.ancestry()
    name = ppo_round.plan.inputs["reward"]
    whole[name] = ppo_round.manifest(name, stage=Stage.REWARD, parents=whole[name].parents)
    with pytest.raises(PlanRefused, match="never released"):
        check_lineage(ppo_round.plan, whole, "north", ())


def test_what_an_adapter_says_of_this_site_must_stand_in_its_ledger_released(
    make_site: Any, rounds: Any, ppo_round: PpoRound
) -> None:
    home = make_site(2)
    assert answer(home, rounds().bytes_by())[0] == "OK"
    entries = read_ledger(home.ledger)
    reserve = next(e for e in entries if e.kind is Kind.RESERVE and not e.is_schedule)

    def check(ledger: tuple[LedgerEntry, ...], sequence: int, entry: str, plan: str) -> None:
        heads = HEAD | {"north": (sequence, entry)}
        check_lineage(ppo_round.plan, ppo_round.ancestry(ledger_heads=heads, plans=(plan,)), "north", ledger)

    check(entries, reserve.sequence, reserve.hash, str(reserve.plan))
    unreleased = tuple(e for e in entries if e.kind is not Kind.RELEASE)
    with pytest.raises(PlanRefused, match="never released"):
        check(unreleased, reserve.sequence, reserve.hash, str(reserve.plan))
    for sequence, entry, plan in (
        (reserve.sequence + 1, reserve.hash, str(reserve.plan)),
        (reserve.sequence, "e" * 64, str(reserve.plan)),
        (reserve.sequence, reserve.hash, "e" * 64),
        (99, reserve.hash, str(reserve.plan)),
    ):
        with pytest.raises(PlanRefused, match="does not hold"):
            check(entries, sequence, entry, plan)
