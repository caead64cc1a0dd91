"""Judging: the task page, what is sent from it, drafts, taking back, and the button for a visible patient.

A page names the assignment, which belongs to one account; anybody else's is not there (404). No page, address
or field holds a model, an adapter, a site or an answer's id.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from fastapi import Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from intraward_client.labeling import judging
from intraward_client.labeling.accounts import Account
from intraward_client.labeling.book import HELD
from intraward_client.labeling.course import qualified
from intraward_client.labeling.database import Gone
from intraward_client.labeling.judging import seconds_on
from intraward_client.labeling.queue import Turn, fatigue, give_back, next_turn, turn_of, waiting
from intraward_client.labeling.rubric import check_vote
from intraward_client.labeling.sealing import ItemTexts
from intraward_client.labeling.terms import Role
from intraward_client.labeling.web.guard import Doors, Form, field, session_in, station_in
from intraward_client.labeling.web.station import Station, render
from intraward_client.labeling.web.voteform import draft_fields, fill_form, read_vote
from intraward_shared.errors import ContractError, LabelError

RATERS: tuple[Role, ...] = ("labeller", "senior")
doors = Doors()
LETTERS = "ABCD"
_TRIES = 20
"""Items that cannot be shown, one after the other, before the page says that there is nothing."""


class NotThere(Exception):
    """No such assignment of this account."""


@doors.page("/task", RATERS)
def task(request: Request) -> Response:
    """The next item, or why there is none."""
    station, session = station_in(request), session_in(request)
    account = session.account
    if not qualified(account, station.terms, station.book.clock()):
        return RedirectResponse("/course", 303)
    day = fatigue(station.book, account)
    if day.done:
        return render(station, request, "done.html", session, why="cap", day=day)
    for _ in range(_TRIES):
        turn = next_turn(station.book, account)
        if turn is None:
            return render(station, request, "done.html", session, why="empty", day=day)
        if (texts := _shown(station, turn)) is not None:
            filled = judging.draft(station.book, turn)
            return page(station, request, turn, texts, filled, day=day)
    return render(station, request, "done.html", session, why="empty", day=day)


@doors.page("/task/{name}", RATERS, "POST")
def judge(request: Request, name: str, form: Form) -> Response:
    """Take a judgment down; on anything that does not fit, the same page with what was typed."""
    station, session = station_in(request), session_in(request)
    turn = mine(station, session.account, name)
    if field(form, "action") == "phi":  # asked once more on a page of its own; what was typed is kept
        with suppress(Gone):
            judging.save_draft(station.book, session.account, turn, draft_fields(form))
        return RedirectResponse(f"/task/{turn.assignment_id}/phi", 303)
    item, rubric = turn.item, station.rubrics[turn.item.kind]

    @cache
    def texts() -> ItemTexts:  # a plain judgment needs none
        return station.book.sealer.texts(item.unit, item.prompt_id, item.candidate_ids)

    def lengths() -> list[int]:
        return [len(answer) for answer in texts().answers]

    try:
        vote = read_vote(form, turn, session.account.name, rubric, lengths, seconds_on(station.book, turn))
        if vote.judged:
            check_vote(vote, rubric)
    except ContractError as error:
        judging.save_draft(station.book, session.account, turn, draft_fields(form))
        return page(station, request, turn, texts(), draft_fields(form), wrong=error, status=422)
    if vote.rationale or vote.correction:  # cleaning may fail; what was typed is kept then
        with suppress(Gone):  # sent a second time: `submit` knows
            judging.save_draft(station.book, session.account, turn, draft_fields(form))
    judging.submit(station.book, station.free_text, session.account, turn, vote, station.rubrics)
    if turn.stage == "adjudication" and vote.judged:
        return RedirectResponse(f"/adjudicate/{turn.assignment_id}", 303)
    home = "/adjudicate" if turn.stage == "adjudication" else "/task"
    return RedirectResponse(f"{home}?saved={'skip' if vote.skipped else 'yes'}", 303)


@doors.page("/task/{name}/draft", RATERS, "POST")
def keep_draft(request: Request, name: str, form: Form) -> Response:
    """Keep what is typed so far; a word for the page."""
    station, session = station_in(request), session_in(request)
    turn = mine(station, session.account, name)
    judging.save_draft(station.book, session.account, turn, draft_fields(form))
    return HTMLResponse("Draft saved")


@doors.page("/task/{name}/phi", RATERS)
def ask_phi(request: Request, name: str) -> Response:
    """Whether the item shall really be taken away from everybody; shows no text."""
    station, session = station_in(request), session_in(request)
    turn = mine(station, session.account, name)
    back = "/adjudicate" if turn.stage == "adjudication" else "/task"
    return render(station, request, "phi.html", session, turn=turn, back=back)


@doors.page("/task/{name}/phi", RATERS, "POST")
def phi(request: Request, name: str) -> Response:
    """The patient can be told: nobody is shown the item any more."""
    station, session = station_in(request), session_in(request)
    turn = mine(station, session.account, name)
    judging.phi_seen(station.book, session.account, turn)
    home = "/adjudicate" if turn.stage == "adjudication" else "/task"
    return RedirectResponse(f"{home}?saved=phi", 303)


@doors.page("/undo", RATERS, "POST")
def undo(request: Request, form: Form) -> Response:
    """Take the last judgment back; the page is as it was sent."""
    station, session = station_in(request), session_in(request)
    name, vote = judging.undo(station.book, session.account)
    turn = mine(station, session.account, name)
    judging.save_draft(station.book, session.account, turn, fill_form(vote, turn.shown))
    return RedirectResponse("/adjudicate" if turn.stage == "adjudication" else "/task", 303)


def mine(station: Station, account: Account, name: str) -> Turn:
    """The assignment of a name, of this very account.

    Raises:
        NotThere: it is not there, or somebody else's.
    """
    turn = turn_of(station.book, name, account.user_id)
    if turn is None:
        raise NotThere
    return turn


def page(
    station: Station,
    request: Request,
    turn: Turn,
    texts: ItemTexts,
    filled: dict[str, Any],
    *,
    wrong: LabelError | ContractError | None = None,
    status: int = 200,
    day: Any = None,
) -> Response:
    """The task page: answers in the order of this rater, with what was filled in before."""
    session = session_in(request)
    rubric = station.rubrics[turn.item.kind]
    account = session.account
    return render(
        station,
        request,
        "task.html",
        session,
        status=status,
        turn=turn,
        prompt=texts.prompt,
        answers=[(LETTERS[place], texts.answers[answer]) for place, answer in enumerate(turn.shown)],
        rubric=rubric,
        filled=filled,
        wrong=wrong,
        skips=judging.SKIP_REASONS,
        day=day if day is not None else fatigue(station.book, account),
        left=waiting(station.book, account) if turn.stage != "adjudication" else None,
        saved=field_of(request, "saved"),
        course=None,
    )


def field_of(request: Request, name: str) -> str:
    """A short word of the address."""
    return request.query_params.get(name, "")[:20]


def _shown(station: Station, turn: Turn) -> ItemTexts | None:
    """What may be shown; None where the item was kept back, and goes back."""
    try:
        return station.texts(turn)
    except Gone:
        give_back(station.book, turn, HELD)
        return None
