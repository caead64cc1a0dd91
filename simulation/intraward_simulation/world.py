"""What surrounds a run: hospitals' files, public texts, the coordinator's test data, clinicians.

``World`` has two makers: ``synthetic`` (generated hospitals, a known gold rule) and ``clinical``
(real open files by ``data``). Everything is a function of the scenario, its seed and the data folder,
so that a resumed run, or a ward in its own process, makes the same world again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from intraward_client.store.datasets import AnswerMarks, PromptRecord
from intraward_client.store.importers import Kind
from intraward_client.store.preferences import add_judgment
from intraward_client.store.prompts import unlabelled
from intraward_client.store.vault import Vault
from intraward_client.ward import Labeller
from intraward_shared.errors import ConfigError
from intraward_shared.reward_heads import RewardHeads
from intraward_simulation import corpus, data, hospitals
from intraward_simulation.clinicians import Score, SimulatedClinician
from intraward_simulation.ratings import mark_answer
from intraward_simulation.scenario import Scenario, Synthetic
from intraward_simulation.values import VALUES, ValuesName, gold_rule

Row = Mapping[str, Any]


@dataclass(frozen=True)
class SiteFiles:
    """What one hospital has: rows per kind of import (``notes``, ``demonstrations``, ``preferences``)."""

    name: str
    rows: Mapping[Kind, tuple[Row, ...]] = field(repr=False)
    canaries: tuple[str, ...] = field(default=(), repr=False)
    patients: int = 0


@dataclass(frozen=True)
class World:
    """Hospitals, named public texts, the coordinator's evaluation files and the gold rule, if any.

    ``values``: what each site's clinicians go by, in the order of the sites; the gold rule is their mean.
    """

    sites: tuple[SiteFiles, ...]
    public: Mapping[str, tuple[Row, ...]] = field(repr=False)
    evaluation: Mapping[str, tuple[Row, ...]] = field(repr=False)
    gold: Score | None
    values: tuple[ValuesName, ...] = ()

    @property
    def canaries(self) -> tuple[str, ...]:
        """Every planted identifier."""
        return tuple(name for site in self.sites for name in site.canaries)


class ClinicianLabeller:
    """A simulated clinician at a site: judges every candidate pair in the vault that nobody has judged.

    heads: of the program's reward model; the clinician also marks both answers under their names.
    """

    def __init__(self, seed: int, noise: float, heads: RewardHeads, values: ValuesName = "usual") -> None:
        self._clinician, self._heads = SimulatedClinician(seed, noise, VALUES[values].score), heads

    def __call__(self, vault: Vault) -> None:
        """Judge; ties are left unjudged."""
        for task in unlabelled(vault):
            answers = [candidate.answer for candidate in task.candidates]
            judgment = self._clinician.judge(task.prompt.prompt_id, task.prompt.prompt, answers)
            if judgment is not None:
                pair = [task.candidates[place] for place in (judgment.chosen, judgment.rejected)]
                add_judgment(
                    vault,
                    task.prompt.prompt_id,
                    pair[0].candidate_id,
                    pair[1].candidate_id,
                    judgment.strength,
                    "simulated",
                    marks=self._marks(task.prompt, [candidate.answer for candidate in pair]),
                )

    def _marks(self, prompt: PromptRecord, answers: Sequence[str]) -> tuple[AnswerMarks, ...]:
        if not self._heads.marked:
            return ()
        seed, noise = self._clinician.seed, self._clinician.noise
        return tuple(
            mark_answer(seed, noise, self._heads, prompt.prompt_id, prompt.prompt, answer)
            for answer in answers
        )


def make_world(scenario: Scenario, folder: Path | None) -> World:
    """The world of a scenario.

    Args:
        scenario: checked scenario.
        folder: data folder, for scenarios with ``[files]``.

    Raises:
        ConfigError: a data folder is needed and not given, or a file in it is missing.
    """
    if scenario.hospitals is not None:
        return _synthetic(scenario)
    if folder is None:
        raise ConfigError(
            "--data", "", "this scenario reads real files", remedy="give the folder: --data DIR"
        )
    return _clinical(scenario, folder)


def labeller_of(scenario: Scenario, site: str) -> Labeller | None:
    """The simulated clinician of a site; None where judgments come from files."""
    if scenario.hospitals is None:
        return None
    noise = scenario.hospitals.clinician_noise
    values = next(each.values for each in scenario.hospitals.sites if each.name == site)
    return ClinicianLabeller(site_seed(scenario, site), noise, scenario.lora.reward, values)


def site_seed(scenario: Scenario, site: str) -> int:
    """A seed of one site, a function of the scenario's seed and the site's name."""
    return int.from_bytes(site_secret(scenario, site, "seed")[:4], "big") >> 1


def site_secret(scenario: Scenario, site: str, purpose: str) -> bytes:
    """32 bytes for a simulated site's keys: known to anyone who has the scenario, hence simulated."""
    return hashlib.sha256(f"intraward-simulation|{scenario.run.seed}|{site}|{purpose}".encode()).digest()


