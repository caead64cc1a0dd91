"""Every command of ``intraward-client``: exit codes, JSON, and no traceback or note text in any output."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from intraward_client import checkup, cli
from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.slot import SlotClock
from intraward_client.store.notes import class_counts
from intraward_client.store.preferences import preference_table
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.modeling import model_digest

MARKER = "Zebulonquist"
NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """``call(*arguments)``: exit code, standard output, standard error; never a traceback or a name."""

    def invoke(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-client", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        told = capsys.readouterr()
        assert MARKER not in told.out + told.err and "Traceback" not in told.out + told.err
        return int(stop.value.code or 0), told.out, told.err

    return invoke


@pytest.fixture
def policy_file(tmp_path: Path, tiny_folder: Any) -> Path:
    model = tiny_folder("llama")
    table = {
        "site": "north",
        "privacy": {
            "delta": 1e-5,
            "declared_max_patients": 100,
            "lifetime_epsilon": 8.0,
            "min_noise_multiplier": 0.8,
            "max_sample_rate": 0.5,
            "max_steps_per_round": 10,
            "max_records_per_patient": 2,
        },
        "model": {"path": str(model), "sha256": model_digest(model)},
        "coordinator": {"public_key": "d" * 64},
    }
    path = tmp_path / "draft.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    return path


def note_row(number: int) -> str:
    return json.dumps(
        {
            "id": f"n{number}",
            "patient": f"P-{number}",
            "text": f"Patient: Ada {MARKER}.\nQuestion: man with cough for {number + 2} days?",
            "known": {"first": "Ada", "last": MARKER},
        }
    )


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def test_a_new_site_is_made_once_checked_and_empty(call: Any, tmp_path: Path, policy_file: Path) -> None:
    home = tmp_path / "site"
    code, out, _ = call("init", policy_file, "--home", home, "--json")
    assert code == 0 and len(json.loads(out)["public_key"]) == 64 and json.loads(out)["site"] == "north"
    key = SiteHome(home).signing_key.read_bytes()
    code, _, err = call("init", policy_file, "--home", home)
    assert code == 1 and "not empty" in err and SiteHome(home).signing_key.read_bytes() == key
    code, out, _ = call("doctor", "--home", home, "--json")
    checks = json.loads(out)["checks"]
    assert code == 0 and all(check["ok"] for check in checks) and len(checks) == 19
    code, out, _ = call("budget", "--home", home, "--json")
    assert code == 0 and json.loads(out)["spent"] == 0 and json.loads(out)["left"] == 8.0
    code, out, _ = call("outbox", "--home", home, "--json")
    assert (code, json.loads(out)) == (0, {"updates": []})
    code, out, _ = call("status", "--home", home, "--json")
    assert (code, json.loads(out)) == (
        0,
        {"site": "north", "last_time": "", "last_code": "", "participation": "active", "warnings": []},
    )
    code, out, _ = call("adapter", "list", "--home", home, "--json")
    assert (code, json.loads(out)) == (0, {"adapters": []})
    assert load_policy(SiteHome(home).policy).site == "north"


def test_import_stores_what_is_new_and_a_bad_line_stores_nothing(
    call: Any, tmp_path: Path, make_site: Any
) -> None:
    home = make_site(0)
    bad = write(tmp_path / "bad.jsonl", note_row(1), "", f'{{"id": "{MARKER}", "text": "{MARKER}"')
    code, out, err = call("import", bad, "--home", home.root)
    assert code == 1 and "bad.jsonl: line 3" in err and out == ""
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        assert class_counts(vault) == {}
    good = write(tmp_path / "good.jsonl", note_row(1), note_row(2))
    code, out, _ = call("import", good, "--home", home.root, "--json")
    report = json.loads(out)
    assert (code, report["rows"], report["released"], report["skipped"]) == (0, 2, 2, 0)
    code, out, _ = call("import", good, "--home", home.root)
    assert code == 0 and "2 rows: 0 in the vault" in out
    pair = {"patient": "P-1", "prompt": f"{MARKER} coughs", "chosen": "rest", "rejected": "run"}
    known = {"known": {"last": MARKER}}
    rows = write(tmp_path / "pairs.jsonl", json.dumps(pair | known))
    code, _, _ = call("import", rows, "--home", home.root, "--kind", "preferences")
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        (row,) = preference_table(vault).rows
        assert code == 0 and MARKER not in row.prompt and "coughs" in row.prompt
    missing = tmp_path / "absent.jsonl"
    code, _, err = call("import", missing, "--home", home.root)
    assert code == 1 and "absent.jsonl" in err


def test_after_a_round_budget_status_and_outbox_tell_it(call: Any, make_site: Any, rounds: Any) -> None:
    home = make_site(3)
    with closing(Ward(home, slots=SlotClock(virtual=False, now=lambda: NOW))) as ward:
        ward.execute(rounds().bytes_by())
    code, out, _ = call("budget", "--home", home.root, "--json")
    value = json.loads(out)
    assert code == 0 and 0 < value["spent"] < value["cap"] == 50.0
    assert [stage["stage"] for stage in value["stages"]] == ["reward"]
    assert "per patient within this hospital" in call("budget", "--home", home.root)[1]
    code, out, _ = call("status", "--home", home.root, "--json")
    assert (code, json.loads(out)["last_code"]) == (0, "OK")
    code, out, _ = call("outbox", "--home", home.root, "--json")
    (update,) = json.loads(out)["updates"]
    assert code == 0 and (update["round"], update["stage"]) == (1, "reward")
    assert update["bytes"] == next(home.outbox.iterdir()).stat().st_size
    assert "reward" in call("outbox", "--home", home.root)[1]
    next(home.outbox.iterdir()).write_bytes(b"INTRAWRD" + bytes(200))
    assert call("outbox", "--home", home.root)[0] == 1


def test_forget_takes_the_patients_rows(call: Any, make_site: Any) -> None:
    home = make_site(3)
    assert call("forget", "p1", "--home", home.root)[0] == 0
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        rows = preference_table(vault).rows
        assert len(rows) == 4 and vault.unit_of("p1") not in {row.unit for row in rows}


def test_deid_run_and_evaluate_need_no_site(call: Any, tmp_path: Path) -> None:
    text = f"Patient: Ada {MARKER}. Seen on 2021-03-14."
    row = {"id": "a", "text": text, "known": {"first": "Ada", "last": MARKER}}
    source = write(tmp_path / "in.jsonl", json.dumps(row), json.dumps({"id": "b", "text": f"{MARKER}\x00"}))
    out, spans = tmp_path / "out.jsonl", tmp_path / "spans.jsonl"
    code, told, err = call("deid", "run", source, "--output", out, "--spans", spans, "--json")
    report = json.loads(told)
    assert (code, report["released"], report["by_reason"]) == (0, 1, {"encoding": 1}) and "not kept" in err
    assert MARKER not in out.read_text() + spans.read_text() + Path(report["quarantine"]).read_text()
    found = json.loads(spans.read_text())["spans"]
    assert f"Ada {MARKER}" in [text[span["start"] : span["end"]] for span in found]
    assert call("deid", "run", source, "--output", out, "--profile", "research")[0] == 0
    assert MARKER not in out.read_text()
    code, _, err = call("deid", "run", source, "--output", source)
    assert code == 1 and "the output is the input" in err
    code, _, err = call("deid", "run", write(source, json.dumps(row), MARKER), "--output", out)
    assert code == 1 and "in.jsonl: line 2" in err
    gold = {**row, "spans": [{"start": 9, "end": 13 + len(MARKER), "entity": "PERSON", "role": "patient"}]}
    code, told, _ = call("deid", "evaluate", write(tmp_path / "gold.jsonl", json.dumps(gold)), "--json")
    figures = json.loads(told)
    assert code == 0 and figures["entity_recall"]["value"] == 1 and figures["leaked_entities"] == 0
    assert figures["by_role"]["patient"]["total"] == 1 and figures["leaks_per_thousand"] == 0
    assert 0 < figures["f2"] <= 1
    code, told, _ = call("deid", "evaluate", tmp_path / "gold.jsonl")
    assert code == 0 and "identifiers removed" in told
    assert call("deid", "evaluate", write(tmp_path / "gold.jsonl", json.dumps(row)))[0] == 1


def test_an_unsigned_adapter_is_never_taken_in(call: Any, tmp_path: Path, make_site: Any) -> None:
    home = make_site(0)
    folder = tmp_path / "release"
    folder.mkdir()
    (folder / "adapter_model.safetensors").write_bytes(b"weights")
    for command in ("verify", "install"):
        code, _, err = call("adapter", command, folder, "--home", home.root)
        assert code == 1 and "not signed" in err
    assert list(home.adapters.iterdir()) == []
    folder.rename(home.adapters / "smuggled")
    code, out, err = call("adapter", "list", "--home", home.root)
    assert code == 1 and "not signed" in err and out == ""


def test_an_import_says_why_rows_are_held_back(call: Any, make_site: Any, tmp_path: Path) -> None:
    home = make_site(0)
    row = {"patient": "p", "prompt": "cough?", "chosen": "Call Dr. Varga.", "rejected": "Call Dr. Moreau."}
    file = write(tmp_path / "pairs.jsonl", json.dumps(row))
    options = ("--kind", "preferences", "--home", home.root)
    code, out, _ = call("import", file, *options)
    assert code == 0 and "1 rows: 0 in the vault, 1 quarantined" in out and "same-answers: 1" in out
    code, out, _ = call("import", file, *options, "--json")
    assert code == 0 and json.loads(out)["by_reason"] == {} and json.loads(out)["skipped"] == 1
    code, out, err = call("import", write(tmp_path / "empty.jsonl"), *options)
    assert (code, out) == (1, "") and "empty.jsonl: is empty" in err


@pytest.mark.parametrize(
    ("table", "key", "value"),
    [
        ("privacy", "delta", 0.5),
        ("privacy", "lifetime_epsilon", "eight"),
        ("privacy", "epsilon", 1.0),
        ("coordinator", "public_key", MARKER),
        ("model", "sha256", 7),
    ],
)
def test_a_broken_policy_is_named_by_file_and_key(
    call: Any, tmp_path: Path, make_site: Any, table: str, key: str, value: object
) -> None:
    site = make_site(0)
    terms = load_policy(site.policy).model_dump(mode="json", exclude_none=True)
    terms[table][key] = value
    broken = tmp_path / "broken.toml"
    broken.write_text(tomli_w.dumps(terms))
    code, out, err = call("init", broken, "--home", tmp_path / "new")
    assert code == 1 and f"broken.toml: {table}.{key}" in err and out == ""
    assert not (tmp_path / "new").exists()
    site.policy.write_text(broken.read_text())
    code, out, err = call("status", "--home", site.root)
    assert code == 1 and f"policy.toml: {table}.{key}" in err


def test_doctor_names_what_is_missing(call: Any, make_site: Any, tmp_path: Path, tiny_folder: Any) -> None:
    home = make_site(0)
    terms = load_policy(home.policy).model_dump(mode="json", exclude_none=True)
    terms["model"]["path"] = str(tmp_path / "nowhere")
    home.policy.write_text(tomli_w.dumps(terms))
    home.vault.unlink()
    code, out, _ = call("doctor", "--home", home.root, "--json")
    failed = {check["name"] for check in json.loads(out)["checks"] if not check["ok"]}
    assert code == 1 and failed == {"model", "vault", "de-identifier", "clock"}  # its ledger is of 2030
    code, out, _ = call("doctor", "--home", tmp_path / "nosite")
    assert code == 1 and "FAIL" in out and "policy" in out


def test_a_folder_that_is_no_site_is_refused_by_each_command(call: Any, tmp_path: Path) -> None:
    notes = write(tmp_path / "notes.jsonl", note_row(1))
    for command in (
        ("budget",),
        ("status",),
        ("outbox",),
        ("ward",),
        ("forget", "P-1"),
        ("import", notes),
        ("adapter", "list"),
        ("adapter", "verify", tmp_path),
    ):
        code, out, err = call(*command, "--home", tmp_path / "nosite")
        assert (code, out) == (1, "") and "do" in err, command
    assert not (tmp_path / "nosite").exists()


def test_the_gateway_wants_a_certificate_unless_on_loopback(call: Any, tmp_path: Path) -> None:
    for extra in ((), ("--insecure",)):
        code, _, err = call("gateway", "--superlink", "host:443", "--home", tmp_path, *extra)
        assert code == 1 and "--root-certificates" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("init",),
        ("budget", "--loud"),
        ("import", "x.jsonl", "--kind", "letters"),
        ("join",),
        ("deid", "run", "x.jsonl"),
        ("deid", "run", "x.jsonl", "--output", "y.jsonl", "--workers", "0"),
        ("deid", "run", "x.jsonl", "--output", "y.jsonl", "--profile", "none"),
        ("adapter", "verify"),
    ],
)
def test_wrong_usage_is_exit_two(call: Any, arguments: tuple[str, ...]) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "") and err


def test_a_defect_is_named_by_type_and_place_only(
    call: Any, make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(_: SiteHome, *, offline: bool) -> None:
        raise ValueError(MARKER)

    monkeypatch.setattr(checkup, "examine", choke)
    code, out, err = call("doctor", "--home", make_site(0).root)
    assert (code, out) == (1, "") and "ValueError at choke" in err
