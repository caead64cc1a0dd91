"""What the ward's socket refuses before the ward hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from intraward_client import wardsocket

MOST = 1000


class Listening:
    """A ward that only remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    def execute(self, request: bytes) -> bytes:
        self.asked.append(request)
        return b"done"

    def describe(self) -> bytes:
        return b"{}"


@pytest.fixture
def ward(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(wardsocket, "MAX_REQUEST_BYTES", MOST)
    return Listening()


def status(ward: Any, content: bytes | AsyncIterator[bytes]) -> int:
    """Of one POST, in process."""

    async def post() -> int:
        transport = httpx.ASGITransport(app=wardsocket.application(ward))
        async with httpx.AsyncClient(transport=transport, base_url="http://ward") as client:
            return (await client.post("/execute", content=content)).status_code

    return asyncio.run(post())


async def pieces(count: int, taken: list[int]) -> AsyncIterator[bytes]:
    """Chunks of 100 bytes of no declared length; ``taken`` counts them."""
    for number in range(count):
        taken.append(number)
        yield bytes(100)


def test_a_request_as_large_as_may_be_is_passed_on(ward: Any) -> None:
    assert status(ward, bytes(MOST)) == status(ward, pieces(10, [])) == 200
    assert [len(request) for request in ward.asked] == [MOST, MOST]


def test_a_larger_one_is_refused_by_its_declared_length_or_once_too_much_came(ward: Any) -> None:
    taken: list[int] = []
    assert status(ward, bytes(MOST + 1)) == 413
    assert status(ward, pieces(1000, taken)) == 413
    assert ward.asked == []


def test_a_declared_length_is_believed_before_a_byte_is_read(ward: Any) -> None:
    sent = run_by_hand(ward, [(b"content-length", b"%d" % (MOST + 1))], [])
    assert sent[0]["status"] == 413


def test_who_hangs_up_in_the_middle_gets_no_traceback(ward: Any) -> None:
    sent = run_by_hand(ward, [], [{"type": "http.request", "body": b"x", "more_body": True}])
    assert sent[0]["status"] == 400
    assert ward.asked == []


def run_by_hand(
    ward: Any, headers: list[tuple[bytes, bytes]], events: list[dict[str, Any]]
) -> list[dict[str, Any]]:
    """What the application sends for a POST whose client says ``events`` and hangs up."""
    left, sent = iter(events), []

    async def receive() -> dict[str, Any]:
        return next(left, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/execute", "headers": headers, "query_string": b""}
    asyncio.run(wardsocket.application(ward)(scope, receive, send))
    return sent
