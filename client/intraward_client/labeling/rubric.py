"""The rubric: what raters rate from 1 to 5, which failures they look for, and when they must say why.

A TOML file that the hospital may edit; strict, and every key named once. The shipped ones: ``answers.toml``
(accuracy, completeness, safety, clarity) and ``summaries.toml``, the nine items of PDSQI-9 (Kruse et al.,
JAMIA 2025) in our own short words, not the validated form itself.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints

from intraward_client.labeling.judgment import KINDS, MUCH, Kind, Vote
from intraward_client.store.rankings import UNACCEPTABLE
from intraward_shared.config import Strict, load_toml
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.scalars import Name
from intraward_shared.signing import canonical_json

Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
_MOST = 16
"""Criteria, and kinds of failure; what an imported preference may carry too."""


class Criterion(Strict):
    """One thing to rate; ``anchors`` says what each of the five ratings means, 1 (worst) first."""

    key: Name
    label: Line
    question: Line
    anchors: tuple[Line, Line, Line, Line, Line]


class Failure(Strict):
    """One kind of failure to look for; a ``critical`` one may not be missed in the course."""

    key: Name
    label: Line
    help: Line
    critical: bool = False


class Rubric(Strict):
    """A rubric file.

    Args:
        kinds: of items that it is for.
        explain: when a rationale is required; ``flagged`` and ``much``.
    """

    name: Name
    version: Line
    title: Line
    guideline: Annotated[str, StringConstraints(min_length=1, max_length=4000)]
    kinds: tuple[Kind, ...] = Field(min_length=1)
    explain: tuple[Annotated[str, StringConstraints(pattern="^(flagged|much)$")], ...] = ("flagged", "much")
    criteria: tuple[Criterion, ...] = Field(max_length=_MOST)
    failures: tuple[Failure, ...] = Field(max_length=_MOST)

    @property
    def critical(self) -> frozenset[str]:
        """Kinds of failure that may not be missed."""
        return frozenset(failure.key for failure in self.failures if failure.critical)

    @property
    def digest(self) -> str:
        """sha256 of the rubric's content, which events name as the guideline that was in force."""
        return hashlib.sha256(canonical_json(self.model_dump(mode="json"))).hexdigest()


def load_rubric(path: Path) -> Rubric:
    """Read and validate a rubric file.

    Raises:
        ConfigError: names the file and the key, or the line where it is not TOML.
    """
    rubric = load_toml(path, Rubric)
    for table, keys in (
        ("criteria", [criterion.key for criterion in rubric.criteria]),
        ("failures", [failure.key for failure in rubric.failures]),
    ):
        _once(path, table, keys)
        if UNACCEPTABLE in keys:
            raise ConfigError(
                path,
                table,
                f"{UNACCEPTABLE!r} is what raters say of all answers",
                remedy="give it another key",
            )
    both = {criterion.key for criterion in rubric.criteria} & {failure.key for failure in rubric.failures}
    if both:
        raise ConfigError(
            path,
            "failures",
            f"{min(both)!r} is a criterion too",
            remedy="give the criterion or the failure another key",
        )
    return rubric


def shipped_rubrics() -> Mapping[Kind, Rubric]:
    """The rubrics that come with the package, by kind of item."""
    with as_file(files("intraward_client.labeling") / "rubrics") as folder:
        return by_kind(sorted(folder.glob("*.toml")))


def by_kind(paths: Iterable[Path]) -> Mapping[Kind, Rubric]:
    """The rubric of each kind of item out of several files.

    Raises:
        ConfigError: a file is wrong, two files are for one kind, or a kind has none.
    """
    found: dict[Kind, Rubric] = {}
    last = Path("rubric")
    for last in paths:
        rubric = load_rubric(last)
        for kind in rubric.kinds:
            if kind in found:
                raise ConfigError(
                    last, "kinds", f"{kind!r} has another rubric already", remedy="name each kind once"
                )
            found[kind] = rubric
    if missing := [kind for kind in KINDS if kind not in found]:
        raise ConfigError(last, "kinds", f"no rubric is for {missing[0]!r}", remedy="name it in one of them")
    return found


def check_vote(vote: Vote, rubric: Rubric) -> None:
    """Hold a vote against the rubric of its item.

    Raises:
        ContractError: a criterion or failure that the rubric does not name, or no rationale.
    """
    criteria = {criterion.key for criterion in rubric.criteria}
    kinds = {failure.key for failure in rubric.failures}
    if any(rated.keys() - criteria for rated in vote.ratings):
        raise ContractError("a rating is of no criterion of the rubric", remedy="rate again")
    if any(flag.kind not in kinds for marked in vote.flags for flag in marked):
        raise ContractError("a flag is of no kind of failure of the rubric", remedy="flag again")
    if needs_rationale(vote, rubric) and not vote.rationale.strip():
        raise ContractError("a flag or a 'much better' needs a reason", remedy="write why in a few words")


def needs_rationale(vote: Vote, rubric: Rubric) -> bool:
    """Whether the person must say why."""
    flagged = "flagged" in rubric.explain and any(vote.flags)
    return flagged or ("much" in rubric.explain and vote.strength == MUCH)


def _once(path: Path, table: str, keys: list[str]) -> None:
    twice = [key for key, times in Counter(keys).items() if times > 1]
    if twice:
        places = " and ".join(str(place) for place, key in enumerate(keys) if key == twice[0])
        raise ConfigError(
            path, table, f"{twice[0]!r} is named twice, as entries {places}", remedy="give each its own key"
        )
