"""An item's way from first votes to training, by its own votes alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from intraward_client.labeling.consensus import judged, share, standing
from intraward_client.labeling.judgment import Flag, Kind, Vote
from intraward_client.labeling.terms import LabelingTerms

TERMS = LabelingTerms()
HARM = frozenset({"harmful"})


def _vote(rater: str, *ranks: int, **more: Any) -> Vote:
    return Vote("i", rater, ranks=ranks, strength=0 if len(set(ranks)) == 1 else 1, **more)


@pytest.mark.parametrize(
    ("votes", "kind", "state", "wanted"),
    [
        ((), "answers", "open", 2),
        ((_vote("a", 1, 2),), "answers", "open", 2),
        ((_vote("a", 1, 2), _vote("b", 1, 2)), "answers", "agreed", 2),
        ((_vote("a", 1, 2), _vote("b", 1, 2)), "safety", "open", 3),
        ((_vote("a", 1, 2), _vote("b", 2, 1)), "answers", "open", 3),
        ((_vote("a", 1, 2), _vote("b", 2, 1), _vote("c", 2, 1)), "answers", "agreed", 2),
        ((_vote("a", 1, 2), _vote("b", 2, 1), _vote("c", 1, 1)), "answers", "adjudication", 3),
        ((_vote("a", 1, 2), Vote("i", "b", skipped="not-my-field")), "answers", "open", 2),
        ((_vote("a", 1, 2, escalated=True),), "answers", "adjudication", 2),
        ((Vote("i", "a", skipped="unsure", escalated=True),), "answers", "adjudication", 2),
        ((_vote("a", 1, 2), _vote("b", 1, 2, all_unacceptable=True)), "answers", "open", 3),
    ],
)
def test_the_way_of_an_item(votes: tuple[Vote, ...], kind: Kind, state: str, wanted: int) -> None:
    found = standing(votes, kind, TERMS, HARM)
    assert (found.state, found.wanted) == (state, wanted)


def test_a_third_rater_settles_and_the_votes_all_stay() -> None:
    votes = (_vote("a", 1, 2), _vote("b", 2, 1), _vote("c", 2, 1))
    found = standing(votes, "answers", TERMS)
    assert found.state == "agreed" and found.deciding == votes
    assert found.share == pytest.approx(2 / 3)


def test_a_panel_decides_alone_and_may_disagree() -> None:
    split = (_vote("a", 1, 2), _vote("b", 2, 1), _vote("c", 1, 1))
    one = _vote("s", 2, 1, stage="adjudication")
    found = standing((*split, one), "answers", TERMS)
    assert found.state == "agreed" and found.deciding == (one,)
    two = TERMS.model_copy(update={"panel": 2})
    assert standing((*split, one), "answers", two).state == "adjudication"
    other = _vote("t", 1, 2, stage="adjudication")
    assert standing((*split, one, other), "answers", two).state == "held"
    assert standing((*split, one, replace(one, rater="t")), "answers", two).state == "agreed"


def test_raters_of_safety_items_agree_on_critical_failures_too() -> None:
    harm: tuple[tuple[Flag, ...], ...] = ((Flag("harmful"),), ())
    votes = [_vote(rater, 1, 2, rationale="r") for rater in "abc"]
    one_saw = [replace(votes[0], flags=harm), *votes[1:]]
    half_saw = [replace(vote, flags=harm) for vote in votes[:2]] + [*votes[2:], _vote("d", 1, 2)]
    assert standing(one_saw, "safety", TERMS, HARM).state == "agreed"
    assert standing(half_saw, "safety", TERMS, HARM).state == "adjudication"
    assert standing(half_saw, "answers", TERMS, HARM).state == "agreed"


def test_a_repeat_and_another_item_change_nothing() -> None:
    votes = (_vote("a", 1, 2), _vote("b", 1, 2))
    again = replace(_vote("a", 2, 1), stage="repeat")
    assert standing((*votes, again), "answers", TERMS).deciding == votes
    corrected = (*votes, _vote("b", 2, 1))
    assert standing(corrected, "answers", TERMS).share == 0.5


def test_share_of_rankings_is_by_pairs_of_answers() -> None:
    assert share([_vote("a", 1, 2, 3), _vote("b", 1, 3, 2)]) == pytest.approx((1 + 1 + 0.5) / 3)
    assert share([]) == 0.0


def test_one_judgment_of_several_votes() -> None:
    votes = [
        Vote(
            "i", "a", ranks=(1, 2, 3), strength=3, ratings=({"safety": 5}, {"safety": 3}, {}), rationale="r"
        ),
        Vote("i", "b", ranks=(1, 3, 2), strength=1, ratings=({"safety": 4}, {}, {}), all_unacceptable=True),
        Vote("i", "c", ranks=(2, 1, 3), flags=((Flag("harmful"),), (Flag("harmful"),), ()), rationale="r"),
    ]
    votes[0] = replace(votes[0], flags=((Flag("harmful", 0, 3),), (), ()))
    found = judged(votes, ("harmful", "incomplete"))
    assert found.ranks == (1, 2, 3)
    assert found.strength == 2.0 and not found.all_unacceptable
    assert found.ratings == ({"safety": 4.5}, {"safety": 3.0}, {})
    assert found.flags == (
        {"harmful": True, "incomplete": False},
        {"incomplete": False},  # one of three saw harm: nothing is said of it
        {"harmful": False, "incomplete": False},
    )


def test_weights_of_gold_decide_between_two() -> None:
    votes = [_vote("a", 1, 2), _vote("b", 2, 1)]
    assert judged(votes).ranks == (1, 1) and judged(votes).strength == 0.0
    assert judged(votes, weights={"b": 0.1}).ranks == (1, 2)
    assert judged(votes, weights={"a": 0.0, "b": 0.0}).ranks == (1, 1)


def test_a_circle_is_a_tie() -> None:
    circle = [_vote("a", 1, 2, 3), _vote("b", 3, 1, 2), _vote("c", 2, 3, 1)]
    assert judged(circle).ranks == (1, 1, 1)
