"""One unit of training work beside the same work by the field's own tools: what ``test_rivals`` times.

A process a case: ``rollout`` (our sampling, and ``transformers.generate`` with its cache), ``sft`` (a free
round's step, and a bare transformers + peft loop), ``ppo`` (a free round's iteration, rollout and update,
and TRL 1.12's). Same weights, LoRA modules, prompts, lengths, temperature and AdamW; no answer ends before
its last token, so that both sides make as many. Run as a module it prints one JSON line: processor seconds
of each side (of the device's queue on a GPU), taken in turn after one turn to warm up. ``ppo`` wants TRL
1.12 in the folder that ``INTRAWARD_TRL`` names.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from intraward_client.privacy.engine import PublicEngine
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.optimizer import OptimizerSettings
from intraward_client.store.datasets import PromptRecord, SftRecord, TrainingTable
from intraward_client.training import sft
from intraward_client.training.inputs import PUBLIC_UNIT, ROLES, TrainingInputs
from intraward_client.training.ppo import train_ppo
from intraward_shared.adapters import State
from intraward_shared.generation import left_pad, sample
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted, initial_state, load_base
from intraward_shared.protocol import LoraSpec, RoundPlan, TrainingSpec
from intraward_shared.stages import Part, Stage

Side = Callable[[], object]
TEMPERATURE = 0.7
LEARNING_RATE = 1e-5
LORA = LoraSpec(r=8, lora_alpha=16, target_modules=("q_proj", "v_proj"))
WORDS = ("seen", "for", "a", "cough", "told", "to", "rest", "and", "come", "back", "if", "worse")
NEVER = {"tiny": "<bos>", "smollm2": "<file_sep>"}
"""A token that either model gives next to no probability to: the end token of these measurements."""


def seconds(device: str, act: Side) -> float:
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


def prompts_of(rows: int, words: int) -> list[str]:
    """Prompts of ``words`` words down to half as many, so that there is padding."""
    lengths = [words - row % (words // 2) for row in range(rows)]
    return [" ".join(WORDS[(at + row) % len(WORDS)] for at in range(n)) for row, n in enumerate(lengths)]


def inputs_for(
    base: BaseModel, stage: Stage, rows: list[Any], prompt: int, completion: int
) -> TrainingInputs:
    """A free round of one step over all ``rows``, its adapters fresh."""
    spec = TrainingSpec(
        learning_rate=LEARNING_RATE,
        steps=1,
        batch=len(rows),
        micro_batch=len(rows),
        max_prompt_tokens=prompt,
        max_completion_tokens=completion,
        temperature=TEMPERATURE,
        bf16=base.device.type != "cpu",
    )
    plan = RoundPlan(
        run_id="bench",
        round=1,
        stage=stage,
        stage_round=1,
        part=Part.BOTH,
        cohort=("north",),
        base_model="0" * 64,
        lora=LORA,
        inputs={},
        training=spec,
        outputs=(),
        slot_time="2030-01-01T00:00:00Z",
        expires="2030-01-02T00:00:00Z",
        nonce="0" * 32,
        simulated=True,
    )
    adapters: dict[str, State] = {}
    for seed, role in enumerate(ROLES[stage]):
        made = initial_state(base, LORA, Stage.REWARD if role == "reward" else stage, seed=seed)
        adapters[role] = {name: a + 0.01 if ".lora_B." in name else a for name, a in made.items()}
    return TrainingInputs(plan, base, adapters, TrainingTable(tuple(rows)))


@contextmanager
def loaded(inputs: TrainingInputs) -> Iterator[AdaptedModel]:
    """The model of a round with its adapters, the policy active."""
    with adapted(inputs.base, LORA, ROLES[inputs.plan.stage]) as model:
        inputs.load(model)
        model.use("policy")
        yield model


@contextmanager
def rollout_sides(model: Path, device: str, rows: int, prompt: int, new: int) -> Iterator[dict[str, Side]]:
    """Our sampling with a row's own draws, beside ``generate`` on the very same adapted network."""
    base = open_base(model, device)
    inputs = inputs_for(
        base, Stage.SFT, [SftRecord(PUBLIC_UNIT, text, "") for text in prompts_of(rows, prompt)], prompt, new
    )
    ids = [inputs.prompt_ids(record.prompt) for record in inputs.table.rows]
    draws = torch.rand(rows, new, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    options = {"do_sample": True, "temperature": TEMPERATURE, "top_k": 0, "top_p": 1.0, "use_cache": True}
    with loaded(inputs) as ready:
        padded, mask = left_pad(base, ids)

        @torch.no_grad()
        def generated() -> Tensor:
            network: Any = ready.peft
            with torch.autocast(device, torch.bfloat16, enabled=ready.autocast):
                found: Tensor = network.generate(
                    input_ids=padded,
                    attention_mask=mask,
                    max_new_tokens=new,
                    eos_token_id=None,
                    pad_token_id=int(base.tokenizer.pad_token_id),
                    **options,
                )
            return found[:, padded.shape[1] :]

        def sampled() -> Tensor:
            return sample(ready, ids, new, draws, TEMPERATURE).completions

        for side in (sampled, generated):
            assert side().shape == (rows, new)
        yield {"ours": sampled, "theirs": generated}


@contextmanager
def sft_sides(model: Path, device: str, rows: int, prompt: int, new: int) -> Iterator[dict[str, Side]]:
    """A step of a free round, beside the step that everyone writes: forward, backward, clip, AdamW."""
    base = open_base(model, device)
    texts = prompts_of(rows, prompt)
    records = [SftRecord(PUBLIC_UNIT, text, " ".join(WORDS * new)) for text in texts]
    inputs = inputs_for(base, Stage.SFT, records, prompt, new)
    bare = BareLoop(model, device, inputs, records)
    settings = OptimizerSettings(LEARNING_RATE, LEARNING_RATE)
    with loaded(inputs) as ready:
        parameters = ready.parameters_of("policy", inputs.trained)
        with PublicEngine(ready, parameters, settings, rows) as engine:
            units = [[record] for record in records]
            yield {
                "ours": lambda: engine.step(units, lambda some: sft.losses(inputs, ready, some)),
                "theirs": bare.step,
            }


class BareLoop:
    """transformers + peft as in their own tutorials; its batch is tokenised and padded beforehand."""

    def __init__(self, model: Path, device: str, inputs: TrainingInputs, records: list[SftRecord]) -> None:
        network = AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32).to(device)
        config = LoraConfig(r=LORA.r, lora_alpha=LORA.lora_alpha, target_modules=list(LORA.target_modules))
        self.network: Any = get_peft_model(network, config)
        self.weights = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(self.weights, lr=LEARNING_RATE, fused=True)
        rows = [(inputs.prompt_ids(r.prompt), inputs.completion_ids(r.completion)) for r in records]
        width = max(len(p) + len(c) for p, c in rows)
        self.ids, self.mask = torch.zeros(len(rows), width, dtype=torch.long), torch.zeros(len(rows), width)
        self.labels = torch.full((len(rows), width), -100)
        for row, (prompt, completion) in enumerate(rows):
            end = len(prompt) + len(completion)
            self.ids[row, :end] = torch.tensor(prompt + completion)
            self.labels[row, len(prompt) : end] = torch.tensor(completion)
            self.mask[row, :end] = 1
        self.ids, self.mask, self.labels = (t.to(device) for t in (self.ids, self.mask, self.labels))
        self.device, self.bf16 = device, inputs.plan.training.bf16

    def step(self) -> None:
        """One step on the whole batch."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
            loss = self.network(input_ids=self.ids, attention_mask=self.mask, labels=self.labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.weights, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()


@contextmanager
def ppo_sides(model: Path, device: str, rows: int, prompt: int, new: int) -> Iterator[dict[str, Side]]:
    """A free round of one iteration, beside TRL's trainer as it ships and with its critic's body frozen."""
    sys.path.append(os.environ["INTRAWARD_TRL"])  # behind what is installed here
    trainer_of = import_module("tests.benchmarks.trl_iteration").trainer_of
    base = open_base(model, device)
    records = [PromptRecord(PUBLIC_UNIT, str(n), text) for n, text in enumerate(prompts_of(rows, prompt))]
    inputs = inputs_for(base, Stage.PPO, records, prompt, new)
    ids = [inputs.prompt_ids(record.prompt) for record in records]
    shipped, frozen = (trainer_of(model, ids, new, LORA, TEMPERATURE, critic) for critic in (True, False))
    with loaded(inputs) as ready:
        yield {
            "ours": lambda: train_ppo(inputs, ready, NoiseSource.seeded(1, "north", "0" * 64, 1), None),
            "theirs": shipped.train,
            "theirs, critic's body frozen": frozen.train,
        }


def open_base(model: Path, device: str) -> BaseModel:
    """The pinned model with an end token that is never drawn; bf16 weights on a GPU."""
    base = load_base(model, device=device, dtype="fp32" if device == "cpu" else "bf16")
    base.tokenizer.eos_token = NEVER["tiny" if model.name.startswith("tiny") else "smollm2"]
    return base


CASES: Mapping[str, Any] = {"rollout": rollout_sides, "sft": sft_sides, "ppo": ppo_sides}


def main(case: str, model: str, device: str, repeats: str, rows: str, prompt: str, new: str) -> None:
    """Seconds of each side, a list a side."""
    torch.set_num_threads(1)
    with ExitStack() as stack:
        sides = stack.enter_context(CASES[case](Path(model), device, int(rows), int(prompt), int(new)))
        found: dict[str, list[float]] = {name: [] for name in sides}
        for turn in range(int(repeats) + 1):
            for name, side in sides.items():
                spent = seconds(device, side)
                if turn:
                    found[name].append(spent)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
