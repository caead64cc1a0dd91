"""Which figures are taken when: after each round, before ppo, and at the end of the program.

All on data of the coordinator (``[evaluation]`` and public records). Score constants for ppo are
fixed here once: mean and standard deviation of the released reward model on the reference policy's
answers to public prompts (Ziegler et al., arXiv 1909.08593), rounded, and never touched again, since
running or batch statistics would couple patients (DESIGN.md section 6).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from intraward_server.baselines import baseline_figures
from intraward_server.calibration import brier, calibration_error, disagreement, length_matched
from intraward_server.evaluation import (
    Answers,
    Limits,
    closed_accuracy,
    completion_loss,
    length_baseline,
    pair_scores,
    reward_accuracy,
    reward_scores,
    sample_answers,
)
from intraward_server.gold import Gold
from intraward_server.publicdata import Record, read_records
from intraward_server.sitefigures import read_pairs, site_figures
from intraward_server.statistics import mean_gain, win_rate
from intraward_shared.adapters import State
from intraward_shared.errors import InputError, ModelError
from intraward_shared.modeling import AdaptedModel, BaseModel, Role, adapted
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import TrainingSpec
from intraward_shared.reward_heads import HeadTerms
from intraward_shared.stages import ON_POLICY, Stage

Figures = dict[str, Any]
Adapters = Mapping[Role, State]
_MIN_STD = 1e-4
_CLOSED = frozenset({"yes", "no", "maybe"})


class Scorecard:
    """The coordinator's data and the base model, ready to measure adapters.

    Args:
        base: the base model.
        config: the program; its ``[evaluation]`` names the files.
        folder: where relative paths start.
        seed: public; the same seed gives every policy the same random numbers.
        gold: judge of answers that no training sees.

    Raises:
        ConfigError, InputError: a file is missing or a line is wrong; checked before the run begins.
    """

    def __init__(
        self, base: BaseModel, config: ProgramConfig, folder: Path, seed: int, gold: Gold | None = None
    ) -> None:
        terms = config.evaluation
        self._base, self._config, self._terms, self._seed, self.gold = base, config, terms, seed, gold
        self._limits = Limits(
            terms.max_prompt_tokens, terms.max_completion_tokens, terms.temperature, terms.batch
        )

        def read(name: str | None, *fields: str) -> list[Record]:
            return read_records(folder / name, fields, limit=terms.limit) if name else []

        self._prompts = [row["prompt"] for row in read(terms.prompts, "prompt")]
        pairs = terms.preferences
        self._pairs = read_pairs(folder / pairs, config.cohort, terms.limit) if pairs else []
        self._records = read(terms.records, "prompt", "completion")
        self._closed = read(terms.closed, "prompt", "label")
        for number, row in enumerate(self._closed, start=1):
            if row["label"] not in _CLOSED:
                raise InputError(
                    folder / str(terms.closed),
                    number,
                    "label is not yes, no or maybe",
                    remedy="correct the label",
                )

    @contextmanager
    def _model(self, adapters: Adapters) -> Iterator[AdaptedModel]:
        with adapted(self._base, self._config.lora, tuple(sorted(adapters))) as model:
            for role, state in adapters.items():
                model.load(role, state)
            yield model

    def calibrate(
        self,
        prompts: Sequence[str],
        reference: State,
        reward: State,
        heads: HeadTerms | None = None,
    ) -> tuple[float, float]:
        """Mean and standard deviation of reward scores on the reference policy's answers.

        The scores are what the stage will normalise under its ``heads``, but for the uncertainty penalty:
        that is to cost the policy something, not to be centred away.

        Raises:
            ModelError: the reward model scores every answer alike, so a policy has nothing to learn from.
        """
        chosen = list(prompts[: self._terms.calibration_prompts])
        with self._model({"reference": reference, "reward": reward}) as model:
            answers = sample_answers(model, "reference", chosen, self._limits, self._seed).texts
            scores = reward_scores(model, list(zip(chosen, answers, strict=True)), self._limits, heads)
        mean, std = float(np.mean(scores)), float(np.std(scores))
        if not math.isfinite(std) or std < _MIN_STD:
            raise ModelError(
                "the reward model gives every calibration answer the same score",
                remedy="train it longer or with less noise before a ppo stage",
            )
        return round(mean, 4), max(round(std, 4), _MIN_STD)

    def after_round(self, stage: Stage, adapters: Adapters, proxy: TrainingSpec | None = None) -> Figures:
        """Quick figures for the curves; empty where the program names no data for them.

        Args:
            proxy: terms under which the reward adapter scores a policy's answers.
        """
        if stage is Stage.REWARD:
            return self.reward_figures(adapters["reward"], self._pairs[: self._terms.quick_pairs])
        if stage is Stage.SFT:
            with self._model({"policy": adapters["policy"]}) as model:
                return self._heldout(model, "policy", self._records[: self._terms.quick_pairs])
        if stage in (*ON_POLICY, Stage.DPO) and self._prompts:
            return self._policy_figures(adapters, self._prompts[: self._terms.quick_prompts], proxy)
        return {}

    def reward_figures(self, reward: State, pairs: list[Record], *, whole: bool = False) -> Figures:
        """Accuracy of a reward adapter beside "longer wins", and its calibration; empty without pairs.

        ``whole``: with a baseline of words that is fitted on the pairs themselves, which takes a moment.
        """
        if not pairs:
            return {}
        with self._model({"reward": reward}) as model:
            chosen, rejected = pair_scores(model, pairs, self._limits)
        members = chosen - rejected
        differences = members.mean(1).tolist()
        accuracy, baseline = reward_accuracy(pairs, differences), length_baseline(pairs)
        matched = length_matched(pairs, differences)
        return {
            "accuracy": accuracy.value,
            "accuracy_interval": accuracy.interval,
            "length_baseline": baseline.value,
            "length_baseline_interval": baseline.interval,
            "pairs": len(pairs),
            "length_matched": matched.value if matched.total else None,
            "length_matched_interval": matched.interval if matched.total else None,
            "length_matched_pairs": matched.total,
            "brier": brier(differences),
            "calibration_error": calibration_error(differences),
            **disagreement(chosen, rejected),
            **site_figures(pairs, members, self._config.lora.reward, self._config.cohort),
            **(baseline_figures(pairs, differences, self._seed) if whole else {}),
        }

    def _policy_figures(self, adapters: Adapters, prompts: list[str], proxy: TrainingSpec | None) -> Figures:
        """KL to the reference, proxy reward and gold score, one point of the curve of Gao et al."""
        with self._model(adapters) as model:
            answers = self._answers(model, "policy", prompts, proxy)
        figures: Figures = {"prompts": len(prompts)}
        if answers.kl:
            figures["kl"] = float(np.mean(answers.kl))
        if answers.rewards:
            figures["proxy_reward"] = float(np.mean(answers.rewards))
        if self.gold is not None:
            judged = self.gold.judge(prompts, answers.texts)
            figures["gold_reward"] = float(np.mean(judged))
            figures["gold_std_error"] = float(np.std(judged)) / math.sqrt(len(judged))
        return figures

    def _answers(
        self, model: AdaptedModel, role: Role, prompts: Sequence[str], proxy: TrainingSpec | None
    ) -> Answers:
        """Samples of one role, with what else the adapters at hand can say of them."""
        reference: Role | None = "reference" if role == "policy" and "reference" in model.roles else None
        terms = proxy if "reward" in model.roles else None
        return sample_answers(model, role, prompts, self._limits, self._seed, reference, terms)

    def final(self, adapters: Adapters, proxy: TrainingSpec | None = None) -> Figures:
        """The whole evaluation: reward model, policy against its reference, held-out loss, closed QA."""
        out: Figures = {"reward_model": {}, "policy": {}, "heldout": {}, "closed": {}, "samples": []}
        if "reward" in adapters:
            out["reward_model"] = self.reward_figures(adapters["reward"], self._pairs, whole=True)
        roles: list[Role] = [role for role in ("reference", "policy") if role in adapters]
        if self._prompts:
            out["policy"], out["samples"] = self._compare(adapters, roles, self._prompts, proxy)
        with self._model(adapters) as model:
            for role in roles:
                out["heldout"] |= {
                    f"{k}_{_label(role, roles)}": v
                    for k, v in self._heldout(model, role, self._records).items()
                }
                out["closed"] |= self._closed_figures(model, role, _label(role, roles))
        return out

    def over_sft(self, adapters: Adapters, proxy: TrainingSpec | None = None) -> Figures:
        """Quick comparison with the sft policy (role ``reference``) as an iteration ends."""
        if not self._prompts:
            return {}
        prompts = self._prompts[: self._terms.quick_prompts]
        return self._compare(adapters, ["reference", "policy"], prompts, proxy)[0]

    def _compare(
        self, adapters: Adapters, roles: list[Role], prompts: Sequence[str], proxy: TrainingSpec | None
    ) -> tuple[Figures, list[dict[str, str]]]:
        with self._model(adapters) as model:
            answers = {role: self._answers(model, role, prompts, proxy) for role in roles}
        figures: Figures = {"prompts": len(prompts)}
        judged: dict[Role, list[float]] = {}
        for role in roles:
            if answers[role].rewards:
                judged[role] = list(answers[role].rewards)
                figures[f"proxy_{_label(role, roles)}"] = float(np.mean(judged[role]))
        if self.gold is not None:
            judged = {role: self.gold.judge(prompts, answers[role].texts) for role in roles}
        if judged:
            figures["judge"] = "gold" if self.gold is not None else "reward_model"
            figures |= {f"reward_{_label(role, roles)}": float(np.mean(judged[role])) for role in roles}
        if "reference" in roles:
            figures["kl"] = float(np.mean(answers["policy"].kl))
            if judged:
                figures |= self._gain(judged["policy"], judged["reference"])
        before, after = answers[roles[0]].texts, answers[roles[-1]].texts
        samples = [
            {"prompt": p, "before": b, "after": a} for p, b, a in zip(prompts, before, after, strict=True)
        ]
        return figures, samples[: self._terms.samples]

    def _gain(self, ours: list[float], theirs: list[float]) -> Figures:
        gain, rate = mean_gain(ours, theirs, self._seed), win_rate(ours, theirs)
        return {
            "reward_gain": gain.value,
            "reward_gain_interval": gain.interval,
            "win_rate": rate.value,
            "win_rate_interval": rate.interval,
        }

    def _heldout(self, model: AdaptedModel, role: Role, records: list[Record]) -> Figures:
        if not records:
            return {}
        loss = completion_loss(model, role, records, self._limits)
        return {"loss": loss, "perplexity": math.exp(min(loss, 50.0)), "records": len(records)}

    def _closed_figures(self, model: AdaptedModel, role: Role, label: str) -> Figures:
        if not self._closed:
            return {}
        limits = Limits(self._terms.closed_prompt_tokens, 4, 1.0, self._terms.batch)
        right, common = closed_accuracy(model, role, self._closed, limits)
        return {
            f"accuracy_{label}": right.value,
            f"accuracy_{label}_interval": right.interval,
            "majority": common.value,
            "questions": right.total,
        }


def _label(role: Role, roles: Sequence[Role]) -> str:
    """``sft`` for the policy before preference optimisation, ``rl`` for the one after it."""
    return "rl" if role == "policy" and "reference" in roles else "sft"
