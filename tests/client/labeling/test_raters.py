"""Raters' reliability, alarms and the draw of prompts, on raters whose truth is known."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import numpy as np
import pytest

from intraward_client.labeling.drift import WINDOW, gold_cusum, watch
from intraward_client.labeling.judgment import Flag, GoldKey, Item, Vote
from intraward_client.labeling.raters import crowd_bt, dawid_skene, gold_scores, gold_weights
from intraward_client.labeling.ratings import Ratings
from intraward_client.labeling.selection import disagreement, keyed_draw, propensity, select

GOLD = [
    Item(f"g{n}", "u", f"p{n}", ("a", "b"), gold=GoldKey((1, 2), (frozenset(), frozenset({"harmful"}))))
    for n in range(80)
]


def _vote(item: str, rater: str, right: bool, seconds: float = 20.0) -> Vote:
    return Vote(item, rater, ranks=(1, 2) if right else (2, 1), strength=1, seconds=seconds)


def test_scores_and_weights_come_from_gold_alone() -> None:
    found = replace(_vote("g1", "mira", True), flags=((), (Flag("harmful"),)))
    votes = [_vote("g0", "mira", True), found, _vote("x", "mira", False), _vote("g0", "omar", False)]
    scores = gold_scores(votes, [*GOLD, Item("x", "u", "p", ("a", "b"))])
    assert [(s.rater, s.items, s.pairs, s.right, s.missed) for s in scores] == [
        ("mira", 2, 2, 2, 1),
        ("omar", 1, 1, 0, 1),
    ]
    weights = gold_weights(scores)
    assert weights["mira"] == pytest.approx(np.log(6) / np.log(4))
    assert weights["omar"] == pytest.approx(0.5)
    hopeless = gold_scores([_vote(item.item_id, "x", False) for item in GOLD], GOLD)
    assert gold_weights(hopeless) == {"x": 0.0}


def test_dawid_skene_finds_who_flags_everything() -> None:
    generator = np.random.default_rng(2)
    truth = generator.random(400) < 0.3
    careful = [np.where(generator.random(400) < 0.9, truth, ~truth) for _ in range(3)]
    loud = np.where(truth, generator.random(400) < 0.95, generator.random(400) < 0.7)
    table = Ratings(np.column_stack([*careful, loud]).astype(float), np.arange(400), ("a", "b", "c", "loud"))
    raters, believed = dawid_skene(table)
    assert all(rater.specificity == pytest.approx(0.9, abs=0.06) for rater in raters[:3])
    assert raters[3].specificity == pytest.approx(0.3, abs=0.08)
    assert ((believed > 0.5) == truth).mean() > 0.95


def test_crowd_bt_finds_who_answers_backwards() -> None:
    generator = random.Random(4)
    chance = {"a": 0.95, "b": 0.9, "c": 0.85, "backwards": 0.2}
    votes = [
        _vote(f"i{n}", rater, generator.random() < right)
        for n in range(150)
        for rater, right in chance.items()
    ]
    found = {rater.rater: rater.eta for rater in crowd_bt(votes)}
    assert all(found[name] > 0.75 for name in "abc") and found["backwards"] < 0.35
    assert crowd_bt([Vote("i", "a", ranks=(1, 1))]) == ()


def test_a_rater_who_becomes_worse_on_gold_alarms() -> None:
    generator = random.Random(9)
    good = [_vote(item.item_id, "mira", n % 8 != 0) for n, item in enumerate(GOLD)]
    worse = [*good[:40], *(_vote(item.item_id, "mira", generator.random() < 0.5) for item in GOLD[40:])]
    assert watch(good, GOLD)[0].alarms == ()
    assert watch(worse, GOLD)[0].alarms == ("gold",)


def test_gold_alarm_comes_in_time_and_seldom_falsely() -> None:
    generator = random.Random(1)

    def alarmed(accuracy: float, pairs: int) -> float:
        told = [gold_cusum([generator.random() < accuracy for _ in range(pairs)])[1] for _ in range(300)]
        return sum(told) / len(told)

    assert alarmed(0.6, 60) > 0.95
    assert alarmed(0.9, 100) < 0.08


def test_straight_lining_speed_and_the_first_place_alarm() -> None:
    usual = [
        replace(
            _vote(f"i{n}", "mira", n % 2 == 0),
            ratings=({"a": 1 + n % 5, "b": 3}, {"a": 2, "b": 4}),
            shown=(0, 1),
        )
        for n in range(2 * WINDOW)
    ]
    assert watch(usual, [])[0].alarms == ()
    flat = [replace(vote, ratings=({"a": 3, "b": 3}, {"a": 3, "b": 3})) for vote in usual]
    assert watch(flat, [])[0].alarms == ("straight-lining",)
    fast = [*usual[:WINDOW], *(replace(vote, seconds=5.0) for vote in usual[WINDOW:])]
    assert watch(fast, [])[0].alarms == ("too-fast",)
    left = [replace(vote, shown=(0, 1) if vote.ranks[0] == 1 else (1, 0)) for vote in usual]
    assert watch(left, [])[0].alarms == ("first-place",)
    assert watch(flat[: WINDOW - 1], [])[0].alarms == ()


def test_disagreement_is_none_where_members_say_the_same() -> None:
    assert disagreement([[1.0, 3.0], [0.0, 2.0]]) == 0.0
    assert disagreement([[100.0, -100.0], [0.0, 0.0]]) == pytest.approx(0.5)
    assert disagreement([[1.0, -1.0], [0.0, 0.0], [0.0, 0.0]]) == pytest.approx(
        2 / 3 * disagreement([[1.0, -1.0], [0.0, 0.0]])
    )


def test_each_prompt_is_drawn_by_itself_with_the_chance_that_is_stored() -> None:
    assert propensity(0.0, 0.2, 0.15) == pytest.approx(0.2)
    assert propensity(0.3, 0.2, 0.15) == 1.0
    chances = {f"p{n}": propensity(0.15 * (n % 2), 0.2, 0.15) for n in range(2000)}
    draw = keyed_draw(lambda name: hashlib.sha256(name.encode()).hexdigest()[:32])
    taken = select(chances, draw)
    assert all(taken[name] == chances[name] for name in taken)
    sure = {name for name, chance in chances.items() if chance == 1.0}
    assert sure <= taken.keys() and abs(len(taken) - len(sure) - 200) < 65
    half = {name: chances[name] for name in list(chances)[:1000]}
    assert select(half, draw).keys() == taken.keys() & half.keys()  # nobody's draw depends on the others
