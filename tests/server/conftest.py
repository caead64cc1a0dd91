"""A tiny real model, wards that speak the real protocol, and a coordinator's folder ready to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from intraward_server.home import ServerHome
from intraward_shared.adapters import encode
from intraward_shared.modeling import BaseModel, load_base
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    PROGRAM_DOMAIN,
    RECEIPT_DOMAIN,
    ProgramSchedule,
    Receipt,
    RoundPlan,
    UpdateHeader,
    open_signed,
    pack_parts,
    request_blobs,
    seal_bytes,
    to_bytes,
    unpack_parts,
)
from intraward_shared.signing import SigningKey, canonical_json, digest
from intraward_simulation.federation import InProcessGrid

torch.set_num_threads(1)
WORDS = ("<unk>", "<pad>", "<s>", "</s>", "yes", "no", "maybe", *(f"w{index}" for index in range(25)))
SITES = ("alpha", "beta", "gamma")


def site_key(name: str) -> SigningKey:
    """A site's key, the same in every test."""
    return SigningKey.from_seed(bytes.fromhex(digest(name.encode())))


@pytest.fixture(scope="session")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A two-layer Llama with a word tokenizer, as a Hub-format folder."""
    folder = tmp_path_factory.mktemp("model")
    words = Tokenizer(WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="<unk>", pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        LlamaForCausalLM(
            LlamaConfig(
                vocab_size=len(WORDS),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                num_key_value_heads=2,
                pad_token_id=1,
                bos_token_id=2,
                eos_token_id=3,
            )
        ).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def base(model_dir: Path) -> BaseModel:
    """The tiny model, loaded."""
    return load_base(model_dir)


@dataclass
class ProtocolWard:
    """Answers like a ward: opens the signed plan, keeps what it sealed, sends the same bytes again.

    Its "training" is a small drawing named by site and plan, so results can be computed in a test.
    """

    name: str
    coordinator: str
    key: SigningKey
    simulated: bool = True
    sequence: int = 0
    sealed: dict[str, bytes] = field(default_factory=dict)
    receipts: list[Receipt] = field(default_factory=list)
    plans: list[RoundPlan] = field(default_factory=list)
    schedules: list[ProgramSchedule] = field(default_factory=list)
    before: Callable[[RoundPlan], None] | None = None
    code: str = "OK"

    def describe(self) -> bytes:
        return canonical_json({"site": self.name, "public": self.key.public, "stages": []})

    def execute(self, request: bytes) -> bytes:
        parts = unpack_parts(request)
        plan = open_signed(parts["plan"], PLAN_DOMAIN, RoundPlan, self.coordinator)
        wanted = {*plan.inputs.values(), *([plan.public_data] if plan.public_data else [])}
        assert set(request_blobs(parts)) == wanted
        if parts["schedule"]:
            schedule = open_signed(parts["schedule"], PROGRAM_DOMAIN, ProgramSchedule, self.coordinator)
            assert digest(to_bytes(schedule)) == plan.schedule
            self.schedules.append(schedule)
        if parts["receipt"]:
            self.receipts.append(open_signed(parts["receipt"], RECEIPT_DOMAIN, Receipt, self.coordinator))
        self.plans.append(plan)
        if self.before is not None:
            self.before(plan)
        if self.code != "OK":
            return pack_parts({"code": self.code.encode(), "update": b""})
        if plan.digest not in self.sealed:
            self.sequence += 2
            self.sealed[plan.digest] = seal(plan, self.name, self.key, self.sequence)
        return pack_parts({"code": b"OK", "update": self.sealed[plan.digest]})


def drawn(plan: RoundPlan, site: str) -> dict[str, np.ndarray[Any, np.dtype[np.float32]]]:
    """The update that ``ProtocolWard`` makes for a plan."""
    draw = np.random.Generator(np.random.Philox(int(digest(f"{site} {plan.digest}".encode())[:12], 16)))
    return {o.name: draw.normal(0, 0.01, o.shape).astype(np.float32) for o in plan.outputs}


def seal(
    plan: RoundPlan,
    site: str,
    key: SigningKey,
    sequence: int = 2,
    tensors: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
) -> bytes:
    """A sealed update of a plan, as egress makes it; ``header`` overrides fields."""
    data = encode(drawn(plan, site) if tensors is None else tensors)
    values: dict[str, Any] = {
        "site": site,
        "run_id": plan.run_id,
        "round": plan.round,
        "stage": plan.stage,
        "plan": plan.digest,
        "tensors": digest(data),
        "ledger_sequence": sequence,
        "ledger_entry": digest(f"{site} {sequence}".encode()),
        "simulated": plan.simulated,
    } | dict(header or {})
    return seal_bytes(UpdateHeader.model_validate(values), data, key)


MECHANISM = {
    "sample_rate": 0.1,
    "noise_multiplier": 1.0,
    "max_grad_norm": 1.0,
    "steps": 10,
    "nominal_batch": 20,
    "max_records_per_unit": 2,
}
TRAINING = {"learning_rate": 0.01, "steps": 5, "batch": 8, "max_prompt_tokens": 8, "max_completion_tokens": 6}


def program_table(model: Path) -> dict[str, Any]:
    """A whole program over three sites: free sft, label, charged reward, free ppo."""
    return {
        "program": {
            "name": "test",
            "simulated": True,
            "seed": 5,
            "quorum": 2,
            "round_deadline_s": 20.0,
            "join_deadline_s": 2.0,
            "poll_s": 0.01,
            "resend_s": 0.01,
            "slot_s": 3600,
            "starts_at": "2026-01-01T00:00:00Z",
        },
        "model": {"path": str(model)},
        "lora": {"r": 2, "lora_alpha": 4, "target_modules": ["q_proj", "v_proj"]},
        "sites": [{"name": name, "public_key": site_key(name).public} for name in SITES],
        "stages": [
            {"stage": "sft", "rounds": 2, "public": "sft.jsonl", "training": TRAINING},
            {"stage": "label", "training": TRAINING},
            {"stage": "reward", "rounds": 2, "mechanism": MECHANISM, "training": TRAINING},
            {"stage": "ppo", "rounds": 2, "public": "prompts.jsonl", "training": TRAINING},
        ],
        "evaluation": {
            "prompts": "prompts.jsonl",
            "preferences": "pairs.jsonl",
            "records": "sft.jsonl",
            "closed": "closed.jsonl",
            "max_prompt_tokens": 8,
            "max_completion_tokens": 6,
            "samples": 2,
        },
    }


def write_public(folder: Path) -> None:
    """Small public files."""
    rows: dict[str, list[dict[str, str]]] = {
        "sft": [{"prompt": f"w{i} w1", "completion": f"w2 w{i}"} for i in range(12)],
        "prompts": [{"prompt": f"w{i} w3"} for i in range(16)],
        "pairs": [{"prompt": f"w{i}", "chosen": "w1 w2 w3", "rejected": "w4 w5"} for i in range(10)],
        "closed": [{"prompt": f"w{i}", "label": ("yes", "no")[i % 2]} for i in range(6)],
    }
    for name, lines in rows.items():
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text, encoding="utf-8")


@dataclass
class Federation:
    """A coordinator's folder and its wards."""

    home: Path
    wards: dict[str, ProtocolWard]

    def grid(self) -> InProcessGrid:
        """A fresh Grid over the same wards, as a restarted coordinator gets one."""
        return InProcessGrid(self.wards)


