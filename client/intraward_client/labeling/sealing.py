"""The vault as the station uses it: sealing what people said, and reading prompts and answers to show them.

Sections 3, 5 and 6 of DESIGN.md. What is shown has a de-identification receipt: a prompt is of a note that
was released with one, an answer is a model's own to such a prompt. A forgotten patient is refused even where
this process has their key in memory; a patient who opted out is not shown. Gold texts are nobody's and come
from the course file. One lock: the vault object belongs to one thread at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from intraward_client.labeling.database import Gone
from intraward_client.store.consent import is_opted_out, opted_out
from intraward_client.store.schema import candidates, notes, prompts
from intraward_client.store.vault import Vault
from intraward_client.store.withheld import offer_again, withheld_prompts, withhold

_NOBODY = "intraward: no patient"
"""Stands for the patient of gold items; the same as where a flagged answer was about none."""
_AWAY = "go on with the next item"
_AT_ONCE = 200
Where = tuple[str, str, str]
"""Table, row and column that a ciphertext is bound to."""


_PROMPT = (
    select(prompts.c.prompt)
    .join(notes)
    .where(prompts.c.prompt_id == bindparam("prompt"), prompts.c.unit == bindparam("unit"))
    .where(notes.c.pack_sha256 != "")
)
_ANSWERS = select(candidates.c.candidate_id, candidates.c.answer).where(
    candidates.c.candidate_id.in_(bindparam("names", expanding=True)),
    candidates.c.prompt_id == bindparam("prompt"),
    candidates.c.unit == bindparam("unit"),
)


@dataclass(frozen=True, slots=True, repr=False)
class ItemTexts:
    """What a page shows of an item, answers in the order of its ``candidate_ids``."""

    prompt: str
    answers: tuple[str, ...]

    def __repr__(self) -> str:
        return "ItemTexts(<redacted>)"


class Sealer:
    """A vault for the station's threads. ``public``: texts of gold items by prompt id."""

    def __init__(self, vault: Vault, public: Mapping[str, ItemTexts] | None = None) -> None:
        self._vault, self._lock = vault, threading.Lock()
        self._public = dict(public or {})
        self.nobody = vault.unit_of(_NOBODY)
        with vault.transaction() as connection:
            vault.admit_unit(connection, self.nobody)

    def __repr__(self) -> str:
        return "Sealer(<redacted>)"

    def derive(self, purpose: str) -> bytes:
        """A key of the site for ``purpose``."""
        return self._vault.derive(purpose)

    def publish(self, public: Mapping[str, ItemTexts]) -> None:
        """Gold texts that may be shown."""
        self._public.update(public)

    def seal(self, unit: str, where: Where, text: str) -> bytes:
        """Encrypt under the patient's key.

        Raises:
            Gone: the patient was forgotten, or opted out: nothing more is said of them.
        """
        with self._lock, self._vault.transaction() as connection:
            self._check_known(connection, unit)
            self._check_willing(connection, unit)
            return self._vault.seal_field(connection, unit, where, text)

    def unseal(self, unit: str, where: Where, sealed: bytes) -> str:
        """Decrypt what `seal` made.

        Raises:
            Gone: the patient was forgotten.
            VaultError: it was changed or moved.
        """
        return self.unseal_many([(unit, where, sealed)])[0]

    def unseal_many(self, fields: Sequence[tuple[str, Where, bytes]]) -> tuple[str, ...]:
        """Decrypt many, a few at a time, so that nobody else waits for the vault until all are done.

        Raises:
            Gone: one of the patients was forgotten.
        """
        found: list[str] = []
        for start in range(0, len(fields), _AT_ONCE):
            part = fields[start : start + _AT_ONCE]
            with self._lock, self._vault.transaction() as connection:
                for unit in {unit for unit, _, _ in part}:
                    self._check_known(connection, unit)
                found += [self._vault.open_field(connection, *field) for field in part]
        return tuple(found)

    def texts(self, unit: str, prompt_id: str, candidate_ids: Sequence[str]) -> ItemTexts:
        """Prompt and answers to show.

        Raises:
            Gone: the patient was forgotten or opted out, or a text is not there or has no receipt.
        """
        if prompt_id in self._public:
            return self._public[prompt_id]
        with self._lock, self._vault.transaction() as connection:
            self._check_known(connection, unit)
            self._check_willing(connection, unit)
            prompt = self._prompt(connection, unit, prompt_id)
            return ItemTexts(prompt, self._answers(connection, unit, prompt_id, candidate_ids))

    def withhold(self, prompt_id: str, items: Sequence[str], corrections: Sequence[str]) -> None:
        """Keep a prompt and what was made of its items from training (``store.withheld``)."""
        with self._lock:
            withhold(self._vault, prompt_id, items, corrections)

    def offer_again(self, prompt_id: str) -> None:
        """Undo `withhold`; the rows come back with the next ``label collect``."""
        with self._lock:
            offer_again(self._vault, prompt_id)

    def withheld_prompts(self) -> frozenset[str]:
        """Prompts that are kept from training."""
        with self._lock:
            return withheld_prompts(self._vault)

    def units_away(self, units: Sequence[str]) -> frozenset[str]:
        """Which of these patients were forgotten."""
        with self._lock, self._vault.transaction() as connection:
            return frozenset(unit for unit in units if self._vault.is_forgotten(connection, unit))

    def units_opted_out(self) -> frozenset[str]:
        """Patients who opted out."""
        with self._lock, self._vault.transaction() as connection:
            return opted_out(connection)

    def unit_of(self, patient_id: str) -> str:
        """The privacy unit of a patient."""
        return self._vault.unit_of(patient_id)

    def _check_known(self, connection: Connection, unit: str) -> None:
        if self._vault.is_forgotten(connection, unit):
            raise Gone("this item is no longer there", remedy=_AWAY)

    def _check_willing(self, connection: Connection, unit: str) -> None:
        if is_opted_out(connection, unit):
            raise Gone("this item is not shown any more", remedy=_AWAY)

    def _prompt(self, connection: Connection, unit: str, prompt_id: str) -> str:
        """A prompt of this patient, whose note has a receipt."""
        sealed = connection.execute(_PROMPT, {"prompt": prompt_id, "unit": unit}).scalar()
        if sealed is None:
            raise Gone("this item is no longer there, or has no receipt", remedy=_AWAY)
        return self._vault.open_field(connection, unit, (prompts.name, prompt_id, "prompt"), sealed)

    def _answers(
        self, connection: Connection, unit: str, prompt_id: str, candidate_ids: Sequence[str]
    ) -> tuple[str, ...]:
        told = {"names": list(candidate_ids), "prompt": prompt_id, "unit": unit}
        sealed = {row.candidate_id: row.answer for row in connection.execute(_ANSWERS, told)}
        if len(sealed) < len(candidate_ids):
            raise Gone("an answer of this item is no longer there", remedy=_AWAY)
        return tuple(
            self._vault.open_field(connection, unit, (candidates.name, name, "answer"), sealed[name])
            for name in candidate_ids
        )
