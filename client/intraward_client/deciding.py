"""A person's decision about an installed adapter: recorded in the audit trail, signed for the coordinator.

DESIGN.md section 6, what else could speak. Nothing here reads the vault, a figure or an alarm: whoever runs
the command has looked at them and decides. The trail comes first, so it names every decision that left.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.installed import shelf
from intraward_client.trail import Action, read_trail, record
from intraward_shared.decision import DECISION_DOMAIN, Decision, Reason, Verdict
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import sign_value
from intraward_shared.signing import SigningKey, digest

_SHORTEST = 6


def decide(
    home: SiteHome, adapter: str | None, verdict: Verdict, reason: Reason, now: datetime | None = None
) -> tuple[Decision, Path]:
    """Sign a decision about an adapter on this site's shelf, the one in use if none is named.

    Args:
        adapter: its digest, or the beginning of it.
        now: the machine's clock if None.

    Returns:
        The decision, and the file to give to the coordinator.

    Raises:
        ConfigError: no such adapter is installed, or the trail cannot be written; nothing was signed.
    """
    policy, key = load_policy(home.policy), SigningKey.load(home.signing_key)
    chosen = _on_shelf(home, adapter)
    number = 1 + sum(entry.action is Action.DECIDE for entry in read_trail(home, key.public))
    decision = Decision(
        site=policy.site,
        public=key.public,
        number=number,
        adapter=chosen,
        verdict=verdict,
        reason=reason,
        time=(now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    envelope = sign_value(decision, DECISION_DOMAIN, key)
    record(home, key, Action.DECIDE, digest(envelope), f"{verdict.value} {chosen[:16]}: {reason.value}")
    path = home.decision(number)
    write_durably(path, envelope)
    return decision, path


def _on_shelf(home: SiteHome, adapter: str | None) -> str:
    found = shelf(home, load_policy(home.policy))
    named = [
        one.manifest.digest
        for one in found
        if (one.in_use if adapter is None else one.manifest.digest.startswith(adapter))
    ]
    if len(named) != 1 or (adapter is not None and len(adapter) < _SHORTEST):
        raise ConfigError(
            home.adapters,
            "",
            "no installed adapter, or more than one, has this name" if adapter else "no adapter is in use",
            remedy="intraward-client adapter list shows them; give at least six digits",
        )
    return named[0]
