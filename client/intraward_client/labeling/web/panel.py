"""Adjudication: a senior judges blind first, then sees what everybody said. Every vote is kept."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from intraward_client.labeling import judging
from intraward_client.labeling.book import HELD
from intraward_client.labeling.course import qualified
from intraward_client.labeling.database import Gone
from intraward_client.labeling.judgment import Vote
from intraward_client.labeling.queue import Turn, give_back, next_adjudication
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.web.guard import Doors, session_in, station_in
from intraward_client.labeling.web.station import render
from intraward_client.labeling.web.tasks import LETTERS, NotThere, field_of, mine, page

doors = Doors()
_STRENGTHS = ("", "slightly", "clearly", "much")


@doors.page("/adjudicate", ("senior",))
def adjudicate(request: Request) -> Response:
    """The next item that needs a senior, without anything that was said of it."""
    station, session = station_in(request), session_in(request)
    if not qualified(session.account, station.terms, station.book.clock()):
        return render(station, request, "done.html", session, why="course", day=None)
    while (turn := next_adjudication(station.book, session.account)) is not None:
        try:
            texts = station.texts(turn)
        except Gone:
            give_back(station.book, turn, HELD)
            continue
        if texts is not None:
            return page(station, request, turn, texts, judging.draft(station.book, turn))
    return render(
        station, request, "done.html", session, why="panel", day=None, saved=field_of(request, "saved")
    )


@doors.page("/adjudicate/{name}", ("senior",))
def review(request: Request, name: str) -> Response:
    """After the senior's own judgment: all of them side by side, raters by number."""
    station, session = station_in(request), session_in(request)
    turn = mine(station, session.account, name)
    if turn.stage != "adjudication" or turn.state != "done":
        raise NotThere
    texts = station.texts(turn)
    if texts is None:
        raise NotThere
    votes = station.book.votes([turn.item.item_id], ("first", "adjudication"))
    rubric = station.rubrics[turn.item.kind]
    others = [vote for vote in votes if vote.rater != session.account.name]
    rows = [("You", vote) for vote in votes if vote.rater == session.account.name]
    rows += [
        (f"{'Senior' if vote.stage == 'adjudication' else 'Rater'} {number}", vote)
        for number, vote in enumerate(others, start=1)
    ]
    return render(
        station,
        request,
        "review.html",
        session,
        prompt=texts.prompt,
        answers=[(LETTERS[place], texts.answers[answer]) for place, answer in enumerate(turn.shown)],
        rows=[(name, said(vote, turn, rubric)) for name, vote in rows],
        state=station.book.states().get(turn.item.item_id, ""),
    )


def said(vote: Vote, turn: Turn, rubric: Rubric) -> dict[str, Any]:
    """A vote in words, answers named by their place on this screen."""
    if not vote.judged:
        return {"verdict": "Escalated" if vote.escalated else "Skipped", "why": vote.rationale, "flags": []}
    by_rank: dict[int, list[str]] = {}
    for place, answer in enumerate(turn.shown):
        by_rank.setdefault(vote.ranks[answer], []).append(LETTERS[place])
    order = " > ".join(" = ".join(letters) for _, letters in sorted(by_rank.items()))
    labels = {failure.key: failure.label for failure in rubric.failures}
    flags = [
        f"{LETTERS[place]}: {labels.get(kind, kind)}"
        for place, answer in enumerate(turn.shown)
        for kind in sorted(vote.flagged(answer))
    ]
    strength = f" ({_STRENGTHS[vote.strength]})" if vote.strength else ""
    unacceptable = "; none acceptable" if vote.all_unacceptable else ""
    return {"verdict": order + strength + unacceptable, "why": vote.rationale, "flags": flags}
