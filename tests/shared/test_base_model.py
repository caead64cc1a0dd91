"""A model that is not whole, not plain or not the pinned one is refused, with the file named."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, quantize
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from intraward_shared.base_model import load_base, model_digest
from intraward_shared.errors import ModelError
from intraward_shared.generation import prompt_ids

INDEX = "model.safetensors.index.json"
SIZE: dict[str, Any] = {
    "vocab_size": 24,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "eos_token_id": 3,
}


def _tokenizer(folder: Path, **special: str) -> None:
    words = ("<unk>", "<pad>", "<s>", "</s>", *(f"w{index}" for index in range(20)))
    tokenizer = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "<unk>", "eos_token": "</s>"} | special
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Llama in several shards, without a pad token or a chat template."""
    folder = tmp_path_factory.mktemp("sharded")
    _tokenizer(folder)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        LlamaForCausalLM(LlamaConfig(**SIZE)).save_pretrained(folder, max_shard_size="20KB")
    assert (folder / INDEX).exists()
    return folder


@pytest.fixture
def copy(sharded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sharded, tmp_path / "model"))


def _shard(folder: Path) -> Path:
    return sorted(folder.glob("*.safetensors"))[0]


def _edit(file: Path, **changes: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def _cut(folder: Path) -> str:
    shard = _shard(folder)
    shard.write_bytes(shard.read_bytes()[:-100])
    return shard.name


def _drop_shard(folder: Path) -> str:
    shard = _shard(folder)
    shard.unlink()
    return shard.name


def _drop_index(folder: Path) -> str:
    (folder / INDEX).unlink()
    return INDEX


def _point_outside(folder: Path) -> str:
    places = json.loads((folder / INDEX).read_text())["weight_map"]
    _edit(folder / INDEX, weight_map=places | {next(iter(places)): "../other.safetensors"})
    return INDEX


def _pickle_only(folder: Path) -> str:
    for shard in folder.glob("*.safetensors"):
        shard.unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not read")
    return "pytorch_model.bin"


def _own_code(folder: Path) -> str:
    _edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling_own.Own"})
    return "auto_map"


def _tokenizer_code(folder: Path) -> str:
    _edit(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["own.Own", None]})
    return "tokenizer_config.json: auto_map"


def _adapter(folder: Path) -> str:
    (folder / "adapter_config.json").write_text('{"base_model_name_or_path": "elsewhere"}')
    return "adapter_config.json"


def _no_tokenizer(folder: Path) -> str:
    (folder / "tokenizer.json").unlink()
    return "no tokenizer"


def _no_end(folder: Path) -> str:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("eos_token")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return "end-of-sequence"


def _unfilled(folder: Path) -> str:
    _edit(folder / "config.json", num_hidden_layers=3)
    return "do not fill the architecture"


def _config_alone(folder: Path) -> str:
    for file in (*folder.glob("*.safetensors"), folder / INDEX):
        file.unlink()
    return "needs config.json and *.safetensors"


def _empty_shard(folder: Path) -> str:
    shard = _shard(folder)
    shard.write_bytes(b"")
    return shard.name


def _template_that_fails(folder: Path) -> str:
    (folder / "chat_template.jinja").write_text("{{ raise_exception('zebra') }}")
    return "chat template"


def _template_that_drops_the_user(folder: Path) -> str:
    (folder / "chat_template.jinja").write_text("{% for m in messages %}{{ m.role }}{% endfor %}")
    return "chat template"


def _few_embeddings(folder: Path) -> str:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["w99"] = 24
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    return "beyond the model's embeddings"


def _bad_json(folder: Path) -> str:
    (folder / "config.json").write_text("{")
    return "config.json: not readable JSON"


BREAKS: tuple[Callable[[Path], str], ...] = (
    _cut,
    _drop_shard,
    _drop_index,
    _point_outside,
    _pickle_only,
    _own_code,
    _tokenizer_code,
    _adapter,
    _no_tokenizer,
    _no_end,
    _unfilled,
    _config_alone,
    _empty_shard,
    _template_that_fails,
    _template_that_drops_the_user,
    _few_embeddings,
    _bad_json,
)


@pytest.mark.parametrize("damage", BREAKS, ids=lambda damage: damage.__name__.strip("_"))
def test_damaged_model_is_refused_by_name(copy: Path, damage: Callable[[Path], str]) -> None:
    load_base(copy)
    named = damage(copy)
    with pytest.raises(ModelError) as refusal:
        load_base(copy)
    assert named in str(refusal.value) and refusal.value.remedy and "zebra" not in str(refusal.value)


def test_other_bytes_are_not_the_pinned_model(copy: Path) -> None:
    pin = model_digest(copy)
    assert load_base(copy, pin).digest == pin
    shard = _shard(copy)
    shard.write_bytes(shard.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ModelError, match="the pinned one is"):
        load_base(copy, pin)


