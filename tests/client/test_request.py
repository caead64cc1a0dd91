"""A request with anything more than its own parts, or that no model can read, is refused uncharged."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from intraward_client.plancheck import check_context
from intraward_client.request import open_request
from intraward_client.slot import SlotClock
from intraward_client.ward import Ward
from intraward_shared.adapters import decode, encode
from intraward_shared.errors import ContractError, PlanRefused
from intraward_shared.protocol import pack_parts, unpack_parts
from intraward_shared.signing import SigningKey, digest

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)


def test_a_part_that_is_no_requests_own_is_refused(rounds: Any) -> None:
    data = rounds().bytes_by()
    open_request(data, COORDINATOR.public)
    with pytest.raises(ContractError, match="none of its own"):
        open_request(pack_parts(unpack_parts(data) | {"extra": b"x"}), COORDINATOR.public)


def test_an_adapter_that_is_not_finite_is_refused(rounds: Any) -> None:
    made = rounds()
    state = {name: np.array(array) for name, array in decode(made.blobs[0]).items()}
    next(iter(state.values())).flat[0] = np.inf
    blob = encode(state)
    plan = made.plan.model_copy(update={"inputs": {"reward": digest(blob)}})
    with pytest.raises(ContractError, match="not finite"):
        open_request(replace(made, plan=plan, blobs=(blob,)).bytes_by(), COORDINATOR.public)


def test_texts_longer_than_the_models_context_are_refused_before_a_charge(
    make_site: Any, rounds: Any, tiny: Any
) -> None:
    context = tiny("llama").context
    training = rounds().plan.training.model_copy(
        update={"max_prompt_tokens": context, "max_completion_tokens": 1}
    )
    request = rounds(training=training)
    with pytest.raises(PlanRefused, match="context"):
        check_context(request.plan, tiny("llama"))
    check_context(rounds().plan, tiny("llama"))
    home = make_site(1)
    before = home.ledger.read_bytes()
    clock = SlotClock(virtual=False, now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    with closing(Ward(home, slots=clock)) as ward:
        assert unpack_parts(ward.execute(request.bytes_by()))["code"] == b"PLAN_REFUSED"
    assert home.ledger.read_bytes() == before
