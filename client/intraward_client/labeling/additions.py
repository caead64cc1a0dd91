"""``label add``: prompts with ready-made answers, one JSON object a line, into the vault and the queue.

``{"id", "prompt", "answers": [2 to 4], "patient"}`` and, where wanted, ``"kind"``, ``"specialty"`` and
``"known"`` (identifiers, as in ``import``). The file is read as a whole before anything is stored; an error
names file and line, never content. Adding a file again adds nothing, and queues what a killed run left out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.jsonl import Rejected, lines, parse_known, parse_object
from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.judgment import FEWEST_ANSWERS, KINDS, MOST_ANSWERS, Item, Kind
from intraward_client.store.given import GIVEN, RawTask, take_tasks
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError

_KEYS = frozenset({"id", "prompt", "answers", "patient", "kind", "specialty", "known"})
_REMEDY = "mend the line; nothing of the file was stored"
_LONGEST_NAME, _LONGEST_SPECIALTY = 200, 100


@dataclass(frozen=True, slots=True, repr=False)
class Addition:
    """One line of the file."""

    task: RawTask
    kind: Kind
    specialty: str

    def __repr__(self) -> str:
        return "Addition(<redacted>)"


@dataclass(frozen=True, slots=True)
class Added:
    """Lines of the file, new items in the queue, items that were there, and by reason what was left out."""

    lines: int
    items: int
    before: int
    left_out: Mapping[str, int]


def read_additions(path: Path) -> tuple[Addition, ...]:
    """Every line of a file.

    Raises:
        InputError: names file and line, never content.
    """
    found: list[Addition] = []
    seen: set[str] = set()
    for number, line in lines(path):
        try:
            one = _addition(parse_object(line))
            if one.task.name in seen:
                raise Rejected("the id is there twice")
        except Rejected as refusal:
            raise InputError(path.name, number, str(refusal), remedy=_REMEDY) from None
        seen.add(one.task.name)
        found.append(one)
    if not found:
        raise InputError(path.name, 0, "holds no line", remedy="write one JSON object a line")
    return tuple(found)


def add(
    book: Book,
    vault: Vault,
    deidentifier: Deidentifier,
    additions: Sequence[Addition],
    actor: Actor,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Added:
    """Store what the de-identifier releases, and queue it.

    Raises:
        DeidError, VaultError, LabelError: not fit to run; what was stored stays, a second run does the rest.
    """
    stored, left = take_tasks(vault, deidentifier, [one.task for one in additions], workers, progress)
    items = [
        Item(
            vault.tag("label item", f"{place.prompt_id}|{GIVEN}"),
            place.unit,
            place.prompt_id,
            place.candidate_ids,
            one.kind,
            one.specialty,
            secrets.token_hex(16),
        )
        for one in additions
        if (place := stored.get(one.task.name)) is not None
    ]
    priority = {item.item_id: secrets.randbits(53) / (1 << 53) for item in items}
    new = book.add_items(items, priority, actor)
    return Added(len(additions), new, len(items) - new, dict(sorted(left.items())))


def _addition(row: Mapping[str, Any]) -> Addition:
    if unknown := row.keys() - _KEYS:
        name = min(unknown)
        told = f" {name!r}" if name.isidentifier() and len(name) <= 40 else ""
        raise Rejected(f"holds a field{told} that is not known")
    kind = row.get("kind", "answers")
    if kind not in KINDS:
        raise Rejected(f"'kind' is none of {', '.join(KINDS)}")
    specialty = row.get("specialty", "")
    if not isinstance(specialty, str) or len(specialty) > _LONGEST_SPECIALTY or not specialty.isprintable():
        raise Rejected("'specialty' is no short text")
    task = RawTask(
        _named(row, "id"),
        _named(row, "patient"),
        _text(row.get("prompt"), "'prompt'"),
        _answers(row),
        _known(row),
    )
    return Addition(task, cast(Kind, kind), specialty.strip())


def _named(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= _LONGEST_NAME or not value.isprintable():
        raise Rejected(f"'{key}' is missing, or is no name of 1 to {_LONGEST_NAME} characters")
    return value.strip()


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise Rejected(f"{where} is missing or holds no words")
    return value


def _answers(row: Mapping[str, Any]) -> tuple[str, ...]:
    given = row.get("answers")
    if not isinstance(given, list) or not FEWEST_ANSWERS <= len(given) <= MOST_ANSWERS:
        raise Rejected(f"'answers' is no list of {FEWEST_ANSWERS} to {MOST_ANSWERS} texts")
    found = tuple(_text(value, f"answer {number}") for number, value in enumerate(given, start=1))
    if len({tuple(answer.split()) for answer in found}) < len(found):
        raise Rejected("two answers are the same")
    return found


def _known(row: Mapping[str, Any]) -> dict[str, str]:
    return parse_known(row.get("known", {}))
