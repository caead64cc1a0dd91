"""Length buckets: public records of like length share a micro-batch, so that little of it is padding.

Only the order within a step changes; which records the step has, and each record's own draws and loss, do
not. A private step keeps the sampler's order and the plan's shapes: an order by length would let one
patient's rows choose the neighbours, and so the rounding, of another's (rule 5 of DESIGN.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from intraward_client.store.datasets import PairRecord, PromptRecord, RankingRecord, SftRecord
from intraward_client.training.inputs import TrainingInputs


def token_count(inputs: TrainingInputs, record: SftRecord | PairRecord | RankingRecord | PromptRecord) -> int:
    """Tokens of the longest row that ``record`` gives a forward pass; of the prompt alone before sampling."""
    prompt = len(inputs.prompt_ids(record.prompt))
    match record:
        case PromptRecord():
            return prompt
        case SftRecord():
            answers: Sequence[str] = (record.completion,)
        case PairRecord():
            answers = (record.chosen, record.rejected)
        case RankingRecord():
            answers = record.answers
    return prompt + max(len(inputs.completion_ids(answer)) for answer in answers)


def bucket_order(inputs: TrainingInputs, records: Sequence[Any]) -> list[int]:
    """Places of ``records``, shortest first where they are public; as they stand where they are patients'."""
    places = list(range(len(records)))
    if inputs.private or len(records) <= inputs.plan.training.micro_batch:
        return places
    return sorted(places, key=lambda place: token_count(inputs, records[place]))


def bucketed(inputs: TrainingInputs, batch: Sequence[list[Any]]) -> list[list[Any]]:
    """A step's units (a public unit is one record) in the order of ``bucket_order``."""
    if inputs.private:
        return list(batch)
    order = bucket_order(inputs, [unit[0] for unit in batch])
    return [batch[place] for place in order]
