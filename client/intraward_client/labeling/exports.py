"""Judgments written into other tools' files, in a folder of the site that no command sends anywhere.

Rule 1 and section 6 of DESIGN.md. Texts are de-identified and still private: files are 0600 in a 0700 folder,
an event says who wrote which file (digest), and forgetting any patient empties the folder. Patients who opted
out or were forgotten are not in it, nor are items that were taken away, gold items, or a rater's free text
that the de-identifier held back. Raters go by keyed names, unless their accounts' are asked for; the seconds
that a judgment took are in Label Studio's file.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

from intraward_client.home import SiteHome
from intraward_client.labeling.book import QUARANTINED, Book
from intraward_client.labeling.database import Gone
from intraward_client.labeling.events import Actor
from intraward_client.labeling.formats.argilla import write_records
from intraward_client.labeling.formats.judged import JudgedTask
from intraward_client.labeling.formats.labelstudio import write_tasks
from intraward_client.labeling.formats.trl import kto_rows, preference_rows
from intraward_client.labeling.judgment import Vote
from intraward_client.store.rankings import ranking_records
from intraward_client.store.vault import Vault
from intraward_shared.durable import write_durably

Format = Literal["trl", "kto", "labelstudio", "argilla"]
FORMATS: tuple[Format, ...] = get_args(Format)


@dataclass(frozen=True, slots=True)
class Exported:
    """A written file, its rows and its sha256."""

    path: Path
    rows: int
    sha256: str


def export(
    home: SiteHome, book: Book, vault: Vault, form: Format, actor: Actor, *, names: bool = False
) -> Exported:
    """Write judgments as ``form`` into the site's ``exports`` folder; an older file of the form is replaced.

    ``trl`` and ``kto`` hold what trains (`records.collect`), the others every vote.

    Args:
        names: raters by the names of their accounts instead of keyed ones.

    Raises:
        VaultError, LabelError: vault or book refuse.
    """
    if form in ("trl", "kto"):
        make = preference_rows if form == "trl" else kto_rows
        rows = list(make(ranking_records(vault)))
        data, name = _lines(rows), f"{form}.jsonl"
    else:
        tasks = judged_tasks(book, _by_name if names else _keyed(vault))
        rows = write_tasks(tasks) if form == "labelstudio" else write_records(tasks)
        data, name = json.dumps(rows, ensure_ascii=False, indent=1).encode(), f"{form}.json"
    home.exports.mkdir(mode=0o700, exist_ok=True)
    home.exports.chmod(0o700)
    digest, path = hashlib.sha256(data).hexdigest(), home.exports / name
    with book.writing() as connection:  # the event first: a file that nobody was told of cannot be there
        book.tell(connection, actor, "export", form, sha256=digest, names=names)
    write_durably(path, data)
    path.chmod(0o600)
    return Exported(path, len(rows), digest)


def judged_tasks(book: Book, called: Callable[[str], str]) -> tuple[JudgedTask, ...]:
    """Every judged item that may still be shown, with all its votes; ``called``: a rater's name there."""
    by_item: dict[str, list[Vote]] = defaultdict(list)
    for vote in book.votes():
        by_item[vote.item_id].append(vote)
    states, tasks = book.states(), []
    for item in book.items():
        if item.gold is not None or states[item.item_id] == QUARANTINED or item.item_id not in by_item:
            continue
        try:
            texts = book.sealer.texts(item.unit, item.prompt_id, item.candidate_ids)
        except Gone:
            continue
        votes = tuple(replace(vote, rater=called(vote.rater)) for vote in by_item[item.item_id])
        tasks.append(
            JudgedTask(item.item_id, texts.prompt, texts.answers, votes, unit=item.unit, kind=item.kind)
        )
    return tuple(tasks)


def forget_exports(home: SiteHome) -> None:
    """Delete every exported file: a forgotten patient may be in any of them."""
    shutil.rmtree(home.exports, ignore_errors=True)


def _by_name(name: str) -> str:
    return name


def _keyed(vault: Vault) -> Callable[[str], str]:
    """Names that only this site can tell; the same in every export, so that agreement can be computed."""
    return lambda name: f"rater-{vault.tag('label rater', name)[:12]}"


def _lines(rows: Iterable[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
