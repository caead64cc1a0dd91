"""Votes, gold keys and the order on the screen: what is refused, and what comes back as it was written."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from intraward_client.labeling.judgment import (
    Flag,
    GoldKey,
    Item,
    Vote,
    decode_gold,
    decode_vote,
    encode_gold,
    encode_vote,
)
from intraward_client.labeling.order import shown_order
from intraward_shared.errors import ContractError

VOTE = Vote(
    "item",
    "mira",
    ranks=(2, 1, 2),
    strength=2,
    ratings=({"accuracy": 1}, {"accuracy": 5, "safety": 4}, {}),
    flags=((Flag("harmful", 3, 9), Flag("incomplete")), (), ()),
    rationale="Thé dose ist zu hoch \U0001f600 ‮",
    correction="half of it",
    escalated=True,
    seconds=12.345,
    stage="adjudication",
    shown=(2, 0, 1),
)
ITEM = Item("item", "u" * 32, "prompt", ("a", "b", "c", "d"), seed="5eed")


def test_a_vote_comes_back_as_it_was_written() -> None:
    assert decode_vote("item", "mira", encode_vote(VOTE)) == VOTE
    skipped = Vote("item", "mira", skipped="not-my-field", seconds=3.0)
    assert decode_vote("item", "mira", encode_vote(skipped)) == skipped
    gold = GoldKey((1, 2), (frozenset({"harmful"}), frozenset()), "the dose")
    assert decode_gold(encode_gold(gold)) == gold


@pytest.mark.parametrize(
    "change",
    [
        {"ranks": (1,)},
        {"ranks": (1, 3, 3)},
        {"ranks": (0, 1, 2)},
        {"ranks": (1, 1, 1)},
        {"strength": 4},
        {"strength": -1},
        {"ratings": ({"accuracy": 6}, {}, {})},
        {"ratings": ({"accuracy": 0}, {}, {})},
        {"ratings": ({}, {})},
        {"flags": ((),)},
        {"shown": (0, 1, 1)},
        {"skipped": "too-long"},
    ],
)
def test_a_vote_that_contradicts_itself_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ContractError):
        replace(VOTE, **change)  # type: ignore[arg-type]


@pytest.mark.parametrize("span", [(-1, 3), (4, 4), (5, 3), (0, -1)])
def test_a_flag_needs_a_passage_or_none(span: tuple[int, int]) -> None:
    with pytest.raises(ContractError):
        Flag("harmful", *span)


@pytest.mark.parametrize(
    "text", ["{}", "[]", '"x"', "not json", encode_vote(VOTE)[:-1], encode_vote(VOTE) + " "]
)
def test_content_that_is_no_vote_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        decode_vote("item", "mira", text)


def test_content_of_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ContractError):
        decode_vote("item", "mira", encode_vote(VOTE).replace('"adjudication"', '"later"'))


def test_no_judgment_is_in_a_repr() -> None:
    assert "dose" not in repr(VOTE) and "dose" not in repr(GoldKey((1, 2), explanation="the dose"))


@pytest.mark.parametrize("ids", [("a",), (), ("a", "a"), ("a", "b", "c", "d", "e")])
def test_an_item_has_two_to_four_answers(ids: tuple[str, ...]) -> None:
    with pytest.raises(ContractError):
        replace(ITEM, candidate_ids=ids)


@pytest.mark.parametrize("propensity", [0.0, 1.1, float("nan")])
def test_an_item_has_a_propensity(propensity: float) -> None:
    with pytest.raises(ContractError):
        replace(ITEM, propensity=propensity)


def test_every_answer_stands_at_every_place_once_in_as_many_votes() -> None:
    orders = [shown_order(ITEM, turn) for turn in range(4)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert all({order[place] for order in orders} == {0, 1, 2, 3} for place in range(4))


def test_the_first_place_is_drawn_evenly_by_the_seed() -> None:
    pair = replace(ITEM, candidate_ids=("a", "b"))
    first = Counter(shown_order(replace(pair, seed=f"{seed:x}"), 0)[0] for seed in range(2000))
    assert abs(first[0] - 1000) < 5 * (2000 / 4) ** 0.5
