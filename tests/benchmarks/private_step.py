"""One optimizer step of one kind on SmolLM2-135M: what ``test_private_step`` times, a process a case.

Every kind sees the same eight rows of 128 tokens, the same LoRA tensors and AdamW. Run as a script it
prints one JSON line: processor seconds of each step by kind, interleaved; or, for one kind, the peak
memory of the process.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping

from intraward_client.privacy.engine import PrivateEngine, PublicEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.store.datasets import SftRecord, TrainingTable
from intraward_client.training import sft
from intraward_client.training.inputs import TrainingInputs
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted, initial_state, load_base
from intraward_shared.protocol import LoraSpec, Mechanism, RoundPlan, TrainingSpec
from intraward_shared.stages import Part, Stage

KINDS = ("public", "private", "ghost", "loop")
TARGETS = {
    "q,v": ("q_proj", "v_proj"),
    "all linear": ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
}
ROWS, PROMPT, COMPLETION = 8, 64, 64
MECHANISM = Mechanism(
    sample_rate=0.01,
    noise_multiplier=1.0,
    max_grad_norm=1.0,
    steps=1,
    nominal_batch=8,
    max_records_per_unit=1,
)
SETTINGS = OptimizerSettings(learning_rate=1e-4, head_learning_rate=1e-4)


def plan_of(lora: LoraSpec, device: str, private: bool) -> RoundPlan:
    """A supervised round whose rows are all 128 tokens long."""
    return RoundPlan(
        run_id="bench",
        round=1,
        stage=Stage.SFT,
        stage_round=1,
        part=Part.BOTH,
        cohort=("north",),
        base_model="0" * 64,
        lora=lora,
        inputs={},
        training=TrainingSpec(
            learning_rate=1e-4,
            max_prompt_tokens=PROMPT,
            max_completion_tokens=COMPLETION,
            micro_batch=ROWS,
            bf16=device != "cpu",
        ),
        mechanism=MECHANISM if private else None,
        outputs=(),
        slot_time="2030-01-01T00:00:00Z",
        expires="2030-01-02T00:00:00Z",
        nonce="0" * 32,
        simulated=True,
    )


def rows() -> list[SftRecord]:
    """Eight demonstrations that fill the plan's lengths."""
    words = ("seen", "for", "a", "cough", "told", "to", "rest", "and", "come", "back", "if", "worse")
    text = [" ".join(words[(at + row) % len(words)] for at in range(200)) for row in range(ROWS)]
    return [SftRecord(f"u{index}", line, line, f"r{index}") for index, line in enumerate(text)]


@contextmanager
def loaded(base: BaseModel, lora: LoraSpec) -> Iterator[tuple[TrainingInputs, AdaptedModel]]:
    """Model and inputs with a fresh adapter whose B is off zero, so that every gradient is."""
    records = rows()
    state = initial_state(base, lora, Stage.SFT, seed=1)
    state = {name: array + 0.01 if ".lora_B." in name else array for name, array in state.items()}
    plan = plan_of(lora, str(base.device), private=True)
    inputs = TrainingInputs(plan, base, {"policy": state}, TrainingTable(tuple(records)))
    with adapted(base, lora, ("policy",)) as model:
        inputs.load(model)
        model.use("policy")
        yield inputs, model


@contextmanager
def stepper(kind: str, inputs: TrainingInputs, model: AdaptedModel) -> Iterator[Callable[[], None]]:
    """A function that makes one step of ``kind`` on all rows."""
    losses = partial(sft.losses, inputs, model)
    records = list(inputs.table.rows)
    parameters = model.parameters_of("policy", inputs.trained)
    units = [[record] for record in records]
    if kind == "public":
        with PublicEngine(model, parameters, SETTINGS, ROWS) as engine:
            yield lambda: engine.step(units, losses)
    elif kind == "private":
        noise = NoiseSource.fresh("0" * 64, 1)
        with PrivateEngine(model, parameters, MECHANISM, noise, SETTINGS, ROWS) as private:
            yield lambda: private.step(units, losses)
    elif kind == "ghost":
        yield from _ghost(parameters, model, partial(losses, records))
    else:
        yield from _loop(parameters, model, losses, records)


