"""`decide`: one verdict and one code about an installed adapter, in the trail and signed; nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import HOSPITAL, MARKER

from intraward_client.config import load_policy
from intraward_client.deciding import decide
from intraward_client.home import SiteHome
from intraward_client.installed import install
from intraward_client.store.vault import Vault
from intraward_client.trail import Action, read_trail
from intraward_shared.decision import DECISION_DOMAIN, Decision, Reason, Verdict
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import open_signed
from intraward_shared.signing import digest


def test_a_decision_is_signed_counted_and_holds_no_more_than_its_codes(
    make_site: Any, release: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: SiteHome = make_site()
    adapter = install(release(1), home, load_policy(home.policy)).digest
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "open", lambda *_: pytest.fail("a decision opened the vault"))
        first, path = decide(home, None, Verdict.STOP, Reason.FLAGS)
        second, _ = decide(home, adapter[:8], Verdict.KEEP, Reason.ROUTINE)
    assert (first.number, second.number) == (1, 2) and first.adapter == second.adapter == adapter
    assert open_signed(path.read_bytes(), DECISION_DOMAIN, Decision, HOSPITAL.public) == first
    assert path.stat().st_mode & 0o777 == 0o600
    told = json.loads(json.loads(path.read_bytes())["payload"])
    fields = {"schema_version", "site", "public", "number", "adapter", "verdict", "reason", "time"}
    assert set(told) == fields and MARKER.encode() not in path.read_bytes()
    entry = next(each for each in read_trail(home, HOSPITAL.public) if each.action is Action.DECIDE)
    assert entry.subject == digest(path.read_bytes())


def test_an_adapter_that_is_not_installed_and_a_reason_of_ones_own_are_refused(
    make_site: Any, release: Any, call: Any, tmp_path: Path
) -> None:
    home: SiteHome = make_site()
    with pytest.raises(ConfigError, match="no adapter is in use"):
        decide(home, None, Verdict.STOP, Reason.FLAGS)
    install(release(1), home, load_policy(home.policy))
    with pytest.raises(ConfigError, match="no installed adapter"):
        decide(home, "0" * 64, Verdict.STOP, Reason.FLAGS)
    code, _ = call("decide", "stop", "--reason", "patient P-12 was harmed", "--home", home.root)
    assert code == 2 and not (home.root / "decisions").exists()
    code, out = call("decide", "stop", "--reason", "safety", "--home", home.root)
    assert code == 0 and "decisions/1.json" in out.replace("\n", "") and "adapter rollback" in out