def write_rows(rows: tuple[Row, ...], path: Path) -> Path:
    """Rows as JSONL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jsonl(rows))
    return path


def jsonl(rows: tuple[Row, ...]) -> bytes:
    """Rows as the bytes of a JSONL file."""
    return "".join(json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n" for row in rows).encode()


def _synthetic(scenario: Scenario) -> World:
    terms, seed = scenario.hospitals, scenario.run.seed
    assert terms is not None
    made = hospitals.make_hospitals(
        [(site.name, site.patients, site.case_mix) for site in terms.sites],
        seed=seed,
        canaries=terms.canaries,
    )
    sites = tuple(
        SiteFiles(h.name, {"notes": tuple(_importable(n) for n in h.notes)}, tuple(h.canaries), site.patients)
        for h, site in zip(made, terms.sites, strict=True)
    )
    values = tuple(site.values for site in terms.sites)
    examples = corpus.public_corpus(seed + 1, 4000)
    wanted = scenario.evaluation
    return World(
        sites,
        {
            "corpus": tuple({"prompt": e.prompt, "completion": e.completion} for e in examples),
            "prompts": tuple({"prompt": p} for p in corpus.public_prompts(seed + 2, 2000)),
        },
        {
            "prompts": tuple({"prompt": p} for p in corpus.heldout_prompts(seed + 3, wanted.prompts)),
            "preferences": _heldout_pairs(scenario, terms),
        },
        gold_rule(values),
        values,
    )


def _heldout_pairs(scenario: Scenario, terms: Synthetic) -> tuple[Row, ...]:
    """Pairs by the gold rule; where hospitals disagree, as many of each by its own, named and in turn."""
    seed, count = scenario.run.seed + 4, scenario.evaluation.pairs
    if len({site.values for site in terms.sites}) == 1:
        return tuple(corpus.heldout_pairs(seed, count, VALUES[terms.sites[0].values].score))
    each = -(-count // len(terms.sites))
    judged = [
        [row | {"site": site.name} for row in corpus.heldout_pairs(seed + n, each, VALUES[site.values].score)]
        for n, site in enumerate(terms.sites)
    ]
    return tuple(row for turn in zip(*judged, strict=True) for row in turn)


def _clinical(scenario: Scenario, folder: Path) -> World:
    terms = scenario.files
    assert terms is not None
    read = data.read_clinical(folder, terms, scenario.run.seed)
    sites = tuple(
        SiteFiles(
            name,
            {"demonstrations": rows.demonstrations, "preferences": rows.preferences},
            (),
            len({row["patient"] for row in (*rows.demonstrations, *rows.preferences)}),
        )
        for name, rows in read.sites.items()
    )
    return World(sites, {"prompts": read.prompts}, read.evaluation, None)


def _importable(note: Row) -> Row:
    """A note without its gold spans, as a hospital's system would export it."""
    return {key: note[key] for key in ("id", "patient", "text", "known")}
