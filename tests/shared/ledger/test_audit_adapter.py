"""An adapter is traced through its ancestry to the ledgers that paid for each round."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from intraward_shared import audit
from intraward_shared.adapters import encode, state_digest
from intraward_shared.audit_adapter import PAID
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.ledger_entry import Kind
from intraward_shared.protocol import LoraSpec, sign_value
from intraward_shared.signed_adapter import ADAPTER_DOMAIN, MANIFEST_FILE, AdapterManifest
from intraward_shared.signing import SigningKey, digest
from intraward_shared.stages import Stage

KEY = SigningKey.from_seed(b"c" * 32)


def put(folder: Path, number: int, **lineage: Any) -> str:
    """A signed adapter folder below ``folder``; returns the adapter's digest."""
    state = {"m.q_proj.lora_A.weight": np.full((2, 4), number, dtype=np.float32)}
    name, tensors = state_digest(state), encode(state)
    manifest = AdapterManifest(
        run_id="run",
        stage=Stage.REWARD,
        base_model="a" * 64,
        digest=name,
        files={"adapter_model.safetensors": digest(tensors)},
        simulated=False,
        lora=LoraSpec(r=2, lora_alpha=4, target_modules=("q_proj",)),
        **lineage,
    )
    place = folder / name[:16]
    place.mkdir(parents=True)
    (place / "adapter_model.safetensors").write_bytes(tensors)
    (place / MANIFEST_FILE).write_bytes(sign_value(manifest, ADAPTER_DOMAIN, KEY))
    return name


@pytest.fixture
def registry(tmp_path: Path, spent_file: Path) -> Callable[..., tuple[Path, list[str]]]:
    """``registry(**second)``: adapters of rounds 0, 1 and 2, and the newest one's ancestry."""

    def make(**second: Any) -> tuple[Path, list[str]]:
        rounds = [e for e in read_ledger(spent_file) if e.kind is Kind.RESERVE and not e.is_schedule]
        folder = tmp_path / "adapters"
        names = [put(folder, 0, round=0)]
        for number, entry in enumerate(rounds[:2], start=1):
            paid: dict[str, Any] = {"round": number, "plans": (entry.plan,), "parents": (names[-1],)}
            paid["ledger_heads"] = {"north": (entry.sequence, entry.hash)}
            names.append(put(folder, number, **(paid | (second if number == 1 else {}))))
        return folder, names

    return make


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", "adapter", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        shown = capsys.readouterr()
        return int(stop.value.code or 0), shown.out, " ".join(shown.err.split())

    return run


def test_every_round_down_to_the_public_start_is_shown_paid(
    registry: Any, call: Any, spent_file: Path
) -> None:
    folder, names = registry()
    newest = folder / names[-1][:16]
    options = ("--public-key", KEY.public, "--ancestors", folder, "--ledger", spent_file)
    code, out, _ = call(newest, *options, "--json")
    rows = json.loads(out)["lineage"]
    assert code == 0 and [row["adapter"] for row in rows] == names[::-1]
    assert [row["sites"] for row in rows] == [{"north": PAID}, {"north": PAID}, {}]
    _, out, _ = call(newest, *options)
    assert " ".join(out.split()).count(f"north: {PAID}") == 2 and out.count("no hospital") == 1


def test_without_ledger_or_ancestors_less_is_said_and_it_says_so(registry: Any, call: Any) -> None:
    folder, names = registry()
    code, out, _ = call(folder / names[-1][:16], "--public-key", KEY.public, "--json")
    (row,) = json.loads(out)["lineage"]
    assert code == 0 and row["sites"] == {"north": "ledger not given"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"ledger_heads": {}}, "no ledger paid"),
        ({"ledger_heads": {"north": (2, "e" * 64)}}, "does not hold"),
        ({"plans": ("e" * 64,)}, "does not hold"),
        ({"parents": ("e" * 64,)}, "without its signed manifest"),
    ],
)
def test_an_ancestor_that_was_not_paid_for_fails(
    registry: Any, call: Any, spent_file: Path, changes: dict[str, Any], said: str
) -> None:
    folder, names = registry(**changes)
    newest = folder / names[-1][:16]
    code, _, err = call(newest, "--public-key", KEY.public, "--ancestors", folder, "--ledger", spent_file)
    assert code == 1 and said in err


def test_a_round_that_was_reserved_and_never_released_fails(
    tmp_path: Path, call: Any, spent_file: Path
) -> None:
    opened = next(e for e in read_ledger(spent_file) if e.kind is Kind.RESERVE and e.round == 3)
    heads = {"north": (opened.sequence, opened.hash)}
    name = put(tmp_path / "a", 3, round=3, plans=(opened.plan,), ledger_heads=heads)
    place = tmp_path / "a" / name[:16]
    code, _, err = call(place, "--public-key", KEY.public, "--ledger", spent_file)
    assert code == 1 and "never released" in err


def test_an_ancestor_signed_by_another_key_fails(registry: Any, call: Any) -> None:
    folder, names = registry()
    first = folder / names[0][:16] / MANIFEST_FILE
    payload = AdapterManifest.model_validate(json.loads(json.loads(first.read_bytes())["payload"]))
    first.write_bytes(sign_value(payload, ADAPTER_DOMAIN, SigningKey.generate()))
    code, _, err = call(folder / names[-1][:16], "--public-key", KEY.public, "--ancestors", folder)
    assert code == 1 and "not the trusted one" in err and str(first) in err
    missing = ("--public-key", KEY.public, "--ancestors", folder / "absent")
    code, _, err = call(folder / names[-1][:16], *missing)
    assert code == 1 and "no such folder" in err


def test_an_ancestor_whose_tensors_were_changed_fails(registry: Any, call: Any) -> None:
    folder, names = registry()
    tensors = folder / names[1][:16] / "adapter_model.safetensors"
    data = bytearray(tensors.read_bytes())
    data[-1] ^= 1
    tensors.write_bytes(data)
    options = ("--public-key", KEY.public, "--ancestors", folder)
    code, _, err = call(folder / names[-1][:16], *options)
    assert code == 1 and str(tensors) in err and "changed after signing" in err
    for path in (tensors, tensors.with_name(MANIFEST_FILE)):
        path.unlink()
    code, _, err = call(folder / names[-1][:16], *options)
    assert code == 1 and f"adapter {names[1][:16]}" in err and "coordinator whole" in err
