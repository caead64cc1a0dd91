"""The reviewer's desk: look at what was held back, decide, audit a sample, plant canaries.

Between the commands and the vault (rules 2 and 10 of DESIGN.md). What a person decides about a text is
de-identified and looked at again before anything is stored; nothing here prints or logs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from intraward_client.deid.deidentifier import Deidentifier
from intraward_client.deid.note import DeidentifiedNote, Quarantined
from intraward_client.deid.recognizers import CLASS_OF
from intraward_client.deid.residue import PREFIX
from intraward_client.deid.ruling import Examined, Ruling, Span
from intraward_client.store import review
from intraward_client.store.importers import TEXT_FIELDS
from intraward_client.store.review import Held
from intraward_client.store.vault import Vault
from intraward_shared.errors import DeidError, InputError

CLASSES = frozenset(CLASS_OF.values())


@dataclass(frozen=True, slots=True)
class Shown:
    """A waiting row as a reviewer sees it; texts by field name."""

    held: Held
    texts: Mapping[str, Examined] = field(repr=False)


def show(vault: Vault, engine: Deidentifier, prefix: str) -> Shown:
    """Read a waiting row with the present rules.

    Raises:
        InputError: no such row.
        DeidError: its text cannot be read; it can only be rejected or written anew.
    """
    held, row = review.take(vault, prefix)
    try:
        texts = engine.examine(row.texts)
    except Exception:
        remedy = "reject it, or give its text anew: intraward-client deid review correct ID --text FIELD=FILE"
        raise DeidError("this text cannot be read", remedy=remedy) from None
    return Shown(held, dict(zip(TEXT_FIELDS[held.kind], texts, strict=True)))


def decide(
    vault: Vault,
    engine: Deidentifier,
    prefix: str,
    *,
    marks: Mapping[str, Sequence[Span]] | None = None,
    texts: Mapping[str, str] | None = None,
    accepted: frozenset[str] = frozenset(),
    user: str = "",
) -> Held:
    """Release a waiting row, as the rules leave it or corrected; it passes the second look again.

    Args:
        prefix: the row's id, or the beginning of it.
        marks: further spans by field, in offsets of the text as `show` gives it.
        texts: texts written anew, by field; they are de-identified like any other.
        accepted: codes of the second look that the person says are wrong, beside the one it was held for.
        user: who decides; the account of the process if left out.

    Raises:
        InputError: no such row, field or span.
        DeidError: it is held back again; the code says why.
    """
    held, row = review.take(vault, prefix)
    fresh = review.replace_texts(row, held.kind, texts or {})
    if held.reason.startswith(PREFIX):
        accepted |= {held.reason.removeprefix(PREFIX)}
    ruling = Ruling(_by_place(held, marks or {}), accepted)
    outcomes = engine.rule(fresh.texts, ruling)
    reasons = [outcome.reason for outcome in outcomes if isinstance(outcome, Quarantined)]
    notes = [outcome for outcome in outcomes if isinstance(outcome, DeidentifiedNote)]
    bodies = [note.text.split() for note in notes]
    if not reasons and held.kind != "notes" and not all(bodies):
        reasons = ["empty-text"]
    if not reasons and held.kind == "preferences" and bodies[1] == bodies[2]:
        reasons = ["same-answers"]
    if reasons:
        remedy = "mark what is left, accept the code if it is wrong, or reject the row"
        if not reasons[0].startswith(PREFIX):
            remedy = "this reason cannot be accepted: give the text anew (review correct --text), or reject"
        raise DeidError(f"the row is held back again: {reasons[0]}", remedy=remedy)
    corrected = bool(marks or texts)
    codes = sorted(f"accepted:{code}" for code in accepted)
    decision: review.Decision = "correct" if corrected else "release"
    review.release(vault, held, row, notes, decision, codes, user or review.current_user())
    return held


def parse_marks(values: Sequence[str], kind: str) -> dict[str, list[Span]]:
    """Spans from ``FIELD:START:END:CLASS``; a note's field is ``text`` and may be left out.

    Raises:
        InputError: a mark is not of that form.
    """
    marks: dict[str, list[Span]] = {}
    for value in values:
        parts = value.split(":")
        parts = ["text", *parts] if len(parts) == 3 and kind == "notes" else parts
        if len(parts) != 4 or parts[0] not in TEXT_FIELDS[kind] or parts[3] not in CLASSES:
            remedy = f"write FIELD:START:END:CLASS; classes are {', '.join(sorted(CLASSES))}"
            raise InputError("review", 0, "a mark is not FIELD:START:END:CLASS", remedy=remedy)
        if not (parts[1].isdigit() and parts[2].isdigit() and int(parts[1]) < int(parts[2])):
            raise InputError("review", 0, "a mark's places are not two rising numbers", remedy="see show")
        marks.setdefault(parts[0], []).append((int(parts[1]), int(parts[2]), parts[3]))
    return marks


def _by_place(held: Held, marks: Mapping[str, Sequence[Span]]) -> list[Sequence[Span]]:
    return [marks.get(name, ()) for name in TEXT_FIELDS[held.kind]] if marks else []
