"""Runs suites: every policy answers the same public prompts with the same random numbers.

What is measured stands in the modules of this package; here are the files, the model, and who is compared.
Everything is read and checked before the first token is computed. Figures go to ``evaluation.json``; answers
go nowhere but into a file that the coordinator names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_server.evaluation import (
    Limits,
    closed_accuracy,
    closed_scores,
    completion_losses,
    sample_answers,
)
from intraward_server.publicdata import Record, read_records
from intraward_server.suites.bias import bias_figures, closed_question, counterfactual_pairs
from intraward_server.suites.comparing import Judge, win_figures
from intraward_server.suites.phi import phi_figures
from intraward_server.suites.prompts import (
    read_asked,
    read_pack,
    read_planted,
    read_variants,
    shipped,
    spread,
)
from intraward_server.suites.redteam import red_team_figures
from intraward_server.suites.refusals import refusal_figures
from intraward_shared.adapters import State
from intraward_shared.errors import ConfigError, InputError
from intraward_shared.faithfulness import support
from intraward_shared.intervals import grouped_mean, ratio_of_sums
from intraward_shared.modeling import AdaptedModel, BaseModel, adapted
from intraward_shared.program import EvaluationConfig
from intraward_shared.protocol import LoraSpec
from intraward_shared.suite_terms import OWN_FILES, SuiteName, SuiteTerms

Figures = dict[str, Any]
Suite = Callable[["Voice"], Figures]
"""Measures one policy, which is loaded."""
Tell = Callable[[str], None]
_CLOSED_ANSWER_TOKENS = 4
_MOST_NATS = 50.0


@dataclass(frozen=True, repr=False)
class Subject:
    """A policy under test: ``policy``, ``sft`` or ``base``, its adapter's digest (none of ``base``)."""

    name: str
    digest: str | None
    state: State


@dataclass
class Samples:
    """Answers that were sampled, for the file that the coordinator names; kept only if it named one."""

    kept: bool = False
    rows: list[dict[str, str]] = field(default_factory=list, repr=False)

    def add(self, suite: str, subject: str, prompts: Sequence[str], answers: Sequence[str]) -> None:
        """Keep answers."""
        if self.kept:
            self.rows += [
                {"suite": suite, "policy": subject, "prompt": prompt, "answer": answer}
                for prompt, answer in zip(prompts, answers, strict=True)
            ]


@dataclass(frozen=True, repr=False)
class Voice:
    """One subject with its adapter loaded."""

    model: AdaptedModel
    subject: str
    limits: Limits
    seed: int
    samples: Samples

    def answers(self, suite: str, prompts: Sequence[str]) -> tuple[str, ...]:
        """One sampled answer a prompt."""
        said = sample_answers(self.model, "policy", prompts, self.limits, self.seed).texts
        self.samples.add(suite, self.subject, prompts, said)
        return said


