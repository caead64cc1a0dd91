"""Records that a plan cannot take whole, or that spoil a step: left out, or counted as zero."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import PairRecord, RankingRecord, SftRecord
from intraward_client.training.reward import comparison_losses
from intraward_client.training.sequences import encode_texts
from intraward_client.training.train import train
from intraward_shared.adapters import encode
from intraward_shared.errors import ContractError
from intraward_shared.protocol import Mechanism
from intraward_shared.stages import Stage

LIMIT = 6
"""Tokens of an answer in the test plans; every word is one."""
MECHANISM = Mechanism(
    sample_rate=1.0, noise_multiplier=0.5, max_grad_norm=1.0, steps=1, nominal_batch=4, max_records_per_unit=2
)


def words(count: int) -> str:
    return " ".join(f"w{index % 20}" for index in range(count))


def record(stage: Stage, unit: str, tokens: int) -> Any:
    if stage is Stage.SFT:
        return SftRecord(unit, "w1", words(tokens))
    return PairRecord(unit, "w1", "w2 w3", words(tokens))


def sent(inputs: Any) -> bytes:
    return encode(train(inputs, NoiseSource.seeded(1, "north", "0" * 64, 1)).tensors)


@pytest.mark.parametrize("private", [False, True])
@pytest.mark.parametrize("stage", [Stage.SFT, Stage.REWARD, Stage.DPO])
def test_an_answer_too_long_for_the_plan_leaves_its_record_out_and_no_other(
    stage: Stage, private: bool, inputs_of: Any
) -> None:
    units = [f"u{index}" if private else "public" for index in range(4)]
    short = [record(stage, unit, tokens) for unit, tokens in zip(units, (1, 3, LIMIT, 2), strict=True)]
    spoiled = [*short, record(stage, "u9" if private else "public", LIMIT + 1)]
    options: dict[str, Any] = {"mechanism": MECHANISM if private else None, "steps": 1, "batch": 8}
    without, among = (inputs_of(stage, rows, **options) for rows in (short, spoiled))
    assert len(among.fitting.rows) == 4 and sent(among) == sent(without)
    update = train(among, NoiseSource.seeded(1, "north", "0" * 64, 1))
    assert update.left_out == (0 if private else 1)  # patients are not counted


def test_the_longest_answer_that_fits_is_trained_on_whole_with_its_end(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.SFT, [record(Stage.SFT, "public", LIMIT)])
    rows = encode_texts(inputs, [("w1", words(LIMIT))])
    kept = rows.ids[0][rows.completion[0]].tolist()
    assert inputs.fitting == inputs.table and kept == [*range(4, 4 + LIMIT), 3]
    cut = inputs_of(Stage.SFT, [record(Stage.SFT, "public", LIMIT + 1)], overlong="cut")
    rows = encode_texts(cut, [("w1", words(LIMIT + 1))])
    assert cut.fitting == cut.table and int(rows.completion.sum()) == LIMIT


def test_a_ranking_with_one_long_answer_is_left_out(inputs_of: Any) -> None:
    rankings = [
        RankingRecord("public", "w1", ("w2", "w3", words(n)), (1, 2, 3), str(n)) for n in (1, LIMIT + 1)
    ]
    assert [row.row_id for row in inputs_of(Stage.REWARD, rankings).fitting.rows] == ["1"]


def test_nothing_that_fits_is_refused_in_public_and_looks_like_nobody_in_private(inputs_of: Any) -> None:
    with pytest.raises(ContractError, match="every public record has an answer longer") as refusal:
        sent(inputs_of(Stage.SFT, [record(Stage.SFT, "public", LIMIT + 1)]))
    assert "overlong" in refusal.value.remedy
    long = [record(Stage.SFT, "u1", LIMIT + 1)]
    assert sent(inputs_of(Stage.SFT, long, mechanism=MECHANISM)) == sent(
        inputs_of(Stage.SFT, [], mechanism=MECHANISM)
    )


def test_a_prompt_too_long_for_the_plan_keeps_its_end_where_the_question_is(inputs_of: Any) -> None:
    inputs = inputs_of(Stage.SFT, [])
    assert inputs.prompt_ids(f"{words(30)} w7 w8 w9 w10") == [11, 12, 13, 14]
    rows = encode_texts(inputs, [(words(300), words(3))])
    assert int(rows.completion.sum()) == 4 and int(rows.mask.sum()) == 8  # and never at the answer's cost


def test_contradicting_judgments_train_what_a_tie_does(plan_of: Any) -> None:
    """Loss and gradient: half of each is one tie, and at equal scores the pair pulls nowhere."""
    spec = plan_of(Stage.REWARD).training
    both = [PairRecord("u", "w1", "w2", "w3"), PairRecord("u", "w1", "w3", "w2")]
    tie = [RankingRecord("u", "w1", ("w2", "w3"), (1, 1))]
    found = []
    for records, rows in ((both, [0, 1, 1, 0]), (tie, [0, 1])):
        scores = torch.tensor([0.7, -0.4], requires_grad=True)
        loss = comparison_losses(spec, records, scores[rows]).mean()
        found.append((float(loss.detach()), torch.autograd.grad(loss, scores)[0].tolist()))
    assert found[0][0] == pytest.approx(found[1][0]) and found[0][1] == pytest.approx(found[1][1])
    level = torch.zeros(2, requires_grad=True)
    loss = comparison_losses(spec, both, level[[0, 1, 1, 0]]).sum()
    assert torch.autograd.grad(loss, level)[0].tolist() == [0.0, 0.0]


def test_a_private_round_of_nothing_but_bad_losses_sends_noise_alone(inputs_of: Any) -> None:
    bad = [
        dataclasses.replace(record(Stage.REWARD, f"u{index}", 2), margin=math.nan, row_id=str(index))
        for index in range(3)
    ]
    update = train(
        inputs_of(Stage.REWARD, bad, mechanism=MECHANISM), NoiseSource.seeded(1, "north", "0" * 64, 1)
    )
    assert update.flagged and all(np.isfinite(array).all() for array in update.tensors.values())
    assert encode(update.tensors) == sent(inputs_of(Stage.REWARD, [], mechanism=MECHANISM))
