"""Files of other tools: what goes out comes in again, and what is wrong is refused by place."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from intraward_client.labeling.formats.argilla import read_records, write_records
from intraward_client.labeling.formats.judged import JudgedTask
from intraward_client.labeling.formats.labelstudio import Names, read_tasks, write_tasks
from intraward_client.labeling.formats.trl import kto_rows, preference_rows
from intraward_client.labeling.imports import read_project
from intraward_client.labeling.judgment import Flag, Vote
from intraward_client.store.datasets import AnswerMarks, PairRecord, RankingRecord
from intraward_client.store.rankings import UNACCEPTABLE
from intraward_shared.errors import InputError

FULL = Vote(
    "t1",
    "mira",
    ranks=(2, 1, 2),
    strength=3,
    ratings=({"safety": 2}, {"safety": 5, "clarity": 4}, {}),
    flags=((Flag("harmful", 0, 4), Flag("incomplete")), (), ()),
    rationale="the dose — \U0001f600",
    correction="half of it",
    escalated=True,
    seconds=12.5,
    stage="adjudication",
    shown=(2, 0, 1),
)
TASK = JudgedTask(
    "t1",
    "what now?",
    ("rest", "see <b>someone</b>", "עברית"),
    (
        FULL,
        Vote("t1", "ana", ranks=(1, 1, 1), all_unacceptable=True),
        Vote("t1", "omar", skipped="not-my-field"),
    ),
    unit="u" * 32,
)


def _through(value: object) -> Any:
    return json.loads(json.dumps(value))


def test_label_studio_round_trip() -> None:
    assert read_tasks("f", _through(write_tasks([TASK]))) == (TASK,)


def test_argilla_round_trip_of_what_it_can_hold() -> None:
    bare = replace(
        FULL,
        flags=((Flag("harmful"), Flag("incomplete")), (), ()),
        seconds=0.0,
        stage="first",
        shown=(),
    )
    task = replace(TASK, votes=(bare, *TASK.votes[1:]), unit="", patient="p1")
    assert read_records("f", _through(write_records([task]))) == (task,)


@st.composite
def votes(draw: st.DrawFn) -> Vote:
    """Any vote on three answers."""
    ranks = draw(st.sampled_from([(1, 2, 3), (2, 1, 2), (1, 1, 1), (3, 1, 2), (1, 1, 2)]))
    rated = draw(
        st.lists(st.dictionaries(st.sampled_from(["a", "b-c"]), st.integers(1, 5)), min_size=3, max_size=3)
    )
    flag = st.builds(
        lambda kind, at, size: Flag(kind, at, at + size),
        st.sampled_from("xy"),
        st.integers(0, 9),
        st.integers(1, 9),
    )
    flags = draw(st.lists(st.lists(flag, max_size=2).map(tuple), min_size=3, max_size=3))
    return Vote(
        "t1",
        draw(st.text(min_size=1, max_size=5)),
        ranks=ranks,
        strength=0 if len(set(ranks)) == 1 else draw(st.integers(0, 3)),
        all_unacceptable=draw(st.booleans()),
        ratings=tuple(rated) if any(rated) else (),
        flags=tuple(flags) if any(flags) else (),
        rationale=draw(st.text(max_size=20)),
        escalated=draw(st.booleans()),
        seconds=draw(st.integers(0, 10_000)) / 1000,
        stage=draw(st.sampled_from(["first", "repeat", "adjudication"])),
        shown=draw(st.sampled_from([(), (0, 1, 2), (2, 0, 1)])),
    )


@given(votes())
def test_every_vote_survives_label_studio(vote: Vote) -> None:
    (found,) = read_tasks("f", _through(write_tasks([replace(TASK, votes=(vote,))])))
    assert found.votes == (vote,)


def _foreign(**more: Any) -> dict[str, Any]:
    """A task as a project of Label Studio has it: Pairwise over two fields."""
    result = {"id": "x", "type": "pairwise", "from_name": "pw", "to_name": "a,b", "origin": "manual"}
    return {
        "id": 7,
        "data": {"question": "what now?", "text1": "rest", "text2": "go", "mrn": 12},
        "annotations": [
            {"id": 1, "completed_by": {"id": 3, "email": "m@x"}, "lead_time": 4.2, "was_cancelled": False,
             "ground_truth": False, "result": [{**result, "value": {"selected": "right"}}]},
        ],
        "predictions": [], "created_at": "2024-01-01", "project": 1,
        **more,
    }  # fmt: skip


NAMES = Names("question", "mrn", ("text1", "text2"))


def test_a_pairwise_project_under_its_own_names() -> None:
    (task,) = read_tasks("f", [_foreign()], NAMES)
    assert (task.patient, task.answers, task.votes[0].ranks) == ("12", ("rest", "go"), (2, 1))
    assert (task.votes[0].rater, task.votes[0].seconds) == ("m@x", 4.2)


def test_a_plain_ranker_and_one_with_rest() -> None:
    made = _through(write_tasks([replace(TASK, votes=(Vote("t1", "a", ranks=(1, 2, 3)),))]))
    value = made[0]["annotations"][0]["result"][0]["value"]
    value["ranker"] = {"ranking": ["c", "a", "b"]}
    assert read_tasks("f", made)[0].votes[0].ranks == (2, 3, 1)
    value["ranker"] = {"_": [], "rank-2": ["a", "b"], "rank-1": ["c"]}
    assert read_tasks("f", made)[0].votes[0].ranks == (2, 2, 1)


def _broken(path: tuple[Any, ...], value: Any, name: str = "labelstudio") -> Any:
    """The round trip's file with one place changed."""
    made = _through(write_tasks([TASK]) if name == "labelstudio" else write_records([TASK]))
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return made


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ((0, "extra"), 1, "task 1: holds a field 'extra'"),
        ((0, "data", "name of the patient"), "x", "task 1, data: holds a field that is not known"),
        ((0, "annotations", 0, "mood"), 1, "task 1, annotation 1: holds a field 'mood'"),
        ((0, "annotations", 0, "result", 0, "type"), "brush", "of a type or a control that is not known"),
        ((0, "annotations", 0, "result", 0, "value", "ranker"), {"rank-1": ["a"]}, "does not rank every"),
        ((0, "annotations", 0, "result", 0, "value", "ranker"), {"rank-1": ["z"]}, "does not have"),
        ((0, "annotations", 0, "result", 0, "value", "more"), 1, "holds a field 'more'"),
        ((0, "annotations", 0, "lead_time"), "fast", "lead_time is of another type"),
        ((0, "data", "unit"), "", "without it there is no privacy unit"),
        ((0, "data", "prompt"), " ", "prompt is missing or empty"),
        ((0, "data", "answers"), [{"id": "a", "body": "one"}], "2 to 4 answers"),
        ((0, "data", "answers", 1, "body"), "rest", "two answers are the same"),
        ((0, "data", "answers", 1, "body"), "  ", "missing or empty"),
        ((0,), "text", "task 1: is not an object"),
    ],
)
def test_what_label_studio_files_may_not_hold(path: Any, value: Any, told: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_tasks("p.json", _broken(path, value))
    assert told in str(refusal.value) and str(refusal.value).startswith("p.json")


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ((0, "extra"), 1, "record 1: holds a field 'extra'"),
        ((0, "fields", "answer-e"), "x", "holds a field 'answer-e'"),
        ((0, "fields", "answer-b"), "rest", "two answers are the same"),
        ((0, "metadata"), {}, "no privacy unit"),
        ((0, "responses", "mood"), [{"value": 1, "user_id": "mira"}], "not known"),
        ((0, "responses", "ranking", 0, "value"), ["answer-a"], "does not rank every"),
        ((0, "responses", "ranking", 0, "value"), [{"value": "answer-z", "rank": 1}], "does not have"),
        ((0, "responses", "ranking", 0, "more"), 1, "holds a field 'more'"),
        ((0, "responses", "safety-a", 0, "value"), 9, "rating is not from 1 to 5"),
    ],
)
def test_what_argilla_files_may_not_hold(path: Any, value: Any, told: str) -> None:
    with pytest.raises(InputError) as refusal:
        read_records("p.json", _broken(path, value, "argilla"))
    assert told in str(refusal.value)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"{", "is not JSON"),
        (b"\xff", "is not UTF-8"),
        (b"[]", "holds no task"),
        (b"{}", "is not a list"),
        (b'[{"data": {}, "data": {}}]', "a key twice"),
        (b"[" * 100_000, "nested too deep"),
    ],
)
def test_files_that_are_no_projects(tmp_path: Path, data: bytes, told: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(data)
    for form in ("labelstudio", "argilla"):
        with pytest.raises(InputError, match=told):
            read_project(path, form)


PAIR = PairRecord("u", "q", "good", "bad", 2.0, "r1")
THREE = RankingRecord("u", "q", ("x", "y", "z"), (2, 1, 2), "r2")
REFUSED = AnswerMarks(flags=((UNACCEPTABLE, True),))


def test_rows_for_trl() -> None:
    rows = list(preference_rows([PAIR, THREE, replace(PAIR, marks=(REFUSED, REFUSED))]))
    assert rows[0] == {"prompt": "q", "chosen": "good", "rejected": "bad", "margin": 2.0, "record": "r1"}
    assert [(row["chosen"], row["rejected"], row["record"]) for row in rows[1:]] == [
        ("y", "x", "r2"),
        ("y", "z", "r2"),
    ]


def test_rows_for_kto() -> None:
    rows = list(kto_rows([PAIR, THREE, replace(PAIR, marks=(REFUSED, REFUSED))]))
    assert [(row["completion"], row["label"]) for row in rows] == [
        ("good", True),
        ("bad", False),
        ("y", True),
        ("good", False),
        ("bad", False),
    ]
