"""Is this node fit to run? Each check opens the real thing; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_shared.errors import IntrawardError

_FREE_BYTES = 1 << 30


def examine(home: SiteHome) -> list[tuple[str, bool, str]]:
    """(check, passed, message) for policy, keys, ledger, terms, vault, model, de-identifier and disk."""
    results: list[tuple[str, bool, str]] = []
    try:
        policy = load_policy(home.policy)
    except IntrawardError as error:
        return [("policy", False, str(error))]
    results.append(
        ("policy", True, f"site {policy.site}, lifetime epsilon {policy.privacy.lifetime_epsilon:g}")
    )
    checks: tuple[tuple[str, Callable[[SiteHome, SitePolicy], str]], ...] = (
        ("signing key", _signing_key),
        ("ledger", _ledger),
        ("terms", _terms),
        ("second head", _second_head),
        ("vault", _vault),
        ("model", _model),
        ("de-identifier", _deidentifier),
        ("disk", _disk),
    )
    for name, check in checks:
        try:
            results.append((name, True, check(home, policy)))
        except IntrawardError as error:
            results.append((name, False, str(error)))
        except OSError as error:
            results.append((name, False, f"{type(error).__name__}: check permissions of {home.root}"))
    return results


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


def _disk(home: SiteHome, policy: SitePolicy) -> str:
    from intraward_shared.errors import ConfigError

    if shutil.disk_usage(home.root).free < _FREE_BYTES:
        raise ConfigError(
            home.root, "", "less than 1 GiB is free", remedy="make room; the ledger must be able to write"
        )
    return "more than 1 GiB free"
