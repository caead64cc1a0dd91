"""Ready-made answers into the queue: de-identified, of one patient, once; a bad line stores nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.client.labeling.stations import Clock, add_account, home_at, make_book
from tests.e2e.label_site import lay

from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, Quarantined, seal_note
from intraward_client.deid.raw import RawNote, reveal
from intraward_client.labeling.additions import add, read_additions
from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.queue import next_turn
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.store.consent import opt_out
from intraward_client.store.prompts import add_prompts, prompt_records
from intraward_client.store.vault import Vault
from intraward_shared.errors import InputError, VaultError

RECEIPT, ADMIN = DeidReceipt("safe-harbor", "a" * 64, "b" * 64, {}), Actor("it", "command")
ROWS: list[dict[str, Any]] = [
    {"id": "q1", "prompt": "Question: may I run?\nI fell.", "answers": ["Rest.", "Run on."],
     "patient": "P-1"},
    {"id": 2, "prompt": "May I swim?", "answers": ["Yes.", "No.", "Later."], "patient": "P-2",
     "kind": "safety", "specialty": "surgery", "known": {"last": "Varga"}},
]  # fmt: skip


class Cleans:
    """Replaces ``Varga``; holds back what says ``secret``."""

    def ready(self, workers: int = 1) -> None: ...

    def deidentify_many(self, notes: Iterable[RawNote], *_: Any) -> Iterator[DeidentifiedNote | Quarantined]:
        for number, note in enumerate(notes):
            text = reveal(note)[0]
            if "secret" in text:
                yield Quarantined(f"n{number}", note.patient_id, "residue")
            else:
                yield seal_note(f"n{number}", note.patient_id, text.replace("Varga", "[NAME]"), RECEIPT)


CLEANS: Any = Cleans()


@pytest.fixture
def made(tmp_path: Path, vault: Vault) -> Iterator[Book]:
    terms = LabelingTerms(gold_share=0.0, repeat_share=0.0)
    with closing(make_book(home_at(tmp_path / "site"), vault, terms, Clock())) as book:
        yield book


def write(folder: Path, *rows: Any) -> Path:
    path = folder / "answers.jsonl"
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def put(book: Book, vault: Vault, folder: Path, *rows: Any) -> Any:
    return add(book, vault, CLEANS, read_additions(write(folder, *rows)), ADMIN)


def test_lines_become_items_that_can_be_shown_and_judged(made: Book, vault: Vault, tmp_path: Path) -> None:
    found = put(made, vault, tmp_path, *ROWS)
    assert (found.lines, found.items, found.before, found.left_out) == (2, 2, 0, {})
    ann = add_account(made, "ann", specialties=("surgery",))
    items = {item.unit: item for item in made.items()}
    one, two = (items[vault.unit_of(name)] for name in ("P-1", "P-2"))
    assert (one.kind, two.kind, two.specialty) == ("answers", "safety", "surgery")
    shown = made.sealer.texts(one.unit, one.prompt_id, one.candidate_ids)
    assert shown.prompt.endswith("I fell.") and shown.answers == ("Rest.", "Run on.")
    assert made.sealer.texts(two.unit, two.prompt_id, two.candidate_ids).answers == ("Yes.", "No.", "Later.")
    assert next_turn(made, ann) is not None
    assert add_prompts(vault) == 0 and len(prompt_records(vault)) == 2


def test_again_adds_nothing_and_queues_what_a_killed_run_left_out(
    made: Book, vault: Vault, tmp_path: Path
) -> None:
    put(made, vault, tmp_path, *ROWS)
    again = put(made, vault, tmp_path, *ROWS)
    assert (again.items, again.before) == (0, 2)
    other = make_book(
        home_at(tmp_path / "other"), vault, made.terms, Clock()
    )  # has the vault's, not the items
    with closing(other):
        assert put(other, vault, tmp_path, *ROWS).items == 2
    with pytest.raises(VaultError, match="two patients"):
        put(made, vault, tmp_path, {**ROWS[0], "patient": "P-9"})


def test_what_may_not_be_taken_is_left_out_and_counted(made: Book, vault: Vault, tmp_path: Path) -> None:
    opt_out(vault, iter(["P-2"]))
    vault.forget("P-3")
    rows = [
        {**ROWS[0], "answers": ["the secret", "none"]},
        ROWS[1],
        {**ROWS[0], "id": "q3", "patient": "P-3"},
        {**ROWS[0], "id": "q4", "answers": ["See Varga.", "See [NAME]."]},
    ]
    found = put(made, vault, tmp_path, *rows)
    assert found.items == 0 and made.items() == ()
    assert found.left_out == {"imported-before": 1, "opted-out": 1, "residue": 1, "same-answers": 1}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("no json", "is not JSON"),
        ({**ROWS[0], "answers": ["one"]}, "2 to 4"),
        ({**ROWS[0], "answers": ["one", "one "]}, "the same"),
        ({**ROWS[0], "answers": ["one", " "]}, "answer 2"),
        ({**ROWS[0], "answers": "ab"}, "2 to 4"),
        ({**ROWS[0], "prompt": ""}, "'prompt'"),
        ({**ROWS[0], "patient": None}, "'patient'"),
        ({**ROWS[0], "id": True}, "'id'"),
        ({**ROWS[0], "kind": "poems"}, "'kind'"),
        ({**ROWS[0], "specialty": 7}, "'specialty'"),
        ({**ROWS[0], "known": ["Varga"]}, "'known'"),
        ({**ROWS[0], "model": "x"}, "'model'"),
        ({**ROWS[0], "Varga 555-010": "x"}, "a field that is not known"),
        (ROWS[1], "id is there twice"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_line_and_stores_nothing(
    made: Book, vault: Vault, tmp_path: Path, row: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said) as refused:
        put(made, vault, tmp_path, ROWS[1], row)
    assert "answers.jsonl: line 2" in refused.value.message and "Varga" not in refused.value.message
    assert made.items() == () and prompt_records(vault) == ()


@pytest.mark.slow
def test_the_command(tmp_path: Path, call: Callable[..., tuple[int, str]]) -> None:
    site = lay(tmp_path, {}, {})
    row = {**ROWS[1], "prompt": "Mr Varga asks: may I swim?"}
    file = write(tmp_path, row)
    for new, before in ((1, 0), (0, 1)):
        code, told = call("label", "add", file, "--json", "--home", site.home.root)
        assert code == 0, told
        assert json.loads(told) == {"lines": 1, "items": new, "before": before, "left_out": {}}
    with closing(Vault.open(site.home.vault, site.home.vault_keys)) as vault:
        (record,) = prompt_records(vault)
    assert "Varga" not in record.prompt and "may I swim" in record.prompt
    code, told = call("label", "add", write(tmp_path, row, row), "--home", site.home.root)
    assert code == 1 and "line 2" in told and "Varga" not in told
