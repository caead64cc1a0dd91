"""Peak memory of one process: an iteration of PPO, or a bare forward and backward pass of its shapes.

What ``test_rivals`` compares, a process a case, above what the imports take. ``ours`` is a free round's
iteration, rollout and update, with policy, reference and reward model; ``bare`` is transformers + peft with
one adapter on rows as long, loss on the answers' tokens alone; ``copies`` is ``bare`` with a second copy of
the base weights in memory, which a reference that is a model of its own would be. Run as a module it prints
one JSON line. The peak is the kernel's (Linux), or the device's.
"""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tests.benchmarks.rivals import LORA, Side, inputs_for, loaded, open_base, prompts_of
from torch.nn.functional import cross_entropy

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PromptRecord
from intraward_client.training.inputs import PUBLIC_UNIT
from intraward_client.training.ppo import train_ppo
from intraward_shared.modeling import BaseModel
from intraward_shared.stages import Stage


def in_use(name: str) -> float:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process in MB."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1]) / 1000


def peak(device: str, act: Side, before: float) -> float:
    """Peak in MB of two calls, above ``before``."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    else:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts anew
    act()
    act()
    return torch.cuda.max_memory_allocated() / 1e6 if device == "cuda" else in_use("VmHWM") - before


def bare_pass(base: BaseModel, rows: int, prompt: int, new: int) -> Side:
    """Forward and backward of one adapter over rows of ``prompt + new`` tokens."""
    config = LoraConfig(r=LORA.r, lora_alpha=LORA.lora_alpha, target_modules=list(LORA.target_modules))
    network: Any = get_peft_model(base.network, config)
    ids = torch.full((rows, prompt + new), 100, device=base.device)

    def act() -> None:
        with torch.autocast(base.device.type, torch.bfloat16, enabled=base.device.type != "cpu"):
            logits = network(input_ids=ids, logits_to_keep=new + 1, use_cache=False).logits[:, :-1]
        loss: Any = cross_entropy(logits.flatten(0, 1).float(), ids[:, -new:].flatten())
        loss.backward()
        network.zero_grad()

    return act


def main(case: str, model: str, device: str, rows: str, prompt: str, new: str) -> None:
    """``case`` is ours, bare or copies."""
    torch.set_num_threads(1)
    before = 0.0 if device == "cuda" else in_use("VmRSS")
    base, sizes = open_base(Path(model), device), (int(rows), int(prompt), int(new))
    if case == "ours":
        texts = prompts_of(sizes[0], sizes[1])
        records = [PromptRecord(PUBLIC_UNIT, str(n), text) for n, text in enumerate(texts)]
        inputs = inputs_for(base, Stage.PPO, records, *sizes[1:])
        with loaded(inputs) as ready:
            found = peak(
                device,
                lambda: train_ppo(inputs, ready, NoiseSource.seeded(1, "north", "0" * 64, 1), None),
                before,
            )
    else:
        kept = copy.deepcopy(base.network) if case == "copies" else None
        found = peak(device, bare_pass(base, *sizes), before)
        del kept
    print(json.dumps({"peak_mb": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
