"""How the pages' commands on what a program left are tried: skip, evaluate, release, registry, audit."""

from __future__ import annotations

import json

from tests.e2e.desk import QUESTION, SITE, Desk, public_key

from intraward_shared.release import read_release
from intraward_simulation.run import RunFolder


def on_finished(desk: Desk, line: str) -> bool:
    """Exit code 0 with a coordinator that has finished its program."""
    home = desk.root / "finished"
    copied = str(home) if home.exists() else desk.server_copy(home.name)
    return desk.call(desk.words(line.replace("/srv/coordinator", copied))) == 0


def evaluates(desk: Desk, line: str) -> bool:
    """The same, with the rows that the page assumes."""
    request, vignette = {"prompt": QUESTION}, {"vignette": "knee", "prompt": QUESTION}
    variants = [vignette | {"attributes": {"sex": sex}} for sex in ("man", "woman")]
    for name, rows in (("requests", [request]), ("vignettes", variants)):
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (desk.root / f"{name}.jsonl").write_text(text, encoding="utf-8")
    return on_finished(desk, line)


def blinds(desk: Desk, line: str) -> bool:
    """Two prompts are enough; the key lies where a later page has its own."""
    line = line.replace("blind-key.json", str(desk.root / "keys-of-pairs.json"))
    return on_finished(desk, f"{line} --limit 2 --against base")


def on_released(desk: Desk, line: str) -> bool:
    """The same, once it has released; the digest of its adapter stands in for the page's."""
    bundle = desk.root / "finished" / "releases" / "1"
    adapter = read_release(bundle / "release.json", desk.coordinator.public).adapter
    return on_finished(desk, line.replace("3fa2b1c09d77", adapter[:12]).replace("releases/1", str(bundle)))


def on_stopped(desk: Desk, line: str) -> bool:
    """Exit code 0 with a coordinator that stopped before its last round."""
    copied = desk.server_copy("stopped", stopped=True)
    return desk.call(desk.words(line.replace("/srv/coordinator", copied))) == 0


def audits(desk: Desk, line: str) -> bool:
    """With the keys of the small run."""
    return desk.call(desk.words(_with_keys(desk, line))) == 0


def audits_bundle(desk: Desk, line: str) -> bool:
    """The bundle that was released, with those keys."""
    return on_released(desk, _with_keys(desk, line))


def _with_keys(desk: Desk, line: str) -> str:
    site = public_key(RunFolder(desk.finished).site(SITE).signing_key)
    return line.replace("SITE=HEX", f"{SITE}={site}").replace("HEX", desk.coordinator.public)


AFTERWARDS = {
    "intraward-server skip": on_stopped,
    "intraward-server evaluate": evaluates,
    "intraward-server blind": blinds,
    "intraward-server release": on_finished,
    "intraward-server registry list": on_released,
    "intraward-server registry show": on_released,
    "intraward-server registry revoke": on_released,
    "intraward-server registry rollback": on_released,
    "intraward-audit verify": audits,
    "intraward-audit recompute": audits,
    "intraward-audit report": audits,
    "intraward-audit adapter": audits,
    "intraward-audit bundle": audits_bundle,
}
"""The recipe of each of these commands."""
