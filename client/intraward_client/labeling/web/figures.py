"""What people look at: home, one's own progress, agreement with its plots."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response
from sqlalchemy import func, select

from intraward_client.labeling import agreement, course
from intraward_client.labeling.queue import fatigue, waiting
from intraward_client.labeling.schema import assignments, votes, withdrawals
from intraward_client.labeling.web.guard import EVERYBODY, Doors, session_in, station_in
from intraward_client.labeling.web.station import render
from intraward_client.labeling.web.tasks import RATERS

doors = Doors()
_DAYS = 14
_DAY = 86400.0


@doors.page("/", EVERYBODY)
def home(request: Request) -> Response:
    """Where to go from here."""
    station, session = station_in(request), session_in(request)
    account, book = session.account, station.book
    judges = account.role in RATERS
    with book.reading() as connection:
        at = course.standing(connection, account, station.terms, book.clock())
    return render(
        station,
        request,
        "home.html",
        session,
        judges=judges,
        at=at,
        day=fatigue(book, account) if judges else None,
        left=waiting(book, account) if judges and at.qualified else 0,
        counts=book.counts() if not judges or account.role == "senior" else {},
        course_done=len(at.answered),
        course_all=len(station.course.items),
    )


@dataclass(frozen=True, slots=True)
class Bar:
    """One day of the progress plot; ``height`` 0 to 100."""

    name: str
    count: int
    height: float


@doors.page("/progress", RATERS)
def progress(request: Request) -> Response:
    """One's own work; nothing here tells which items were gold."""
    station, session = station_in(request), session_in(request)
    book, now = station.book, station.book.clock()
    own = votes.c.user_id == session.account.user_id
    stands = votes.c.vote_id.not_in(select(withdrawals.c.vote_id))
    with book.reading() as connection:
        times = (
            connection.execute(select(votes.c.time).where(own, stands, votes.c.time > now - _DAYS * _DAY))
            .scalars()
            .all()
        )
        total = connection.execute(select(func.count()).select_from(votes).where(own, stands)).scalar_one()
        held = connection.execute(
            select(func.count()).select_from(votes).where(own, stands, votes.c.held.is_not(None))
        ).scalar_one()
        spent = connection.execute(
            select(assignments.c.opened, assignments.c.closed)
            .where(assignments.c.user_id == session.account.user_id, assignments.c.state == "done")
            .where(assignments.c.closed > now - _DAYS * _DAY)
        ).all()
        at = course.standing(connection, session.account, station.terms, now)
    seconds = sorted(row.closed - row.opened for row in spent if row.opened is not None)
    return render(
        station,
        request,
        "progress.html",
        session,
        bars=_bars(list(times), now),
        total=int(total),
        held=int(held),
        median=round(seconds[len(seconds) // 2]) if seconds else None,
        day=fatigue(book, session.account),
        at=at,
        until=datetime.fromtimestamp(at.ends, UTC).strftime("%d %B %Y") if at.ends is not None else "",
    )


def _bars(times: list[float], now: float) -> list[Bar]:
    """Judgments by day, oldest first."""
    counts = [0] * _DAYS
    for moment in times:
        counts[_DAYS - 1 - min(_DAYS - 1, int((now - moment) // _DAY))] += 1
    most = max(counts) or 1
    return [
        Bar(
            datetime.fromtimestamp(now - (_DAYS - 1 - place) * _DAY, UTC).strftime("%d %b"),
            count,
            100 * count / most,
        )
        for place, count in enumerate(counts)
    ]


@doors.page("/agreement", ("senior", "admin", "auditor"))
def agree(request: Request) -> Response:
    """Agreement of the hospital's raters, with intervals, as it was reckoned last; no text."""
    station, session = station_in(request), session_in(request)
    done = station.agreement.newest()
    found = done.figures if done is not None else agreement.Report((), (), (), None)
    return render(
        station,
        request,
        "agreement.html",
        session,
        report=found,
        as_of=done.as_of if done is not None else None,
        rows=[_row(question) for question in found.questions],
        overall=[_row(question) for question in found.questions if not question.specialty],
        reliable=agreement.RELIABLE,
        tentative=agreement.TENTATIVE,
        states=station.book.counts(),
    )


def _row(question: agreement.Agreement) -> dict[str, Any]:
    """A line of the table, and its place on the plot (0 to 100 from alpha -0.2 to 1)."""
    estimate = question.alpha
    return {
        "question": question.question,
        "specialty": question.specialty,
        "items": question.items,
        "raters": question.raters,
        "percent": question.percent,
        "alpha": estimate,
        "kappa": question.kappa,
        "weighted": question.weighted_kappa,
        "fleiss": question.fleiss,
        "verdict": question.verdict,
        "at": _place(estimate.value) if estimate else None,
        "low": _place(estimate.interval[0]) if estimate and estimate.interval else None,
        "high": _place(estimate.interval[1]) if estimate and estimate.interval else None,
    }


def _place(alpha: float) -> float:
    return 100 * (min(1.0, max(-0.2, alpha)) + 0.2) / 1.2