def test_without_pad_or_chat_template_it_loads_and_tokenises(sharded: Path) -> None:
    base = load_base(sharded)
    assert base.tokenizer.pad_token_id == base.tokenizer.eos_token_id == 3
    assert prompt_ids(base, "w1 w2", 8) == [5, 6]


def test_a_long_prompt_loses_its_first_words_and_never_the_template(copy: Path) -> None:
    (copy / "chat_template.jinja").write_text("w10 {{ messages[0]['content'] }} w11")
    base = load_base(copy)
    assert base.tokenizer.chat_template
    assert prompt_ids(base, "w1 w2", 8) == [14, 5, 6, 15]
    assert prompt_ids(base, "w1 w2 w3 w4", 4) == [14, 7, 8, 15]
    assert prompt_ids(base, " ".join(f"w{n % 10}" for n in range(500)), 5) == [14, 11, 12, 13, 15]
    assert prompt_ids(base, "w1 w2", 2) == [6, 15]  # no room for the template: the end of all


def test_files_that_no_digest_covers_are_not_read(copy: Path) -> None:
    before = load_base(copy)
    (copy / "added.py").write_text("raise SystemExit")
    (copy / "pytorch_model.bin").write_bytes(b"not read")
    assert load_base(copy).digest == before.digest


def test_changed_logits_are_refused(copy: Path) -> None:
    """Cohere's architecture scales its logits after the output layer; training would not see that."""
    for file in (*copy.glob("*.safetensors"), copy / INDEX, copy / "config.json"):
        file.unlink()
    CohereForCausalLM(CohereConfig(**SIZE, logit_scale=0.0625)).save_pretrained(copy)
    with pytest.raises(ModelError, match="changes its logits"):
        load_base(copy)


def test_unknown_device_is_refused(sharded: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(sharded, device="cuda:99")


@pytest.fixture(scope="module")
def gguf_file(sharded: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny Llama as GGUF, its matrices in 8-bit blocks of 32."""
    file = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_gguf(file, load_base(sharded).network.state_dict())
    assert len(GGUFReader(file).tensors) == 21
    return file


def write_gguf(file: Path, state: dict[str, torch.Tensor]) -> None:
    """A minimal llama.cpp file; q and k rows are permuted as llama.cpp keeps them."""
    writer = GGUFWriter(file, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(2)
    writer.add_feed_forward_length(48)
    writer.add_head_count(4)
    writer.add_head_count_kv(4)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_dimension_count(8)
    writer.add_vocab_size(24)
    writer.add_tokenizer_model("gpt2")
    words = ["<|endoftext|>", "<pad>", "<s>", "</s>", *"abcdefghijklmnopqrs", "ab"]
    writer.add_token_list(words)
    writer.add_token_types([3, 3, 3, 3, *[1] * 20])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(3)
    names = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    parts = {
        "self_attn.q_proj": "attn_q",
        "self_attn.k_proj": "attn_k",
        "self_attn.v_proj": "attn_v",
        "self_attn.o_proj": "attn_output",
        "mlp.gate_proj": "ffn_gate",
        "mlp.up_proj": "ffn_up",
        "mlp.down_proj": "ffn_down",
        "input_layernorm": "attn_norm",
        "post_attention_layernorm": "ffn_norm",
    }
    for layer in range(2):
        for ours, theirs in parts.items():
            names[f"model.layers.{layer}.{ours}.weight"] = f"blk.{layer}.{theirs}.weight"
    for name, tensor in state.items():
        array = tensor.float().numpy()
        if "q_proj" in name or "k_proj" in name:
            array = array.reshape(4, 2, 4, 32).swapaxes(1, 2).reshape(32, 32)
        if array.ndim == 2 and array.shape[1] % 32 == 0:
            kind = GGMLQuantizationType.Q8_0
            writer.add_tensor(names[name], quantize(array, kind), raw_dtype=kind)
        else:
            writer.add_tensor(names[name], array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_gguf_is_dequantised_to_nearly_the_same_weights(gguf_file: Path, sharded: Path) -> None:
    read, original = load_base(gguf_file), load_base(sharded)
    assert read.network.dtype == torch.float32 and read.context == 64
    for name, tensor in original.network.state_dict().items():
        assert torch.allclose(read.network.state_dict()[name], tensor, atol=6e-4), name


def test_gguf_has_one_digest_as_file_and_as_folder(gguf_file: Path) -> None:
    assert load_base(gguf_file.parent).digest == load_base(gguf_file, model_digest(gguf_file)).digest


def test_gguf_that_is_cut_short_or_ambiguous_is_refused(gguf_file: Path, tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(gguf_file.read_bytes()[:-500])
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_base(tmp_path / "one.gguf")
    shutil.copy(gguf_file, tmp_path / "two.gguf")
    with pytest.raises(ModelError, match="more than one GGUF"):
        load_base(tmp_path)
