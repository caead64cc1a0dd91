"""``label prepare``: answers from the ward, and items for the queue out of them.

The vault's candidates of one adapter become items, once; a prompt whose answers are all the same text has
nothing to judge. Which prompts are taken, and with which chance, is ``selection``'s affair; an item's place
in the queue is drawn: an order by disagreement would make what gets labelled depend on other patients.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.judgment import MOST_ANSWERS, Item, Kind
from intraward_client.labeling.selection import keyed_draw, propensity, select
from intraward_client.store.prompts import LabelTask, unlabelled
from intraward_client.store.vault import Vault
from intraward_shared.errors import LabelError

Ask = Callable[[dict[str, Any]], dict[str, Any]]
"""One request to the ward (``desksocket.ask``)."""
_SCORED_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done: answers generated, items put into the queue; prompts left out by chance, or alike."""

    answered: int
    items: int
    not_drawn: int
    alike: int
    adapter: str = field(default="")


def answers(ask: Ask, sampling: Mapping[str, Any], progress: Callable[[float], None]) -> tuple[int, str]:
    """Have the ward answer every prompt; how many it answered, and the adapter's digest.

    Raises:
        IntrawardError: the ward said no, or makes no progress.
    """
    done = 0
    while True:
        told = ask({"kind": "answer", **sampling})
        done += int(told["answered"])
        if not told["left"]:
            return done, str(told["adapter"])
        if not told["answered"]:
            raise LabelError("the ward answers no prompt any more", remedy="see the ward's own log")
        progress(done / (done + int(told["left"])))


def disagreements(ask: Ask, reward: str, adapter: str, tasks: Iterable[LabelTask]) -> Mapping[str, float]:
    """Disagreement of an installed reward adapter by prompt."""
    names = [task.prompt.prompt_id for task in tasks]
    found: dict[str, float] = {}
    for start in range(0, len(names), _SCORED_AT_ONCE):
        part = names[start : start + _SCORED_AT_ONCE]
        told = ask({"kind": "score", "adapter": reward, "of": adapter, "prompts": part})
        found |= {name: float(value) for name, value in told["disagreement"].items()}
    return found


def prepare(
    book: Book,
    vault: Vault,
    ask: Ask,
    actor: Actor,
    *,
    kind: Kind,
    specialty: str,
    sampling: Mapping[str, Any],
    reward: str | None,
    progress: Callable[[float], None] = lambda _: None,
) -> Prepared:
    """Generate answers and queue the items.

    Args:
        sampling: of ``preparing.AnswerRequest``.
        reward: an installed reward adapter with several members; None takes every prompt.

    Raises:
        IntrawardError: the ward does not answer or says no; what was generated stays.
    """
    answered, adapter = answers(ask, sampling, progress)
    there = {(item.prompt_id, item.candidate_ids) for item in book.items()}
    tasks = [task for task in unlabelled(vault) if task.candidates[0].adapter_digest == adapter]
    made = {task.prompt.prompt_id: _candidates(task) for task in tasks}
    new = [task for task in tasks if (task.prompt.prompt_id, made[task.prompt.prompt_id]) not in there]
    ready = [task for task in new if len(made[task.prompt.prompt_id]) > 1]
    chances = {task.prompt.prompt_id: 1.0 for task in ready}
    if reward is not None:
        terms, told = book.terms, disagreements(ask, reward, adapter, ready)
        chances = {
            name: propensity(told.get(name, 0.0), terms.random_share, terms.disagreement_scale)
            for name in chances
        }
    taken = select(chances, keyed_draw(lambda name: vault.tag("label draw", f"{name}|{adapter}")))
    items = [
        Item(
            vault.tag("label item", f"{name}|{adapter}"),
            task.prompt.unit,
            name,
            made[name],
            kind,
            specialty,
            secrets.token_hex(16),
            taken[name],
        )
        for task in ready
        if (name := task.prompt.prompt_id) in taken
    ]
    priority = {item.item_id: secrets.randbits(53) / (1 << 53) for item in items}
    added = book.add_items(items, priority, actor)
    return Prepared(answered, added, len(ready) - len(taken), len(new) - len(ready), adapter)


def _candidates(task: LabelTask) -> tuple[str, ...]:
    """The different answers of a prompt, at most four, by slot; an empty one is no answer."""
    seen: dict[tuple[str, ...], str] = {}
    for candidate in task.candidates:
        words = tuple(candidate.answer.split())
        if words:
            seen.setdefault(words, candidate.candidate_id)
    return tuple(seen.values())[:MOST_ANSWERS]
