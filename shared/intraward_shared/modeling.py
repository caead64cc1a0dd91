"""A pinned base model with switchable LoRA adapters and scalar heads, used by both sides.

The hospital trains with it, the coordinator evaluates with it. One copy of the base weights serves
the policy, its frozen reference (the SFT adapter, not the bare base: facts on PPO, A.3) and the
reward model. Needs torch, transformers and peft, which the auditor's install does not have; nothing
else in this package imports it. Models load from a local directory only, by digest, as safetensors.
"""

from __future__ import annotations

import contextlib
import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_layers import GradientCheckpointingLayer
from transformers.utils import logging as transformers_logging

from intraward_shared.adapters import Array, State
from intraward_shared.errors import ContractError, ModelError
from intraward_shared.protocol import LoraSpec
from intraward_shared.signing import canonical_json, digest
from intraward_shared.stages import SCORE_HEAD, VALUE_HEAD, Stage, heads

Role = Literal["policy", "reference", "reward"]
_ROUTED = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts", "expert_capacity")
"""Names under which configurations declare a mixture of experts (DESIGN.md section 6, what couples)."""
_MODEL_FILES = ("*.safetensors", "*.json", "*.jinja", "*.model", "merges.txt", "vocab.txt")


def model_digest(directory: Path | str) -> str:
    """SHA-256 over the names and SHA-256 of a model directory's weight, config and tokenizer files.

    Raises:
        ModelError: the directory is missing or holds no ``config.json`` or no safetensors weights.
    """
    directory = Path(directory)
    files = sorted({path for pattern in _MODEL_FILES for path in directory.glob(pattern)})
    names = {path.name for path in files}
    if "config.json" not in names or not any(name.endswith(".safetensors") for name in names):
        raise ModelError(
            f"{directory}: not a model directory (needs config.json and *.safetensors)",
            remedy="give a Hub-format directory; pickle weights are not read",
        )
    listing = []
    for path in files:
        with path.open("rb") as file:
            listing.append([path.name, hashlib.file_digest(file, "sha256").hexdigest()])
    return digest(canonical_json(listing))


@dataclass(frozen=True)
class BaseModel:
    """A loaded causal language model: network, tokenizer and the digest of its directory."""

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


