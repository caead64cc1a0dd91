"""Quorum, deadline, late and foreign replies, dead nodes, and the spool that fixes a round."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Error, Message

from intraward_server.admission import admit
from intraward_server.rounds import Inbox, RoundResult, RoundTerms, find_nodes, run_round
from intraward_shared import wire
from intraward_shared.errors import RoundFailed
from intraward_shared.protocol import LoraSpec, OutputSpec, RoundPlan, TrainingSpec, pack_parts
from intraward_shared.signing import SigningKey, canonical_json, digest
from intraward_shared.stages import Part, Stage
from intraward_simulation.federation import InProcessGrid

SITES = ("alpha", "beta", "gamma")
KEYS = {name: SigningKey.from_seed(digest(name.encode()).encode()[:32]) for name in SITES}
PUBLIC = {name: key.public for name, key in KEYS.items()}
NAME = "base_model.model.q_proj.lora_B.weight"
PLAN = RoundPlan(
    run_id="run-1",
    round=1,
    stage=Stage.SFT,
    stage_round=1,
    part=Part.B,
    cohort=SITES,
    base_model="0" * 64,
    lora=LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj",)),
    inputs={"policy": "1" * 64},
    public_data="2" * 64,
    training=TrainingSpec(learning_rate=0.01, steps=5),
    outputs=(OutputSpec(name=NAME, shape=(3, 2)),),
    slot_time="2026-01-01T00:00:00Z",
    expires="2026-01-01T01:00:00Z",
    nonce="0" * 32,
)


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 0.01)


class Site:
    """A ward port whose answer a test chooses."""

    def __init__(self, name: str, answer: bytes) -> None:
        self.name, self.answer, self.asked, self.dies = name, answer, 0, 0

    def describe(self) -> bytes:
        return canonical_json({"site": self.name, "public": PUBLIC.get(self.name, ""), "stages": []})

    def execute(self, request: bytes) -> bytes:
        self.asked += 1
        if self.asked <= self.dies:
            raise RuntimeError("died")
        return self.answer


class SlowGrid(InProcessGrid):
    """Some sites' replies to one kind of message can be pulled only after a given time."""

    def __init__(self, wards: Any, clock: Clock, ready: dict[str, float], kind: str = wire.TRAIN) -> None:
        super().__init__(wards)
        self._kind = kind
        self._clock, self._late = clock, {100 + i: ready.get(n, 0.0) for i, n in enumerate(sorted(wards))}

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        names = [name for name in message_ids if name in self._pending and self._is_ready(name)]
        return super().pull_messages(names)

    def _is_ready(self, name: str) -> bool:
        node, kind, _ = self._pending[name]
        return kind != self._kind or self._late[node] <= self._clock.now


def _ok(update: bytes) -> bytes:
    return pack_parts({"code": b"OK", "update": update})


@pytest.fixture
def wards(seal_update: Any) -> dict[str, Site]:
    tensors = {NAME: np.full((3, 2), 0.01, np.float32)}
    return {name: Site(name, _ok(seal_update(PLAN, name, KEYS[name], 2, tensors))) for name in SITES}


@pytest.fixture
def inbox(tmp_path: Path) -> Inbox:
    return _inbox(tmp_path)


def _inbox(folder: Path) -> Inbox:
    return Inbox(folder / "inbox", lambda data, seen: admit(data, PLAN, PUBLIC, seen, max_norm=1.0))


def _terms(clock: Clock, **change: Any) -> RoundTerms:
    values: dict[str, Any] = {"quorum": 2, "deadline_s": 100.0, "poll_s": 1.0, "resend_s": 5.0} | change
    return RoundTerms(clock=clock, sleep=clock.sleep, **values)


def _run(grid: Any, inbox: Inbox, terms: RoundTerms) -> RoundResult:
    nodes = find_nodes(grid, PUBLIC, {}, terms, 3.0)
    return run_round(grid, nodes, SITES, lambda site: b"request", inbox, terms)


def test_all_sites_answer(wards: dict[str, Site], inbox: Inbox) -> None:
    result = _run(InProcessGrid(wards), inbox, _terms(Clock()))
    assert result == RoundResult(SITES, {})
    assert [update.site for update in inbox.updates(result.sites)] == list(SITES)
    assert inbox.size > 0


