"""What crosses the wire: RoundPlan, WardRequest, SealedUpdate, Receipt (DESIGN.md section 5).

Values are frozen; their canonical bytes are what is signed and digested. The coordinator signs plans
and receipts, a hospital signs updates. Nothing here decides anything: ``plancheck`` (hospital) and
``admission`` (coordinator) do.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, StringConstraints, ValidationError, model_validator

from intraward_shared.config import Strict
from intraward_shared.errors import ContractError, DigestError, SignatureError
from intraward_shared.reward_heads import HeadTerms, RewardHeads
from intraward_shared.scalars import Name as Name
from intraward_shared.scalars import Real as Real
from intraward_shared.scalars import unused
from intraward_shared.shaping import ShapingTerms
from intraward_shared.signing import SigningKey, canonical_json, digest, parse_canonical, verify
from intraward_shared.stages import Part, Stage

PLAN_DOMAIN = "intraward/plan/v1"
PROGRAM_DOMAIN = "intraward/program/v1"
UPDATE_DOMAIN = "intraward/update/v1"
RECEIPT_DOMAIN = "intraward/receipt/v1"
UPDATE_MAGIC = b"IWSU0001"
PARTS_MAGIC = b"IWPT0001"
MAX_HEADER_BYTES = 1_000_000
SLOWEST = 1e-9
"""Least learning rate: below it no weight of fp32 moves, and a charged round would be for nothing."""
LARGEST = 1e6
"""Bound of scores, their scale and clips; beyond it fp32 arithmetic overflows in the middle of a round."""

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
TensorName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.]{1,200}$")]


class Mechanism(Strict):
    """One subsampled Gaussian event: what was done, not what it costs.

    ``sample_rate`` is the Poisson inclusion probability of a patient per step; ``noise_multiplier``
    the noise's standard deviation over ``max_grad_norm``; ``nominal_batch`` the public denominator.
    """

    unit: Literal["patient"] = "patient"
    adjacency: Literal["add_remove"] = "add_remove"
    sample_rate: Real = Field(gt=0, le=1)
    noise_multiplier: Real = Field(gt=0, le=1000)
    max_grad_norm: Real = Field(ge=1e-6, le=1000)
    steps: int = Field(ge=1, le=100_000)
    nominal_batch: int = Field(ge=1, le=1_000_000)
    max_records_per_unit: int = Field(ge=1, le=64)


class LoraSpec(Strict):
    """Shape of the adapter (PEFT names) and of the reward model's heads; dropout is always 0."""

    r: int = Field(ge=1, le=256)
    lora_alpha: int = Field(ge=1, le=1024)
    target_modules: tuple[TensorName, ...] = Field(min_length=1)
    reward: RewardHeads = RewardHeads()


class OutputSpec(Strict):
    """One tensor that a reply holds."""

    name: TensorName
    shape: tuple[int, ...]
    dtype: Literal["float32"] = "float32"


