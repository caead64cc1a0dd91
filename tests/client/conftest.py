"""Tiny real models, plans, adapters and initialised sites for the hospital's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from intraward_client import cli
from intraward_client.config import SitePolicy
from intraward_client.deid.note import DeidReceipt, seal_note
from intraward_client.home import SiteHome
from intraward_client.initialise import initialise
from intraward_client.store.preferences import add_preference
from intraward_client.store.vault import Vault
from intraward_shared.adapters import Array, encode, shapes, state_digest
from intraward_shared.config import parse
from intraward_shared.modeling import BaseModel, initial_state, load_base, model_digest
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    PROGRAM_DOMAIN,
    LoraSpec,
    Mechanism,
    OutputSpec,
    ProgramSchedule,
    RoundPlan,
    Slot,
    TrainingSpec,
    pack_request,
    sign_value,
    to_bytes,
)
from intraward_shared.signed_adapter import ADAPTER_DOMAIN, MANIFEST_FILE, AdapterManifest
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Part, Stage, trained_names

torch.set_num_threads(1)

SPECIAL = ("<unk>", "<pad>", "<s>", "</s>")
WORDS = tuple(f"w{index}" for index in range(20))
TARGETS = {
    "llama": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    "gpt2": ("c_attn", "c_proj", "c_fc"),
}


def _network(kind: str) -> Any:
    vocab = len(SPECIAL) + len(WORDS)
    ids = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3}
    with torch.random.fork_rng():
        torch.manual_seed(7)
        if kind == "llama":
            return LlamaForCausalLM(
                LlamaConfig(
                    vocab_size=vocab,
                    hidden_size=32,
                    intermediate_size=48,
                    num_hidden_layers=2,
                    num_attention_heads=4,
                    num_key_value_heads=2,
                    initializer_range=0.3,
                    **ids,
                )
            )
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocab, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.3, **ids
            )
        )


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``call(*arguments)``: exit code and all output of ``intraward-client``."""

    def invoke(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-client", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        assert "Traceback" not in told.err and "unexpected" not in told.err
        return int(stop.value.code or 0), told.out + " ".join(told.err.split())

    return invoke


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """``tiny_folder("llama")``: where the tiny model of that kind lies on disk; made once."""
    made: dict[str, Path] = {}

    def make(kind: str) -> Path:
        if kind not in made:
            directory = tmp_path_factory.mktemp(kind)
            vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
            words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
            words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            names = dict(zip(("unk_token", "pad_token", "bos_token", "eos_token"), SPECIAL, strict=True))
            PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(directory)
            _network(kind).save_pretrained(directory)
            made[kind] = directory
        return made[kind]

    return make


@pytest.fixture(scope="session")
def tiny(tiny_folder: Callable[[str], Path]) -> Callable[[str], BaseModel]:
    """``tiny("llama")`` and ``tiny("gpt2")``: two layers, 32 wide, 20 words; loaded from disk once."""
    loaded: dict[str, BaseModel] = {}

    def load(kind: str) -> BaseModel:
        if kind not in loaded:
            loaded[kind] = load_base(tiny_folder(kind))
        return loaded[kind]

    return load


@pytest.fixture(scope="session")
def lora_of() -> Callable[[str], LoraSpec]:
    """The all-linear LoRA spec of a tiny model."""
    return lambda kind: LoraSpec(r=4, lora_alpha=8, target_modules=TARGETS[kind])


@pytest.fixture(scope="session")
def adapter_of(lora_of: Callable[[str], LoraSpec]) -> Callable[..., dict[str, Array]]:
    """``adapter_of(base, kind, stage)``: an initial adapter; ``scale`` > 0 moves every tensor off zero."""

    def make(
        base: BaseModel,
        kind: str,
        stage: Stage,
        seed: int = 3,
        scale: float = 0.0,
        lora: LoraSpec | None = None,
    ) -> dict[str, Array]:
        state = initial_state(base, lora or lora_of(kind), stage, seed)
        draw = np.random.default_rng(seed)
        return {
            name: (array + scale * draw.normal(size=array.shape)).astype(np.float32)
            for name, array in state.items()
        }

    return make


@pytest.fixture(scope="session")
def plan_of(lora_of: Callable[[str], LoraSpec]) -> Callable[..., RoundPlan]:
    """``plan_of(stage, mechanism=..., **training)``: a plan of a simulated run."""

    def make(
        stage: Stage,
        kind: str = "llama",
        mechanism: Mechanism | None = None,
        part: Part = Part.BOTH,
        simulated: bool = True,
        **training: Any,
    ) -> RoundPlan:
        spec = {
            "learning_rate": 0.01,
            "steps": 3,
            "batch": 8,
            "max_prompt_tokens": 4,
            "max_completion_tokens": 6,
        }
        return RoundPlan(
            run_id="run",
            round=1,
            stage=stage,
            stage_round=1,
            part=part,
            cohort=("north",),
            base_model="0" * 64,
            lora=lora_of(kind),
            inputs={},
            training=TrainingSpec(**(spec | training)),
            mechanism=mechanism,
            outputs=(),
            slot_time="2030-01-01T00:00:00Z",
            expires="2030-01-02T00:00:00Z",
            nonce="0" * 32,
            simulated=simulated,
        )

    return make


MARKER = "Zebulonquist"
"""Stands in every text of a test site's vault; it may never be seen outside it."""
COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
HOSPITAL = SigningKey.from_seed(b"\x0a" * 32)
OFFICER = SigningKey.from_seed(b"\x0f" * 32)
MADE_AT = "2029-12-31T00:00:00Z"
MECHANISM = Mechanism(
    sample_rate=0.5, noise_multiplier=1.0, max_grad_norm=1.0, steps=2, nominal_batch=4, max_records_per_unit=2
)


def policy_table(model: Path, **privacy: Any) -> dict[str, Any]:
    """A real (not simulated) hospital's policy for a model folder."""
    terms = {
        "delta": 1e-5,
        "declared_max_patients": 100,
        "lifetime_epsilon": 50.0,
        "min_noise_multiplier": 0.8,
        "max_sample_rate": 0.5,
        "max_steps_per_round": 10,
        "max_records_per_patient": 2,
    }
    return {
        "site": "north",
        "privacy": terms | privacy,
        "model": {"path": str(model), "sha256": model_digest(model)},
        "coordinator": {"public_key": COORDINATOR.public},
    }


def fill_vault(home: SiteHome, patients: int) -> None:
    """Two preferences a patient, each with the marker in all three texts."""
    receipt = DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        for number in range(2 * patients):
            texts = (f"w{number % 20} {MARKER}", f"w1 w{number % 7} {MARKER}", f"w2 {MARKER}")
            prompt, chosen, rejected = (
                seal_note(f"n{number}", f"p{number // 2}", text, receipt) for text in texts
            )
            add_preference(vault, f"row{number}", prompt, chosen, rejected)


@pytest.fixture
def make_site(tmp_path: Path, tiny_folder: Callable[[str], Path]) -> Callable[..., SiteHome]:
    """``make_site(patients, name=..., model=..., head=..., **privacy)``: a site with a filled vault.

    ``more`` are further tables of its policy.
    With ``head``, a file, the site has a privacy officer and keeps its ledger's head there too.
    """

    def make(
        patients: int = 5,
        name: str = "site",
        model: Path | None = None,
        head: Path | None = None,
        more: dict[str, Any] | None = None,
        **privacy: Any,
    ) -> SiteHome:
        table = policy_table(model or tiny_folder("llama"), **privacy) | (more or {})
        if head is not None:
            table |= {"ledger": {"second_path": str(head)}, "officer": {"public_key": OFFICER.public}}
        terms = parse(table, SitePolicy, "policy")
        home = initialise(tmp_path / name, terms, key=HOSPITAL, root_key=bytes(32), time=MADE_AT)
        fill_vault(home, patients)
        return home

    return make


@pytest.fixture(scope="session")
def rounds(tiny: Any, tiny_folder: Any, adapter_of: Any, lora_of: Any) -> Callable[..., RoundRequest]:
    """``rounds(number, mechanism=..., **plan)``: round ``number`` of a two-round reward run, as requested."""
    state = adapter_of(tiny("llama"), "llama", Stage.REWARD)
    blob = encode(state)
    shape = shapes(state)

    def make(number: int = 1, mechanism: Mechanism = MECHANISM, **changes: Any) -> RoundRequest:
        slots = tuple(Slot(stage=Stage.REWARD, round=n, mechanism=mechanism) for n in (1, 2))
        schedule = ProgramSchedule(run_id="run", slots=slots)
        plan = RoundPlan(
            run_id="run",
            round=number,
            stage=Stage.REWARD,
            stage_round=number,
            part=Part.B,
            cohort=("north",),
            base_model=model_digest(tiny_folder("llama")),
            lora=lora_of("llama"),
            inputs={"reward": digest(blob)},
            training=TrainingSpec(learning_rate=0.01, max_prompt_tokens=4, max_completion_tokens=6),
            mechanism=mechanism,
            schedule=digest(to_bytes(schedule)),
            outputs=tuple(
                OutputSpec(name=name, shape=shape[name])
                for name in trained_names(Stage.REWARD, Part.B, tuple(state))
            ),
            slot_time="2030-01-01T00:00:00Z",
            expires="2030-01-02T00:00:00Z",
            nonce=f"{number:032x}",
        )
        return RoundRequest(plan.model_copy(update=changes), schedule, (blob,))

    return make


@dataclass(frozen=True)
class RoundRequest:
    """A plan with what goes with it; ``bytes_by(key)`` signs and packs it."""

    plan: RoundPlan
    schedule: ProgramSchedule | None
    blobs: tuple[bytes, ...]
    manifests: dict[str, bytes] | None = None

    def bytes_by(
        self,
        key: SigningKey = COORDINATOR,
        schedule_key: SigningKey | None = None,
        domain: str = PLAN_DOMAIN,
        receipt: bytes | None = None,
    ) -> bytes:
        """The request as a coordinator with ``key`` sends it, the plan signed for ``domain``."""
        schedule = None
        if self.schedule is not None:
            schedule = sign_value(self.schedule, PROGRAM_DOMAIN, schedule_key or key)
        plan = sign_value(self.plan, domain, key)
        return pack_request(plan, schedule, receipt, self.blobs, self.manifests or self.untouched(key))

    def untouched(self, key: SigningKey) -> dict[str, bytes]:
        """Manifests that say of every input adapter that no hospital has touched it."""
        return {name: sign_value(manifest_of(self.plan, name), ADAPTER_DOMAIN, key) for name in self.names}

    @property
    def names(self) -> set[str]:
        """Digests of the input adapters."""
        return set(self.plan.inputs.values())


def manifest_of(plan: RoundPlan, name: str, **lineage: Any) -> AdapterManifest:
    """A manifest that fits ``plan``; of an untouched adapter unless ``lineage`` says more."""
    fields: dict[str, Any] = {"run_id": plan.run_id, "stage": plan.stage, "round": 0, "files": {}}
    fields |= {"base_model": plan.base_model, "lora": plan.lora, "simulated": plan.simulated}
    return AdapterManifest(digest=name, **(fields | lineage))


@pytest.fixture
def release(tmp_path: Path, tiny: Any, tiny_folder: Any, adapter_of: Any, lora_of: Any) -> Any:
    """``release(seed, key=..., **manifest)``: a signed adapter folder of an untouched policy."""

    def make(seed: int, key: SigningKey = COORDINATOR, stage: Stage = Stage.SFT, **changes: Any) -> Path:
        lora = changes.get("lora")
        state: dict[str, Array] = adapter_of(tiny("llama"), "llama", stage, seed, scale=0.5, lora=lora)
        folder = tmp_path / f"release-{seed}"
        folder.mkdir()
        heads = {n: a for n, a in state.items() if n.startswith(("score.", "value_head."))}
        factors = {n: a for n, a in state.items() if n not in heads}
        files = {"adapter_config.json": b"{}", "adapter_model.safetensors": encode(factors)}
        files |= {"heads.safetensors": encode(heads)} if heads else {}
        fields: dict[str, Any] = {
            "run_id": "run",
            "stage": stage,
            "round": 0,
            "base_model": model_digest(tiny_folder("llama")),
            "digest": state_digest(state),
            "files": {name: digest(data) for name, data in files.items()},
            "simulated": False,
            "lora": lora_of("llama"),
        }
        manifest = AdapterManifest(**(fields | changes))
        for name, data in files.items():
            (folder / name).write_bytes(data)
        (folder / MANIFEST_FILE).write_bytes(sign_value(manifest, ADAPTER_DOMAIN, key))
        return folder

    return make