def test_deadline_leaves_the_late_one_out(wards: dict[str, Site], inbox: Inbox) -> None:
    clock = Clock()
    result = _run(SlowGrid(wards, clock, {"beta": 500.0, "gamma": 50.0}), inbox, _terms(clock))
    assert result == RoundResult(("alpha", "gamma"), {"beta": "LATE"})
    assert wards["beta"].asked == 0 and clock.now <= 101


def test_no_quorum_keeps_what_came_and_asks_only_the_rest_again(
    wards: dict[str, Site], inbox: Inbox, tmp_path: Path
) -> None:
    clock = Clock()
    slow = {"beta": 500.0, "gamma": 500.0}
    with pytest.raises(RoundFailed, match="beta LATE, gamma LATE"):
        _run(SlowGrid(wards, clock, slow), inbox, _terms(clock))
    again = _inbox(tmp_path)
    assert again.sites == ("alpha",)
    assert _run(InProcessGrid(wards), again, _terms(Clock())).sites == SITES
    assert [site.asked for site in wards.values()] == [1, 1, 1]


def test_hopeless_rounds_ask_nobody(wards: dict[str, Site], inbox: Inbox) -> None:
    with pytest.raises(RoundFailed, match="beta UNREACHABLE, gamma UNREACHABLE"):
        _run(InProcessGrid({"alpha": wards["alpha"]}), inbox, _terms(Clock()))
    assert wards["alpha"].asked == 0


def test_a_dead_node_is_asked_again_until_it_is_back(wards: dict[str, Site], inbox: Inbox) -> None:
    wards["beta"].dies = 3
    result = _run(InProcessGrid(wards), inbox, _terms(Clock(), resends=3))
    assert result.sites == SITES and wards["beta"].asked == 4


def test_a_node_that_stays_dead_is_given_up(wards: dict[str, Site], inbox: Inbox) -> None:
    wards["beta"].dies = 99
    clock = Clock()
    result = _run(InProcessGrid(wards), inbox, _terms(clock, resends=2))
    assert result == RoundResult(("alpha", "gamma"), {"beta": "UNREACHABLE"})
    assert wards["beta"].asked == 3 and clock.now < 100


def test_error_reply_of_another_node_is_mapped_by_its_message(wards: dict[str, Site], inbox: Inbox) -> None:
    class Superlink(InProcessGrid):
        def _execute(self, message: Message) -> Message:
            if message.metadata.dst_node_id == 101 and message.metadata.message_type == wire.TRAIN:
                answer = Message(Error(code=2, reason="unavailable"), reply_to=message)
                answer.metadata.__dict__["_src_node_id"] = 1
                return answer
            return super()._execute(message)

    result = _run(Superlink(wards), inbox, _terms(Clock(), resends=0))
    assert result == RoundResult(("alpha", "gamma"), {"beta": "UNREACHABLE"})


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (pack_parts({"code": b"BUDGET", "update": b""}), "BUDGET"),
        (pack_parts({"code": b"lower\x00", "update": b""}), "CONTRACT"),
        (pack_parts({"code": b"OK", "update": b"", "more": b""}), "CONTRACT"),
        (b"junk", "CONTRACT"),
        (_ok(b"junk"), "ADMISSION_2"),
    ],
)
def test_what_is_not_an_update_is_named(
    wards: dict[str, Site], inbox: Inbox, answer: bytes, code: str
) -> None:
    wards["beta"].answer = answer
    assert _run(InProcessGrid(wards), inbox, _terms(Clock())).missing == {"beta": code}


def test_another_sites_bytes_count_once(wards: dict[str, Site], inbox: Inbox) -> None:
    wards["beta"].answer = wards["alpha"].answer
    result = _run(InProcessGrid(wards), inbox, _terms(Clock()))
    assert result == RoundResult(("alpha", "gamma"), {"beta": "ADMISSION_6"})