Maker = Callable[..., Federation]


@pytest.fixture
def federation(tmp_path: Path, model_dir: Path) -> Maker:
    """Make a federation; the keyword ``change`` edits the program's table first."""

    def make(name: str = "home", change: Callable[[dict[str, Any]], None] | None = None) -> Federation:
        home = ServerHome(tmp_path / name)
        home.make()
        key = SigningKey.from_seed(b"c" * 32)
        key.save(home.key)
        write_public(home.root)
        table = deepcopy(program_table(model_dir))
        if change is not None:
            change(table)
        home.program.write_text(tomli_w.dumps(table), encoding="utf-8")
        wards = {site: ProtocolWard(site, key.public, site_key(site)) for site in SITES}
        return Federation(home.root, wards)

    return make


@pytest.fixture
def seal_update() -> Callable[..., bytes]:
    """``seal``, for tests that make their own updates."""
    return seal


@pytest.fixture
def program(model_dir: Path) -> dict[str, Any]:
    """The program as a table that a test may change."""
    return deepcopy(program_table(model_dir))


@pytest.fixture
def public_files() -> Callable[[Path], None]:
    """``write_public``."""
    return write_public


@pytest.fixture
def make_wards() -> Callable[[str], dict[str, ProtocolWard]]:
    """Wards that trust a coordinator's public key."""
    return lambda public: {name: ProtocolWard(name, public, site_key(name)) for name in SITES}


@pytest.fixture
def make_site_keys() -> Callable[[str], SigningKey]:
    """``site_key``: the key of a site's ward."""
    return site_key
