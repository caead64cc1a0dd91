"""TRL 1.12's experimental PPO, set up for one iteration a call of ``train()``: the other side of ``rivals``.

Importable only where TRL 1.12 is; TRL 1.13 dropped PPO. Its reference is the policy without its adapter, so
it keeps three networks (policy, reward, critic). As it ships it trains the critic's whole body; with
``critic=False`` only the critic's head, which is its least work and what ours does.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from intraward_shared.protocol import LoraSpec


def trainer_of(
    model: Path, prompts: list[list[int]], new: int, lora: LoraSpec, temperature: float, critic: bool
) -> Any:
    """A trainer whose every ``train()`` samples ``new`` tokens to each prompt and steps once on them all.

    Args:
        prompts: token ids, ragged; critic: whether the critic's body is trained.
    """
    from trl.experimental.ppo import PPOConfig, PPOTrainer

    tokenizer = AutoTokenizer.from_pretrained(str(model), padding_side="left")
    options = PPOConfig(
        output_dir=tempfile.mkdtemp(prefix="trl-"),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        learning_rate=1e-5,
        lr_scheduler_type="constant",
        per_device_train_batch_size=len(prompts),
        gradient_accumulation_steps=1,
        local_rollout_forward_batch_size=len(prompts),
        total_episodes=len(prompts),
        num_ppo_epochs=1,
        num_mini_batches=1,
        num_sample_generations=0,
        response_length=new,
        temperature=temperature,
    )
    judges = []
    for _ in ("reward", "value"):
        network = AutoModelForSequenceClassification.from_pretrained(
            str(model), num_labels=1, dtype=torch.float32
        )
        network.requires_grad_(False)
        judges.append(network)
    reward, value = judges
    value.requires_grad_(critic)
    value.score.requires_grad_(True)
    return PPOTrainer(
        args=options,
        processing_class=tokenizer,
        model=AutoModelForCausalLM.from_pretrained(str(model), dtype=torch.float32),
        ref_model=None,
        reward_model=reward,
        value_model=value,
        train_dataset=[{"input_ids": row} for row in prompts],
        peft_config=LoraConfig(
            r=lora.r, lora_alpha=lora.lora_alpha, target_modules=list(lora.target_modules)
        ),
    )
