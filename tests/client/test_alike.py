"""Nobody, one patient, 400 and 800: what a site says, when and how much of it, is the same."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from intraward_client.slot import SlotClock
from intraward_client.ward import Ward, site_status
from intraward_shared.adapters import decode, shapes
from intraward_shared.ledger import read_ledger
from intraward_shared.protocol import Mechanism, open_update, to_bytes, unpack_parts
from intraward_shared.signing import parse_canonical

SLOT = datetime(2030, 1, 1, tzinfo=UTC)
PATIENTS = (0, 1, 400, 800)
DRAWN = {"output", "previous", "signature", "ledger_entry", "tensors"}
"""Fields that are the noise, a digest of it, or chained to such a digest."""


def without_noise(value: dict[str, Any]) -> dict[str, Any]:
    return {key: item for key, item in value.items() if key not in DRAWN}


def test_sites_of_every_size_answer_alike(make_site: Any, rounds: Any) -> None:
    mechanism = Mechanism(
        sample_rate=0.1,
        noise_multiplier=1.0,
        max_grad_norm=1.0,
        steps=2,
        nominal_batch=40,
        max_records_per_unit=2,
    )
    said = []
    for patients in PATIENTS:
        home, times = make_site(patients, name=f"site{patients}"), [SLOT - timedelta(hours=1)]
        left = []

        def wait(seconds: float, times: list[datetime] = times) -> bool:
            times.append(times[-1] + timedelta(seconds=seconds))
            return False

        slots = SlotClock(virtual=False, now=partial(times.__getitem__, -1), wait=wait)
        with closing(Ward(home, slots=slots)) as ward:
            answers = [ward.describe()]
            for number in (1, 2):
                reply = ward.execute(rounds(number, mechanism=mechanism).bytes_by())
                code, update = unpack_parts(reply)["code"], unpack_parts(reply)["update"]
                header, tensors = open_update(update, ward.public_key)
                state = decode(tensors)
                left.append((code, len(reply), times[-1], shapes(state)))
                answers.append(json.dumps(without_noise(parse_canonical(to_bytes(header)))).encode())
                assert all(array.any() for array in state.values())  # noise is there, whoever is not
            entries = [without_noise(entry.model_dump(mode="json")) for entry in read_ledger(home.ledger)]
        sizes = [path.stat().st_size for path in sorted(home.outbox.iterdir())]
        log = [
            {key: item for key, item in json.loads(line).items() if key != "time"} | {"at": i}
            for i, line in enumerate(home.log.read_text().splitlines())
        ]
        said.append((answers, left, entries, sizes, log, site_status(home), home.ledger.stat().st_size))
    assert said[0] == said[1] == said[2] == said[3]
    assert [moment for _, _, moment, _ in said[0][1]] == [SLOT, SLOT]
    assert [code for code, *_ in said[0][1]] == [b"OK", b"OK"]
