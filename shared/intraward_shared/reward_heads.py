"""What the reward adapter puts out for an answer: ensemble members, criteria, failure flags.

All of them are rows of one ``score.weight`` over one LoRA, in the order members, criteria, flags. The
declaration is part of the adapter's shape (``LoraSpec.reward``), so it is signed with every plan and both
sides derive the same tensors from it (rule 1 of DESIGN.md); no further tensor can leave.

Members share the LoRA. Those of one shared head differ by their public start and by the comparisons they
learn from (``intraward_client.training.marks``); with a head for each site, member i is that of site i of
the cohort and learns from that site alone (FedRep, arXiv 2102.07078, but trained together with the shared
tensors: one vector, clipped once, noised, charged once). Their disagreement is that of last layers: a lower
bound on what an ensemble of whole models (Coste et al., arXiv 2310.02743) would show.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from intraward_shared.config import Strict
from intraward_shared.scalars import Name, Real

Names = Annotated[tuple[Name, ...], Field(max_length=8)]
MOST_MEMBERS = 8
MOST_SITES = 64
"""Members of a shared head, and of heads that are a site's own."""


def _usual(value: object) -> bool:
    """Whether a choice is the one that older plans made without a word; it is left out of signed bytes."""
    return value in ("shared", "mean")


class RewardHeads(Strict):
    """``members`` score comparisons; ``criteria`` learn ratings, ``flags`` learn failures of one answer.

    All read the last token's state after ``depth`` blocks of the base model, or after all of them. A member's
    head starts at N(0, 1/(H+1)) (Stiennon et al., arXiv 2009.01325), or with ``start = "zero"`` at 0: with
    some hundred comparisons to learn from, what is left of a random start is noise in every score. With
    ``head = "per_site"`` there is a member for each site of the cohort, in the order of their names. All
    of them start alike, so what tells them apart later is what their sites taught them.
    """

    head: Literal["shared", "per_site"] = Field(default="shared", exclude_if=_usual)
    members: int = Field(default=1, ge=1, le=MOST_SITES)
    criteria: Names = ()
    flags: Names = ()
    depth: int | None = Field(default=None, ge=1, le=1024)
    start: Literal["normal", "zero"] = "normal"

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        if len({*self.criteria, *self.flags}) < len(self.criteria) + len(self.flags):
            raise ValueError("criteria and flags have different names, each once")
        if self.per_site:
            return self
        if self.members > MOST_MEMBERS:
            raise ValueError(f"a shared head has at most {MOST_MEMBERS} members")
        if self.start == "zero" and self.members > 1:
            raise ValueError('members of an ensemble start apart; start = "zero" is for a single one')
        return self

    @property
    def per_site(self) -> bool:
        """Whether every member belongs to one site."""
        return self.head == "per_site"

    def check_cohort(self, cohort: Sequence[str]) -> None:
        """Hold heads of sites against the sites.

        Raises:
            ValueError: there is not one member for each site.
        """
        if self.per_site and self.members != len(cohort):
            raise ValueError(
                f'lora.reward.head "per_site" needs a member for each site: members = {len(cohort)}'
            )

    def member_of(self, site: str, cohort: Sequence[str]) -> int | None:
        """Which member belongs to ``site``, by the order of the cohort's names; None with a shared head.

        Raises:
            ValueError: the site is not in the cohort.
        """
        return sorted(cohort).index(site) if self.per_site else None

    @property
    def rows(self) -> int:
        """Rows of ``score.weight``."""
        return self.members + len(self.criteria) + len(self.flags)

    @property
    def marked(self) -> bool:
        """Whether anything besides the comparisons is learnt."""
        return bool(self.criteria or self.flags)


class HeadTerms(Strict):
    """How the heads are trained, and how a policy's reward is made of them; constants of the signed plan.

    ``criteria_loss`` and ``flags_loss`` weigh those losses beside the comparison's. With
    ``margin_criterion`` two answers whose ratings lie the whole scale apart are compared with a margin of
    ``margin_scale``, others with their share of it (graded margins, Llama 2, arXiv 2307.09288 section 3.2.2;
    there by four grades of strength, here by the difference of two ratings). In a policy stage the
    raw score is what ``reduce`` makes of the members, plus ``criteria`` (weight by name) times that
    criterion (-1 worst, 1 best), minus ``uncertainty_coef`` times the members' standard deviation; then it
    is normalised and clipped. ``reduce = "worst"`` takes the lowest member: with a head for each site, the
    site that likes the answer least (worst-case optimisation, Coste et al.). A **veto** is a constraint and
    never traded: an answer whose ``veto_criterion`` is below ``veto_below``, or with a flag more probable
    than ``veto_flag``, gets ``veto_reward``.
    """

    criteria_loss: Real = Field(default=1.0, gt=0, le=100)
    flags_loss: Real = Field(default=1.0, gt=0, le=100)
    margin_criterion: Name | None = None
    margin_scale: Real | None = Field(default=None, gt=0, le=100)
    criteria: dict[Name, Real] = Field(default_factory=dict, max_length=8)
    reduce: Literal["mean", "worst"] = Field(default="mean", exclude_if=_usual)
    uncertainty_coef: Real = Field(default=0.0, ge=0, le=100)
    veto_criterion: Name | None = None
    veto_below: Real | None = Field(default=None, ge=-1, le=1)
    veto_flag: Real | None = Field(default=None, gt=0, lt=1)
    veto_reward: Real | None = Field(default=None, ge=-100_000, le=0)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.margin_criterion is None) != (self.margin_scale is None):
            raise ValueError("margin_criterion and margin_scale are given together")
        if (self.veto_criterion is None) != (self.veto_below is None):
            raise ValueError("veto_criterion and veto_below are given together")
        if self.vetoes != (self.veto_reward is not None):
            raise ValueError("veto_reward is needed with veto_criterion or veto_flag, and only then")
        if self.reduce == "worst" and self.uncertainty_coef > 0:
            raise ValueError('reduce = "worst" and uncertainty_coef are two penalties for one disagreement')
        if any(abs(weight) > 100 for weight in self.criteria.values()):
            raise ValueError("a criterion's weight is at most 100")
        return self

    @property
    def vetoes(self) -> bool:
        """Whether a learnt head can veto an answer."""
        return self.veto_criterion is not None or self.veto_flag is not None

    def check(self, heads: RewardHeads) -> None:
        """Hold the terms against the declared heads.

        Raises:
            ValueError: a criterion that is not declared, or a term that needs a head that is not there.
        """
        named = {*self.criteria, *filter(None, (self.veto_criterion, self.margin_criterion))}
        if named - set(heads.criteria):
            raise ValueError("training.heads names a criterion that lora.reward.criteria does not declare")
        if self.veto_flag is not None and not heads.flags:
            raise ValueError("training.heads.veto_flag needs lora.reward.flags")
        if self.uncertainty_coef > 0 and heads.members < 2:
            raise ValueError("training.heads.uncertainty_coef needs lora.reward.members of at least 2")
        if self.reduce == "worst" and heads.members < 2:
            raise ValueError('training.heads.reduce = "worst" needs lora.reward.members of at least 2')
