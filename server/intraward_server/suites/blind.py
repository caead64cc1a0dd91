"""Pairs of answers for clinicians who do not know which policy wrote them, and the key, kept apart.

The rows are those of ``intraward-client label add``. A public prompt is of no patient, so each row is a unit
of its own. Ids are drawn anew for every file; the order within a pair comes from the system's random numbers,
never from the public seed, by which anyone could undo it.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from intraward_server.suites.bench import Subject
from intraward_shared.blind import BlindKey, BlindPair
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, RoundFailed
from intraward_shared.signing import canonical_json

Row = dict[str, object]
Against = Literal["sft", "base"]


def blind_pairs(
    prompts: Sequence[str],
    ours: Sequence[str],
    theirs: Sequence[str],
    subjects: tuple[Subject, Subject],
    run_id: str,
) -> tuple[list[Row], BlindKey]:
    """Rows and key of every prompt to which the two did not say the same, and neither said nothing.

    Args:
        ours, theirs: answers of the policy and of the one that it is held against.
        subjects: the two, in that order.

    Raises:
        RoundFailed: they said the same to every prompt.
    """
    name = f"blind-{secrets.token_hex(6)}"
    rows, pairs, same = list[Row](), list[BlindPair](), 0
    for number, (prompt, one, other) in enumerate(zip(prompts, ours, theirs, strict=True), start=1):
        words = (one.split(), other.split())
        if words[0] == words[1] or not all(words):
            same += 1
            continue
        ours_first = bool(secrets.randbits(1))
        each = f"{name}-{number:05d}"
        answers = [one, other] if ours_first else [other, one]
        rows.append({"id": each, "prompt": prompt, "answers": answers, "patient": each})
        first: Literal["policy", "other"] = "policy" if ours_first else "other"
        pairs.append(BlindPair(id=each, first=first, words=(len(words[0]), len(words[1]))))
    if not pairs:
        raise RoundFailed(
            "both policies say the same, or nothing, to every prompt", remedy="there is nothing to judge"
        )
    policy, against = subjects
    key = BlindKey(
        run_id=run_id,
        policy=str(policy.digest),
        other=against.digest,
        against="base" if against.name == "base" else "sft",
        same=same,
        pairs=tuple(pairs),
    )
    return rows, key


def write_pairs(rows: Sequence[Row], key: BlindKey, out: Path, key_file: Path) -> None:
    """Write both files, the key first.

    Raises:
        ConfigError: one of them is there already.
    """
    check_new(out, key_file)
    write_durably(key_file, canonical_json(key.model_dump(mode="json")))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    write_durably(out, lines.encode())


def check_new(*files: Path) -> None:
    """Refuse to write over a file.

    Raises:
        ConfigError: it is there, or its folder is not.
    """
    if len({file.absolute() for file in files}) < len(files):
        raise ConfigError(files[0], "", "is named twice", remedy="name two files")
    for file in files:
        if file.exists():
            raise ConfigError(file, "", "is there already", remedy="name a new file")
        if not file.absolute().parent.is_dir():
            raise ConfigError(file, "", "its folder is not there", remedy="make it, or name another")