def _ghost(
    parameters: dict[str, Any], model: AdaptedModel, loss: Callable[[], Any]
) -> Iterator[Callable[[], None]]:
    """Opacus' ghost clipping with its own optimizer: two backward passes, no gradient per row is kept."""
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    hooks = GradSampleModuleFastGradientClipping(
        model, max_grad_norm=1.0, use_ghost_clipping=True, loss_reduction="sum", strict=False
    )
    hooks.train()
    optimizer = DPOptimizerFastGradientClipping(
        torch.optim.AdamW(parameters.values(), lr=1e-4, fused=True),
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        expected_batch_size=ROWS,
        loss_reduction="sum",
    )

    def step() -> None:
        DPTensorFastGradientClipping(hooks, optimizer, loss().losses, "sum").backward()
        optimizer.step()
        optimizer.zero_grad()

    try:
        yield step
    finally:
        hooks.remove_hooks()
        model.train(False)


def _loop(
    parameters: dict[str, Any], model: AdaptedModel, losses: Callable[[Any], Any], records: list[SftRecord]
) -> Iterator[Callable[[], None]]:
    """Micro-batches of one row: plain backward passes, clipped and added up by hand."""
    model.requires_grad_(False)
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameters.values(), lr=1e-4, fused=True)

    def step() -> None:
        total = [torch.zeros_like(parameter) for parameter in parameters.values()]
        for record in records:
            optimizer.zero_grad()
            losses([record]).losses.sum().backward()
            torch.nn.utils.clip_grad_norm_(parameters.values(), 1.0)
            for held, parameter in zip(total, parameters.values(), strict=True):
                held += parameter.grad
        for held, parameter in zip(total, parameters.values(), strict=True):
            parameter.grad = (held + torch.randn_like(held)) / ROWS
        optimizer.step()
        optimizer.zero_grad()

    yield step


def seconds(device: str, act: Callable[[], None]) -> float:
    """Processor seconds of one call, or seconds of the device's queue."""
    if device == "cpu":
        start = time.process_time()
        act()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    act()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def noise_seconds(device: str, names: dict[str, Any]) -> float:
    """Time to draw one step's noise for every trained tensor and bring it to the device."""
    noise = NoiseSource.fresh("0" * 64, 1)

    def draw(step: int) -> None:
        for name, parameter in names.items():
            noise.gaussian(step, name, parameter.shape, parameter.device)

    return min(seconds(device, partial(draw, step)) for step in range(5))


def time_all(base: BaseModel, lora: LoraSpec, repeats: int, kinds: tuple[str, ...]) -> dict[str, Any]:
    """Seconds of every step by kind, taken in turn, after one step of each to warm up."""
    device = base.device.type
    found: dict[str, Any] = {kind: [] for kind in kinds}
    for turn in range(repeats + 1):
        for kind in kinds:
            with loaded(base, lora) as (inputs, model), stepper(kind, inputs, model) as step:
                step()
                spent = seconds(device, step)
            if turn:
                found[kind].append(spent)
    with loaded(base, lora) as (inputs, model):
        found["noise"] = noise_seconds(device, model.parameters_of("policy", inputs.trained))
    return found


def peak(base: BaseModel, lora: LoraSpec, kind: str) -> dict[str, Any]:
    """Peak memory in MB of two steps of one kind: of the process, or of the device."""
    device = base.device.type
    with loaded(base, lora) as (inputs, model), stepper(kind, inputs, model) as step:
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        step()
        step()
    if device == "cuda":
        return {"peak_mb": torch.cuda.max_memory_allocated() / 1e6}
    return {"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def main(model: str, targets: str, what: str, device: str = "cpu", repeats: str = "3") -> None:
    """``what`` is ``time`` or a kind."""
    torch.set_num_threads(1)
    base = load_base(Path(model), device=device)
    lora = LoraSpec(r=8, lora_alpha=16, target_modules=TARGETS[targets])
    found = time_all(base, lora, int(repeats), KINDS) if what == "time" else peak(base, lora, what)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
