"""What was said is on disk, encrypted, once; undone it stays; forgotten it is gone; typed text is cleaned."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import select
from tests.client.labeling.stations import Clock, add_account, refuse

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.labeling import events, judging
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import AGREED, QUARANTINED, Book
from intraward_client.labeling.database import Gone
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judging import UNDO_SECONDS, draft, phi_seen, save_draft, submit, undo
from intraward_client.labeling.judgment import Flag, Item, Vote
from intraward_client.labeling.queue import Turn, next_turn
from intraward_client.labeling.rubric import shipped_rubrics
from intraward_client.labeling.schema import drafts, votes, withdrawals
from intraward_client.labeling.settling import settle, settle_all
from intraward_client.store.consent import opt_out
from intraward_client.store.vault import Vault
from intraward_shared.errors import LabelError

FREE = FreeText(refuse)


@pytest.fixture
def ann(book: Book) -> Account:
    return add_account(book, "ann")


def turn_for(book: Book, account: Account) -> Turn:
    turn = next_turn(book, account)
    assert turn is not None
    return turn


def say(book: Book, account: Account, turn: Turn, free: FreeText = FREE, **said: object) -> bool:
    vote = Vote(turn.item.item_id, account.name, stage=turn.stage, **{"ranks": (1, 2), **said})  # type: ignore[arg-type]
    return submit(book, free, account, turn, vote)


def test_a_vote_comes_back_as_it_was_given(book: Book, items: dict[str, Item], ann: Account) -> None:
    turn = turn_for(book, ann)
    flags = ((Flag("harmful", 2, 9),), ())
    assert say(book, ann, turn, strength=3, ratings=({"safety": 2}, {"safety": 5}), flags=flags, seconds=12.5)
    (vote,) = book.votes()
    assert (vote.ranks, vote.strength, vote.flags, vote.seconds) == ((1, 2), 3, flags, 12.5)
    assert vote.ratings == ({"safety": 2}, {"safety": 5}) and vote.shown == turn.shown


def test_a_second_click_changes_nothing(book: Book, items: dict[str, Item], ann: Account) -> None:
    turn = turn_for(book, ann)
    assert say(book, ann, turn) and not say(book, ann, turn, ranks=(2, 1))
    assert [vote.ranks for vote in book.votes()] == [(1, 2)]


def test_two_at_the_same_moment_lose_nothing(book: Book, items: dict[str, Item], ann: Account) -> None:
    bob = add_account(book, "bob")
    both = [(ann, turn_for(book, ann)), (bob, turn_for(book, bob))]
    assert both[0][1].item == both[1][1].item
    threads = [threading.Thread(target=say, args=(book, *each)) for each in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {vote.rater for vote in book.votes()} == {"ann", "bob"}
    assert settle(book, shipped_rubrics(), both[0][1].item.item_id) == AGREED


def test_nothing_that_was_said_is_readable_in_the_database(
    book: Book, items: dict[str, Item], ann: Account, tmp_path: Path
) -> None:
    turn = turn_for(book, ann)
    save_draft(book, ann, turn, {"rationale": "Ottoline Varga knows"})
    with book.reading() as connection:
        stored = connection.execute(select(drafts.c.content)).scalar_one()
    assert b"Ottoline" not in stored and draft(book, turn) == {"rationale": "Ottoline Varga knows"}
    say(book, ann, turn, strength=2)
    with book.reading() as connection:
        assert b"strength" not in connection.execute(select(votes.c.content)).scalar_one()
        assert connection.execute(select(drafts)).first() is None
        told = events.newest(connection, 1)[0]
    assert set(told.detail) == {"stage", "content_sha256", "text_held"}


def test_a_vote_taken_back_stays_and_no_longer_counts(
    book: Book, items: dict[str, Item], ann: Account, clock: Clock
) -> None:
    turn = turn_for(book, ann)
    say(book, ann, turn, strength=2)
    name, vote = undo(book, ann)
    assert (name, vote.strength) == (turn.assignment_id, 2) and book.votes() == ()
    with book.reading() as connection:
        assert connection.execute(select(withdrawals)).all() and connection.execute(select(votes)).all()
    with pytest.raises(LabelError):
        undo(book, ann)
    assert say(book, ann, turn_for(book, ann), ranks=(2, 1))
    assert [vote.ranks for vote in book.votes()] == [(2, 1)]
    clock.tick(UNDO_SECONDS + 1)
    with pytest.raises(LabelError, match="15 minutes"):
        undo(book, ann)


def test_taking_back_opens_an_agreed_item_again(book: Book, items: dict[str, Item], ann: Account) -> None:
    bob = add_account(book, "bob")
    for account in (ann, bob):
        turn = turn_for(book, account)
        say(book, account, turn)
        settle(book, shipped_rubrics(), turn.item.item_id)
    assert book.counts() == {AGREED: 1, "open": 3}
    undo(book, bob)
    assert book.counts() == {"open": 4}


def test_a_skipped_item_goes_to_somebody_else_and_an_escalated_one_to_a_senior(
    book: Book, items: dict[str, Item], ann: Account
) -> None:
    turn = turn_for(book, ann)
    assert say(book, ann, turn, ranks=(), skipped="not-my-field")
    other = [turn_for(book, add_account(book, name)).item.item_id for name in ("bob", "cy", "dan", "eve")]
    assert turn.item.item_id in other or len(set(other)) == 2
    second = turn_for(book, ann)
    say(book, ann, second, ranks=(), skipped=judging.ESCALATED, escalated=True)
    assert book.states()[second.item.item_id] == "adjudication"


def test_an_escalation_taken_back_leaves_the_items_place_for_somebody_else(
    book: Book, items: dict[str, Item], ann: Account
) -> None:
    turn = turn_for(book, ann)
    say(book, ann, turn, ranks=(), skipped=judging.ESCALATED, escalated=True)
    undo(book, ann)
    assert turn_for(book, add_account(book, "bob")).item == turn.item


def test_who_sees_the_patient_takes_the_item_from_everybody_at_once(
    book: Book, items: dict[str, Item], ann: Account
) -> None:
    bob = add_account(book, "bob")
    mine, theirs = turn_for(book, ann), turn_for(book, bob)
    assert mine.item == theirs.item
    phi_seen(book, ann, mine)
    assert book.states()[mine.item.item_id] == QUARANTINED
    with pytest.raises(Gone):
        say(book, bob, theirs)
    assert turn_for(book, bob).item != mine.item and book.votes() == ()


def test_forgetting_a_patient_leaves_nothing_and_costs_nobody_else_anything(
    book: Book, items: dict[str, Item], ann: Account, vault: Vault
) -> None:
    for _ in range(4):
        turn = turn_for(book, ann)
        if turn.item.unit == vault.unit_of("p-00001"):
            save_draft(book, ann, turn, {"rationale": "x"})
        say(book, ann, turn)
    gone = items["p-00001"]
    vault.forget("p-00001")
    assert gone.item_id not in {vote.item_id for vote in book.votes()}  # before any row is deleted
    assert book.reconcile() == 1 and book.reconcile() == 0
    assert book.item(gone.item_id) is None and len(book.votes()) == 3
    with book.reading() as connection:
        assert events.verify(connection, book.key).bad is None


def test_a_judgment_of_a_patient_forgotten_meanwhile_is_refused(
    book: Book, items: dict[str, Item], ann: Account, vault: Vault
) -> None:
    turn = turn_for(book, ann)
    patient = next(name for name, item in items.items() if item == turn.item)
    vault.forget(patient)
    with pytest.raises(Gone):
        say(book, ann, turn)
    with pytest.raises(Gone):
        book.sealer.texts(turn.item.unit, turn.item.prompt_id, turn.item.candidate_ids)


def test_a_patient_who_opted_out_is_not_shown(book: Book, items: dict[str, Item], vault: Vault) -> None:
    item = items["p-00002"]
    opt_out(vault, iter(["p-00002"]))
    with pytest.raises(Gone):
        book.sealer.texts(item.unit, item.prompt_id, item.candidate_ids)


def test_what_a_dead_process_left_unsettled_is_settled_at_start(
    book: Book, items: dict[str, Item], ann: Account
) -> None:
    for account in (ann, add_account(book, "bob")):
        say(book, account, turn_for(book, account))
    assert book.counts() == {"open": 4}
    assert settle_all(book, shipped_rubrics()) == 1 and book.counts() == {AGREED: 1, "open": 3}


@pytest.fixture(scope="module")
def free_text() -> FreeText:
    made: list[Deidentifier] = []

    def make() -> Deidentifier:
        made.append(Deidentifier(DeidSettings(), bytes(32)))
        return made[0]

    return FreeText(make)


@pytest.mark.slow
def test_typed_text_is_cleaned_before_it_is_kept_and_held_back_in_doubt(
    book: Book, items: dict[str, Item], ann: Account, free_text: FreeText, clock: Clock
) -> None:
    say(book, ann, turn_for(book, ann), free_text, rationale="Dr. Ottoline Varga would never do this.")
    clock.tick(1)
    say(book, ann, turn_for(book, ann), free_text, rationale="Too long.", correction="\0" * 50)
    first, second = book.kept_votes()
    assert "Varga" not in first.vote.rationale and "would never do this" in first.vote.rationale
    assert first.held is None and second.held is not None
    assert second.vote.correction == "" and second.vote.rationale == "Too long."


def test_the_book_is_closed_to_others(tmp_path: Path, book: Book, database: str) -> None:
    if not database:
        assert (tmp_path / "site" / "label.db").stat().st_mode & 0o077 == 0
        with sqlite3.connect(tmp_path / "site" / "label.db") as raw:
            assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)
