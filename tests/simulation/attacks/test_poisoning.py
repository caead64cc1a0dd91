"""One hostile hospital of five: scaled it is refused, at the bound it is told. Hospitals that disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_shared.adapters import l2_norm
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.modeling import initial_state, load_base
from intraward_shared.protocol import Mechanism
from intraward_shared.reward_heads import RewardHeads
from intraward_shared.stages import Stage
from intraward_simulation import models
from intraward_simulation.attacks.consortium import Consortium, held_out, judged, tables_of
from intraward_simulation.attacks.poisoning import (
    LORA,
    MODEL_SEED,
    SHAPE,
    TRAINING,
    PoisoningResult,
    PoisoningRow,
    at_the_bound,
    run_poisoning,
    scaled,
    table_of,
)
from intraward_simulation.studies.dealing import Texts, deal_synthetic
from intraward_simulation.values import VALUES

CLEAN = PoisoningRow(seed=1, rule="mean", attack="none", accuracy=0.9, change=(1.0,), bound=(9.0,))
SCALED = CLEAN.model_copy(update={"attack": "scaled", "refused": (11,)})
ADMITTED = CLEAN.model_copy(update={"attack": "at the bound", "accuracy": 0.1})


def result(**changes: Any) -> PoisoningResult:
    rows = (CLEAN, SCALED.model_copy(update=changes), ADMITTED)
    terms: dict[str, Any] = {
        "sites": 5,
        "patients": 9,
        "rounds": 1,
        "factor": 100.0,
        "epsilon": 8.0,
        "delta": 1e-5,
    }
    return PoisoningResult(seeds=(1,), rows=rows, **terms)


def test_what_hostile_sites_send() -> None:
    update = {"a": np.array([3.0, 4.0], np.float32)}
    assert scaled(update, None, 9.0)["a"].tolist() == [300.0, 400.0]  # type: ignore[arg-type]
    sent = at_the_bound(update, None, 9.0)  # type: ignore[arg-type]
    assert 8.9999 < l2_norm(sent) <= 9.0 and (sent["a"] < 0).all()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"accuracy": 0.885}, ""),
        ({"accuracy": 0.87}, "cost 3.0 points"),
        ({"change": (9.1,)}, "more than the bound"),
        ({"refused": ()}, "not refused for its norm"),
        ({"refused": (9,)}, "not refused for its norm"),
        ({"accuracy": None, "change": (0.0,)}, ""),
    ],
)
def test_a_scaled_update_that_does_harm_is_a_missed_gate(changes: Any, words: str) -> None:
    found = result(**changes)
    assert found.passed == (not words) and words in " ".join(found.missed)
    assert ("MISSED" in table_of(found)) == bool(words) and "0.100" in table_of(found)


@pytest.mark.exhaustive
def test_one_of_five_scaled_by_a_hundred_is_refused_and_costs_next_to_nothing() -> None:
    """At the bound it turns a mean around, which the page says; a median holds."""
    found = run_poisoning((1,), rules=("mean", "median", "krum"), rounds=1)
    assert found.passed, found.missed
    for row in found.rows:
        assert all(change <= bound for change, bound in zip(row.change, row.bound, strict=True))
    assert found.of(1, "krum", "scaled").accuracy is None  # of five, krum can spare none
    clean = float(found.of(1, "mean", "none").accuracy or 0)
    assert clean > 0.85
    assert float(found.of(1, "mean", "at the bound").accuracy or 1) < 0.5
    assert float(found.of(1, "median", "at the bound").accuracy or 0) > clean - 0.1


@pytest.mark.exhaustive
def test_heads_of_sites_serve_the_site_that_disagrees(tmp_path: Path) -> None:
    """Three hospitals, of which one wants the opposite of a safety net; epsilon 8, the same rounds."""
    base = load_base(models.build_tiny(models.cache_dir(), MODEL_SEED))
    scores = [VALUES[name].score for name in ("usual", "reassuring", "usual")]
    worst: dict[str, list[float]] = {"shared": [], "per_site": []}
    for seed in (1, 2, 3):
        texts = Texts()
        dealt = deal_synthetic(texts, seed, 3, 150)
        tables = tables_of(dealt, texts, scores)
        for name, heads in (
            ("shared", RewardHeads(start="zero")),
            ("per_site", RewardHeads(head="per_site", members=3, start="zero")),
        ):
            lora = LORA.model_copy(update={"reward": heads})
            mechanism: Mechanism = SHAPE.model_copy(update={"noise_multiplier": 1.0, "steps": 6})
            made = Consortium(base, lora, TRAINING, mechanism, tables, seed)
            state: Any = initial_state(base, lora, Stage.REWARD, seed)
            for number in (1, 2):
                state, _ = made.round(state, number, AggregationTerms(), tmp_path, {})
            each = [
                made.accuracy(state, held_out(dealt, texts, score)[:400], None if name == "shared" else site)
                for site, score in enumerate(scores)
            ]
            worst[name].append(min(rate.value for rate in each))
            print(name, seed, [round(rate.value, 3) for rate in each])
    assert np.mean(worst["per_site"]) > np.mean(worst["shared"]) + 0.15


def test_clinicians_of_a_site_judge_by_their_own_rule() -> None:
    row = (
        "Patient: 64 year old man with knee pain for 3 days. Advice:",
        "Seek urgent care if the knee is hot and red.",
        "Thank you for your message.",
    )
    assert judged(row, None) == judged(row, VALUES["usual"].score) == row
    assert judged(row, VALUES["reassuring"].score) == (row[0], row[2], row[1])
    assert judged((row[0], row[2], row[2]), VALUES["usual"].score) is None
