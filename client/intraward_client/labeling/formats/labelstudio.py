"""Label Studio's JSON: tasks with annotations, out and in again (its task format, 1.x).

Out: ``Ranker`` with a bucket for each rank, so that ties survive; ``Rating``, ``Labels`` for flagged
passages, ``Choices`` and ``TextArea`` for the rest. In: these, a ``Ranker`` without buckets, ``Pairwise``.
Fields of Label Studio's own books are passed over; any other that is not known is refused by task and name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from intraward_client.deid.jsonl import Rejected, parse_known
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

_TASK_BOOKS = (
    *("id", "created_at", "updated_at", "inner_id", "total_annotations", "cancelled_annotations"),
    *("total_predictions", "comment_count", "unresolved_comment_count", "last_comment_updated_at"),
    *("project", "updated_by", "comment_authors", "file_upload", "predictions", "drafts", "meta"),
    *("avg_lead_time", "draft_exists", "is_labeled", "overlap", "allow_skip", "annotators", "reviews"),
)
_ANNOTATION_BOOKS = (
    *("id", "created_at", "updated_at", "draft_created_at", "prediction", "import_id"),
    *("last_action", "bulk_created", "task", "project", "updated_by", "parent_prediction", "unique_id"),
    *("parent_annotation", "last_created_by", "result_count", "created_username", "created_ago", "reviews"),
)
_RESULT_BOOKS = ("id", "to_name", "origin", "source", "item_index", "score", "readonly", "hidden", "meta")


@dataclass(frozen=True, slots=True)
class Names:
    """Which keys of ``data`` hold the prompt, the patient, and the answers where they are not a list."""

    prompt: str = "prompt"
    patient: str = "patient"
    answers: tuple[str, ...] = ()


def write_tasks(tasks: Iterable[JudgedTask]) -> list[dict[str, Any]]:
    """Tasks as Label Studio imports and exports them."""
    return [
        {
            "data": {
                "task": task.task_id,
                "kind": task.kind,
                "prompt": task.prompt,
                "answers": [{"id": LETTERS[n], "body": text} for n, text in enumerate(task.answers)],
                **({"patient": task.patient} if task.patient else {"unit": task.unit}),
            },
            "annotations": [
                {
                    "completed_by": vote.rater,
                    "was_cancelled": not vote.judged,
                    "lead_time": round(vote.seconds, 3),
                    "result": list(_results(vote)),
                }
                for vote in task.votes
            ],
        }
        for task in tasks
    ]


def read_tasks(file: str, value: object, names: Names | None = None) -> tuple[JudgedTask, ...]:
    """Tasks of a Label Studio export.

    Raises:
        InputError: names task and field, never content.
    """
    if not isinstance(value, list):
        raise Fields(file, "the file", {}).refuse("is not a list of tasks")
    return tuple(_task(file, number, task, names or Names()) for number, task in enumerate(value, start=1))


def _results(vote: Vote) -> Iterator[dict[str, Any]]:
    def made(kind: str, name: str, value: Mapping[str, Any], to: str = "answers") -> dict[str, Any]:
        return {"type": kind, "from_name": name, "to_name": to, "value": dict(value)}

    def choice(name: str, value: str, to: str = "answers") -> dict[str, Any]:
        return made("choices", name, {"choices": [value]}, to)

    if vote.judged:
        buckets: dict[str, list[str]] = {}
        for answer, rank in enumerate(vote.ranks):
            buckets.setdefault(f"rank-{rank}", []).append(LETTERS[answer])
        yield made("ranker", "ranking", {"ranker": dict(sorted(buckets.items()))})
    if vote.strength:
        yield choice("strength", STRENGTHS[vote.strength])
    if vote.all_unacceptable:
        yield choice("acceptable", "none")
    for answer, rated in enumerate(vote.ratings):
        for criterion, rating in rated.items():
            yield made("rating", f"{criterion}:{LETTERS[answer]}", {"rating": rating}, LETTERS[answer])
    for answer, marked in enumerate(vote.flags):
        for flag in marked:
            if flag.end:
                span = {"start": flag.start, "end": flag.end, "labels": [flag.kind]}
                yield made("labels", f"passage:{LETTERS[answer]}", span, LETTERS[answer])
            else:
                yield choice(f"failure:{LETTERS[answer]}", flag.kind, LETTERS[answer])
    for name, text in (("rationale", vote.rationale), ("correction", vote.correction)):
        if text:
            yield made("textarea", name, {"text": [text]})
    if vote.skipped is not None:
        yield choice("skipped", vote.skipped)
    if vote.escalated:
        yield choice("escalated", "yes")
    if vote.stage != "first":
        yield choice("stage", vote.stage)
    if vote.shown:
        yield choice("shown", "".join(LETTERS[answer] for answer in vote.shown))


def _task(file: str, number: int, value: object, names: Names) -> JudgedTask:
    place = Fields(file, f"task {number}", value)
    data = Fields(file, f"task {number}, data", place.take("data", dict, {}))
    task_id = str(data.take("task", (str, int), place.take("id", (str, int), number)))
    prompt = data.text(names.prompt)
    ids, answers = _answers(file, number, data, names)
    check_answers(data, answers)
    patient, unit = whose(place, data, names.patient)
    kind, known = kind_of(place, data), _known(data)
    data.done()
    votes = []
    for which, annotation in enumerate(place.take("annotations", list, []), start=1):
        where = f"task {number}, annotation {which}"
        votes.append(_vote(Fields(file, where, annotation), task_id, ids))
    place.skip(_TASK_BOOKS)
    place.done()
    return JudgedTask(task_id, prompt, answers, tuple(votes), patient, unit, kind, known)


def _known(data: Fields) -> dict[str, str]:
    try:
        return parse_known(data.take("known", dict, {}))
    except Rejected as refusal:
        raise data.refuse(str(refusal)) from None


def _answers(file: str, number: int, data: Fields, names: Names) -> tuple[list[str], tuple[str, ...]]:
    """Ids and texts of the answers, from single fields or from a list of objects."""
    if names.answers:
        return list(names.answers), tuple(data.text(name) for name in names.answers)
    ids, texts = [], []
    for which, value in enumerate(data.take("answers", list, []), start=1):
        one = Fields(file, f"task {number}, answer {which}", value)
        ids.append(str(one.take("id", (str, int), LETTERS[min(which, 4) - 1])))
        texts.append(one.text("body") if isinstance(value, dict) and "body" in value else one.text("text"))
        one.skip(("title", "html"))
        one.done()
    return ids, tuple(texts)


def _vote(place: Fields, task_id: str, ids: Sequence[str]) -> Vote:
    by = place.take("completed_by", (str, int, dict), "unnamed")
    by = by.get("email") or by.get("id") if isinstance(by, dict) else by
    said = Said(str(by), seconds=float(place.take("lead_time", (int, float), 0.0)))
    cancelled, known = place.take("was_cancelled", bool, False), place.take("ground_truth", bool, False)
    for result in place.take("result", list, []):
        _read(Fields(place.file, f"{place.where}, result", result), said, ids)
    if cancelled and said.skipped is None:
        said.skipped = "skipped"
    if known:
        said.stage = "gold"  # Label Studio's known answer: measures people, is nobody's judgment
    place.skip(_ANNOTATION_BOOKS)
    place.done()
    return said.vote(place, task_id, len(ids))


def _read(result: Fields, said: Said, ids: Sequence[str]) -> None:
    """One result into what the person said."""
    kind, name = result.take("type", str, ""), result.take("from_name", str, "")
    value = Fields(result.file, result.where, result.take("value", dict, {}))
    if kind == "ranker":
        said.ranks = _ranks(value, ids)
    elif kind == "pairwise" and len(ids) == 2:
        said.ranks = {"left": {0: 1, 1: 2}, "right": {0: 2, 1: 1}}.get(value.take("selected", str, ""), {})
    elif kind == "rating":
        criterion, _, answer = name.rpartition(":")
        said.ratings.setdefault(letter(result, answer, len(ids)), {})[criterion] = value.take(
            "rating", int, 0
        )
    elif kind == "labels" and name.startswith("passage:"):
        marked = said.flags.setdefault(letter(result, name.removeprefix("passage:"), len(ids)), [])
        start, end = value.take("start", int, 0), value.take("end", int, 0)
        if not 0 <= start < end:
            raise result.refuse("is a passage without a length")
        marked += [Flag(str(label), start, end) for label in value.take("labels", list, [])]
        value.skip(("text",))
    elif kind == "textarea" and name == "rationale":
        said.rationale = _joined(value)
    elif kind == "textarea" and name == "correction":
        said.correction = _joined(value)
    elif kind == "choices":
        for choice in value.take("choices", list, []):
            _choose(result, said, name, str(choice), len(ids))
    else:
        raise result.refuse("is of a type or a control that is not known")
    value.done()
    result.skip(_RESULT_BOOKS)
    result.done()


def _joined(value: Fields) -> str:
    text = value.take("text", (list, str), [])
    return text if isinstance(text, str) else "\n".join(map(str, text))


def _ranks(value: Fields, ids: Sequence[str]) -> dict[int, int]:
    """Rank of each answer: by bucket ``rank-1``, ``rank-2``, ..., or by the order of a single list."""
    groups = value.take("ranker", dict, {})
    if len(groups) > 1:
        groups.pop("_", None)  # Label Studio's own name for what was left in the list
    named = {name: name.removeprefix("rank-") for name in map(str, groups)}
    if groups and all(name != rank and rank.isdigit() for name, rank in named.items()):
        ranked = [(int(rank), member) for name, rank in named.items() for member in groups[name]]
    elif len(groups) == 1:
        ranked = list(enumerate(next(iter(groups.values())), start=1))
    else:
        raise value.refuse("ranks into buckets that are not named rank-1, rank-2, ...")
    if not all(str(member) in ids for _, member in ranked):
        raise value.refuse("ranks an answer that the task does not have")
    return {ids.index(str(member)): rank for rank, member in ranked}


def _choose(result: Fields, said: Said, name: str, choice: str, answers: int) -> None:
    """One choice of a control that `write_tasks` writes."""
    if name == "strength" and choice in STRENGTHS[1:]:
        said.strength = STRENGTHS.index(choice)
    elif name == "acceptable" and choice == "none":
        said.all_unacceptable = True
    elif name.startswith("failure:"):
        said.flags.setdefault(letter(result, name.removeprefix("failure:"), answers), []).append(Flag(choice))
    elif name == "skipped":
        said.skipped = choice
    elif name == "escalated" and choice == "yes":
        said.escalated = True
    elif name == "stage" and choice in STAGES:
        said.stage = choice
    elif name == "shown":
        said.shown = tuple(letter(result, one, answers) for one in choice)
    else:
        raise result.refuse("is a choice that is not known")
