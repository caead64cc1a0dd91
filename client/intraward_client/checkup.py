"""Is this node fit to run? Each check opens the real thing; nothing is changed.

What a check returns is one sentence; ``advice: ...`` in it says what could stand better. What it raises says
why the node would not run, and the remedy. The machine's checks stand in ``machine``, those of the consortium
in ``reach``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from intraward_client import machine, reach
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_shared.errors import IntrawardError

Check = Callable[[SiteHome, SitePolicy], str]
_ADVICE = "advice: "
LITTLE_LEFT = 0.1
"""Share of the cap below which the budget's line is advice."""


class Finding(NamedTuple):
    """One line of the page: what was looked at, how it is, and what to do (empty where nothing is)."""

    name: str
    state: Literal["ok", "advice", "fail"]
    message: str
    do: str


def examine(home: SiteHome, *, offline: bool = True) -> list[Finding]:
    """Look at policy, keys, ledger, budget, vault, model, machine and consortium.

    Args:
        home: the site's folder.
        offline: do not ask the consortium's server.
    """
    try:
        policy = load_policy(home.policy)
    except IntrawardError as error:
        return [Finding("policy", "fail", error.message, error.remedy)]
    told = f"site {policy.site}, lifetime epsilon {policy.privacy.lifetime_epsilon:g}"
    found = [Finding("policy", "ok", told, "")]
    checks: list[tuple[str, Check]] = [
        ("signing key", _signing_key),
        ("ledger", _ledger),
        ("terms", _terms),
        ("second head", _second_head),
        ("budget", _budget),
        ("vault", _vault),
        ("model", _model),
        ("device", machine.device),
        ("de-identifier", _deidentifier),
        ("disk", machine.disk),
        ("clock", machine.clock),
        ("folders", machine.folders),
        ("core dumps", machine.core_dumps),
        ("calls home", machine.calls_home),
        ("node key", reach.node_key),
        ("membership", reach.membership),
        ("certificate", reach.certificate),
    ]
    if not offline:
        checks.append(("server", reach.server))
    return found + [_look(name, check, home, policy) for name, check in checks]


def _look(name: str, check: Check, home: SiteHome, policy: SitePolicy) -> Finding:
    try:
        told, _, advice = check(home, policy).partition(_ADVICE)
    except IntrawardError as error:
        return Finding(name, "fail", error.message, error.remedy)
    except OSError as error:
        return Finding(name, "fail", type(error).__name__, f"check permissions of {home.root}")
    return Finding(name, "advice" if advice else "ok", told.rstrip("; "), advice)


def _signing_key(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_shared.signing import SigningKey

    return f"key id {SigningKey.load(home.signing_key).key_id}"


def _ledger(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_client.site_ledger import check_receipt_on_file, check_terms
    from intraward_shared.ledger_chain import policy_entry, read_ledger
    from intraward_shared.signing import SigningKey

    entries = read_ledger(home.ledger, SigningKey.load(home.signing_key).public)
    check_terms(home, policy, policy_entry(entries))
    check_receipt_on_file(home, policy, entries)
    return f"chain whole, {len(entries)} entries"


def _terms(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_client.initialise import policy_digest
    from intraward_client.site_ledger import check_constants
    from intraward_shared.errors import ConfigError
    from intraward_shared.ledger_chain import policy_entry, read_ledger

    recorded = policy_entry(read_ledger(home.ledger))
    check_constants(home, policy, recorded)
    said, held = policy.privacy.lifetime_epsilon, recorded.lifetime_epsilon
    if said > held:
        raise ConfigError(
            home.policy,
            "privacy.lifetime_epsilon",
            f"says cap {said:g}, the ledger {held:g}; no plan is taken",
            remedy=f"put {held:g} back, or record it: intraward-client officer amend --key FILE",
        )
    if policy_digest(policy) != recorded.policy:
        return (
            "advice: policy.toml is not what the ledger records, and what is stricter counts; "
            "record it: intraward-client officer amend"
        )
    return f"policy.toml is what the ledger records, cap {held:g}"


def _second_head(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_shared.ledger_chain import read_ledger
    from intraward_shared.ledger_head import HeadState, SecondHead, read_head, state_of
    from intraward_shared.signing import SigningKey

    if policy.second_path is None:
        return "none; advice: keep the ledger's head on another volume too (policy.toml, ledger.second_path)"
    key = SigningKey.load(home.signing_key)
    head = read_head(policy.second_path, key.public)  # before the ledger, which a ward may be writing
    state = state_of(read_ledger(home.ledger, key.public), head)
    if state not in (HeadState.CURRENT, HeadState.BEHIND):
        raise SecondHead(policy.second_path, key).refusal(state)
    if policy.second_path.stat().st_dev == home.ledger.stat().st_dev:
        return "agrees; advice: it is on the ledger's own volume, and one backup would bring both back"
    return "agrees with the ledger, on another volume"


def _budget(home: SiteHome, policy: SitePolicy) -> str:
    """What is left under the cap, as the gate counts it."""
    from intraward_client.privacy.budget import prv_epsilon
    from intraward_client.site_ledger import read_site
    from intraward_shared.errors import BudgetExhausted
    from intraward_shared.gate import read_book
    from intraward_shared.ledger_chain import policy_entry

    entries, _ = read_site(home, policy)
    cap = min(policy.privacy.lifetime_epsilon, policy_entry(entries).lifetime_epsilon)
    left = cap - read_book(entries).figure(prv_epsilon)
    if left <= 0:
        raise BudgetExhausted(
            f"nothing is left of epsilon {cap:g}",
            remedy="no charged round can run any more; only the officer can raise the cap: officer amend",
        )
    told = f"epsilon {left:.3f} left of {cap:g}"
    if left < LITTLE_LEFT * cap:
        return f"{told}; advice: see what still fits: intraward-client budget"
    return told


def _vault(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_client.store.vault import Vault

    Vault.open(home.vault, home.vault_keys).close()
    return "opens with its key"


def _model(home: SiteHome, policy: SitePolicy) -> str:
    return check_model(policy)


def check_model(policy: SitePolicy) -> str:
    """Hold the base model's folder against its pin.

    Raises:
        ModelError: it is not there, or is another model.
    """
    from intraward_shared.errors import ModelError

    if not Path(policy.model.path).exists():
        raise ModelError(
            f"{policy.model.path}: no such model",
            remedy="fetch the model, or correct policy.toml, model.path",
        )
    from intraward_shared.base_model import model_digest

    if model_digest(policy.model.path) != policy.model.sha256:
        raise ModelError(
            f"{policy.model.path}: not the model pinned in policy.toml, model.sha256", remedy="fetch it again"
        )
    return "digest equals the pin"


def _deidentifier(home: SiteHome, policy: SitePolicy) -> str:
    from contextlib import closing
    from datetime import date

    from intraward_client.grade import check_grade
    from intraward_client.importing import make_deidentifier
    from intraward_client.store.vault import Vault

    grade = check_grade(home, policy, date.today())
    with closing(Vault.open(home.vault, home.vault_keys)) as vault:
        make_deidentifier(home, vault, policy).self_test()
    return f"self-test passed, profile {policy.deid.profile}, {grade}"
