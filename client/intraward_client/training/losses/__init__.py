"""The losses and estimators of RLHF, as pure functions of tensors, one idea per module.

- ``supervised``: cross-entropy on demonstrations
- ``preference``: comparisons of two answers: Bradley-Terry, ties, DPO, IPO
- ``ranking``: Plackett-Luce on several answers, ties included
- ``divergence``: the k1, k2 and k3 estimates of KL
- ``shaping``: scores of answers to rewards of tokens
- ``advantage``: GAE
- ``policy``: PPO's clipped losses

Every loss of a row, pair or rollout depends on that one alone, with fixed divisors and constants: no
whitening, no batch mean, no batch token count (rule 5 of DESIGN.md and section 6, what couples
patients). Sources stand at each function; names are the papers' and TRL's. ``tests/parity`` compares
them with TRL, torchrl and choix; where those disagree, the function says which it follows and why.
"""
