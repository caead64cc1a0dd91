"""The gold judge: a second opinion on answers that no training ever sees (Gao et al., arXiv 2210.10760).

A policy that follows its reward model far enough learns that model's mistakes. Only a judge whose score never
was a training signal can tell. In a simulation it is the world's own rule; elsewhere ``[evaluation.gold]``
names a signed reward adapter of another run, or rules that no stage shapes its rewards with. Figures only:
nothing here reaches a plan, a hospital or the choice of an adapter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from intraward_server.evaluation import Limits, Scorer, reward_scores
from intraward_shared.errors import ConfigError
from intraward_shared.modeling import BaseModel, adapted
from intraward_shared.program import ProgramConfig
from intraward_shared.scoring import judged_score
from intraward_shared.shaping import ShapingTerms
from intraward_shared.signed_adapter import AdapterManifest, read_signed_adapter
from intraward_shared.stages import SCORE_HEAD

_KEY = "evaluation.gold"


@dataclass(frozen=True)
class Gold:
    """``name`` says in words who judges; ``judge`` scores answers to prompts, one number each."""

    name: str
    judge: Callable[[Sequence[str], Sequence[str]], list[float]] = field(repr=False)


def open_gold(
    config: ProgramConfig, folder: Path, base: BaseModel, run_id: str, public: str, rule: Scorer | None
) -> Gold | None:
    """The run's gold judge, if it has one; what the program names comes before the simulation's rule.

    Args:
        folder: where relative paths start.
        run_id: of this run, whose own reward models may not judge it.
        public: the coordinator's key, which must have signed the adapter unless the program names another.
        rule: a simulation's true reward.

    Raises:
        ConfigError: the adapter is of this run, of another base model, or no reward model.
        ContractError, DigestError, SignatureError: it is not there, altered, or not signed by that key.
    """
    terms = config.evaluation.gold
    if terms is None:
        return None if rule is None else Gold("the simulation's own rule", _by_rule(rule))
    if terms.shaping is not None:
        return Gold("rules that no stage uses", _by_terms(terms.shaping))
    manifest, state = read_signed_adapter(folder / str(terms.adapter), terms.public_key or public)
    _check(manifest, run_id, base)
    if not set(SCORE_HEAD) <= set(state):
        raise ConfigError("program.toml", _KEY, "is not a reward model", remedy="name one of stage reward")
    of = config.evaluation
    limits = Limits(of.max_prompt_tokens, of.max_completion_tokens, of.temperature, of.batch)

    def judge(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
        with adapted(base, manifest.lora, ("reward",)) as model:
            model.load("reward", state)
            return reward_scores(model, list(zip(prompts, answers, strict=True)), limits)

    return Gold(f"reward adapter {manifest.digest[:16]} of run {manifest.run_id}", judge)


def _check(manifest: AdapterManifest, run_id: str, base: BaseModel) -> None:
    if manifest.run_id == run_id:
        raise ConfigError(
            "program.toml",
            _KEY,
            "is a reward model of this very run",
            remedy="name one that was trained on other judgments, in another run",
        )
    if manifest.base_model != base.digest:
        raise ConfigError(
            "program.toml", _KEY, "is of another base model", remedy="name one of the program's base model"
        )


def _by_rule(rule: Scorer) -> Callable[[Sequence[str], Sequence[str]], list[float]]:
    return lambda prompts, answers: [float(rule(p, a)) for p, a in zip(prompts, answers, strict=True)]


def _by_terms(terms: ShapingTerms) -> Callable[[Sequence[str], Sequence[str]], list[float]]:
    return lambda prompts, answers: [
        judged_score(terms, 0.0, p, a) for p, a in zip(prompts, answers, strict=True)
    ]
