"""``label prepare --against``: items with an answer of each of two installed adapters, to compare versions.

One answer each, drawn with the same settings; where both say the same there is nothing to judge. The items
are blind like any other: which version wrote an answer stands in the vault alone. Judgments train as any
others do, of patients who are not held out; ``comparisons`` reads who won.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.judgment import Item, Kind
from intraward_client.labeling.preparation import Ask, Prepared, answers
from intraward_client.store.prompts import candidates_of, prompt_records
from intraward_client.store.vault import Vault
from intraward_shared.errors import LabelError


def prepare_comparison(
    book: Book,
    vault: Vault,
    ask: Ask,
    actor: Actor,
    *,
    kind: Kind,
    specialty: str,
    sampling: Mapping[str, Any],
    against: str,
    progress: Callable[[float], None] = lambda _: None,
) -> Prepared:
    """Have both adapters answer every prompt, and queue an item a prompt; again, what is new.

    Args:
        sampling: of ``preparing.AnswerRequest``, with the newer adapter.
        against: the older one, installed as well.

    Raises:
        LabelError: both are the same. IntrawardError: the ward does not answer or says no.
    """
    answered, newer = answers(ask, sampling, lambda share: progress(share / 2))
    more, older = answers(ask, {**sampling, "adapter": against}, lambda share: progress((1 + share) / 2))
    if newer == older:
        raise LabelError("both versions are the same adapter", remedy="name an older one with --against")
    there = {item.item_id for item in book.items()}
    new, alike = [], 0
    for prompt in prompt_records(vault):
        item_id = vault.tag("label item", f"{prompt.prompt_id}|{newer}|{older}")
        if item_id in there:
            continue
        first = {each.adapter_digest: each for each in reversed(candidates_of(vault, prompt.prompt_id))}
        words = [tuple(first[name].answer.split()) for name in (newer, older)]
        if words[0] == words[1] or not all(words):
            alike += 1
            continue
        chosen = (first[newer].candidate_id, first[older].candidate_id)
        seed = secrets.token_hex(16)
        new.append(Item(item_id, prompt.unit, prompt.prompt_id, chosen, kind, specialty, seed))
    priority = {item.item_id: secrets.randbits(53) / (1 << 53) for item in new}
    return Prepared(answered + more, book.add_items(new, priority, actor), 0, alike, newer)
