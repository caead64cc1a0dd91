"""Agreement statistics against published examples, other libraries, and real raters."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.metrics import cohen_kappa_score

from intraward_client.labeling.agreement import PREFERENCE, position_bias, report
from intraward_client.labeling.bootstrap import wilson
from intraward_client.labeling.judgment import Flag, Item, Vote
from intraward_client.labeling.ratings import (
    Ratings,
    cohen_kappa,
    complete_block,
    icc,
    kendall_tau,
    kendall_w,
)
from intraward_client.labeling.reliability import (
    Level,
    alpha,
    alpha_of_sums,
    coincidences,
    fleiss_kappa,
    mean,
    percent,
)

NAN = np.nan
TEXTBOOK = [
    [NAN, NAN, NAN, NAN, NAN, 3, 4, 1, 2, 1, 1, 3, 3, NAN, 3],
    [1, NAN, 2, 1, 3, 3, 4, 3, NAN, NAN, NAN, NAN, NAN, NAN, NAN],
    [NAN, NAN, 2, 1, 3, 4, 4, NAN, 2, 1, 1, 3, 3, NAN, 4],
]
"""Krippendorff's example of three raters and 15 units."""
FLEISS = [
    *([0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1]),
    *([7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]),
]
"""Fleiss' example: 14 raters, ten subjects, five categories."""
SHROUT = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
"""Shrout and Fleiss (1979), table 2: six targets, four judges."""


def _table(rows: list[list[float]]) -> Ratings:
    values = np.array(rows, dtype=float)
    return Ratings(values, np.arange(len(values)), tuple(f"r{n}" for n in range(values.shape[1])))


def _value(found: Any) -> float:
    assert found is not None
    return float(found.value)


def test_alpha_of_the_textbook() -> None:
    table = _table([list(row) for row in zip(*TEXTBOOK, strict=True)])
    assert _value(alpha(table, "nominal")) == pytest.approx(0.691, abs=5e-4)
    assert _value(alpha(table, "interval")) == pytest.approx(0.811, abs=5e-4)


def test_fleiss_kappa_of_the_textbook() -> None:
    rows = [[float(value) for value, times in enumerate(row) for _ in range(times)] for row in FLEISS]
    assert _value(fleiss_kappa(_table(rows))) == pytest.approx(0.210, abs=5e-4)


def test_cohen_kappa_of_the_textbook() -> None:
    one = np.repeat([0.0, 0, 1, 1], [20, 5, 10, 15])
    other = np.repeat([0.0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(one, other) == pytest.approx(0.400, abs=5e-4)


@pytest.mark.parametrize("weights", ["none", "linear", "quadratic"])
def test_cohen_kappa_equals_scikit_learn(weights: Any) -> None:
    generator = np.random.default_rng(3)
    one = generator.integers(1, 6, 200).astype(float)
    other = np.clip(one + generator.integers(-1, 2, 200), 1, 5).astype(float)
    expected = cohen_kappa_score(one, other, weights=None if weights == "none" else weights)
    assert cohen_kappa(one, other, weights) == pytest.approx(expected)


def test_icc_of_shrout_and_fleiss() -> None:
    found = icc(np.array(SHROUT, dtype=float))
    assert found == pytest.approx((0.29, 0.62), abs=5e-3)


def test_kendall_w_with_and_without_ties() -> None:
    """Three judges and six objects, sums of ranks 8, 14, 11, 11, 11, 8: W by hand."""
    judges = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 4, 2, 3], [6, 3, 2, 5, 4, 1]], dtype=float)
    assert kendall_w(judges) == pytest.approx(12 * 25.5 / (9 * 210), abs=1e-9)
    assert kendall_w(np.array([[1.0, 1, 2], [1, 1, 2]])) == pytest.approx(1.0)
    assert kendall_w(np.array([[1.0, 1, 1], [1, 1, 1]])) is None
    assert kendall_tau(np.array([1.0, 2, 3]), np.array([1.0, 3, 2])) == pytest.approx(1 / 3)
    assert kendall_tau(np.array([1.0, 1, 1]), np.array([1.0, 3, 2])) is None


def test_kendall_tau_equals_scipy() -> None:
    generator = np.random.default_rng(8)
    for _ in range(50):
        one, other = generator.integers(1, 4, (2, 5)).astype(float)
        found, expected = kendall_tau(one, other), kendalltau(one, other).statistic
        assert (found is None and np.isnan(expected)) or found == pytest.approx(expected)


@pytest.mark.parametrize("level", ["nominal", "ordinal", "interval"])
def test_alpha_of_drawn_sums_is_the_packages(level: Level) -> None:
    generator = np.random.default_rng(5)
    values = generator.integers(1, 6, (40, 4)).astype(float)
    values[generator.random((40, 4)) < 0.3] = np.nan
    counts, domain = _table(values.tolist()).shared.counts()
    expected = krippendorff.alpha(values.T, level_of_measurement=level)
    sums = coincidences(counts).sum(0, keepdims=True)
    assert alpha_of_sums(sums, domain, level)[0] == pytest.approx(expected)


def test_real_physicians_labels_of_claims(shared_data: Path) -> None:
    """Fleiss 0.719 is of the whole set; of the 70 % that is here it is 0.705."""
    rows = _rows(shared_data / "k_qa" / "physician_claim_labels.jsonl")
    names = ("Contradiction", "Neutral", "Entailment")
    found = fleiss_kappa(_table([[float(names.index(label)) for label in row["labels"]] for row in rows]))
    assert _value(found) == pytest.approx(0.705, abs=5e-4)
    assert found is not None and found.interval is not None
    assert found.interval[0] < 0.719 < found.interval[1]