def test_replies_to_other_messages_are_discarded(wards: dict[str, Site], inbox: Inbox) -> None:
    class Confused(InProcessGrid):
        def _execute(self, message: Message) -> Message:
            answer = super()._execute(message)
            if message.metadata.dst_node_id == 101 and message.metadata.message_type == wire.TRAIN:
                answer.metadata.__dict__["_reply_to_message_id"] = "of-an-earlier-round"
            return answer

    result = _run(Confused(wards), inbox, _terms(Clock()))
    assert result == RoundResult(("alpha", "gamma"), {"beta": "LATE"})


def test_a_closed_round_does_not_change(wards: dict[str, Site], inbox: Inbox, tmp_path: Path) -> None:
    wards["beta"].answer = pack_parts({"code": b"ABORTED", "update": b""})
    inbox.close(_run(InProcessGrid(wards), inbox, _terms(Clock())))
    assert _inbox(tmp_path).closed() == RoundResult(("alpha", "gamma"), {"beta": "ABORTED"})


def test_a_closed_round_with_a_broken_update_is_opened_again(
    wards: dict[str, Site], inbox: Inbox, tmp_path: Path
) -> None:
    inbox.close(_run(InProcessGrid(wards), inbox, _terms(Clock())))
    path = tmp_path / "inbox" / "beta.sealed"
    path.write_bytes(path.read_bytes()[:-1])
    again = _inbox(tmp_path)
    assert again.closed() is None and again.sites == ("alpha", "gamma") and not path.exists()


def test_strangers_are_not_addressed(wards: dict[str, Site]) -> None:
    wards["stranger"] = Site("alpha-2", b"")
    impostor = Site("beta", b"")
    impostor.describe = lambda: canonical_json({"site": "beta", "public": "0" * 64})  # type: ignore[method-assign]
    wards["zz"] = impostor
    wards["zzz"] = Site("x", b"")
    wards["zzz"].describe = lambda: b"\xff"  # type: ignore[method-assign]
    nodes = find_nodes(InProcessGrid(wards), PUBLIC, {}, _terms(Clock()), 3.0)
    assert nodes == {"alpha": 100, "beta": 101, "gamma": 102}


def test_a_node_that_joins_late_is_found(wards: dict[str, Site]) -> None:
    clock = Clock()
    grid = SlowGrid(wards, clock, {"gamma": 2.0}, wire.QUERY)
    assert set(find_nodes(grid, PUBLIC, {}, _terms(clock), 5.0)) == set(SITES)
    grid = SlowGrid(wards, clock, {"gamma": 99.0}, wire.QUERY)
    assert set(find_nodes(grid, PUBLIC, {}, _terms(clock), 5.0)) == {"alpha", "beta"}


def test_a_node_whose_ward_is_still_starting_is_asked_again(wards: dict[str, Site]) -> None:
    answers = iter([None, None, wards["beta"].describe()])

    def starting() -> bytes:
        answer = next(answers)
        if answer is None:
            raise RuntimeError("the ward does not answer")
        return answer

    wards["beta"].describe = starting  # type: ignore[method-assign]
    assert set(find_nodes(InProcessGrid(wards), PUBLIC, {}, _terms(Clock()), 5.0)) == set(SITES)


def test_a_push_that_flower_does_not_take_is_tried_again(wards: dict[str, Site], inbox: Inbox) -> None:
    class Refusing(InProcessGrid):
        refusals = 2

        def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
            kept = list(messages)
            assert kept  # Flower refuses an empty list
            if kept[0].metadata.dst_node_id == 101 and self.refusals:
                if kept[0].metadata.message_type == wire.TRAIN:
                    self.refusals -= 1
                return [""]
            return super().push_messages(kept)

    grid = Refusing(wards)
    result = run_round(
        grid, {"alpha": 100, "beta": 101, "gamma": 102}, SITES, lambda site: b"", inbox, _terms(Clock())
    )
    assert result.sites == SITES
    grid = Refusing(wards)
    grid.refusals = 99
    again = _inbox(Path(str(inbox._folder) + "-2"))
    result = run_round(
        grid, {"alpha": 100, "beta": 101, "gamma": 102}, SITES, lambda site: b"", again, _terms(Clock())
    )
    assert result.missing == {"beta": "UNREACHABLE"}