class TrainingSpec(Strict):
    """Public training parameters; none of them weakens privacy.

    Under ``lr_schedule`` "linear" the learning rates fall to 0 over the round's steps.
    ``steps``, ``batch`` and ``epochs`` rule only public (free) stages: with a mechanism, its own
    ``steps`` count. ``micro_batch`` is the number of records of a forward pass; a private step makes at
    least ``micro_batches`` passes, each filled up with public records to that very shape.
    ``checkpointing`` trades time for memory (gradient checkpointing). Lengths are in tokens.
    ``score_mean`` and ``score_std`` are fixed constants from public reference completions (no batch
    statistics, DESIGN.md section 6). ``group`` is the number of answers that rloo samples a prompt.
    ``loss_type`` is dpo's. Under ``ranking`` the reward model learns a ranking by its pairs or as a whole;
    a tie counts as half won, or with ``tie_nu`` as an outcome of its own (Davidson's nu).
    A record with an answer longer than ``max_completion_tokens`` (the end token comes on top) is left out, or
    with ``overlong = "cut"`` the answer is cut and ended there. A longer prompt keeps its last tokens.
    ``target_kl`` and ``max_ratio`` end the passes over a batch of public rollouts early; a stage that is
    charged has neither.
    """

    learning_rate: Real = Field(ge=SLOWEST, le=1)
    lr_schedule: Literal["constant", "linear"] = "constant"
    steps: int = Field(default=0, ge=0, le=100_000)
    batch: int = Field(default=32, ge=1, le=65_536)
    epochs: int = Field(default=1, ge=1, le=16)
    weight_decay: Real = Field(default=0.0, ge=0, le=1)
    max_prompt_tokens: int = Field(default=64, ge=1, le=32_768)
    max_completion_tokens: int = Field(default=32, ge=1, le=32_768)
    overlong: Literal["leave_out", "cut"] = "leave_out"
    micro_batch: int = Field(default=64, ge=1, le=65_536)
    micro_batches: int = Field(default=1, ge=1, le=65_536)
    checkpointing: bool = False
    center_rewards: Real = Field(default=0.01, ge=0, le=10)
    label_smoothing: Real = Field(default=0.0, ge=0, lt=0.5)
    beta: Real = Field(default=0.1, gt=0, le=100)
    loss_type: Literal["sigmoid", "ipo", "robust"] = "sigmoid"
    ranking: Literal["pairs", "plackett_luce"] = "pairs"
    tie_nu: Real = Field(default=0.0, ge=0, le=100)
    kl_coef: Real = Field(default=0.05, ge=0, le=100)
    cliprange: Real = Field(default=0.2, gt=0, le=1)
    vf_coef: Real = Field(default=0.1, ge=0, le=10)
    gamma: Real = Field(default=1.0, gt=0, le=1)
    lam: Real = Field(default=0.95, ge=0, le=1)
    temperature: Real = Field(default=1.0, ge=0.01, le=10)
    missing_eos_penalty: Real = Field(default=1.0, ge=0, le=100)
    score_mean: Real = Field(default=0.0, ge=-LARGEST, le=LARGEST)
    score_std: Real = Field(default=1.0, ge=1 / LARGEST, le=LARGEST)
    score_clip: Real = Field(default=3.0, ge=1 / LARGEST, le=LARGEST)
    head_learning_rate: Real = Field(default=0.01, ge=SLOWEST, le=1)
    candidates: int = Field(default=2, ge=2, le=8)
    group: int = Field(default=4, ge=2, le=16)
    cliprange_value: Real = Field(default=0.2, ge=1 / LARGEST, le=LARGEST)
    target_kl: Real | None = Field(default=None, gt=0, le=LARGEST)
    max_ratio: Real | None = Field(default=None, gt=1, le=LARGEST)
    bf16: bool = False
    heads: HeadTerms = HeadTerms()
    shaping: ShapingTerms = ShapingTerms()

    @model_validator(mode="after")
    def _shaping_fits(self) -> Self:
        self.shaping.check(
            self.score_clip, self.missing_eos_penalty, self.max_completion_tokens, self.heads.veto_reward
        )
        return self

    @model_validator(mode="after")
    def _losses_agree(self) -> Self:
        smoothed = self.label_smoothing > 0
        if self.loss_type == "ipo" and smoothed:
            raise ValueError("loss_type 'ipo' has no label_smoothing; set it to 0")
        if self.loss_type == "robust" and not smoothed:
            raise ValueError("loss_type 'robust' needs label_smoothing, the share of wrong labels, above 0")
        if self.ranking == "plackett_luce" and (smoothed or self.tie_nu):
            raise ValueError("ranking 'plackett_luce' has neither label_smoothing nor tie_nu; set both to 0")
        if self.ranking == "plackett_luce" and self.heads.margin_criterion is not None:
            raise ValueError(
                "ranking 'plackett_luce' has no graded margins; leave heads.margin_criterion out"
            )
        if self.tie_nu and smoothed:
            raise ValueError("tie_nu and label_smoothing are two models of doubt; set one of them to 0")
        return self

    @property
    def stops(self) -> bool:
        """Whether passes over a batch may end early, by what its rows show."""
        return self.target_kl is not None or self.max_ratio is not None


class Slot(Strict):
    """One charged round of the signed program, fixed before the first row is read."""

    stage: Stage
    round: int = Field(ge=1)
    mechanism: Mechanism


