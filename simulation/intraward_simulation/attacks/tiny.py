"""A tiny GPT-2 to attack: a word is a token, the weights are random, everything about it is public.

The recipes of the attacks (facts on privacy, section 4) ask for a GPT-2-shaped model of two layers and no
training: an attacker knows the base model anyway, and what a LoRA update gives away of a note does not
wait for the base to be good. Loaded from disk by ``load_base`` like any hospital's model (rule 9).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import torch
from tokenizers import Tokenizer, pre_tokenizers
from tokenizers.models import WordLevel
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast
from transformers.utils import logging as transformers_logging

from intraward_shared.modeling import BaseModel, load_base
from intraward_shared.protocol import LoraSpec

SPECIAL = {"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>"}
SPREAD = 0.3
"""Standard deviation of the weights; GPT-2's own 0.02 leaves an untrained model nearly linear."""
TARGETS = ("c_attn", "c_proj", "c_fc")


def tiny_gpt2(seed: int, words: int, width: int = 64, layers: int = 2, context: int = 32) -> BaseModel:
    """A GPT-2 over the words ``w0`` to ``w{words - 1}``, drawn from ``seed``, written and loaded once."""
    transformers_logging.disable_progress_bar()
    with tempfile.TemporaryDirectory(prefix="intraward-attack-") as folder:
        _write_tokenizer(Path(folder), words)
        _network(seed, words, width, layers, context).save_pretrained(folder)
        return load_base(folder)


def all_linear(r: int) -> LoraSpec:
    """LoRA on every linear layer of the tiny GPT-2, with alpha twice the rank."""
    return LoraSpec(r=r, lora_alpha=2 * r, target_modules=TARGETS)


def text_of(words: list[int]) -> str:
    """The text whose tokens are these words; word ``n`` is token ``n + len(SPECIAL)``."""
    return " ".join(f"w{word}" for word in words)


def token_of(word: int) -> int:
    """Token id of a word."""
    return word + len(SPECIAL)


def _write_tokenizer(folder: Path, words: int) -> None:
    names = [*SPECIAL.values(), *(f"w{index}" for index in range(words))]
    tokenizer = Tokenizer(WordLevel({name: index for index, name in enumerate(names)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **SPECIAL).save_pretrained(folder)


def _network(seed: int, words: int, width: int, layers: int, context: int) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=words + len(SPECIAL),
        n_embd=width,
        n_layer=layers,
        n_head=4,
        n_positions=context,
        pad_token_id=1,
        bos_token_id=2,
        eos_token_id=3,
    )
    with torch.random.fork_rng():  # the constructor draws weights too; they are drawn anew below
        network = GPT2LMHeadModel(config)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:  # biases and layer norms stay at zero and one
                parameter.normal_(0.0, SPREAD, generator=draw)
    return network
