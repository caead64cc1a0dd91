"""Where each answer of an item stands on the screen: random by the item's seed, balanced over its raters.

Position bias is real (facts B.2), so it is spread evenly and can be measured: the first rater of an item sees
the answers in an order drawn from the stored seed, every further one sees it turned by one place, so that
of two answers each stands on the left once in two votes, and of four each once in four at every place.
"""

from __future__ import annotations

import hashlib

from intraward_client.labeling.judgment import Item


def shown_order(item: Item, turn: int) -> tuple[int, ...]:
    """Answers by place, left first: ``shown_order(...)[place]`` is an index into ``item.candidate_ids``.

    Args:
        turn: how many people were given the item before, 0 for the first.
    """

    def draw(answer: int) -> bytes:
        return hashlib.sha256(f"intraward order|{item.seed}|{item.item_id}|{answer}".encode()).digest()

    count = len(item.candidate_ids)
    drawn = sorted(range(count), key=draw)
    return tuple(drawn[(place + turn) % count] for place in range(count))
