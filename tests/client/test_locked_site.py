"""A site that is locked, or whose policy is not what its ledger records, says so wherever it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from tests.client.programs import program_table

from intraward_client.checkup import _terms
from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.officer import make_officer_key
from intraward_client.site_ledger import read_site
from intraward_client.ward import Ward
from intraward_shared.errors import ConfigError, LedgerError
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, sign_value
from intraward_shared.signing import SigningKey

COORDINATOR = SigningKey.from_seed(b"\x0c" * 32)
OFFICER = SigningKey.from_seed(b"\x0f" * 32)


def change(home: SiteHome, old: str, new: str) -> None:
    text = home.policy.read_text()
    assert old in text
    home.policy.write_text(text.replace(old, new))


def lost_round() -> bytes:
    """A receipt of the coordinator for an entry that no ledger here holds."""
    fields: dict[str, Any] = {"run_id": "run", "round": 1, "plan": "1" * 64, "update": "2" * 64}
    receipt = Receipt(site="north", ledger_sequence=9, ledger_entry="3" * 64, **fields)
    return sign_value(receipt, RECEIPT_DOMAIN, COORDINATOR)


def test_a_locked_site_is_called_locked_and_its_figures_a_lower_bound(
    call: Any, make_site: Any, tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    head = tmp_path / "volume" / "north.head"
    home = make_site(0, head=head)
    code, out = call("budget", "--home", home.root, "--json")
    assert code == 0 and json.JSONDecoder().raw_decode(out)[0]["locked"] is False
    home.receipt.write_bytes(lost_round())
    code, out = call("budget", "--home", home.root)
    assert code == 1 and out.startswith("LOCKED: ledger ends before entry 9") and "lower bound" in out
    code, out = call("budget", "--home", home.root, "--json")
    assert code == 1 and json.JSONDecoder().raw_decode(out)[0]["locked"] is True
    home.receipt.unlink()
    head.unlink()
    _, refused = read_site(home, load_policy(home.policy))
    assert isinstance(refused, LedgerError) and "there is no such file" in refused.message


def test_a_delta_that_is_not_the_ledgers_starts_no_ward(call: Any, make_site: Any) -> None:
    home = make_site(0)
    change(home, "delta = 1e-05", "delta = 1e-06")
    with pytest.raises(ConfigError, match=r"privacy.delta.*put 1e-05 back"):
        Ward(home)
    code, out = call("budget", "--home", home.root)
    assert code == 1 and out.startswith("LOCKED") and "lower bound" not in out


def test_doctor_tells_a_cap_above_the_ledgers(make_site: Any) -> None:
    home = make_site(0, lifetime_epsilon=6.0)
    assert "cap 6" in _terms(home, load_policy(home.policy))
    change(home, "lifetime_epsilon = 6.0", "lifetime_epsilon = 10.0")
    with pytest.raises(ConfigError, match=r"says cap 10, the ledger 6.*officer amend --key"):
        _terms(home, load_policy(home.policy))
    change(home, "lifetime_epsilon = 10.0", "lifetime_epsilon = 5.0")
    assert "advice" in _terms(home, load_policy(home.policy))


def test_after_a_burn_the_budget_and_the_burn_say_what_follows(
    call: Any, make_site: Any, tmp_path: Path
) -> None:
    (tmp_path / "volume").mkdir()
    home = make_site(0, head=tmp_path / "volume" / "north.head", lifetime_epsilon=6.0)
    OFFICER.save(tmp_path / "officer.key")
    home.receipt.write_bytes(lost_round())
    options = ("--key", tmp_path / "officer.key", "--home", home.root)
    code, out = call("officer", "burn", *options, "--dry-run")
    assert code == 0 and "nothing is trained until officer amend raises the cap above" in out
    assert call("officer", "burn", *options)[0] == 0
    code, out = call("budget", "--home", home.root)
    assert code == 0 and "only a burn is charged" in out and "gate: filter" in out
    assert "nothing is charged yet" not in out
    code, out = call("officer", "burn", *options)
    assert code == 1 and "nothing to do" in out
    change(home, "lifetime_epsilon = 6.0", "lifetime_epsilon = 20.0")
    code, out = call("officer", "amend", "--key", tmp_path / "no.key", "--home", home.root)
    assert code == 1 and "mount the officer's medium" in out and "run init" not in out
    home.ledger.unlink()
    code, out = call("officer", "burn", *options)
    assert code == 1 and "forget what is spent" in out and "with init" not in out


def test_no_folder_is_made_for_an_officers_key_or_a_second_head(make_site: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        make_officer_key(tmp_path / "medium" / "officer.key")
    assert not (tmp_path / "medium").exists()
    with pytest.raises(ConfigError, match="run init again"):
        make_site(0, head=tmp_path / "volume" / "north.head")
    assert not (tmp_path / "volume").exists() and not (tmp_path / "site").exists()


def test_init_warns_of_a_model_that_is_not_the_pinned_one(call: Any, make_site: Any, tmp_path: Path) -> None:
    home = make_site(0)
    policy = load_policy(home.policy)
    draft = tmp_path / "draft.toml"
    for old, new, said in (
        (policy.model.path, str(tmp_path / "absent"), "no such model"),
        (policy.model.sha256, "e" * 64, "not the model pinned"),
    ):
        draft.write_text(home.policy.read_text().replace(old, new))
        code, out = call("init", draft, "--home", tmp_path / said[:5])
        assert code == 0 and "warning" in out and said in out
    draft.write_text(home.policy.read_text())
    assert "warning" not in call("init", draft, "--home", tmp_path / "good")[1]


def test_a_refusal_names_the_cap_that_refuses(call: Any, make_site: Any, tmp_path: Path) -> None:
    home = make_site(0, lifetime_epsilon=0.5)
    program = tmp_path / "program.toml"
    program.write_text(tomli_w.dumps(program_table()))
    assert "cap" not in call("budget", "plan", program)[1]
    change(home, "lifetime_epsilon = 0.5", "lifetime_epsilon = 20.0")
    code, out = call("budget", "plan", program, "--home", home.root)
    assert code == 1 and "0.5 as the ledger records it" in out and "officer amend --key FILE" in out
    change(home, "lifetime_epsilon = 20.0", "lifetime_epsilon = 0.4")
    code, out = call("budget", "plan", program, "--home", home.root)
    assert code == 1 and "0.4: policy.toml, privacy.lifetime_epsilon" in out
    home.receipt.write_bytes(lost_round())
    code, out = call("budget", "plan", program, "--home", home.root)
    assert code == 1 and "the site is locked: ledger ends before entry 9" in out
