"""The label station under load: 10,000 items, 50 raters at once, each with a clinician's pace.

Printed: median and 95th percentile of the server's response, requests and errors, and the same median for one
rater alone, so that the load's own part can be read on any machine. Errors must be none; times are no test.
The de-identifier is not in it: a plain judgment has no free text.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from statistics import median, quantiles

import httpx
import pytest
from tests.client.labeling.stations import PASSWORD, pairs
from tests.e2e.label_site import LabelSite, assignment, lay, log_in, token

from intraward_client.labeling.opening import open_book

pytestmark = [pytest.mark.bench]
_ITEMS, _RATERS, _JUDGMENTS, _PACE = 10_000, 50, 8, 3.0
"""Items, raters, judgments of each, and seconds between two of a rater."""


_ENTRY = threading.Lock()


def _rater(site: LabelSite, name: str, times: list[float], errors: list[int], judgments: int) -> None:
    with site.client() as client:
        with _ENTRY:  # argon2 is slow on purpose; fifty people do not log in within one second
            log_in(client, name, PASSWORD)
        for _ in range(judgments):
            page = _timed(lambda: client.get("/task"), times)
            task = assignment(page.text) if page.status_code == 200 else ""
            if not task:
                errors.append(page.status_code)
                continue
            form = {"csrf": token(page.text), "choice": "0", "action": "submit"}
            sent = _timed(lambda t=task, f=form: client.post(f"/task/{t}", data=f), times)
            if sent.status_code != 303:
                errors.append(sent.status_code)
            time.sleep(_PACE)


def _timed(call: object, times: list[float]) -> httpx.Response:
    start = time.perf_counter()
    answer: httpx.Response = call()  # type: ignore[operator]
    times.append(time.perf_counter() - start)
    return answer


def test_ten_thousand_items_and_fifty_raters(tmp_path: Path) -> None:
    names = [f"rater-{number}" for number in range(_RATERS)]
    site = lay(tmp_path, pairs(_ITEMS), dict.fromkeys(names, "labeller"), gold_share=0.0, repeat_share=0.0)
    alone: list[float] = []
    times: list[float] = []
    errors: list[int] = []
    with site.served():
        _rater(site, names[0], alone, errors, 5)
        threads = [
            threading.Thread(target=_rater, args=(site, name, times, errors, _JUDGMENTS)) for name in names
        ]
        for number, thread in enumerate(threads):
            thread.start()
            time.sleep(_PACE / _RATERS * (number % 2 + 0.5))
        for thread in threads:
            thread.join()
    with open_book(site.home) as book:
        stored = len(book.votes())
    late = quantiles(times, n=20)[-1]
    print(
        f"\nlabel station, {_ITEMS} items: one rater alone {1000 * median(alone):.0f} ms median; "
        f"{_RATERS} at once {1000 * median(times):.0f} ms median, {1000 * late:.0f} ms at 95 %, "
        f"{len(times)} requests, errors {len(errors)}, {stored} judgments stored"
    )
    assert errors == [] and stored == 5 + _RATERS * _JUDGMENTS
