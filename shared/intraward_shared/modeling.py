"""A pinned base model with switchable LoRA adapters and scalar heads, used by both sides.

The hospital trains with it, the coordinator evaluates with it. One copy of the base weights serves
the policy, its frozen reference (the SFT adapter, not the bare base: facts on PPO, A.3) and the
reward model. Needs torch, transformers and peft, which the auditor's install does not have; nothing
else in this package imports it. Models load from a local directory only, by digest, as safetensors.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from intraward_shared.adapters import Array, State
from intraward_shared.base_model import BaseModel, load_base, model_digest
from intraward_shared.depth import parameters_above, stopped_after
from intraward_shared.errors import ContractError, ModelError
from intraward_shared.protocol import LoraSpec
from intraward_shared.reward_heads import HeadTerms, RewardHeads
from intraward_shared.stages import SCORE_HEAD, VALUE_HEAD, Stage, heads

Role = Literal["policy", "reference", "reward"]


def initial_state(base: BaseModel, lora: LoraSpec, stage: Stage, seed: int) -> dict[str, Array]:
    """A fresh adapter: public random A, B = 0, score head N(0, 1/(H+1)) or 0, value head 0.

    A reward adapter has no tensors for blocks above the depth that its heads read at.

    Args:
        seed: public; two parties with the same seed make the same bytes.
    """
    with adapted(base, lora, ("policy",)) as model:
        unread = model.unread  # asked for at every stage, so that a wrong depth is refused at the first one
        names = {
            name: parameter.shape
            for name, parameter in model.lora("policy").items()
            if stage is not Stage.REWARD or id(parameter) not in unread
        }
    draw = np.random.Generator(np.random.Philox(seed))
    state: dict[str, Array] = {}
    for name in sorted(names):
        bound = 1.0 / np.sqrt(names[name][1])  # kaiming_uniform(a=sqrt(5)), PEFT's own initialisation
        drawn = draw.uniform(-bound, bound, size=tuple(names[name]))
        state[name] = (drawn if ".lora_A." in name else np.zeros(tuple(names[name]))).astype(np.float32)
    return state | initial_heads(base, lora, stage, seed)


def initial_heads(base: BaseModel, lora: LoraSpec, stage: Stage, seed: int) -> dict[str, Array]:
    """The stage's heads alone, for a stage that continues from an adapter without them.

    Every member of a shared head starts elsewhere, sites' own heads all alike; criteria and flags start
    undecided, at 0.
    """
    draw = np.random.Generator(np.random.Philox(seed + 1))
    width = base.hidden_size
    out: dict[str, Array] = {}
    for name in heads(stage):
        if name in SCORE_HEAD:
            spread = 0.0 if lora.reward.start == "zero" else 1 / np.sqrt(width + 1)
            drawn = 1 if lora.reward.per_site else lora.reward.members
            members = draw.normal(0, spread, size=(drawn, width)).repeat(lora.reward.members // drawn, 0)
            undecided = np.zeros((lora.reward.rows - lora.reward.members, width))
            out[name] = np.concatenate([members, undecided]).astype(np.float32)
        else:
            out[name] = np.zeros((1, width) if name.endswith("weight") else (1,), dtype=np.float32)
    return out


@dataclass(frozen=True, repr=False)
class Appraisal:
    """What the reward heads say of some answers.

    members: scores ``(rows, members)``; criteria: ratings, about -1 (worst) to 1 ``(rows, criteria)``;
    flags: logits of failures ``(rows, flags)``.
    """

    members: Tensor
    criteria: Tensor
    flags: Tensor

    @property
    def score(self) -> Tensor:
        """Mean over the members ``(rows,)``."""
        return self.members.mean(-1)

    @property
    def worst(self) -> Tensor:
        """Lowest of the members ``(rows,)``."""
        return self.members.min(-1).values

    def weighted(self, heads: RewardHeads, terms: HeadTerms) -> Tensor:
        """What ``terms.reduce`` makes of the members plus each criterion times its weight ``(rows,)``.

        Without the uncertainty penalty: score constants are those of this score.
        """
        total = self.worst if terms.reduce == "worst" else self.score
        for name, weight in terms.criteria.items():
            total = total + weight * self.criteria[:, heads.criteria.index(name)]
        return total

    @property
    def disagreement(self) -> Tensor:
        """Standard deviation over the members ``(rows,)``; 0 of a single one."""
        return self.members.std(-1, correction=0)


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
        self.base, self.roles, self.heads = base, roles, lora.reward
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
        self.score = nn.Linear(base.hidden_size, lora.reward.rows, bias=False, device=base.device)
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

    @property
    def unread(self) -> frozenset[int]:
        """Identities of the parameters above the depth that the reward heads read at."""
        depth = self.heads.depth
        return frozenset() if depth is None else parameters_above(self.peft, depth)

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

        The reward model's blocks above its depth are not run, so tensors for them may be absent.

        Raises:
            ContractError: a missing, unknown or wrongly shaped tensor.
        """
        unread = self.unread if role == "reward" else frozenset[int]()
        if {name for name, parameter in self.lora(role).items() if id(parameter) not in unread} - set(state):
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

    def hidden(
        self, ids: Tensor, mask: Tensor, cache: Any = None, depth: int | None = None
    ) -> tuple[Tensor, Any]:
        """Last hidden states ``(batch, tokens, width)`` and the key-value cache.

        Args:
            ids: token ids ``(batch, tokens)``, left or right padded.
            mask: attention mask over all tokens so far ``(batch, past + tokens)``.
            cache: cache of the tokens before, or None.
            depth: number of blocks that are run, all by default; the final norm follows them.
        """
        positions = (mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        network: Any = self.peft.get_base_model()
        body = getattr(network, network.base_model_prefix)
        checkpointing = self.checkpointing and cache is None and torch.is_grad_enabled()
        with (
            torch.autocast(ids.device.type, torch.bfloat16, enabled=self.autocast),
            _checkpointing(network) if checkpointing else contextlib.nullcontext(),
            stopped_after(body, depth),
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
        """Score ``(batch,)`` at the last real token of right-padded rows: the mean over the members."""
        return self.appraise(ids, mask).score

    def appraise(self, ids: Tensor, mask: Tensor) -> Appraisal:
        """Every output of the reward heads at the last real token of right-padded rows."""
        hidden = self.hidden(ids, mask, depth=self.heads.depth)[0]
        last = mask.sum(-1) - 1
        out = self.score(hidden[torch.arange(len(ids)), last].float())
        sizes = [self.heads.members, len(self.heads.criteria), len(self.heads.flags)]
        return Appraisal(*out.split(sizes, dim=-1))


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


@contextlib.contextmanager
def acting_as(model: AdaptedModel, role: Role) -> Iterator[None]:
    """``role`` as the active adapter for a while; what wants gradients is the same before and after."""
    before, wanting = model.role, [p for p in model.parameters() if p.requires_grad]
    model.use(role)
    try:
        yield
    finally:
        model.use(before)
        for parameter in wanting:
            parameter.requires_grad_(True)


__all__ = [
    "SCORE_HEAD",
    "VALUE_HEAD",
    "AdaptedModel",
    "Appraisal",
    "BaseModel",
    "Role",
    "acting_as",
    "adapted",
    "initial_heads",
    "initial_state",
    "load_base",
    "model_digest",
]
