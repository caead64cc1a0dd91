"""kill -9 amid two hundred submissions: no judgment that was acknowledged is lost, none doubled."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest
from tests.client.labeling.stations import PASSWORD, pairs
from tests.e2e.label_site import LabelSite, assignment, lay, log_in, token

from intraward_client.labeling import events
from intraward_client.labeling.opening import open_book

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
_ITEMS, _PEOPLE, _KILL_AT = 50, 4, (90,)


def _work(site: LabelSite, name: str, acknowledged: list[tuple[str, str]], stop: threading.Event) -> None:
    """Judge until there is nothing left; what was answered with 303 is acknowledged."""
    with site.client() as client:
        entered = False
        while not stop.is_set():
            try:
                if not entered:
                    log_in(client, name, PASSWORD)
                    entered = True
                page = client.get("/task")
                if page.status_code != 200:
                    entered = False
                    continue
                task = assignment(page.text)
                if not task:
                    return
                form = {"csrf": token(page.text), "choice": "tie", "action": "submit"}
                if client.post(f"/task/{task}", data=form).status_code == 303:
                    acknowledged.append((name, task))
            except httpx.TransportError:
                time.sleep(0.1)


def test_a_station_that_is_killed_loses_no_acknowledged_judgment(tmp_path: Path) -> None:
    people = [f"rater-{number}" for number in range(_PEOPLE)]
    site = lay(
        tmp_path,
        pairs(_ITEMS),
        dict.fromkeys(people, "labeller"),
        overlap=_PEOPLE,
        gold_share=0.0,
        repeat_share=0.0,
        daily_cap=2000,
    )
    acknowledged: list[tuple[str, str]] = []
    stop = threading.Event()
    threads = [threading.Thread(target=_work, args=(site, name, acknowledged, stop)) for name in people]
    started = False
    try:
        for at in (*_KILL_AT, None):
            with site.served() as process:
                if not started:
                    for thread in threads:
                        thread.start()
                    started = True
                if at is None:
                    for thread in threads:
                        thread.join(240)
                    break
                while len(acknowledged) < at and any(thread.is_alive() for thread in threads):
                    time.sleep(0.01)
                process.kill()
                process.wait(30)
    finally:
        stop.set()
    with open_book(site.home) as book:
        stored = Counter((vote.rater, vote.item_id) for vote in book.votes())
        with book.reading() as connection:
            told = Counter(
                event.user for event in events.newest(connection, 10_000) if event.action == "vote"
            )
            assert events.verify(connection, book.key).bad is None
        assert book.counts() == {"agreed": _ITEMS}
    per_rater = Counter(name for name, _ in acknowledged)
    assert len(acknowledged) >= _ITEMS * _PEOPLE - len(_KILL_AT) * _PEOPLE  # some were stored unheard
    assert set(stored.values()) == {1} and len(stored) == _ITEMS * _PEOPLE
    assert all(told[name] == _ITEMS >= per_rater[name] for name in people)