def load_base(directory: Path | str, expected: str | None = None, device: str = "cpu") -> BaseModel:
    """Load a base model from disk in fp32, frozen, without any network access.

    Args:
        directory: Hub-format folder.
        expected: digest that it must have.
        device: torch device to put it on.

    Raises:
        ModelError: missing files, another digest, or a model that transformers cannot load.
    """
    found = model_digest(directory)
    if expected is not None and found != expected:
        raise ModelError(
            f"{directory}: model digest is {found[:16]}..., the pinned one is {expected[:16]}...",
            remedy="fetch the pinned model again, or correct the pin if the change was agreed",
        )
    transformers_logging.disable_progress_bar()
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            str(directory), local_files_only=True, trust_remote_code=False
        )
        network = AutoModelForCausalLM.from_pretrained(
            str(directory),
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            use_safetensors=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelError(
            f"{directory}: cannot be loaded ({type(error).__name__})",
            remedy="check that every shard and the tokenizer are there",
        ) from None
    if any(getattr(network.config, name, None) for name in _ROUTED):
        raise ModelError(
            f"{directory}: routes tokens to experts, whose capacity couples the rows of a batch",
            remedy="use a dense model",
        )
    if tokenizer.eos_token_id is None:
        raise ModelError(
            f"{directory}: tokenizer has no end-of-sequence token", remedy="use a tokenizer that has one"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token_id = tokenizer.eos_token_id
    # before any adapter exists: hooks hold the tensors that train (Opacus #820)
    network = network.to(torch.device(device))
    network.requires_grad_(False)
    network.train(False)
    return BaseModel(network, tokenizer, found)


def initial_state(base: BaseModel, lora: LoraSpec, stage: Stage, seed: int) -> dict[str, Array]:
    """A fresh adapter: public random A, B = 0, score head N(0, 1/(H+1)), value head 0.

    Args:
        seed: public; two parties with the same seed make the same bytes.
    """
    with adapted(base, lora, ("policy",)) as model:
        names = {name: parameter.shape for name, parameter in model.lora("policy").items()}
    draw = np.random.Generator(np.random.Philox(seed))
    state: dict[str, Array] = {}
    for name in sorted(names):
        bound = 1.0 / np.sqrt(names[name][1])  # kaiming_uniform(a=sqrt(5)), PEFT's own initialisation
        drawn = draw.uniform(-bound, bound, size=tuple(names[name]))
        state[name] = (drawn if ".lora_A." in name else np.zeros(tuple(names[name]))).astype(np.float32)
    return state | initial_heads(base, stage, seed)


def initial_heads(base: BaseModel, stage: Stage, seed: int) -> dict[str, Array]:
    """The stage's heads alone, for a stage that continues from an adapter without them."""
    draw = np.random.Generator(np.random.Philox(seed + 1))
    width = base.hidden_size
    out: dict[str, Array] = {}
    for name in heads(stage):
        if name in SCORE_HEAD:
            out[name] = draw.normal(0, 1 / np.sqrt(width + 1), size=(1, width)).astype(np.float32)
        else:
            out[name] = np.zeros((1, width) if name.endswith("weight") else (1,), dtype=np.float32)
    return out


class AdaptedModel(nn.Module):
    """A base model with one LoRA adapter per role, a score head and a value head.

    ``use(role)`` switches adapters; no weight of the base is copied. Made by ``adapted``.
    """

    def __init__(self, base: BaseModel, lora: LoraSpec, roles: tuple[Role, ...]) -> None:
        super().__init__()
        config = LoraConfig(
            r=lora.r,
            lora_alpha=lora.lora_alpha,
            target_modules=list(lora.target_modules),
            lora_dropout=0.0,
            bias="none",
            task_type="CAUSAL_LM",
        )
        self.base, self.roles = base, roles
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "ignore"
                )  # PEFT announces fan_in_fan_out for GPT-2; it corrects it itself
                self.peft = get_peft_model(base.network, config, adapter_name=roles[0])
                for role in roles[1:]:
                    self.peft.add_adapter(role, config)
        except ValueError:
            raise ModelError(
                "lora.target_modules: no module of this model has such a name",
                remedy="name linear modules of the base model, e.g. q_proj and v_proj",
            ) from None
        self.score = nn.Linear(base.hidden_size, 1, bias=False, device=base.device)
        self.value_head = nn.Linear(base.hidden_size, 1, device=base.device)
        self.role: Role = roles[0]
        self.autocast = False
        self.checkpointing = False
        self.requires_grad_(False)
        self.eval()

    def use(self, role: Role) -> None:
        """Make ``role`` the active adapter, everything frozen."""
        self.peft.set_adapter(role)
        self.requires_grad_(False)
        self.role = role

    def lora(self, role: Role) -> dict[str, nn.Parameter]:
        """LoRA parameters of a role under their PEFT file names (without the adapter's name)."""
        tag = f".{role}.weight"
        return {n.replace(tag, ".weight"): p for n, p in self.peft.named_parameters() if n.endswith(tag)}

    def parameters_of(self, role: Role, names: tuple[str, ...]) -> dict[str, nn.Parameter]:
        """Named LoRA and head parameters of a role.

        Raises:
            ContractError: a name that this model does not have.
        """
        every = self.lora(role) | {f"score.{n}": p for n, p in self.score.named_parameters()}
        every |= {f"value_head.{n}": p for n, p in self.value_head.named_parameters()}
        missing = [name for name in names if name not in every]
        if missing:
            raise ContractError(
                f"adapter tensor {missing[0]!r} does not belong to this base model and LoRA spec"
            )
        return {name: every[name] for name in names}

    def load(self, role: Role, state: State) -> None:
        """Copy an adapter's tensors into ``role``; all of its LoRA tensors must be there.

        Raises:
            ContractError: a missing, unknown or wrongly shaped tensor.
        """
        if set(self.lora(role)) - set(state):
            raise ContractError("adapter lacks LoRA tensors that this base model and LoRA spec need")
        for name, parameter in self.parameters_of(role, tuple(state)).items():
            if tuple(parameter.shape) != state[name].shape:
                raise ContractError(f"adapter tensor {name!r} has another shape than this model needs")
            with torch.no_grad():
                parameter.copy_(torch.from_numpy(np.array(state[name])))

    def state(self, role: Role, names: tuple[str, ...]) -> dict[str, Array]:
        """Named tensors as float32 arrays (copies)."""
        parameters = self.parameters_of(role, names)
        return {n: p.detach().to("cpu", torch.float32).numpy().copy() for n, p in parameters.items()}

    def hidden(self, ids: Tensor, mask: Tensor, cache: Any = None) -> tuple[Tensor, Any]:
        """Last hidden states ``(batch, tokens, width)`` and the key-value cache.

        Args:
            ids: token ids ``(batch, tokens)``, left or right padded.
            mask: attention mask over all tokens so far ``(batch, past + tokens)``.
            cache: cache of the tokens before, or None.
        """
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        network: Any = self.peft.get_base_model()
        body = getattr(network, network.base_model_prefix)
        checkpointing = self.checkpointing and cache is None and torch.is_grad_enabled()
        with (
            torch.autocast(ids.device.type, torch.bfloat16, enabled=self.autocast),
            _checkpointing(network) if checkpointing else contextlib.nullcontext(),
        ):
            embedded = network.get_input_embeddings()(ids)
            out = body(
                inputs_embeds=embedded.requires_grad_() if checkpointing else embedded,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
            )
        return out.last_hidden_state, out.past_key_values

    def logits(self, hidden: Tensor) -> Tensor:
        """Vocabulary logits in fp32 ``(..., vocabulary)`` from hidden states."""
        with torch.autocast(hidden.device.type, torch.bfloat16, enabled=self.autocast):
            network: Any = self.peft.get_base_model()
            out: Tensor = network.get_output_embeddings()(hidden)
        return out.float()

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Logits ``(batch, tokens, vocabulary)``."""
        return self.logits(self.hidden(ids, mask)[0])

    def rewards(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Scalar score ``(batch,)`` at the last real token of right-padded rows."""
        hidden = self.hidden(ids, mask)[0]
        last = mask.sum(-1) - 1
        return self.score(hidden[torch.arange(len(ids)), last].float()).squeeze(-1)  # type: ignore[no-any-return]


@contextlib.contextmanager
def _checkpointing(network: Any) -> Iterator[None]:
    """The network's blocks keep no activations of the forward pass made in here.

    Re-entrant on purpose: transformers' default recomputes in a second forward that Opacus' hooks count
    twice (facts on DP training, section 3). It wants an input with a gradient, which ``hidden`` gives.
    Only the blocks themselves are set to training, so dropout stays off. Set block by block, because
    ``activation_checkpointing_enable`` leaves a hook on the embedding at every call.
    """
    blocks = [module for module in network.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not blocks:
        raise ModelError(
            "training.checkpointing: this architecture has no blocks that can be recomputed",
            remedy="plan without checkpointing, with a smaller micro_batch",
        )
    for block in blocks:
        block.training = block.gradient_checkpointing = True
        block._gradient_checkpointing_func = partial(checkpoint, use_reentrant=True, preserve_rng_state=False)
    try:
        yield
    finally:
        for block in blocks:
            block.training = block.gradient_checkpointing = False


@contextlib.contextmanager
def adapted(base: BaseModel, lora: LoraSpec, roles: tuple[Role, ...]) -> Iterator[AdaptedModel]:
    """An ``AdaptedModel`` over ``base``, unloaded again at exit so that the base can be used anew."""
    model = AdaptedModel(base, lora, roles)
    try:
        yield model
    finally:
        model.peft.unload()


__all__ = [
    "SCORE_HEAD",
    "VALUE_HEAD",
    "AdaptedModel",
    "BaseModel",
    "Role",
    "adapted",
    "initial_heads",
    "initial_state",
    "load_base",
    "model_digest",
]