class ProgramSchedule(Strict):
    """Every mechanism event that a run may ever ask for; signed once, charged as a whole.

    Fixing it beforehand is what lets the gate use tight (PRV, PLD) accounting although the
    coordinator sees results between rounds (DESIGN.md section 6, budget gate).
    """

    schema_version: Literal[1] = 1
    run_id: Name
    slots: tuple[Slot, ...]


class RoundPlan(Strict):
    """One round, signed by the coordinator; the same bytes for every site of the cohort."""

    schema_version: Literal[1] = 1
    run_id: Name
    round: int = Field(ge=1, description="counts from 1 over the whole run")
    stage: Stage
    stage_round: int = Field(ge=1, description="counts from 1 within the stage")
    part: Part
    cohort: tuple[Name, ...] = Field(min_length=1)
    base_model: Digest
    lora: LoraSpec
    inputs: dict[Literal["policy", "reference", "reward"], Digest] = Field(
        description="adapter digests; the one that is trained is 'policy' (sft, ppo, rloo, dpo) or 'reward'"
    )
    public_data: Digest | None = Field(
        default=None, description="digest of public records; then the stage is free"
    )
    training: TrainingSpec
    mechanism: Mechanism | None = None
    schedule: Digest | None = Field(default=None, description="digest of the signed ProgramSchedule")
    outputs: tuple[OutputSpec, ...]
    slot_time: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    expires: Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    nonce: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
    simulated: bool = False
    seed: int | None = Field(default=None, description="simulation only; refused by a real site")
    gates: Digest | None = Field(default=None, exclude_if=unused, description="release gates, fixed before")

    @model_validator(mode="after")
    def _terms_fit(self) -> Self:
        self.training.heads.check(self.lora.reward)
        self.lora.reward.check_cohort(self.cohort)
        if self.mechanism is not None and self.training.stops:
            raise ValueError("target_kl and max_ratio may not stop a round on patients' rows")
        return self

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical bytes."""
        return digest(to_bytes(self))

    @property
    def trained_input(self) -> Literal["policy", "reward"]:
        """Which input adapter the stage changes."""
        return "reward" if self.stage is Stage.REWARD else "policy"


class UpdateHeader(Strict):
    """What a sealed update says of itself; nothing in it depends on patients."""

    schema_version: Literal[1] = 1
    site: Name
    run_id: Name
    round: int
    stage: Stage
    plan: Digest
    tensors: Digest
    ledger_sequence: int
    ledger_entry: Digest
    simulated: bool


class Receipt(Strict):
    """The coordinator's countersignature of (sequence, head) of a site's ledger after a round."""

    schema_version: Literal[1] = 1
    site: Name
    run_id: Name
    round: int
    plan: Digest
    update: Digest
    ledger_sequence: int
    ledger_entry: Digest


Value = TypeVar("Value", bound=Strict)


def to_bytes(value: Strict) -> bytes:
    """Canonical bytes of a protocol value."""
    return canonical_json(value.model_dump(mode="json"))


def from_bytes(data: bytes, model: type[Value]) -> Value:
    """Parse canonical bytes.

    Raises:
        ContractError: not canonical, or not a ``model``; names the key, never the value.
    """
    raw = parse_canonical(data)
    try:
        value = model.model_validate(raw)
    except ValidationError as error:
        key = ".".join(str(part) for part in error.errors(include_input=False, include_url=False)[0]["loc"])
        raise ContractError(f"{model.__name__}: key {key!r} is not as the protocol says") from None
    if to_bytes(value) != data:
        raise ContractError(f"{model.__name__}: a key is missing or not in its canonical form")
    return value


def sign_value(value: Strict, domain: str, key: SigningKey) -> bytes:
    """Envelope ``{"payload", "public", "signature"}`` as canonical bytes."""
    payload = to_bytes(value)
    envelope = {"payload": payload.decode(), "public": key.public, "signature": key.sign(domain, payload)}
    return canonical_json(envelope)


def open_signed(data: bytes, domain: str, model: type[Value], trusted: str) -> Value:
    """Verify an envelope against the one trusted public key and parse its payload.

    Raises:
        ContractError, SignatureError: malformed, another signer, or a wrong signature.
    """
    envelope = parse_canonical(data)
    if not isinstance(envelope, dict) or set(envelope) != {"payload", "public", "signature"}:
        raise ContractError("a signed value has payload, public and signature, nothing else")
    if not all(isinstance(item, str) for item in envelope.values()):
        raise ContractError("a signed value holds strings only")
    payload = envelope["payload"].encode()
    if envelope["public"] != trusted:
        raise SignatureError(
            "signed by a key that is not the trusted one", remedy="compare the pinned public key"
        )
    verify(trusted, domain, payload, envelope["signature"])
    return from_bytes(payload, model)


def pack_parts(parts: dict[str, bytes]) -> bytes:
    """Several named byte strings as one: magic, header length, canonical JSON header, bodies."""
    names = sorted(parts)
    header = canonical_json([[name, len(parts[name])] for name in names])
    return b"".join([PARTS_MAGIC, struct.pack("<Q", len(header)), header, *(parts[name] for name in names)])


def unpack_parts(data: bytes) -> dict[str, bytes]:
    """Inverse of ``pack_parts``; trailing or missing bytes are refused."""
    header, body = _split(data, PARTS_MAGIC)
    listing = parse_canonical(header)
    parts: dict[str, bytes] = {}
    position = 0
    try:
        for name, length in listing:
            if not isinstance(name, str) or type(length) is not int or length < 0 or name in parts:
                raise ContractError("malformed container header")
            parts[name] = body[position : position + length]
            position += length
    except (TypeError, ValueError):
        raise ContractError("malformed container header") from None
    if position != len(body) or pack_parts(parts) != data:
        raise ContractError("container length does not match its header")
    return parts


def pack_request(
    plan: bytes,
    schedule: bytes | None,
    receipt: bytes | None,
    blobs: Sequence[bytes],
    manifests: Mapping[str, bytes],
) -> bytes:
    """A ward's request.

    Args:
        plan: signed.
        schedule: signed, where the plan names one.
        receipt: the site's last, signed.
        blobs: the plan's inputs; each travels under its digest.
        manifests: signed manifests of the input adapters and all their ancestors, by adapter digest.
    """
    parts = {"plan": plan, "schedule": schedule or b"", "receipt": receipt or b""}
    parts.update({f"blob/{digest(blob)}": blob for blob in blobs})
    parts.update({f"manifest/{name}": envelope for name, envelope in manifests.items()})
    return pack_parts(parts)


def request_manifests(parts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Signed manifests of a request by adapter digest; nothing is verified here."""
    prefix = "manifest/"
    return {name.removeprefix(prefix): body for name, body in parts.items() if name.startswith(prefix)}


