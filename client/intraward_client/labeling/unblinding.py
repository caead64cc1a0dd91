"""Votes on blind pairs of the coordinator, told apart by its key once judging is over.

Only items of the key are looked at, first judgments and seniors' alone. A figure of this hospital: it stays
here, and whether it leaves is a person's decision (DESIGN.md section 6).
"""

from __future__ import annotations

from typing import Any

from intraward_client.labeling.book import Book
from intraward_client.labeling.comparisons import COUNTED
from intraward_client.store.given import answer_names
from intraward_client.store.vault import Vault
from intraward_shared.blind import BlindKey, unblinded
from intraward_shared.errors import LabelError


def unblind(book: Book, vault: Vault, key: BlindKey) -> dict[str, Any]:
    """Win rate of the policy, as this hospital's clinicians judged it.

    Raises:
        LabelError: no pair of the key was ever added here.
    """
    places = {answer_names(vault, pair.id, 2): pair for pair in key.pairs}
    items = {
        item.item_id: places[item.candidate_ids] for item in book.items() if item.candidate_ids in places
    }
    if not items:
        raise LabelError(
            "none of the key's pairs is in this station",
            remedy="add its file first: intraward-client label add",
        )
    votes: dict[str, list[float]] = {}
    for vote in book.votes(sorted(items), COUNTED):
        if vote.judged:
            pair = items[vote.item_id]
            first, second = vote.ranks
            ours, theirs = (first, second) if pair.first == "policy" else (second, first)
            votes.setdefault(pair.id, []).append(float(theirs > ours) + 0.5 * (theirs == ours))
    return unblinded(key, votes)
