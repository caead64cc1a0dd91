"""A finished coordinator without a model: real plans, ledgers, receipts, signed adapters; drawn tensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

from intraward_server.checkpoint import FinishedRound, LedgerHead, ProgramState, save_state
from intraward_server.home import ServerHome
from intraward_server.modelcard import Lineage
from intraward_server.plans import Position, build_plan, build_schedule, positions
from intraward_server.registry import Registry
from intraward_server.release import Released, release
from intraward_server.succession import INPUTS
from intraward_shared.adapters import Array
from intraward_shared.attack_results import GATES, AttackClaim, AttackFigure, AttackResult, judge
from intraward_shared.ledger import Ledger
from intraward_shared.program import ProgramConfig, load_program
from intraward_shared.protocol import PLAN_DOMAIN, RECEIPT_DOMAIN, Receipt, RoundPlan, sign_value
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Stage, heads

COORDINATOR = SigningKey.from_seed(b"c" * 32)
SITES = ("alpha", "beta", "gamma")
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START = "2026-01-01T00:00:00Z"
CLAIM = AttackClaim(epsilon=8.0, delta=1e-5, sample_rate=1.0, noise_multiplier=0.6003, steps=1)
PASSING = {
    "gauge": {("claim_error", "on"): 0.01, ("claim_error", "cut"): 0.2},
    "one-run": {("excess", "on"): -1.0, ("excess", "cut"): 2.0},
    "membership": {("auc", "off"): 0.99, ("auc", "on"): 0.55, ("rate_excess", "on"): -0.1},
    "inversion": {("tokens_recovered", "off"): 0.9, ("tokens_recovered", "on"): 0.0},
    "canary": {("secrets_generated", "off"): 1.0, ("secrets_generated", "on"): 0.0},
}
RULES: list[dict[str, Any]] = [
    {"name": "near", "source": "evaluation", "figure": "policy.kl", "at_most": 25.0},
    {
        "name": "better",
        "source": "evaluation",
        "figure": "policy.win_rate",
        "bound": "low",
        "above": 0.5,
    },
    {"name": "worst-epsilon", "source": "privacy", "figure": "sites.*.epsilon", "at_most": 8.0, "veto": True},
    {"name": "within-cap", "source": "privacy", "figure": "sites.*.within_cap", "equals": True, "veto": True},
    {"name": "canary", "source": "attacks", "figure": "canary.passed", "equals": True, "veto": True},
]
EVALUATION: dict[str, Any] = {
    "policy": {"win_rate": 0.7, "win_rate_interval": [0.6, 0.8], "kl": 3.5, "prompts": 100},
    "reward_model": {"accuracy": 0.8, "accuracy_interval": [0.7, 0.9], "length_baseline": 0.55},
    "closed": {},
}
_MECHANISM = {
    "sample_rate": 0.1,
    "noise_multiplier": 1.0,
    "max_grad_norm": 1.0,
    "steps": 10,
    "nominal_batch": 20,
    "max_records_per_unit": 2,
}


@dataclass(frozen=True)
class Finished:
    """A finished coordinator, the ledgers of its sites, and a folder of attack results."""

    home: Path
    ledgers: list[Path]
    attacks: Path


def signed(made: Finished) -> Released:
    """Its release."""
    return release(made.home, made.ledgers, [made.attacks], NOW)


def site_key(site: str) -> SigningKey:
    """A site's key, the same in every test."""
    return SigningKey.from_seed(bytes.fromhex(digest(site.encode())))


def finish(root: Path, seed: int = 5) -> Finished:
    """A coordinator after sft, two charged reward rounds and ppo over three sites."""
    home = ServerHome(root / "server")
    home.make()
    COORDINATOR.save(home.key)
    home.gates.write_bytes(tomli_w.dumps({"gates": RULES}).encode())
    home.program.write_text(tomli_w.dumps(_program(seed)), encoding="utf-8")
    config = load_program(home.program)
    state = _Rounds(root, home, config, seed).run()
    save_state(home.state, state)
    adapters = {"policy": state.policy, "reward": state.reward}
    figures = EVALUATION | {"run_id": state.run_id, "adapters": adapters}
    home.evaluation.write_text(json.dumps(figures))
    (root / "attacks").mkdir()
    for name in GATES:
        (root / "attacks" / f"{name}.json").write_text(attack(name).model_dump_json())
    return Finished(home.root, [root / f"{site}.jsonl" for site in SITES], root / "attacks")


def attack(name: str, changed: Mapping[tuple[str, str], float] | None = None) -> AttackResult:
    """A result of one attack that passes, unless ``changed`` says otherwise."""
    values = PASSING[name] | dict(changed or {})
    figures = tuple(
        AttackFigure.model_validate({"name": n, "privacy": p, "epsilon": 8.0, "seed": 1, "value": value})
        for (n, p), value in values.items()
    )
    gates = judge(name, figures)  # type: ignore[arg-type]
    return AttackResult.model_validate(
        {
            "attack": name,
            "code_version": "0",
            "client_code": "0" * 64,
            "seeds": (1,),
            "settings": {},
            "claims": (CLAIM,),
            "figures": figures,
            "gates": gates,
            "passed": all(gate.passed for gate in gates),
        }
    )


