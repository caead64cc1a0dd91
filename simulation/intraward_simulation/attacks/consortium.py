"""Reward rounds of a small consortium, by the product's own train, seal, admit and gather, without a network.

What a hospital's table holds is made as synthetic hospitals have it; everything from the signed-plan side of
a ward to the new adapter is the code that real rounds run. A site may be hostile: it has its own key and
seals what it likes. Keys and noise come from a seed, so all of it is stamped as simulated (rule 6 of
DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from intraward_client.egress import seal
from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, TrainingTable
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.train import train
from intraward_client.training.update import LocalUpdate
from intraward_server.admission import admit, norm_bound
from intraward_server.evaluation import Limits, pair_scores
from intraward_server.gathering import Gathering
from intraward_server.statistics import Rate, wilson
from intraward_shared.adapters import Array, State, difference, l2_norm, shapes, state_digest
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import AdmissionRefused
from intraward_shared.modeling import BaseModel, adapted
from intraward_shared.protocol import LoraSpec, Mechanism, OutputSpec, RoundPlan, TrainingSpec
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Part, Stage, trained_names
from intraward_simulation.clinicians import TIE_GAP, Score
from intraward_simulation.studies.dealing import Dealt, Pair, Texts

Forge = Callable[[State, RoundPlan, float], State]
"""What a hostile site sends: its honest update, the plan and admission's bound in, tensors out."""
Row = tuple[str, str, str]
"""Prompt, better answer, worse answer."""


@dataclass(frozen=True)
class RoundFound:
    """One round: norm of the adapter's change, admission's bound, honest norms, and checks that refused."""

    change: float
    bound: float
    norms: tuple[float, ...]
    refused: tuple[int, ...]


@dataclass(frozen=True)
class Consortium:
    """Base model, plan's terms and every site's comparisons; site names are in order."""

    base: BaseModel = field(repr=False)
    lora: LoraSpec
    training: TrainingSpec
    mechanism: Mechanism
    tables: Mapping[str, tuple[PairRecord, ...]] = field(repr=False)
    seed: int
    _made: dict[tuple[str, str], State] = field(default_factory=dict, repr=False)

    @property
    def cohort(self) -> tuple[str, ...]:
        """Site names, sorted."""
        return tuple(sorted(self.tables))

    def round(
        self,
        state: State,
        number: int,
        aggregation: AggregationTerms,
        folder: Path,
        forges: Mapping[str, Forge],
        max_norm: float | None = None,
    ) -> tuple[dict[str, Array] | None, RoundFound]:
        """The adapter after round ``number`` (from 1; B, A, B ...); None where the rule lacks updates.

        Args:
            folder: for the server optimizer's moments.
            forges: what hostile sites do.
            max_norm: ``[admission] max_norm``.
        """
        plan = self._plan(state, number)
        own = {output.name: state[output.name] for output in plan.outputs}
        bound = norm_bound(plan, l2_norm(own), max_norm)
        gathering = Gathering(aggregation, state, plan.part, self.lora.reward, plan.cohort)
        keys = {site: _key(site).public for site in self.cohort}
        norms, refused, seen = [], [], set[str]()
        for site in self.cohort:
            update = self._update(plan, state, site)
            if site in forges:
                update = forges[site](update, plan, bound)
            else:
                norms.append(l2_norm(update))
            sealed = seal(LocalUpdate(plan.digest, update), plan, site, (number, "0" * 64), _key(site))
            try:
                admitted = admit(sealed, plan, keys, seen, max_norm=bound)
            except AdmissionRefused as error:
                refused.append(error.check)
                continue
            gathering.add(site, admitted.tensors)
            seen.add(site)
        if len(seen) < aggregation.least_sites:
            return None, RoundFound(0.0, bound, tuple(norms), tuple(refused))
        made = gathering.adapter(folder, state_digest(state), fresh=number == 1)
        made.keep(state_digest(made.state))
        change = l2_norm(difference(made.state, state))
        return made.state, RoundFound(change, bound, tuple(norms), tuple(refused))

    def _update(self, plan: RoundPlan, state: State, site: str) -> State:
        """A site's honest update; the same plan from the same adapter is trained once."""
        if (plan.digest, site) not in self._made:
            table = TrainingTable.freeze(self.tables[site])
            inputs = TrainingInputs(plan, self.base, {"reward": state}, table, site=site)
            noise = NoiseSource.seeded(self.seed, site, plan.digest, 1)
            self._made[plan.digest, site] = train(inputs, noise).tensors
        return self._made[plan.digest, site]

    def _plan(self, state: State, number: int) -> RoundPlan:
        part, shape = (Part.B if number % 2 else Part.A), shapes(state)
        names = trained_names(Stage.REWARD, part, tuple(state))
        return RoundPlan(
            run_id="consortium",
            round=number,
            stage=Stage.REWARD,
            stage_round=number,
            part=part,
            cohort=self.cohort,
            base_model=self.base.digest,
            lora=self.lora,
            inputs={"reward": state_digest(state)},
            training=self.training,
            mechanism=self.mechanism,
            outputs=tuple(OutputSpec(name=name, shape=shape[name]) for name in names),
            slot_time="2030-01-01T00:00:00Z",
            expires="2030-01-02T00:00:00Z",
            nonce="0" * 32,
            simulated=True,
            seed=self.seed,
        )

    def accuracy(self, state: State, pairs: Sequence[Mapping[str, str]], member: int | None = None) -> Rate:
        """Accuracy of the reward adapter, or of one member of it, on held-out pairs; ties half."""
        limits = Limits(self.training.max_prompt_tokens, self.training.max_completion_tokens)
        with adapted(self.base, self.lora, ("reward",)) as model:
            model.load("reward", state)
            chosen, rejected = pair_scores(model, [dict(pair) for pair in pairs], limits)
        gap = chosen - rejected
        won = np.sign(gap.mean(1) if member is None else gap[:, member]) / 2 + 0.5
        return wilson(float(won.sum()), len(won))


