"""Faults of messages: sent twice, sent later, in another order, cut off, or with a bit changed.

Before RESERVE the spoiled message is the request; while a round is on its way it is another copy that arrives
at the ward meanwhile, in a thread of its own as the socket would start one; after upload it is the reply.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tests.faults.bench import Bench, Spoil, code_of
from tests.faults.outcome import Answer, Outcome, Seen, Unclassified
from tests.faults.phases import Phase, at_phases, once

from intraward_client.ward import Ward


def _cut(data: bytes) -> bytes:
    return data[: 2 * len(data) // 3]


def _flip(data: bytes) -> bytes:
    """One bit of the last tenth: of an input adapter in a request, of the tensors in a reply."""
    place = len(data) - len(data) // 10
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def truncated(bench: Bench, phase: Phase) -> Seen:
    """A third of the message is missing."""
    return _spoiled(bench, phase, _cut)


def bit_flipped(bench: Bench, phase: Phase) -> Seen:
    """One bit is another."""
    return _spoiled(bench, phase, _flip)


def duplicated(bench: Bench, phase: Phase) -> Seen:
    """The same request twice; after upload the same reply twice."""
    if phase is Phase.UPLOADED:
        first, again = bench.asked(), bench.asked()
        return bench.judged(first, first.update, again)
    if phase is Phase.BEFORE_RESERVE:
        with bench.ward() as ward:
            first, again = (code_of(ward.execute(bench.request())) for _ in range(2))
        return bench.judged(first, first.update, again)
    meanwhile, answer = _meanwhile(bench, phase, bench.request())
    return bench.judged(meanwhile, meanwhile.update, answer)


def replayed(bench: Bench, phase: Phase) -> Seen:
    """Round 1 is done; its request, or its reply, comes again where round 2 is."""
    first = bench.asked(1)
    assert first.code == "OK"
    if phase is Phase.UPLOADED:
        old = _reply_of(bench, 1)
        return _refused_then_fine(bench, bench.asked(2, coming=lambda reply: old), 2)
    if phase is Phase.BEFORE_RESERVE:
        with bench.ward() as ward:
            meanwhile, answer = (
                code_of(ward.execute(bench.request(1))),
                code_of(ward.execute(bench.request(2))),
            )
    else:
        meanwhile, answer = _meanwhile(bench, phase, bench.request(1), number=2)
    assert answer.code == "OK"
    return bench.judged(first, first.update, meanwhile)


def reordered(bench: Bench, phase: Phase) -> Seen:
    """The request of round 2 comes before, or while, round 1 is done; replies come the other way round."""
    if phase is Phase.UPLOADED:
        with bench.ward() as ward:
            replies = [ward.execute(bench.request(number)) for number in (1, 2)]
        struck = bench.asked(1, coming=lambda reply: replies[1])
        return _refused_then_fine(bench, struck, 1)
    if phase is Phase.BEFORE_RESERVE:
        with bench.ward() as ward:
            early, answer = (code_of(ward.execute(bench.request(each))) for each in (2, 1))
    else:
        early, answer = _meanwhile(bench, phase, bench.request(2))
    assert answer.code == "OK"
    return bench.judged(early, early.update, bench.asked(2), 2)


def _spoiled(bench: Bench, phase: Phase, spoil: Spoil) -> Seen:
    if phase is Phase.UPLOADED:
        return _refused_then_fine(bench, bench.asked(coming=spoil), 1)
    if phase is Phase.BEFORE_RESERVE:
        struck = bench.asked(going=spoil)
        assert not bench.site.attempts(bench.plan().digest)
        return bench.judged(struck, "", bench.asked())
    meanwhile, answer = _meanwhile(bench, phase, spoil(bench.request()))
    assert answer.code == "OK"
    return bench.judged(meanwhile, answer.update, bench.asked())


def _refused_then_fine(bench: Bench, struck: Answer, number: int) -> Seen:
    """The coordinator refused the reply; asked again the site sends what it sealed, and is not charged."""
    plan = bench.plan(number).digest
    sealed, again = bench.site.sealed(plan), bench.asked(number)
    if again != Answer("OK", sealed) or len(bench.site.attempts(plan)) != 1:
        raise Unclassified("the sealed bytes did not come again")
    seen = bench.judged(struck, sealed, again, number)
    assert seen.outcome is Outcome.REFUSED
    return seen


def _reply_of(bench: Bench, number: int) -> bytes:
    with bench.ward() as ward:
        return ward.execute(bench.request(number))


def _meanwhile(bench: Bench, phase: Phase, message: bytes, number: int = 1) -> tuple[Answer, Answer]:
    """The ward's answers to ``message``, which arrives at ``phase`` of a round, and to the round."""
    answers: list[Answer] = []
    threads: list[threading.Thread] = []

    def arrive(ward: Ward) -> Callable[[], None]:
        def act() -> None:
            thread = threading.Thread(target=lambda: answers.append(code_of(ward.execute(message))))
            threads.append(thread)
            thread.start()

        return act

    with bench.ward() as ward, at_phases(once(phase, arrive(ward))):
        answer = code_of(ward.execute(bench.request(number)))
        threads[0].join(60)
    return answers[0], answer
