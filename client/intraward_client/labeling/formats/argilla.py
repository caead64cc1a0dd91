"""Argilla's records (2.x, ``records.to_json``): fields, responses by question, metadata.

Out and in: a ranking question ``ranking`` over ``answer-a``, ..., with equal ranks for ties; rating questions
``criterion-a``; multi-label questions ``failures-a``; label and text questions for the rest. Passages
of flags, time and places have no place in Argilla and are left out. A vote is a user's responses, so
of a user who judged an item again the first judgment alone goes out: a repeat tells of the rater.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from intraward_client.labeling.formats.judged import (
    LETTERS,
    STRENGTHS,
    Fields,
    JudgedTask,
    Said,
    check_answers,
    kind_of,
    letter,
    whose,
)
from intraward_client.labeling.judgment import STAGES, Flag, Vote

_BOOKS = ("status", "suggestions", "vectors", "_server_id", "inserted_at", "updated_at")
_RESPONSE_BOOKS = ("status", "question_name", "_record", "id")


def write_records(tasks: Iterable[JudgedTask]) -> list[dict[str, Any]]:
    """Tasks as Argilla's records."""
    records = []
    for task in tasks:
        responses: dict[str, list[dict[str, Any]]] = {}
        for vote in _one_each(task.votes):
            for question, value in _answers(vote).items():
                responses.setdefault(question, []).append({"value": value, "user_id": vote.rater})
        texts = {f"answer-{LETTERS[n]}": text for n, text in enumerate(task.answers)}
        owner = {"patient": task.patient} if task.patient else {"unit": task.unit}
        records.append(
            {
                "id": task.task_id,
                "fields": {"prompt": task.prompt, **texts},
                "metadata": {**owner, "kind": task.kind},
                "responses": responses,
                "status": "completed" if task.votes else "pending",
            }
        )
    return records


def read_records(file: str, value: object) -> tuple[JudgedTask, ...]:
    """Tasks of Argilla's records.

    Raises:
        InputError: names record and field, never content.
    """
    if not isinstance(value, list):
        raise Fields(file, "the file", {}).refuse("is not a list of records")
    return tuple(_record(file, number, one) for number, one in enumerate(value, start=1))


def _one_each(votes: Iterable[Vote]) -> Iterable[Vote]:
    """The newest vote of each user that was no repeat."""
    return {vote.rater: vote for vote in votes if vote.stage != "repeat"}.values()


def _answers(vote: Vote) -> dict[str, Any]:
    """A vote as the value of each question."""
    found: dict[str, Any] = {}
    if vote.judged:
        found["ranking"] = [
            {"value": f"answer-{LETTERS[n]}", "rank": rank} for n, rank in enumerate(vote.ranks)
        ]
    if vote.strength:
        found["strength"] = STRENGTHS[vote.strength]
    if vote.all_unacceptable:
        found["acceptable"] = "none"
    for n, rated in enumerate(vote.ratings):
        found |= {f"{criterion}-{LETTERS[n]}": rating for criterion, rating in rated.items()}
    for n, marked in enumerate(vote.flags):
        if marked:
            found[f"failures-{LETTERS[n]}"] = sorted({flag.kind for flag in marked})
    for name in ("rationale", "correction", "skipped"):
        if text := getattr(vote, name):
            found[name] = text
    if vote.escalated:
        found["escalated"] = "yes"
    if vote.stage != "first":
        found["stage"] = vote.stage
    return found


def _record(file: str, number: int, value: object) -> JudgedTask:
    place = Fields(file, f"record {number}", value)
    task_id = str(place.take("id", (str, int), number))
    fields = Fields(file, f"record {number}, fields", place.take("fields", dict, {}))
    prompt = fields.text("prompt")
    texts: list[str] = []
    while (text := fields.take(f"answer-{LETTERS[min(len(texts), 3)]}", str)) is not None:
        texts.append(text)
    fields.done()
    answers = check_answers(fields, texts)
    metadata = Fields(file, f"record {number}, metadata", place.take("metadata", dict, {}))
    patient, unit = whose(place, metadata)
    kind = kind_of(place, metadata)
    metadata.done()
    said: dict[str, Said] = {}
    for question, responses in place.take("responses", dict, {}).items():
        for response in responses if isinstance(responses, list) else [responses]:
            one = Fields(file, f"record {number}, response", response)
            user = str(one.take("user_id", (str, int), "unnamed"))
            _read(one, said.setdefault(user, Said(user)), str(question), len(answers))
            one.skip(_RESPONSE_BOOKS)
            one.done()
    place.skip(_BOOKS)
    place.done()
    votes = tuple(each.vote(place, task_id, len(answers)) for each in said.values())
    return JudgedTask(task_id, prompt, answers, votes, patient, unit, kind)


def _read(response: Fields, said: Said, question: str, answers: int) -> None:
    """One response into what the person said."""
    stem, _, which = question.rpartition("-")
    if question == "ranking":
        for rank, entry in enumerate(response.take("value", list, []), start=1):
            if isinstance(entry, str):
                entry = {"value": entry, "rank": rank}
            one = Fields(response.file, f"{response.where}, ranking", entry)
            said.ranks[letter(response, one.text("value"), answers)] = one.take("rank", int, rank)
            one.done()
    elif question == "strength" and (value := response.take("value", str)) in STRENGTHS[1:]:
        said.strength = STRENGTHS.index(value)
    elif question == "acceptable" and response.take("value", str) == "none":
        said.all_unacceptable = True
    elif question == "escalated" and response.take("value", str) == "yes":
        said.escalated = True
    elif question == "stage" and (value := response.take("value", str)) in STAGES:
        said.stage = value
    elif question in ("rationale", "correction", "skipped"):
        setattr(said, question, response.take("value", str, ""))
    elif stem == "failures":
        kinds = response.take("value", list, [])
        said.flags.setdefault(letter(response, which, answers), []).extend(Flag(str(kind)) for kind in kinds)
    elif stem:
        said.ratings.setdefault(letter(response, which, answers), {})[stem] = response.take("value", int, 0)
    else:
        raise response.refuse("answers a question that is not known")