@pytest.mark.parametrize(
    ("attribute", "here", "whole"),
    [("completeness", 0.285, 0.278), ("correctness", 0.102, 0.073), ("conciseness", 0.099, 0.077)],
)
def test_real_readers_of_summaries(shared_data: Path, attribute: str, here: float, whole: float) -> None:
    """``whole``: of all 100 messages, of which 68 are here."""
    rows = _rows(shared_data / "reader_study_chq" / "ratings.jsonl")
    table = Ratings.of(
        (row["id"], "", reader, score) for row in rows for reader, score in row["ratings"][attribute].items()
    )
    found = alpha(table, "interval")
    assert _value(found) == pytest.approx(here, abs=5e-4)
    assert found is not None and found.interval is not None
    assert found.interval[0] < whole < found.interval[1]


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def test_intervals_cover_what_they_should() -> None:
    """Two raters agree with probability 0.7, alike in all three rows of an item: drawn by item."""
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        agree = np.repeat(generator.random(60) < 0.7, 3)
        rows = np.column_stack([np.zeros(180), np.where(agree, 0.0, 1.0)])
        found = percent(Ratings(rows, np.repeat(np.arange(60), 3), ("a", "b")))
        assert found is not None and found.interval is not None
        covered += found.interval[0] <= 0.7 <= found.interval[1]
    assert 178 <= covered <= 199  # 95 % of 200, within four standard errors


def test_what_is_not_determined_is_no_figure() -> None:
    same = _table([[1.0, 1], [1, 1]])
    alone = _table([[1.0, NAN], [NAN, 2]])
    assert alpha(same, "nominal") is None and fleiss_kappa(same) is None and icc(same.values) is None
    assert alpha(alone, "nominal") is None and percent(alone) is None and fleiss_kappa(alone) is None
    assert _value(percent(same)) == 1.0 and percent(same).interval is None  # type: ignore[union-attr]
    assert _value(mean(np.array([0.0, 1.0]), np.arange(2))) == 0.5
    assert len(complete_block(alone).values) == 0


def test_the_largest_block_that_the_same_people_rated() -> None:
    block = complete_block(_table([[1, 2, NAN], [1, 2, 3], [2, 2, NAN], [NAN, 1, 2]]))
    assert block.raters == ("r0", "r1") and block.values.shape == (3, 2)


def test_wilson_of_a_known_share() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=5e-4)
    assert wilson(0, 0) == (0.0, 1.0)


def _vote(item: int, rater: str, best: int, **more: Any) -> Vote:
    return Vote(f"i{item}", rater, ranks=(1, 2) if best == 0 else (2, 1), strength=1, **more)


ITEMS = [Item(f"i{n}", "u", f"p{n}", ("a", "b"), specialty="heart" if n % 2 else "skin") for n in range(20)]


def test_a_report_by_question_and_specialty() -> None:
    votes = [
        _vote(n, rater, (n + (rater == "b" and n % 2)) % 2, ratings=({"safety": 1 + n % 5}, {"safety": 3}))
        for n, rater in product(range(20), "ab")
    ]
    votes.append(Vote("i0", "c", skipped="not-my-field"))
    found = report(votes, ITEMS)
    by_name = {(question.question, question.specialty): question for question in found.questions}
    assert _value(by_name[PREFERENCE, "skin"].percent) == 1.0
    assert _value(by_name[PREFERENCE, "heart"].percent) == 0.0
    assert _value(by_name[PREFERENCE, ""].percent) == 0.5
    rated = by_name["rating: safety", ""]
    assert rated.verdict == "reliable" and rated.weighted_kappa == pytest.approx(1.0)
    assert rated.icc == pytest.approx((1.0, 1.0)) and (rated.icc_rows, rated.icc_raters) == (40, 2)
    assert {part.specialty: _value(part.tau) for part in found.rankings} == {"": 0, "heart": -1, "skin": 1}
    assert found.repeats is None
    json.dumps(found.as_json(), allow_nan=False)


def test_only_first_blind_votes_count() -> None:
    votes = [_vote(n, rater, 0) for n, rater in product(range(6), "ab")]
    votes += [_vote(n, "c", 1, stage="adjudication") for n in range(6)]
    votes += [_vote(n, "a", n % 2, stage="repeat") for n in range(6)]
    found = report(votes, ITEMS)
    assert _value(found.questions[-1].percent) == 1.0 and found.questions[-1].raters == 2
    assert found.repeats is not None and _value(found.repeats.percent) == 0.5


def test_flags_and_unacceptable_answers_are_questions_too() -> None:
    flagged: tuple[tuple[Flag, ...], ...] = ((Flag("harmful", 0, 4),), ())
    votes = [
        _vote(n, rater, 0, flags=flagged if n % 2 else ((), ()), all_unacceptable=rater == "b")
        for n, rater in product(range(10), "ab")
    ]
    by_name = {question.question: question for question in report(votes, ITEMS).questions}
    assert _value(by_name["flag: harmful"].alpha) == pytest.approx(1.0)
    assert _value(by_name["all unacceptable"].percent) == 0.0


def test_a_rater_who_takes_the_left_is_seen() -> None:
    left = [_vote(n, "a", n % 2, shown=(n % 2, 1 - n % 2)) for n in range(20)]
    (found,) = position_bias([*left, Vote("i1", "b", ranks=(1, 1), shown=(0, 1))])
    assert (found.votes, found.first_won, found.share, found.biased) == (20, 20, 1.0, True)
    (even,) = position_bias([_vote(n, "a", 0, shown=(n % 2, 1 - n % 2)) for n in range(20)])
    assert (even.share, even.biased) == (0.5, False)
    assert position_bias([]) == ()
