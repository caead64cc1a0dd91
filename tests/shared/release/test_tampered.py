"""A bundle that anybody changed, the coordinator included, does not pass ``intraward-audit bundle``."""

from __future__ import annotations

import json
import random
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.shared.release.consortium import COORDINATOR, site_key

from intraward_shared import audit
from intraward_shared.attack_results import open_attack
from intraward_shared.audit_release import gate_table, judge_bundle, verify_release
from intraward_shared.errors import IntrawardError, SignatureError
from intraward_shared.ledger_chain import open_ledger
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, from_bytes, sign_value, to_bytes
from intraward_shared.release import (
    RELEASE_DOMAIN,
    RELEASE_FILE,
    Release,
    ReleasedSite,
    open_bundle,
    read_release,
)
from intraward_shared.release_card import release_card
from intraward_shared.revocation import REVOCATION_DOMAIN, RevocationList, Revoked
from intraward_shared.signed_adapter import ADAPTER_DOMAIN, AdapterManifest
from intraward_shared.signing import SigningKey, canonical_json, digest

STRANGER = SigningKey.from_seed(b"x" * 32)
Change = Callable[[Path, Path], object]


def files_of(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def resign(folder: Path, key: SigningKey = COORDINATOR, **changes: Any) -> None:
    """Sign the bundle as it now is, digests and all, like a coordinator who means to deceive."""
    envelope = json.loads((folder / RELEASE_FILE).read_bytes())
    value = from_bytes(envelope["payload"].encode(), Release)
    names = [name for name in files_of(folder) if name != RELEASE_FILE]
    files = {name: digest((folder / name).read_bytes()) for name in names}
    value = value.model_copy(update={"files": files, **changes})
    (folder / RELEASE_FILE).write_bytes(sign_value(value, RELEASE_DOMAIN, key))


def test_the_untouched_bundle_passes_again_and_again(bundle: Path, call: Any) -> None:
    found = verify_release(bundle, COORDINATOR.public, {"alpha": site_key("alpha").public})
    assert all(result.passed for result in found.gates) and len(found.manifests) == 7
    code, out, _ = call(bundle, "--public-key", COORDINATOR.public)
    assert code == 0 and "verified: release 1" in out and "passed veto worst-epsilon" in out
    code, out, _ = call(bundle, "--public-key", COORDINATOR.public, "--json")
    assert code == 0 and json.loads(out)["sites"]["alpha"]["epsilon"] > 0


def test_none_of_over_100_bundles_changed_by_a_stranger_passes(
    bundle: Path, other: Path, tmp_path: Path
) -> None:
    """Each file with a bit flipped, cut short, dropped, or put in from another run; added; re-signed."""
    draw, names, refused = random.Random(8), files_of(bundle), 0
    folder = tmp_path / "tampered"
    shutil.copytree(bundle, folder)
    assert len(names) > 40

    def try_it() -> None:
        nonlocal refused
        with pytest.raises(IntrawardError):
            verify_release(folder, COORDINATOR.public)
        refused += 1

    for name in names:
        path, whole = folder / name, (folder / name).read_bytes()
        flipped = bytearray(whole)
        flipped[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        swapped = other / name if (other / name).exists() else other / draw.choice(files_of(other))
        for data in (bytes(flipped), whole[:-1], whole + b"\n", swapped.read_bytes()):
            if data != whole:
                path.write_bytes(data)
                try_it()
        path.unlink()
        try_it()
        path.write_bytes(whole)
    for name in ("more.json", "ledgers/delta.jsonl", "adapter/adapter_model.bin", "lineage/more.json"):
        (folder / name).write_bytes(b"{}")
        try_it()
        (folder / name).unlink()
    (folder / "link").symlink_to(folder / "README.md")
    try_it()
    (folder / "link").unlink()
    verify_release(folder, COORDINATOR.public)  # all was put back
    resign(folder, STRANGER)
    try_it()
    assert refused > 200


def edit(name: str, change: Callable[[bytes], bytes]) -> Change:
    def apply(folder: Path, other: Path) -> None:
        before = (folder / name).read_bytes()
        after = change(before)
        assert after != before
        (folder / name).write_bytes(after)

    return apply


def drop(pattern: str) -> Change:
    return lambda folder, other: sorted(folder.glob(pattern))[0].unlink()


def swap(name: str) -> Change:
    return lambda folder, other: (folder / name).write_bytes((other / name).read_bytes())


def swap_folder(name: str) -> Change:
    def apply(folder: Path, other: Path) -> None:
        shutil.rmtree(folder / name)
        shutil.copytree(other / name, folder / name)

    return apply


def forge(pattern: str, domain: str) -> Change:
    """Sign the first file of a pattern with a stranger's key."""

    def apply(folder: Path, other: Path) -> None:
        path = sorted(folder.glob(pattern))[0]
        payload = json.loads(path.read_bytes())["payload"]
        signature = STRANGER.sign(domain, payload.encode())
        envelope = {"payload": payload, "public": STRANGER.public, "signature": signature}
        path.write_bytes(canonical_json(envelope))

    return apply


def lines_out(index: int) -> Change:
    def change(data: bytes) -> bytes:
        lines = data.splitlines(keepends=True)
        del lines[index]
        return b"".join(lines)

    return edit("ledgers/alpha.jsonl", change)


def end_earlier(folder: Path, other: Path) -> None:
    """The last RELEASE is cut off, and the release names the new end."""
    lines_out(-1)(folder, other)
    entries = open_ledger((folder / "ledgers/alpha.jsonl").read_bytes(), "alpha")
    sites = dict(read_release(folder / RELEASE_FILE, COORDINATOR.public).sites)
    told = {
        "public_key": sites["alpha"].public_key,
        "sequence": entries[-1].sequence,
        "head": entries[-1].hash,
    }
    resign(folder, sites=sites | {"alpha": ReleasedSite.model_validate(told)})


def name_another_end(folder: Path, other: Path) -> None:
    sites = dict(read_release(folder / RELEASE_FILE, COORDINATOR.public).sites)
    sites["beta"] = sites["beta"].model_copy(update={"head": "0" * 64})
    resign(folder, sites=sites)


def countersign_more(folder: Path, other: Path) -> None:
    """A receipt for an entry that the ledger does not hold."""
    payload = json.loads((folder / "receipts/alpha/4.json").read_bytes())["payload"].encode()
    later = from_bytes(payload, Receipt).model_copy(update={"ledger_sequence": 99})
    (folder / "receipts/alpha/9.json").write_bytes(sign_value(later, RECEIPT_DOMAIN, COORDINATOR))


def say_another_round(folder: Path, other: Path) -> None:
    """An ancestor's manifest, rightly signed, tells of another round than its plan."""
    for path in sorted(folder.glob("lineage/*.json")):
        manifest = from_bytes(json.loads(path.read_bytes())["payload"].encode(), AdapterManifest)
        if manifest.round == 2:
            moved = manifest.model_copy(update={"round": 3})
            path.write_bytes(sign_value(moved, ADAPTER_DOMAIN, COORDINATOR))


def lower_a_threshold(folder: Path, other: Path) -> None:
    """Rules, results and card all follow the new threshold."""
    rules = folder / "gates.toml"
    rules.write_text(re.sub(r"at_most = 25.0", "at_most = 2500.0", rules.read_text()))
    rejudge(folder)


def raise_a_figure(folder: Path, other: Path) -> None:
    """A figure that fails its gate, and results and card that follow it: honest, and no release."""
    path = folder / "evaluation.json"
    figures = json.loads(path.read_text())
    figures["policy"]["kl"] = 99.0
    path.write_text(json.dumps(figures))
    rejudge(folder)


def rejudge(folder: Path) -> None:
    resign(folder)
    made = open_bundle(folder, COORDINATOR.public)
    attacks = {n.removesuffix(".json"): open_attack(data, n) for n, data in made.under("attacks/")}
    evaluation, report = (json.loads(made.files[n]) for n in ("evaluation.json", "privacy_report.json"))
    gates = judge_bundle(made.files, evaluation, report, attacks)
    (folder / "gates.json").write_text(json.dumps(gate_table(gates)))
    (folder / "README.md").write_text(release_card(made.release, evaluation, report, gates))


def revoke(folder: Path, other: Path) -> None:
    adapter = read_release(folder / RELEASE_FILE, COORDINATOR.public).adapter
    entry = Revoked(adapter=adapter, time="2026-03-01T12:00:00Z", reason="unsafe")
    (folder / "revoked.json").write_bytes(
        sign_value(RevocationList(revoked=(entry,)), REVOCATION_DOMAIN, COORDINATOR)
    )


def number(key: str, value: str) -> Callable[[bytes], bytes]:
    return lambda data: re.sub(rf'("{key}": )[-0-9.e]+'.encode(), rb"\g<1>" + value.encode(), data, count=1)


INSIDER: dict[str, tuple[Change, str]] = {
    "ledger entry removed": (lines_out(3), "chain is broken"),
    "first ledger entry removed": (lines_out(0), "chain is broken"),
    "last ledger entry removed": (lines_out(-1), "check 4"),
    "ledger cut, and its end named anew": (end_earlier, "check 4.*never released"),
    "another end named": (name_another_end, "check 4.*does not end where"),
    "receipt for an entry that is not there": (countersign_more, "check 6.*countersigned"),
    "ancestor of another round than its plan": (say_another_round, "check 5.*not the plan"),
    "ledger of another run": (swap("ledgers/alpha.jsonl"), "check 4"),
    "ledger missing": (drop("ledgers/*"), "check 4.*missing"),
    "parent unsigned": (forge("lineage/*.json", "intraward/adapter/v1"), "trusted"),
    "parent missing": (drop("lineage/*.json"), "check 2|without its signed manifest|is not in the bundle"),
    "lineage of another run": (swap_folder("lineage"), "is not in the bundle"),
    "adapter of another run": (swap_folder("adapter"), "check 2"),
    "adapter unsigned": (drop("adapter/intraward_adapter.json"), "not canonical JSON"),
    "adapter's card dropped": (drop("adapter/README.md"), "check 2"),
    "adapter's tensors changed": (
        edit("adapter/adapter_model.safetensors", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        "changed after signing",
    ),
    "adapter with a file more": (
        lambda folder, other: (folder / "adapter" / "more.bin").write_bytes(b"x"),
        "not signed",
    ),
    "plan missing": (drop("plans/*"), "check 5"),
    "plans of another run": (swap_folder("plans"), "check 5"),
    "plan of a stranger": (forge("plans/*", "intraward/plan/v1"), "trusted"),
    "threshold lowered afterwards": (lower_a_threshold, "check 5.*changed afterwards"),
    "rules of another form": (edit("gates.toml", lambda data: data + b"\nmore = 1\n"), "check 5"),
    "receipt missing": (drop("receipts/alpha/*"), "check 6"),
    "receipt of a stranger": (forge("receipts/beta/*", "intraward/receipt/v1"), "check 6.*trusted"),
    "receipts of another run": (swap_folder("receipts"), "check 6"),
    "revoked": (revoke, "was revoked"),
    "list of revoked adapters by a stranger": (forge("revoked.json", REVOCATION_DOMAIN), "trusted"),
    "list of revoked adapters missing": (drop("revoked.json"), "not in the bundle"),
    "epsilon made smaller": (edit("privacy_report.json", number("epsilon", "0.5")), "check 8"),
    "another accounting named": (
        edit("privacy_report.json", lambda d: d.replace(b"privacy loss distribution", b"moments", 1)),
        "check 8",
    ),
    "attack not told of": (drop("attacks/canary.json"), "check 8"),
    "attack's figure changed": (edit("attacks/canary.json", number("value", "0.5")), "attacks/canary.json"),
    "attack under another name": (
        lambda folder, other: (
            shutil.copy(folder / "attacks/gauge.json", folder / "attacks/canary.json") and None
        ),
        "check 8",
    ),
    "figure made better": (edit("evaluation.json", number("kl", "0.1")), "check 9"),
    "figure that fails": (raise_a_figure, "check 9.*gate near: asked policy.kl at most 25; measured 99"),
    "evaluation of another run": (swap("evaluation.json"), "check 9"),
    "evaluation no JSON": (edit("evaluation.json", lambda data: data[:-1]), "not JSON"),
    "gate's result changed": (edit("gates.json", number("measured", "0.2")), "check 9"),
    "card changed": (edit("README.md", lambda data: data.replace(b"value: 0.7", b"value: 0.9")), "check 10"),
}


@pytest.mark.parametrize("name", sorted(INSIDER))
def test_what_the_coordinator_itself_changed_and_signed_again_is_refused(
    name: str, bundle: Path, other: Path
) -> None:
    change, why = INSIDER[name]
    change(bundle, other)
    resign(bundle) if "named anew" not in name else None
    with pytest.raises(IntrawardError) as refused:
        verify_release(bundle, COORDINATOR.public)
    assert re.search(why, str(refused.value)), str(refused.value)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"simulated": False}, "check 2"),
        ({"adapter": "0" * 64}, "check 2"),
        ({"run_id": "other"}, "check 2"),
        ({"base_model": "0" * 64}, "check 2"),
        ({"number": 7}, "check 10"),
    ],
)
def test_a_release_that_says_of_itself_what_is_not_so_is_refused(
    bundle: Path, changes: dict[str, Any], why: str
) -> None:
    resign(bundle, **changes)
    with pytest.raises(IntrawardError, match=why):
        verify_release(bundle, COORDINATOR.public)


