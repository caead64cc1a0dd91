"""The course: pages to read, items with a known answer, an explanation after each, and the mark."""

from __future__ import annotations

from fastapi import Request, Response
from fastapi.responses import RedirectResponse

from intraward_client.labeling import accounts, course
from intraward_client.labeling.course import KnownItem
from intraward_client.labeling.judging import actor_of
from intraward_client.labeling.judgment import Item
from intraward_client.labeling.order import shown_order
from intraward_client.labeling.queue import Turn
from intraward_client.labeling.web.guard import Doors, Form, session_in, station_in
from intraward_client.labeling.web.station import Station, render
from intraward_client.labeling.web.tasks import LETTERS, RATERS, NotThere
from intraward_client.labeling.web.voteform import read_vote
from intraward_shared.errors import ContractError

doors = Doors()


@doors.page("/course", RATERS)
def overview(request: Request) -> Response:
    """Pages, how far one is, and the way to the items."""
    station, session = station_in(request), session_in(request)
    with station.book.reading() as connection:
        at = course.standing(connection, session.account, station.terms, station.book.clock())
    passed = course.passed(station.course, at.answered, station.terms.pass_mark)
    return render(
        station,
        request,
        "course.html",
        session,
        course=station.course,
        at=at,
        passed=passed,
        pass_mark=station.terms.pass_mark,
        rubrics=station.rubrics,
    )


@doors.page("/course/item", RATERS)
def item(request: Request) -> Response:
    """The next item of the course."""
    station, session = station_in(request), session_in(request)
    with station.book.reading() as connection:
        at = course.standing(connection, session.account, station.terms, station.book.clock())
    known = at.next_item(station.course)
    if known is None:
        return RedirectResponse("/course", 303)
    return _page(station, request, known, {}, None)


@doors.page("/course/item/{key}", RATERS, "POST")
def answer(request: Request, key: str, form: Form) -> Response:
    """Mark one item and say why; the last one decides whether the course is passed."""
    station, session = station_in(request), session_in(request)
    known = next((one for one in station.course.items if one.key == key), None)
    if known is None:
        raise NotThere
    turn, rubric = _turn(known), station.rubrics[known.kind]
    try:
        vote = read_vote(
            form, turn, session.account.name, rubric, lambda: [len(a) for a in known.answers], 0.0
        )
    except ContractError as error:
        return _page(
            station, request, known, {k: v for k, v in form.items() if isinstance(v, str)}, error, 422
        )
    if not vote.judged:
        return RedirectResponse("/course/item", 303)
    marked = course.mark(known, vote, rubric.critical)
    book = station.book
    with book.writing() as connection:
        at = course.standing(connection, session.account, station.terms, book.clock())
        course.note_answer(connection, session.account, at.attempt, key, marked, book.clock())
        at = course.standing(connection, session.account, station.terms, book.clock())
        passed = course.passed(station.course, at.answered, station.terms.pass_mark)
        if passed is not None:
            accounts.set_qualified(connection, session.account.user_id, book.clock() if passed else None)
            word = "course-passed" if passed else "course-failed"
            book.tell(connection, actor_of(session.account), word, station.course.version)
    labels = {failure.key: failure.label for failure in rubric.failures}
    return render(
        station,
        request,
        "marked.html",
        session,
        known=known,
        marked=marked,
        passed=passed,
        missed=[labels.get(kind, kind) for kind in sorted(marked.missed)],
        answers=[(LETTERS[place], known.answers[index], index) for place, index in enumerate(turn.shown)],
        labels=labels,
        done=len(at.answered),
        all=len(station.course.items),
        ranks=known.ranks,
    )


@doors.page("/course/again", RATERS, "POST")
def again(request: Request) -> Response:
    """Take the course once more, from its first item."""
    station, session = station_in(request), session_in(request)
    book = station.book
    with book.writing() as connection:
        at = course.standing(connection, session.account, station.terms, book.clock())
        if course.passed(station.course, at.answered, station.terms.pass_mark) is not None:
            course.begin_again(connection, session.account, at.attempt, book.clock())
            book.tell(connection, actor_of(session.account), "course-again", station.course.version)
    return RedirectResponse("/course/item", 303)


def _turn(known: KnownItem) -> Turn:
    """The item as it stands on the screen; its order follows from its key, the same for all."""
    names = tuple(f"{known.key}-{index}" for index in range(len(known.answers)))
    made = Item(known.key, "", known.key, names, known.kind, seed=known.key)
    return Turn(known.key, made, "gold", shown_order(made, 0), "open", None)


def _page(
    station: Station,
    request: Request,
    known: KnownItem,
    filled: dict[str, str],
    wrong: ContractError | None,
    status: int = 200,
) -> Response:
    turn, session = _turn(known), session_in(request)
    number = [one.key for one in station.course.items].index(known.key) + 1
    return render(
        station,
        request,
        "task.html",
        session,
        status=status,
        turn=turn,
        prompt=known.prompt,
        answers=[(LETTERS[place], known.answers[index]) for place, index in enumerate(turn.shown)],
        rubric=station.rubrics[known.kind],
        filled=filled,
        wrong=wrong,
        skips=(),
        day=None,
        left=None,
        saved="",
        course=(number, len(station.course.items)),
    )
