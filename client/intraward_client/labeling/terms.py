"""What a hospital sets about its label station: the ``[labeling]`` table of the policy file, read strictly.

Where the station keeps its book, how people log in, how many see an item, how often hidden gold and repeats
come, and how much one person may do in a day. Nothing here weakens a patient's privacy: what may leave is
decided elsewhere.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from intraward_shared.config import Strict
from intraward_shared.ledger_entry import AbsolutePath

Role = Literal["labeller", "senior", "admin", "auditor"]
"""What an account may do; an auditor and an admin see no text of a patient."""
Header = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")]


class ProxyTerms(Strict):
    """Login by the hospital's reverse proxy: which headers it sets, and which group has which role."""

    user_header: Header = "X-Forwarded-Preferred-Username"
    groups_header: Header = "X-Forwarded-Groups"
    roles: dict[str, Role] = Field(default_factory=dict, description="group -> role; no group, no way in")


class LabelingTerms(Strict):
    """The label station of one hospital.

    Args:
        database: SQLAlchemy URL of a PostgreSQL database (``postgresql+psycopg://...``); empty keeps the book
            in the site's own folder (SQLite).
        course: course file that takes the place of the shipped one.
        rubrics: rubric files that take the place of the shipped ones; together one for each kind of item.
        consensus: share of an item's votes that must say the same; below it the item trains nothing.
        panel: seniors who judge blind what raters and one more rater left open.
        gold_weights: votes weigh by what their rater got right on gold items; all alike if not.
        random_share, disagreement_scale: with which chance a prompt is taken for labelling at least, and the
            disagreement of a reward ensemble from which it is always taken (``labeling.selection``).
        overlap, safety_overlap: first judgments of an item, and of one where safety is at stake.
        gold_share: share of a rater's queue that is hidden gold.
        repeat_share: share that the rater judged before, ``repeat_after_days`` or more ago.
        daily_cap: judgments after which a rater is done for the day.
        break_items, break_minutes: after so much a pause is offered; nobody is kept from going on.
        pass_mark: share of the course's items that must be right.
        requalify_days: days after which the course is taken again.
    """

    database: str = Field(default="", repr=False)
    login: Literal["password", "proxy"] = "password"
    proxy: ProxyTerms = ProxyTerms()
    course: AbsolutePath | None = None
    rubrics: tuple[AbsolutePath, ...] = ()
    overlap: int = Field(default=2, ge=1, le=9)
    safety_overlap: int = Field(default=3, ge=1, le=9)
    consensus: float = Field(default=0.66, gt=0.5, le=1)
    panel: int = Field(default=1, ge=1, le=9)
    gold_weights: bool = False
    random_share: float = Field(default=0.2, gt=0, le=1)
    disagreement_scale: float = Field(default=0.15, gt=0, le=0.5)
    gold_share: float = Field(default=0.08, ge=0, le=0.5)
    repeat_share: float = Field(default=0.05, ge=0, le=0.5)
    repeat_after_days: int = Field(default=14, ge=1, le=365)
    daily_cap: int = Field(default=200, ge=1, le=2000)
    break_items: int = Field(default=50, ge=1, le=1000)
    break_minutes: int = Field(default=25, ge=1, le=480)
    pass_mark: float = Field(default=0.75, gt=0, le=1)
    requalify_days: int = Field(default=180, ge=1, le=3650)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.database and not self.database.startswith("postgresql+psycopg://"):
            raise ValueError("labeling.database is empty, or begins with postgresql+psycopg://")
        if self.login == "proxy" and not self.proxy.roles:
            raise ValueError("labeling.login = 'proxy' needs labeling.proxy.roles: nobody could log in")
        return self
