"""Which policies of a run a suite compares, who judges them, and where the figures go.

``policy`` is the newest one (or an adapter that is named), ``sft`` the one before preference optimisation,
``base`` the base model without any adapter. Every adapter is verified as it is read (rule 9 of DESIGN.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from intraward_server.checkpoint import load_state
from intraward_server.evaluation import Limits, reward_scores, sample_answers
from intraward_server.home import ServerHome
from intraward_server.session import Session, open_session
from intraward_server.sole import sole_coordinator
from intraward_server.suites.bench import Bench, Figures, Samples, Subject, Tell
from intraward_server.suites.comparing import Judge
from intraward_server.suites.prompts import read_asked
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, RoundFailed
from intraward_shared.modeling import adapted, initial_state
from intraward_shared.stages import SCORE_HEAD, Stage
from intraward_shared.suite_terms import SuiteTerms

SUBJECTS = ("policy", "sft", "base")
NO_POLICY = "this run has no policy yet"


def open_begun(root: Path) -> Session:
    """The run of a coordinator's folder, which is never begun by evaluating it.

    Raises:
        RoundFailed: it has no policy yet. Further as ``open_session``.
    """
    state = load_state(ServerHome(root).state)
    if state is None or state.policy is None:
        raise RoundFailed(NO_POLICY, remedy="run its first stage first")
    return open_session(root)


def subjects(session: Session, adapter: str | None = None, only: Sequence[str] = ()) -> tuple[Subject, ...]:
    """The policies that are compared, the one under test first.

    Args:
        adapter: digest or its beginning, in place of the newest policy.
        only: some of ``SUBJECTS``; all of them by default.

    Raises:
        ConfigError: the adapter is not there, or is a reward model. RoundFailed: there is no policy yet.
    """
    registry, state = session.registry, session.state
    name = state.policy if adapter is None else registry.find(adapter)
    if name is None:
        raise RoundFailed(NO_POLICY, remedy="run its first stage first")
    if set(SCORE_HEAD) <= set(registry.load(name)):
        raise ConfigError("evaluate", "--adapter", "is a reward model", remedy="name a policy")
    wanted = only or SUBJECTS
    made = [Subject("policy", name, registry.load(name))] if "policy" in wanted else []
    sft = state.sft or state.policy  # of a program without a later stage they are the same
    if "sft" in wanted and sft is not None:
        made.append(Subject("sft", sft, registry.load(sft)))
    if "base" in wanted:
        empty = initial_state(session.base, session.config.lora, Stage.SFT, 0)  # B is 0: changes nothing
        made.append(Subject("base", None, empty))
    return tuple(made)


def judges(session: Session, terms: SuiteTerms) -> dict[str, Judge]:
    """Who compares answers: the newest reward model on its raw scale, and the gold judge if there is one."""
    found: dict[str, Judge] = {}
    name, stage = session.state.reward, session.config.policy_stage
    if name is not None:
        state, heads = session.registry.load(name), stage.training.heads if stage else None
        limits = Limits(terms.max_prompt_tokens, terms.max_completion_tokens, 1.0, terms.batch)

        def reward_model(prompts: Sequence[str], answers: Sequence[str]) -> list[float]:
            with adapted(session.base, session.config.lora, ("reward",)) as model:
                model.load("reward", state)
                return reward_scores(model, list(zip(prompts, answers, strict=True)), limits, heads)

        found["reward_model"] = reward_model
    if session.scorecard.gold is not None:
        found["gold"] = session.scorecard.gold.judge
    return found


def open_bench(
    session: Session, terms: SuiteTerms, samples: Samples | None = None, tell: Tell | None = None
) -> Bench:
    """The suites of ``terms``, every file read and checked.

    Raises:
        ConfigError, InputError: a suite has no file or judge, or a file is wrong.
    """
    return Bench(
        session.base,
        session.config.lora,
        terms,
        session.config.evaluation,
        session.home.root,
        session.state.public_seed,
        judges(session, terms),
        samples,
        tell,
    )


def prompts_of(session: Session, data: Path | None, limit: int) -> list[str]:
    """Public prompts of a file, or of the program's own.

    Raises:
        ConfigError, InputError: there is no file, or it is wrong.
    """
    named = session.config.evaluation.prompts
    if data is None and named is None:
        raise ConfigError(
            "program.toml", "evaluation.prompts", "is not named", remedy="name it, or give --data"
        )
    path = data or session.home.root / str(named)
    return [one.prompt for one in read_asked(path, limit)]


def answers_of(session: Session, subject: Subject, prompts: Sequence[str]) -> tuple[str, ...]:
    """One answer a prompt, at the lengths and the temperature of the suites."""
    terms = session.config.evaluation.suites
    limits = Limits(terms.max_prompt_tokens, terms.max_completion_tokens, terms.temperature, terms.batch)
    with adapted(session.base, session.config.lora, ("policy",)) as model:
        model.load("policy", subject.state)
        return sample_answers(model, "policy", prompts, limits, session.state.public_seed).texts


def check_suites(session: Session) -> None:
    """Read and check every file that the program's suites need, before its first round.

    Raises:
        ConfigError, InputError: a suite has no file, or a file is wrong.
    """
    terms, config = session.config.evaluation.suites, session.config
    Bench(session.base, config.lora, terms, config.evaluation, session.home.root, 0)


def final_suites(session: Session, tell: Tell | None = None) -> dict[str, Figures]:
    """Every suite that the program names, on its newest policy; empty where it names none."""
    terms = session.config.evaluation.suites
    return open_bench(session, terms, tell=tell).run(subjects(session)) if terms.run else {}


def record(session: Session, figures: dict[str, Any], tested: Sequence[Subject]) -> None:
    """Put figures of suites into the run's ``evaluation.json``, where gates and card find them.

    Raises:
        RoundFailed: the program is not finished. ConfigError: they are of another policy than the run's, or
            not of every policy that the program's own evaluation compares.
    """
    if session.state.status != "finished":
        raise RoundFailed(
            "the program is not finished", remedy="run start again; --record is for a finished run"
        )
    if [each.digest for each in tested] != [each.digest for each in subjects(session)]:
        raise ConfigError(
            "evaluate", "--record", "is for the run's own policies", remedy="leave out --adapter and --of"
        )
    with sole_coordinator(session.home, wait_s=0):
        known = json.loads(session.home.evaluation.read_bytes())
        known["suites"] = {**known.get("suites", {}), **figures}
        write_durably(session.home.evaluation, json.dumps(known, indent=2, sort_keys=True).encode())