def tables_of(dealt: Dealt, texts: Texts, scores: Sequence[Score] = ()) -> dict[str, tuple[PairRecord, ...]]:
    """Each dealt site's comparisons as rows of its table; ``site-0`` is the first.

    ``scores``: of each site's clinicians, where they judge by rules of their own, without slips or ties.
    """
    return {
        f"site-{number}": tuple(
            PairRecord(unit, *row, 0.0, f"{unit}-{place}")
            for unit, pairs in site.items()
            for place, pair in enumerate(pairs)
            if (row := judged(_row(pair, texts), scores[number] if scores else None)) is not None
        )
        for number, site in enumerate(dealt.sites)
    }


def held_out(dealt: Dealt, texts: Texts, score: Score | None = None) -> list[dict[str, str]]:
    """The dealt test pairs as rows of an evaluation file; by a ``score`` of their own where one is given."""
    rows = (judged(_row(pair, texts), score) for pair in dealt.test)
    return [dict(zip(("prompt", "chosen", "rejected"), row, strict=True)) for row in rows if row is not None]


def judged(row: Row, score: Score | None) -> Row | None:
    """Prompt, better and worse answer by ``score``; None for a tie, the row as it is without a score."""
    prompt, chosen, rejected = row
    if score is None:
        return row
    gap = score(prompt, chosen) - score(prompt, rejected)
    if abs(gap) < TIE_GAP:
        return None
    return row if gap > 0 else (prompt, rejected, chosen)


def _row(pair: Pair, texts: Texts) -> Row:
    (prompt, chosen), (_, rejected) = texts.rows[pair.chosen], texts.rows[pair.rejected]
    return prompt, chosen, rejected


def _key(site: str) -> SigningKey:
    return SigningKey.from_seed(bytes.fromhex(digest(site.encode())))