def test_a_hospitals_key_that_was_pinned_counts(bundle: Path, call: Any) -> None:
    with pytest.raises(IntrawardError, match="signature does not verify"):
        verify_release(bundle, COORDINATOR.public, {"alpha": STRANGER.public})
    with pytest.raises(IntrawardError, match="has no part"):
        verify_release(bundle, COORDINATOR.public, {"delta": STRANGER.public})
    with pytest.raises(SignatureError):
        verify_release(bundle, STRANGER.public)
    code, _, err = call(bundle, "--public-key", STRANGER.public)
    assert code == 1 and "trusted" in err
    assert call(bundle.parent / "none", "--public-key", STRANGER.public)[0] == 1
    assert call(bundle)[0] == 2


def test_a_newer_list_of_revoked_adapters_counts(bundle: Path, call: Any, tmp_path: Path) -> None:
    made = open_bundle(bundle, COORDINATOR.public)
    names = [name.removesuffix(".json") for name, _ in made.under("lineage/")]
    ancestor = next(name for name in names if name != made.release.adapter)

    def listed(*adapters: str, key: SigningKey = COORDINATOR) -> Path:
        time = "2026-03-01T12:00:00Z"
        entries = tuple(Revoked(adapter=each, time=time, reason="unsafe") for each in adapters)
        data = sign_value(RevocationList(revoked=entries), REVOCATION_DOMAIN, key)
        (tmp_path / "revoked.json").write_bytes(data)
        return tmp_path / "revoked.json"

    def tried(path: Path) -> tuple[int, str]:
        code, _, err = call(bundle, "--public-key", COORDINATOR.public, "--revoked", path)
        return code, err

    assert tried(listed("0" * 64)) == (0, "")
    for each in (made.release.adapter, ancestor):
        code, err = tried(listed("0" * 64, each))
        assert code == 1 and f"adapter {each[:16]} was revoked on 2026-03-01" in err
    code, err = tried(listed(key=STRANGER))
    assert code == 1 and "trusted" in err and "revoked.json" in err
    assert "cannot be read" in tried(tmp_path / "none.json")[1]
    longer = sign_value(
        RevocationList(revoked=(Revoked(adapter="1" * 64, time="2026-03-01T12:00:00Z", reason="x"),)),
        REVOCATION_DOMAIN,
        COORDINATOR,
    )
    (bundle / "revoked.json").write_bytes(longer)
    resign(bundle)
    assert "is older than the list" in tried(listed())[1]
    assert "is not the list of revoked adapters" in tried(listed("0" * 64))[1]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["intraward-audit", "bundle", *map(str, arguments)])
        with pytest.raises(SystemExit) as stop:
            audit.main()
        shown = capsys.readouterr()
        out = shown.out if "--json" in arguments else " ".join(shown.out.split())
        return int(stop.value.code or 0), out, " ".join(shown.err.split())

    return run


def test_figures_made_up_by_the_coordinator_in_all_places_are_not_seen(bundle: Path) -> None:
    """Why the page says what no bundle shows: an evaluation is its author's word."""
    path = bundle / "evaluation.json"
    path.write_bytes(number("kl", "0.1")(path.read_bytes()))
    rejudge(bundle)
    resign(bundle)
    assert {r.name: r.measured for r in verify_release(bundle, COORDINATOR.public).gates}["near"] == 0.1


def test_canonical_forms_are_kept(bundle: Path) -> None:
    value = read_release(bundle / RELEASE_FILE, COORDINATOR.public)
    assert from_bytes(to_bytes(value), Release) == value
