"""The pinned base model on disk: what belongs to it, its digest, and loading it without any network.

A model is a Hub-format directory (Llama, Qwen, Mistral, GPT-2 and their like) or one GGUF file, read
through transformers and dequantised. Keeps rule 9 of DESIGN.md: safetensors or GGUF and never pickle,
no code from the directory, and every file that is read is under the pinned SHA-256; a directory that
names code, another checkpoint or a file outside itself is refused by name. Needs torch and transformers,
which the auditor's install does not have; only ``modeling`` and its users import this.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError, safe_open
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging as transformers_logging

from intraward_shared.errors import ModelError
from intraward_shared.signing import canonical_json, digest

Dtype = Literal["fp32", "bf16"]
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
_ROUTED = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "expert_capacity")
"""Names under which configurations declare a mixture of experts (DESIGN.md section 6, what couples)."""
_MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_INDEX = "model.safetensors.index.json"
_CODE_KEYS = ("auto_map", "trust_remote_code", "custom_pipelines", "quantization_config")
"""Keys by which a configuration asks for code that is not transformers' own."""
_FOREIGN = ("adapter_config.json", "additional_chat_templates")
"""What transformers would follow out of the directory, or read although no digest covers it."""


def model_digest(path: Path | str) -> str:
    """SHA-256 over the names and SHA-256 of a model's weight, config and tokenizer files.

    A GGUF file has the same digest as a directory that holds it and no Hub-format model.

    Raises:
        ModelError: nothing there, a shard or another file missing, pickle weights only, or a
            configuration that asks for code; the file is named.
    """
    listing = []
    for file in model_files(path):
        with file.open("rb") as handle:
            listing.append([file.name, hashlib.file_digest(handle, "sha256").hexdigest()])
    return digest(canonical_json(listing))


def model_files(path: Path | str) -> list[Path]:
    """The files of a model: one GGUF file, or those of a Hub-format directory, checked for wholeness.

    Raises:
        ModelError: as for ``model_digest``.
    """
    path = Path(path)
    if path.is_file() and path.suffix == ".gguf":
        return [path]
    if not path.is_dir():
        raise ModelError(f"{path}: no such model", remedy="give a Hub-format directory or a .gguf file")
    ggufs = sorted(path.glob("*.gguf"))
    if ggufs and not (path / "config.json").exists():
        if len(ggufs) > 1:
            raise ModelError(f"{path}: more than one GGUF file", remedy="name the file itself")
        return ggufs
    files = sorted({file for pattern in _MODEL_FILES for file in path.glob(pattern)})
    _check_weights(path, {file.name for file in files})
    for name in _FOREIGN:
        if (path / name).exists():
            raise ModelError(
                f"{path / name}: not part of a base model", remedy="remove it from the directory"
            )
    for file in files:
        _check_config(file)
    if not any((path / name).exists() for name in _TOKENIZER_FILES):
        raise ModelError(f"{path}: no tokenizer", remedy="add tokenizer.json and tokenizer_config.json")
    return files


def _check_weights(directory: Path, names: set[str]) -> None:
    """One ``model.safetensors``, or an index whose shards are all there, in the directory itself."""
    weights = {name for name in names if name.endswith(".safetensors")}
    if "config.json" not in names or not weights:
        pickles = sorted(
            file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in directory.glob(pattern)
        )
        raise ModelError(
            f"{directory}: not a model directory (needs config.json and *.safetensors)",
            remedy=f"convert {pickles[0]} to safetensors: pickle weights are not read"
            if pickles
            else "give a Hub-format directory; pickle weights are not read",
        )
    if "model.safetensors" in weights:
        return
    if _INDEX not in names:
        raise ModelError(f"{directory / _INDEX}: missing, but the weights are in shards", remedy=_FETCH)
    placed = _read_json(directory / _INDEX).get("weight_map")
    if not isinstance(placed, dict) or not placed:
        raise ModelError(f"{directory / _INDEX}: has no weight_map", remedy=_FETCH)
    for shard in sorted(map(str, placed.values())):
        if Path(shard).name != shard or not shard.endswith(".safetensors"):
            raise ModelError(f"{directory / _INDEX}: names a file that is no shard here", remedy=_FETCH)
        if shard not in weights:
            raise ModelError(f"{directory / shard}: shard is missing", remedy=_FETCH)


def _check_config(file: Path) -> None:
    """No configuration may ask for code of the directory's own or for weights in another library's form."""
    if not file.name.endswith("config.json"):
        return
    content = _read_json(file)
    for key in _CODE_KEYS:
        if content.get(key):
            raise ModelError(
                f"{file}: {key} asks for code from outside transformers, which is never run",
                remedy="use a model of an architecture that transformers has, with plain weights",
            )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ModelError(f"{file}: not readable JSON", remedy=_FETCH) from None
    if not isinstance(content, dict):
        raise ModelError(f"{file}: not a JSON object", remedy=_FETCH)
    return content


_FETCH = "fetch the pinned model again"
_SAID = "Where does it hurt?"


@dataclass(frozen=True)
class BaseModel:
    """A loaded causal language model: network, tokenizer and the digest of its files."""

    network: Any
    tokenizer: Any
    digest: str

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return torch.device(self.network.device)

    @property
    def context(self) -> int:
        """Most tokens of a row."""
        return int(getattr(self.network.config, "max_position_embeddings", 0) or 1 << 20)

    @property
    def hidden_size(self) -> int:
        """Width of the last hidden state."""
        return int(self.network.config.hidden_size)


