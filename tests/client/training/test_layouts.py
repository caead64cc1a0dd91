"""Every supported layout: hidden states and logits are transformers' own, and both kinds of step train it."""

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
    AutoModelForCausalLM,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord, SftRecord, TrainingTable
from intraward_client.training.inputs import PUBLIC_UNIT, ROLES, TrainingInputs
from intraward_client.training.train import train
from intraward_shared.adapters import State
from intraward_shared.base_model import BaseModel, load_base
from intraward_shared.generation import left_pad, pad_sequences, sample
from intraward_shared.modeling import AdaptedModel, adapted
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

IDS: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 2, "eos_token_id": 3, "initializer_range": 0.1}
SIZE: dict[str, Any] = {
    "vocab_size": 24,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
} | IDS
CONFIGS: dict[str, Callable[[], Any]] = {
    "llama": lambda: LlamaConfig(**SIZE),
    "llama-tied": lambda: LlamaConfig(**SIZE, tie_word_embeddings=True),
    "qwen2": lambda: Qwen2Config(**SIZE, tie_word_embeddings=True),
    "qwen3": lambda: Qwen3Config(**SIZE, head_dim=8),
    "mistral": lambda: MistralConfig(**SIZE, sliding_window=4),
    "gpt2": lambda: GPT2Config(vocab_size=24, n_embd=32, n_layer=2, n_head=4, n_positions=64, **IDS),
}
ROWS = [[4, 5, 6, 7, 8, 9, 10, 11, 12], [13, 14], [15, 16, 17, 18, 19]]
MECHANISM = Mechanism(
    noise_multiplier=1.0, max_grad_norm=0.5, sample_rate=1.0, steps=1, nominal_batch=4, max_records_per_unit=2
)


@pytest.fixture(scope="module", params=list(CONFIGS))
def layout(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    words = ("<unk>", "<pad>", "<s>", "</s>", *(f"w{index}" for index in range(20)))
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(11)
        network = AutoModelForCausalLM.from_config(CONFIGS[request.param]())
    network.save_pretrained(folder, max_shard_size="8KB")  # several shards and their index
    assert len(list(folder.glob("*.safetensors"))) > 1
    return str(request.param), folder


@pytest.fixture(scope="module")
def base(layout: tuple[str, Path]) -> BaseModel:
    return load_base(layout[1])


@pytest.fixture(scope="module")
def plain(layout: tuple[str, Path]) -> Any:
    return AutoModelForCausalLM.from_pretrained(str(layout[1]), dtype=torch.float32).eval()


def _family(layout: tuple[str, Path]) -> str:
    return "gpt2" if layout[0] == "gpt2" else "llama"


@torch.no_grad()
def test_padded_forward_equals_each_row_alone_in_transformers(
    layout: tuple[str, Path], base: BaseModel, plain: Any, lora_of: Any
) -> None:
    right: Any = pad_sequences(base, [(row, []) for row in ROWS])
    batches = {"left": left_pad(base, ROWS), "right": (right.ids, right.mask)}
    with adapted(base, lora_of(_family(layout)), ("policy",)) as model:
        for side, (ids, mask) in batches.items():
            hidden = model.hidden(ids, mask)[0]
            logits = model.logits(hidden)
            for place, row in enumerate(ROWS):
                own = plain(input_ids=torch.tensor([row]), output_hidden_states=True)
                real = mask[place].bool()
                assert torch.allclose(logits[place][real], own.logits[0], atol=2e-5), (side, place)
                assert torch.allclose(hidden[place][real], own.hidden_states[-1][0], atol=2e-5), (side, place)


@torch.no_grad()
def test_sampling_with_cache_scores_as_the_whole_row_does(
    layout: tuple[str, Path], base: BaseModel, plain: Any, lora_of: Any
) -> None:
    with adapted(base, lora_of(_family(layout)), ("policy",)) as model:
        rollout = sample(model, ROWS, 8, torch.Generator().manual_seed(1))
    for place, row in enumerate(ROWS):
        kept = rollout.completions[place][rollout.completion_mask[place]]
        whole = torch.tensor([[*row, *kept.tolist()]])
        scores = plain(input_ids=whole).logits[0, len(row) - 1 : -1].log_softmax(-1)
        expected = scores.gather(1, kept[:, None])[:, 0]
        assert torch.allclose(rollout.logprobs[place][: len(kept)], expected, atol=2e-5)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("stage", [Stage.SFT, Stage.PPO])
def test_a_step_trains_every_adapter_tensor(
    layout: tuple[str, Path], base: BaseModel, plan_of: Any, adapter_of: Any, stage: Stage, private: bool
) -> None:
    units = [f"patient-{index}" if private else PUBLIC_UNIT for index in range(4)]
    rows = [
        SftRecord(unit, f"w{index} w2", f"w{index} w4 w5")
        if stage is Stage.SFT
        else PromptRecord(unit, f"p{index}", f"w{index} w2")
        for index, unit in enumerate(units)
    ]
    kind = _family(layout)
    adapters: dict[str, State] = {
        role: adapter_of(base, kind, Stage.REWARD if role == "reward" else stage, seed=seed, scale=0.1)
        for seed, role in enumerate(ROLES[stage])
    }
    mechanism = MECHANISM if private else None
    plan = plan_of(stage, kind, mechanism=mechanism, steps=1, epochs=1)
    inputs = TrainingInputs(plan, base, adapters, TrainingTable(tuple(rows)))
    update = train(inputs, NoiseSource.seeded(1, "north", "0" * 64, 1))
    assert not update.flagged and set(update.tensors) == set(inputs.trained)
    still = [name for name, value in update.tensors.items() if not np.abs(value).max() > 0]
    assert not still and all(np.isfinite(value).all() for value in update.tensors.values())


def test_bf16_weights_keep_adapters_in_fp32(layout: tuple[str, Path], lora_of: Any) -> None:
    halved = load_base(layout[1], dtype="bf16")
    with adapted(halved, lora_of(_family(layout)), ("policy",)) as model:
        assert {parameter.dtype for parameter in model.lora("policy").values()} == {torch.float32}
        assert {p.dtype for n, p in model.peft.named_parameters() if "lora_" not in n} == {torch.bfloat16}
        assert torch.isfinite(_logits(model)).all()


@torch.no_grad()
def _logits(model: AdaptedModel) -> torch.Tensor:
    ids, mask = left_pad(model.base, ROWS)
    return model.forward(ids, mask)