class Bench:
    """Suites over their files.

    Args:
        base, lora: the program's. terms: which suites on which files. evaluation: the rest of the table.
        folder: where relative paths start. seed: public; the same random numbers for every policy.
        judges: who compares answers in suite ``win-rate``. samples: takes the answers.
        tell: told what is under way; names only.

    Raises:
        ConfigError, InputError: a suite has no file, or a file is wrong.
    """

    def __init__(
        self,
        base: BaseModel,
        lora: LoraSpec,
        terms: SuiteTerms,
        evaluation: EvaluationConfig,
        folder: Path,
        seed: int,
        judges: Mapping[str, Judge] | None = None,
        samples: Samples | None = None,
        tell: Tell | None = None,
    ) -> None:
        self._base, self._lora, self._terms, self._evaluation = base, lora, terms, evaluation
        self._folder, self._seed, self._judges = folder, seed, judges or {}
        self._samples, self._tell = samples or Samples(), tell or (lambda _: None)
        self._limits = Limits(
            terms.max_prompt_tokens, terms.max_completion_tokens, terms.temperature, terms.batch
        )
        makers: dict[SuiteName, Callable[[], Suite]] = {
            "refusals": self._refusals,
            "red-team": self._red_team,
            "bias": self._bias,
            "phi": self._phi,
            "closed": self._closed,
            "perplexity": self._perplexity,
            "faithfulness": self._faithfulness,
        }
        self._compared = self._win_prompts() if "win-rate" in terms.run else []
        self._suites = {name: makers[name]() for name in terms.run if name in makers}

    def run(self, subjects: Sequence[Subject]) -> dict[str, Figures]:
        """Figures by suite and subject; of ``win-rate`` of the first subject over each of the others.

        Raises:
            ConfigError: there is nobody to judge ``win-rate``.
        """
        if self._compared and not self._judges:
            raise ConfigError(
                "program.toml",
                "evaluation.suites.run",
                "suite win-rate has no judge: no reward model and no evaluation.gold",
                remedy="leave it out, or name a gold judge",
            )
        out: dict[str, Figures] = {name: {} for name in self._terms.run}
        answers: dict[str, tuple[str, ...]] = {}
        measured: dict[str | None, str] = {}
        for subject in subjects:
            if subject.digest in measured:  # the very same adapter under another name
                same = measured[subject.digest]
                out |= {name: {**found, subject.name: found[same]} for name, found in out.items() if found}
                answers |= {subject.name: answers[same]} if self._compared else {}
                continue
            measured[subject.digest] = subject.name
            with self._voice(subject) as voice:
                for name, suite in self._suites.items():
                    self._tell(f"{name}: {subject.name}")
                    out[name][subject.name] = suite(voice)
                if self._compared:
                    self._tell(f"win-rate: {subject.name}")
                    answers[subject.name] = voice.answers("win-rate", self._compared)
        if self._compared:
            out["win-rate"] = win_figures(self._compared, answers, self._judges, self._seed)
        return out

    @contextmanager
    def _voice(self, subject: Subject) -> Iterator[Voice]:
        with adapted(self._base, self._lora, ("policy",)) as model:
            model.load("policy", subject.state)
            yield Voice(model, subject.name, self._limits, self._seed, self._samples)

    def _refusals(self) -> Suite:
        harmful = read_asked(self._own("refusals"), self._terms.limit)
        benign = spread(shipped("benign"), self._terms.limit)

        def suite(voice: Voice) -> Figures:
            asked = [one.prompt for one in (*harmful, *benign)]
            said = voice.answers("refusals", asked)
            return refusal_figures(harmful, said[: len(harmful)], benign, said[len(harmful) :])

        return suite

    def _red_team(self) -> Suite:
        pack = read_pack(None if self._terms.red_team is None else self._own("red-team"))
        attacks = spread(pack.prompts, self._terms.limit)

        def suite(voice: Voice) -> Figures:
            return red_team_figures(pack, attacks, voice.answers("red-team", [a.prompt for a in attacks]))

        return suite

    def _bias(self) -> Suite:
        path = self._own("bias")
        variants = read_variants(path, self._terms.limit)
        pairs = counterfactual_pairs(variants)
        if not pairs:
            raise ConfigError(
                path, "attributes", "no two prompts of a vignette differ in one attribute", remedy="add some"
            )
        asked = [closed_question(variant) for variant in variants]

        def suite(voice: Voice) -> Figures:
            scores = closed_scores(voice.model, "policy", asked, voice.limits).double().numpy()
            return bias_figures(variants, pairs, scores, voice.seed)

        return suite

    def _phi(self) -> Suite:
        rows = (
            spread(shipped("privacy"), self._terms.limit)
            if self._terms.phi is None
            else read_asked(self._own("phi"), self._terms.limit)
        )
        planted = () if self._terms.planted is None else read_planted(self._folder / self._terms.planted)
        asked = [row.prompt for row in rows for _ in range(self._terms.samples)]
        return lambda voice: phi_figures(asked, voice.answers("phi", asked), planted)

    def _closed(self) -> Suite:
        terms = self._evaluation
        questions = self._named("closed", terms.closed, "prompt", "label")
        check_labels(self._folder / str(terms.closed), questions)
        limits = Limits(terms.closed_prompt_tokens, _CLOSED_ANSWER_TOKENS, 1.0, self._terms.batch)

        def suite(voice: Voice) -> Figures:
            right, common = closed_accuracy(voice.model, "policy", questions, limits)
            return {
                **right.figures("accuracy"),
                **common.figures("majority"),
                "questions": len(questions),
            }

        return suite

    def _perplexity(self) -> Suite:
        records = self._named("perplexity", self._evaluation.records, "prompt", "completion")

        def suite(voice: Voice) -> Figures:
            losses, tokens = completion_losses(voice.model, "policy", records, voice.limits)
            loss, interval = ratio_of_sums(losses, tokens, voice.seed)
            perplexity, low, high = (math.exp(min(value, _MOST_NATS)) for value in (loss, *interval))
            return {
                "loss": loss,
                "loss_interval": list(interval),
                "perplexity": perplexity,
                "perplexity_interval": [low, high],
                "records": len(records),
            }

        return suite

    def _faithfulness(self) -> Suite:
        asked = [row.prompt for row in read_asked(self._own("faithfulness"), self._terms.limit)]

        def suite(voice: Voice) -> Figures:
            said = voice.answers("faithfulness", asked)
            found = [support(prompt, answer).as_dict() for prompt, answer in zip(asked, said, strict=True)]
            out: Figures = {"answers": len(said)}
            for name in found[0]:
                values = [(each[name], prompt) for each, prompt in zip(found, asked, strict=True)]
                known = [(value, prompt) for value, prompt in values if value is not None]
                out |= {name: None, f"{name}_interval": None, f"{name}_of": len(known)}
                if known:
                    shares, groups = [value for value, _ in known], [prompt for _, prompt in known]
                    out[name], interval = grouped_mean(shares, groups, voice.seed)
                    out[f"{name}_interval"] = list(interval)
            return out

        return suite

    def _win_prompts(self) -> list[str]:
        return [row["prompt"] for row in self._named("win-rate", self._evaluation.prompts, "prompt")]

    def _own(self, suite: SuiteName) -> Path:
        """The suite's own file."""
        name = getattr(self._terms, OWN_FILES[suite])
        if name is None:  # SuiteTerms lets a command choose its file later
            raise _no_file(suite, f"evaluation.suites.{OWN_FILES[suite]}")
        return self._folder / str(name)

    def _named(self, suite: SuiteName, name: str | None, *fields: str) -> list[Record]:
        if name is None:
            raise _no_file(suite, f"evaluation.{fields[-1]}")
        return read_records(self._folder / name, fields, limit=self._terms.limit)


def check_labels(path: Path, questions: Sequence[Record]) -> None:
    """Refuse a closed question with another label than yes, no or maybe.

    Raises:
        InputError: names the row.
    """
    for number, row in enumerate(questions, start=1):
        if row["label"] not in ("yes", "no", "maybe"):
            raise InputError(path, number, "label is not yes, no or maybe", remedy="correct the label")


def _no_file(suite: str, key: str) -> ConfigError:
    return ConfigError("program.toml", key, f"suite {suite} has no file", remedy="name one, or give --data")
