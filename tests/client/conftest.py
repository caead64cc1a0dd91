"""Tiny real models, plans and adapters for the hospital's tests."""

from __future__ import annotations

from collections.abc import Callable
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

from intraward_shared.adapters import Array
from intraward_shared.modeling import BaseModel, initial_state, load_base
from intraward_shared.protocol import LoraSpec, Mechanism, RoundPlan, TrainingSpec
from intraward_shared.stages import Part, Stage

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


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], BaseModel]:
    """``tiny("llama")`` and ``tiny("gpt2")``: two layers, 32 wide, 20 words; loaded from disk once."""
    loaded: dict[str, BaseModel] = {}

    def load(kind: str) -> BaseModel:
        if kind not in loaded:
            directory: Path = tmp_path_factory.mktemp(kind)
            vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
            words = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
            words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
            names = dict(zip(("unk_token", "pad_token", "bos_token", "eos_token"), SPECIAL, strict=True))
            PreTrainedTokenizerFast(tokenizer_object=words, **names).save_pretrained(directory)
            _network(kind).save_pretrained(directory)
            loaded[kind] = load_base(directory)
        return loaded[kind]

    return load


@pytest.fixture(scope="session")
def lora_of() -> Callable[[str], LoraSpec]:
    """The all-linear LoRA spec of a tiny model."""
    return lambda kind: LoraSpec(r=4, lora_alpha=8, target_modules=TARGETS[kind])


@pytest.fixture(scope="session")
def adapter_of(lora_of: Callable[[str], LoraSpec]) -> Callable[..., dict[str, Array]]:
    """``adapter_of(base, kind, stage)``: an initial adapter; ``scale`` > 0 moves every tensor off zero."""

    def make(base: BaseModel, kind: str, stage: Stage, seed: int = 3, scale: float = 0.0) -> dict[str, Array]:
        state = initial_state(base, lora_of(kind), stage, seed)
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