class _Rounds:
    """Every round of the program, as coordinator and sites leave their traces of it."""

    def __init__(self, root: Path, home: ServerHome, config: ProgramConfig, seed: int) -> None:
        self._root, self._home, self._config = root, home, config
        self._draw = np.random.Generator(np.random.Philox(seed))
        self._registry = Registry(home.adapters, COORDINATOR, config.lora, config.release)
        self._run = f"run-{seed}"
        self._schedule = build_schedule(config, self._run)
        self._books = {site: self._ledger(site) for site in SITES}

    def run(self) -> ProgramState:
        first, reward = self._state(Stage.SFT), self._state(Stage.REWARD)
        state = ProgramState(
            run_id=self._run,
            agreed=self._config.agreed_digest,
            base_model="b" * 64,
            public_seed=1,
            policy=self._registry.put(first, self._lineage(Stage.SFT)),
            reward=self._registry.put(reward, self._lineage(Stage.REWARD)),
            public={"sft": "1" * 64, "ppo": "2" * 64},
            gates=digest(self._home.gates.read_bytes()),
        )
        for at in positions(self._config):
            state = self._round(state, at)
        for book in self._books.values():
            book.close()
        return state.model_copy(update={"status": "finished"})

    def _round(self, state: ProgramState, at: Position) -> ProgramState:
        stage = at.stage.stage
        if stage is Stage.PPO:
            assert state.policy is not None
            headed = self._state(Stage.PPO)
            lineage = self._lineage(Stage.PPO, parents=(state.policy,))
            start = self._registry.put(headed, lineage)
            changes = {"reference": state.policy, "policy": start, "score": (0.0, 1.0)}
            state = state.model_copy(update=changes)
        names: dict[str, str | None] = {
            "policy": state.policy,
            "reference": state.reference,
            "reward": state.reward,
        }
        inputs: dict[str, str] = {each: str(names[each]) for each in INPUTS[stage]}
        role = "reward" if stage is Stage.REWARD else "policy"
        trained = self._registry.load(inputs[role])
        plan = build_plan(self._config, state, at, inputs, trained, self._schedule)
        self._home.plan(at.round).write_bytes(sign_value(plan, PLAN_DOMAIN, COORDINATOR))
        found = {site: self._answer(site, plan) for site in SITES}
        lineage = self._lineage(stage, tuple(sorted(set(inputs.values()))), at.round, plan.digest, found)
        name = self._registry.put(self._state(stage), lineage)
        done = FinishedRound(
            round=at.round,
            stage=stage,
            stage_round=at.stage_round,
            iteration=at.iteration,
            plan=plan.digest,
            sites=SITES,
            adapter=name,
        )
        update: dict[str, Any] = {"rounds": (*state.rounds, done), "last_slot": at.round - 1, role: name}
        return state.model_copy(update=update | ({"sft": name} if stage is Stage.SFT else {}))

    def _answer(self, site: str, plan: RoundPlan) -> LedgerHead:
        """Reserve, release, and the coordinator's receipt."""
        book = self._books[site]
        if plan.schedule is not None and self._schedule is not None:
            book.reserve_schedule(self._schedule, plan.slot_time)
        entry = book.reserve(plan)
        book.release(plan.digest, "f" * 64)
        receipt = Receipt(
            site=site,
            run_id=plan.run_id,
            round=plan.round,
            plan=plan.digest,
            update="e" * 64,
            ledger_sequence=entry.sequence,
            ledger_entry=entry.hash,
        )
        path = self._home.receipt(site, plan.round)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(sign_value(receipt, RECEIPT_DOMAIN, COORDINATOR))
        return LedgerHead(sequence=entry.sequence, entry=entry.hash, round=plan.round)

    def _state(self, stage: Stage) -> dict[str, Array]:
        shapes: dict[str, tuple[int, ...]] = {
            f"base_model.model.q_proj.lora_{part}.weight": (2, 2) for part in "AB"
        }
        shapes |= {name: (1, 2) if name.endswith("weight") else (1,) for name in heads(stage)}
        return {name: self._draw.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def _lineage(
        self,
        stage: Stage,
        parents: tuple[str, ...] = (),
        number: int = 0,
        plan: str | None = None,
        found: Mapping[str, LedgerHead] | None = None,
    ) -> Lineage:
        plans = (plan,) if plan else ()
        return Lineage(self._run, stage, number, "b" * 64, True, parents, plans, found)

    def _ledger(self, site: str) -> Ledger:
        return Ledger.create(
            self._root / f"{site}.jsonl",
            site_key(site),
            site=site,
            policy="c" * 64,
            lifetime_epsilon=8.0,
            delta=1e-5,
            simulated=True,
            time=START,
        )


def _program(seed: int) -> dict[str, Any]:
    training = {"learning_rate": 0.01, "steps": 5}
    return {
        "program": {
            "name": "test",
            "simulated": True,
            "seed": seed,
            "quorum": 2,
            "slot_s": 3600,
            "starts_at": START,
        },
        "model": {"path": "/srv/models/base"},
        "lora": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj"]},
        "sites": [{"name": name, "public_key": site_key(name).public} for name in SITES],
        "stages": [
            {"stage": "sft", "public": "sft.jsonl", "training": training},
            {"stage": "reward", "rounds": 2, "mechanism": _MECHANISM, "training": training},
            {"stage": "ppo", "public": "prompts.jsonl", "training": training},
        ],
        "evaluation": {"prompts": "prompts.jsonl"},
        "release": {"license": "apache-2.0", "base_model": "tests/tiny"},
    }