def request_blobs(parts: dict[str, bytes]) -> dict[str, bytes]:
    """Inputs of a request by digest, each checked against its name."""
    blobs = {name.removeprefix("blob/"): body for name, body in parts.items() if name.startswith("blob/")}
    for name, body in blobs.items():
        if digest(body) != name:
            raise DigestError("an input of the request does not match the digest that names it")
    return blobs


def seal_bytes(header: UpdateHeader, tensors: bytes, key: SigningKey) -> bytes:
    """SealedUpdate bytes: magic, header length, header, safetensors, 64-byte signature of all before."""
    head = to_bytes(header)
    body = b"".join([UPDATE_MAGIC, struct.pack("<Q", len(head)), head, tensors])
    return body + bytes.fromhex(key.sign(UPDATE_DOMAIN, body))


def open_update(data: bytes, public: str) -> tuple[UpdateHeader, bytes]:
    """Verify a sealed update's signature and tensor digest; returns header and safetensors bytes."""
    if len(data) < 64:
        raise ContractError("a sealed update is too short")
    body, signature = data[:-64], data[-64:]
    verify(public, UPDATE_DOMAIN, body, signature.hex())
    head, tensors = _split(body, UPDATE_MAGIC)
    header = from_bytes(head, UpdateHeader)
    if digest(tensors) != header.tensors:
        raise DigestError("a sealed update's tensors do not match its header")
    return header, tensors


def _split(data: bytes, magic: bytes) -> tuple[bytes, bytes]:
    if data[:8] != magic or len(data) < 16:
        raise ContractError("not an intraward message of this version")
    length = struct.unpack("<Q", data[8:16])[0]
    if length > MAX_HEADER_BYTES or 16 + length > len(data):
        raise ContractError("message header is longer than the message")
    return data[16 : 16 + length], data[16 + length :]
