"""What clinicians said of two versions of a model: items that hold an answer of each.

``label prepare --against`` makes such items, blind like any other. A vote is worth 1 where it puts the newer
version's answer above the older one's, one half where it ties them, 0 else. Only first and seniors' judgments
count, of patients who did not opt out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from sqlalchemy import select

from intraward_client.labeling.book import Book
from intraward_client.labeling.judgment import Item, Stage, Vote
from intraward_client.store.consent import consenting
from intraward_client.store.schema import candidates
from intraward_client.store.vault import Vault

COUNTED: tuple[Stage, ...] = ("first", "adjudication")


@dataclass(frozen=True, slots=True, repr=False)
class Compared:
    """One vote on one item: 1, 1/2 or 0 for the newer version, in the order of time."""

    unit: str
    item_id: str
    time: float
    won: float

    def __repr__(self) -> str:
        return "Compared(<redacted>)"


def compared(book: Book, vault: Vault, adapter: str, against: str) -> tuple[Compared, ...]:
    """Every vote on an item with an answer of each of two adapters, oldest first.

    Args:
        adapter, against: digests of the newer and of the older one.
    """
    wrote = _writers(vault)
    items = {item.item_id: item for item in book.items() if item.gold is None}
    found = []
    for kept in book.kept_votes(sorted(items), COUNTED):
        item = items[kept.vote.item_id]
        won = _won(kept.vote, item, wrote, adapter, against)
        if won is not None:
            found.append(Compared(item.unit, item.item_id, kept.time, won))
    return tuple(found)


def versions(book: Book, vault: Vault) -> tuple[str, ...]:
    """Digests of all adapters whose answers stand beside another's in an item."""
    wrote = _writers(vault)
    found: set[str] = set()
    for item in book.items():
        names = {wrote[each] for each in item.candidate_ids if each in wrote}
        found |= names if len(names) > 1 else set()
    return tuple(sorted(found))


def shares(votes: Iterable[Compared]) -> Mapping[str, Sequence[float]]:
    """Of each patient, each of their items' mean vote; the order is by item."""
    by_item: dict[tuple[str, str], list[float]] = {}
    for vote in votes:
        by_item.setdefault((vote.unit, vote.item_id), []).append(vote.won)
    by_unit: dict[str, list[float]] = {}
    for (unit, _), told in sorted(by_item.items()):
        by_unit.setdefault(unit, []).append(mean(told))
    return by_unit


def _writers(vault: Vault) -> Mapping[str, str]:
    """Adapter by candidate, of patients and prompts that are not held back."""
    query = select(candidates.c.candidate_id, candidates.c.adapter_digest).where(consenting(candidates))
    with vault.transaction() as connection:
        return {row.candidate_id: row.adapter_digest for row in connection.execute(query)}


def _won(vote: Vote, item: Item, wrote: Mapping[str, str], adapter: str, against: str) -> float | None:
    """Mean over the item's answers of both; None where it has none of one of them, or was skipped."""
    if not vote.judged:
        return None
    ours, theirs = (
        [
            rank
            for rank, name in zip(vote.ranks, item.candidate_ids, strict=True)
            if wrote.get(name) == version
        ]
        for version in (adapter, against)
    )
    if not ours or not theirs:
        return None
    return mean((other > one) + 0.5 * (other == one) for one in ours for other in theirs)
