"""Who gets what: overlap, nobody twice, specialties, gold and repeats, adjudication, fatigue, concurrency."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.client.labeling.stations import (
    Clock,
    add_account,
    fill_vault,
    home_at,
    make_book,
    make_station,
    pairs,
    refuse,
)

from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import ADJUDICATION, AGREED, Book
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judging import submit, undo
from intraward_client.labeling.judgment import Item, Stage, Vote
from intraward_client.labeling.queue import EXPIRES_SECONDS, Turn, fatigue, next_adjudication, next_turn
from intraward_client.labeling.rubric import shipped_rubrics
from intraward_client.labeling.settling import settle
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.store.vault import Vault

FREE = FreeText(refuse)
Judge = Callable[[Account, Turn, tuple[int, ...]], None]


@pytest.fixture
def judge(book: Book) -> Judge:
    def vote(account: Account, turn: Turn, ranks: tuple[int, ...]) -> None:
        said = Vote(turn.item.item_id, account.name, ranks=ranks, stage=turn.stage, shown=turn.shown)
        assert submit(book, FREE, account, turn, said)
        settle(book, shipped_rubrics(), turn.item.item_id)

    return vote


def drain(book: Book, account: Account, judge: Judge, ranks: tuple[int, ...] = (1, 2)) -> list[Turn]:
    turns = []
    while (turn := next_turn(book, account)) is not None:
        judge(account, turn, ranks)
        turns.append(turn)
    return turns


def test_two_see_each_item_and_nobody_twice(book: Book, items: dict[str, Item], judge: Judge) -> None:
    ann, bob, cy = (add_account(book, name) for name in ("ann", "bob", "cy"))
    assert len({turn.item.item_id for turn in drain(book, ann, judge)}) == 4
    assert len(drain(book, bob, judge)) == 4
    assert next_turn(book, cy) is None and book.counts() == {AGREED: 4}


def test_the_order_on_the_screen_is_turned_for_the_second(book: Book, items: dict[str, Item]) -> None:
    first = next_turn(book, add_account(book, "ann"))
    second = next_turn(book, add_account(book, "bob"))
    assert first is not None and second is not None and first.item == second.item
    assert first.shown == second.shown[::-1]


def test_an_open_item_comes_back_and_one_left_alone_goes_to_others(
    book: Book, items: dict[str, Item], clock: Clock, judge: Judge
) -> None:
    ann = add_account(book, "ann")
    first = next_turn(book, ann)
    assert first is not None and next_turn(book, ann) == first
    clock.tick(EXPIRES_SECONDS + 1)
    for name in ("bob", "cy"):
        assert first.item.item_id in {
            turn.item.item_id for turn in drain(book, add_account(book, name), judge)
        }
    assert next_turn(book, ann) is None  # hers went back, and two others have judged it


def test_disagreement_asks_a_third_and_then_a_senior_who_did_not_judge(
    book: Book, items: dict[str, Item], judge: Judge
) -> None:
    ann, bob = add_account(book, "ann"), add_account(book, "bob")
    cy, sen = add_account(book, "cy", "senior"), add_account(book, "sen", "senior")
    drain(book, ann, judge, (1, 2))
    drain(book, bob, judge, (2, 1))
    assert book.counts() == {"open": 4}
    drain(book, cy, judge, (1, 1))
    assert book.counts() == {ADJUDICATION: 4}
    assert next_adjudication(book, cy) is None  # judged all of them before
    turn = next_adjudication(book, sen)
    assert turn is not None and turn.stage == "adjudication"
    judge(sen, turn, (2, 1))
    assert book.counts() == {ADJUDICATION: 3, AGREED: 1}
    assert len(book.votes([turn.item.item_id])) == 4


def test_an_item_of_a_specialty_waits_for_somebody_who_has_it(vault: Vault, book: Book, judge: Judge) -> None:
    made = list(fill_vault(vault, pairs(2)).values())
    book.add_items([made[0], replace(made[1], specialty="cardiology")])
    plain, heart = add_account(book, "ann"), add_account(book, "bob", specialties=("cardiology",))
    assert [turn.item.specialty for turn in drain(book, plain, judge)] == [""]
    assert {turn.item.specialty for turn in drain(book, heart, judge)} == {"", "cardiology"}


def test_safety_items_are_seen_by_three(vault: Vault, book: Book, judge: Judge) -> None:
    book.add_items([replace(*fill_vault(vault, pairs(1)).values(), kind="safety")])
    seen = [len(drain(book, add_account(book, name), judge)) for name in ("ann", "bob", "cy", "dan")]
    assert seen == [1, 1, 1, 0]


def test_higher_priority_first_and_what_is_begun_before_it(vault: Vault, book: Book, judge: Judge) -> None:
    made = fill_vault(vault, pairs(3))
    wanted = made["p-00001"]
    book.add_items(made.values(), {wanted.item_id: 1.0})
    ann, bob = add_account(book, "ann"), add_account(book, "bob")
    assert drain(book, ann, judge)[0].item.item_id == wanted.item_id
    assert drain(book, bob, judge)[0].item.item_id == wanted.item_id


@pytest.mark.slow
def test_hidden_gold_and_repeats_come_as_often_as_set_and_look_alike(
    tmp_path: Path, vault: Vault, clock: Clock
) -> None:
    terms = LabelingTerms(gold_share=0.1, repeat_share=0.1, daily_cap=2000, overlap=1)
    with closing(make_book(home_at(tmp_path / "gold"), vault, terms, clock)) as book:
        make_station(book, gold=True)
        book.add_items(fill_vault(vault, pairs(120)).values())
        ann, stages = add_account(book, "ann"), Counter[Stage]()
        for _ in range(150):
            clock.tick(86400)
            if (turn := next_turn(book, ann)) is None:
                break
            stages[turn.stage] += 1
            ranks = tuple(range(1, 1 + len(turn.item.candidate_ids)))
            vote = Vote(turn.item.item_id, "ann", ranks=ranks, stage=turn.stage, shown=turn.shown)
            assert submit(book, FREE, ann, turn, vote)
    assert stages["gold"] == 6 and 5 <= stages["repeat"] <= 25 and stages["first"] == 120


def test_the_day_ends_at_the_cap_and_a_pause_is_offered(
    book: Book, items: dict[str, Item], clock: Clock, judge: Judge
) -> None:
    book.terms = book.terms.model_copy(update={"daily_cap": 4, "break_items": 3})
    ann = add_account(book, "ann")
    said = []
    for _ in range(4):
        turn = next_turn(book, ann)
        assert turn is not None
        judge(ann, turn, (1, 2))
        clock.tick(30)
        day = fatigue(book, ann)
        said.append((day.today, day.pause, day.done))
    assert said == [(1, False, False), (2, False, False), (3, True, False), (4, True, True)]
    clock.tick(1200)
    assert not fatigue(book, ann).pause
    clock.tick(86400)
    assert fatigue(book, ann).today == 0


def test_what_was_taken_back_does_not_count_for_the_day(
    book: Book, items: dict[str, Item], judge: Judge
) -> None:
    book.terms = book.terms.model_copy(update={"daily_cap": 1})
    ann = add_account(book, "ann")
    turn = next_turn(book, ann)
    assert turn is not None
    judge(ann, turn, (1, 2))
    assert fatigue(book, ann).done
    undo(book, ann)
    day = fatigue(book, ann)
    assert (day.today, day.done) == (0, False)


@pytest.mark.slow
def test_twenty_at_once_are_given_no_item_too_often_and_lose_nothing(vault: Vault, book: Book) -> None:
    book.add_items(fill_vault(vault, pairs(30)).values())
    people = [add_account(book, f"rater-{number}") for number in range(20)]
    errors: list[BaseException] = []

    def work(account: Account) -> None:
        try:
            while (turn := next_turn(book, account)) is not None:
                vote = Vote(turn.item.item_id, account.name, ranks=(1, 2), stage=turn.stage, shown=turn.shown)
                assert submit(book, FREE, account, turn, vote)
                settle(book, shipped_rubrics(), turn.item.item_id)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(account,)) for account in people]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    given = Counter(vote.item_id for vote in book.votes())
    assert set(given.values()) == {2} and len(given) == 30 and book.counts() == {AGREED: 30}
    assert len({(vote.item_id, vote.rater) for vote in book.votes()}) == 60