def load_base(
    path: Path | str, expected: str | None = None, device: str = "cpu", dtype: Dtype = "fp32"
) -> BaseModel:
    """Load a base model from disk, frozen, without any network access.

    Args:
        path: Hub-format folder, GGUF file, or folder with one GGUF file.
        expected: digest that it must have.
        device: torch device to put it on; placed there by accelerate while it is read.
        dtype: of the frozen weights; adapters and heads are fp32 in any case.

    Raises:
        ModelError: missing or damaged files, another digest, or a model that cannot be trained here.
    """
    files = model_files(path)
    found = model_digest(path)
    if expected is not None and found != expected:
        raise ModelError(
            f"{path}: model digest is {found[:16]}..., the pinned one is {expected[:16]}...",
            remedy="fetch the pinned model again, or correct the pin if the change was agreed",
        )
    for file in files:
        _check_safetensors(file)
    network, tokenizer = read_model(path, device=device, dtype=dtype)
    _check_network(path, network, tokenizer)
    _check_template(path, tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id  # the mask, not the id, says what is padding
    network.requires_grad_(False)
    network.train(False)
    _check_head(path, network)
    return BaseModel(network, tokenizer, found)


def read_model(path: Path | str, *, device: str = "cpu", dtype: Dtype = "fp32") -> tuple[Any, Any]:
    """Network and tokenizer as transformers reads them; a GGUF file is dequantised.

    Raises:
        ModelError: transformers cannot read it, or weights are missing that it would have to invent.
    """
    files = model_files(path)
    options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    # On its device before any adapter exists: hooks hold the tensors that train (Opacus #820). The
    # attention is named so that no configuration can choose a downloaded kernel.
    how: dict[str, Any] = {
        "dtype": _DTYPES[dtype],
        "device_map": {"": device},
        "attn_implementation": "sdpa",
        "output_loading_info": True,
    }
    transformers_logging.disable_progress_bar()
    try:
        with _pinned_folder(files) as folder:
            if files[0].suffix == ".gguf":
                options["gguf_file"] = files[0].name
                # A plain load marks the model as quantised and save_pretrained refuses it (transformers 5).
                how["quantization_config"] = GgufConfig(dequantize=True)
            else:
                how["use_safetensors"] = True
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **options)
            network, info = AutoModelForCausalLM.from_pretrained(str(folder), **options, **how)
    except Exception as error:  # transformers and its readers raise of every kind; the text may hold paths
        raise ModelError(
            f"{path}: cannot be loaded ({type(error).__name__})",
            remedy="check that every shard and the tokenizer are there, that model.device exists, and "
            "for GGUF that the package gguf is installed",
        ) from None
    if info["missing_keys"] or info["mismatched_keys"]:
        raise ModelError(
            f"{path}: weights do not fill the architecture that its configuration names",
            remedy="fetch the pinned model again; a tensor is never made up",
        )
    return network, tokenizer


@contextmanager
def _pinned_folder(files: list[Path]) -> Iterator[Path]:
    """A folder that shows the model's files and nothing else, so that nothing unpinned can be read."""
    with tempfile.TemporaryDirectory(prefix="model-") as folder:
        for file in files:
            (Path(folder) / file.name).symlink_to(file.resolve())
        yield Path(folder)


def _check_safetensors(file: Path) -> None:
    """Header and length of a weight file."""
    if file.suffix != ".safetensors":
        return
    try:
        with safe_open(file, framework="np"):
            pass
    except (SafetensorError, OSError):
        raise ModelError(f"{file}: damaged or cut short", remedy=_FETCH) from None


def _check_network(path: Path | str, network: Any, tokenizer: Any) -> None:
    if any(getattr(network.config, name, None) for name in _ROUTED):
        raise ModelError(
            f"{path}: routes tokens to experts, whose capacity couples the rows of a batch",
            remedy="use a dense model",
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{path}: tokenizer has no end-of-sequence token", remedy="use a tokenizer that has one"
        )
    if max(tokenizer.get_vocab().values()) >= network.get_input_embeddings().weight.shape[0]:
        raise ModelError(
            f"{path}: the tokenizer has tokens beyond the model's embeddings",
            remedy="use the tokenizer that the model was trained with",
        )


def _check_template(path: Path | str, tokenizer: Any) -> None:
    """A chat template must say what the user said, or every prompt of a charged round would be lost."""
    if not tokenizer.chat_template:
        return
    turn = [{"role": "user", "content": _SAID}]
    try:
        text = tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
    except Exception:  # a template is a program: it raises of every kind, and its text is the model maker's
        text = ""
    if _SAID not in text:
        raise ModelError(
            f"{path}: the chat template cannot be rendered, or leaves out what the user says",
            remedy="mend chat_template.jinja or tokenizer_config.json, or remove the template, and pin anew",
        )


@torch.no_grad()
def _check_head(path: Path | str, network: Any) -> None:
    """Logits must be the output embedding of the last hidden state, as ``modeling`` computes them.

    Some architectures scale or cap them afterwards; training on other logits than the model's own would
    go unseen.
    """
    ids = torch.tensor([[0, 1, 2]], device=network.device)
    body = getattr(network, network.base_model_prefix, None)
    own = None
    if body is not None and network.get_output_embeddings() is not None:
        hidden = body(inputs_embeds=network.get_input_embeddings()(ids)).last_hidden_state
        own = network.get_output_embeddings()(hidden)
    plain = network(input_ids=ids).logits
    if own is None or own.shape != plain.shape or not torch.allclose(own, plain, rtol=1e-3, atol=1e-3):
        raise ModelError(
            f"{path}: this architecture changes its logits after the output layer",
            remedy="use one of the Llama, Qwen, Mistral or GPT-2 layouts",
        )
