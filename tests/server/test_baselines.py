"""Baselines of a reward model on plain pairs: folds by prompt, words that tell, gains with intervals."""

from __future__ import annotations

import pytest

from intraward_server.baselines import (
    baseline_figures,
    by_prompt,
    fold_of,
    ordered_rightly,
    text_outcomes,
)
from intraward_server.evaluation import length_baseline

PAIRS = [
    {"prompt": f"question {n // 2}", "chosen": f"careful advice {n}", "rejected": f"reckless rubbish {n}"}
    for n in range(80)
]


def test_pairs_of_a_prompt_stay_together_and_keep_their_rows() -> None:
    made = by_prompt(PAIRS)
    assert len(made) == 40 and made[3].rows == (6, 7) and made[3].pairs == ((0, 1), (2, 3))
    assert made[3].answers[2] == PAIRS[7]["chosen"]
    assert {fold_of(one.name, 5, 1) for one in made} == set(range(5))


def test_words_that_tell_are_learnt_across_prompts_and_words_of_one_prompt_are_not() -> None:
    assert text_outcomes(PAIRS, 1) == [1.0] * 80
    own = [
        {"prompt": f"q{n // 2}", "chosen": f"word{n // 2} here", "rejected": f"wert{n // 2} here"}
        for n in range(80)
    ]
    found = text_outcomes(own, 1)
    assert found is not None and sum(found) == pytest.approx(40)


def test_a_reward_model_that_knows_only_words_gains_nothing_over_them() -> None:
    knows = baseline_figures(PAIRS, [1.0] * 80, 1)
    assert knows["text_baseline"] == 1.0 and knows["gain_over_text"] == 0.0 and knows["prompts"] == 40
    assert knows["gain_over_length"] == 1.0 and knows["gain_over_length_interval"] == [1.0, 1.0]
    guesses = baseline_figures(PAIRS, [1.0, -1.0] * 40, 1)
    assert guesses["gain_over_text"] == -0.5 and guesses["gain_over_text_interval"] == [-0.5, -0.5]


def test_too_few_prompts_are_told_as_not_measured() -> None:
    few = baseline_figures(PAIRS[:4], [1.0] * 4, 1)
    assert few["text_baseline"] is None and few["gain_over_text_interval"] is None


def test_pairs_of_one_prompt_are_not_independent() -> None:
    alike = [dict(PAIRS[0]) | {"chosen": "long" * (1 + n % 2)} for n in range(40)]
    for place, pair in enumerate(alike):
        pair["prompt"] = f"p{place % 2}"
    rate = length_baseline(alike)
    apart = length_baseline([pair | {"prompt": str(n)} for n, pair in enumerate(alike)])
    assert rate.value == apart.value and rate.high - rate.low > 2 * (apart.high - apart.low)
    assert ordered_rightly([2.0, 0.0, -1.0]) == [1.0, 0.5, 0.0]
