"""The training stages: supervised fine-tuning, reward model, PPO and DPO, private or public."""
