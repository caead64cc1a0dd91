"""What people at hospitals decided about adapters: verified, kept as they came, and obeyed at release.

DESIGN.md section 6, what else could speak. A decision is a hospital's own signature under a code of a closed
list. A hospital that stopped an adapter bars its release until the same hospital says ``keep``.
"""

from __future__ import annotations

from pathlib import Path

from intraward_server.handed_in import member_keys, open_statement, read_statement
from intraward_server.home import ServerHome
from intraward_server.registry import Registry
from intraward_shared.decision import DECISION_DOMAIN, Decision, Verdict
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.signing import SigningKey


def take_decision(home: ServerHome, key: SigningKey, registry: Registry, file: Path) -> Decision:
    """Verify a hospital's decision and keep it. The same file again changes nothing.

    Raises:
        SignatureError, ContractError: not a member's decision.
        ConfigError: it cannot be read, is about an adapter that is not in the registry, or another decision
            of this hospital has its number.
    """
    data = read_statement(file)
    said = open_statement(data, DECISION_DOMAIN, Decision, member_keys(home, key.public), file)
    if said.adapter not in registry.names():
        raise ConfigError(
            file,
            "adapter",
            "is about an adapter that is not in this registry",
            remedy="give it to the coordinator of that adapter's run",
        )
    place = home.decision(said.site, said.number)
    if place.exists() and place.read_bytes() != data:
        raise ConfigError(
            file,
            "number",
            "this hospital gave another decision under the same number",
            remedy="keep both files and ask the hospital, by telephone, which of them is its own",
        )
    write_durably(place, data)
    return said


def decisions(home: ServerHome, public: str) -> tuple[Decision, ...]:
    """The newest decision of each hospital about each adapter, by hospital and number; all are verified.

    Raises:
        SignatureError, ContractError: a kept file was changed; names it.
    """
    if not home.decisions.is_dir():
        return ()
    keys = member_keys(home, public)
    newest: dict[tuple[str, str], Decision] = {}
    for path in home.decisions.glob("*/*.json"):
        said = open_statement(path.read_bytes(), DECISION_DOMAIN, Decision, keys, path)
        if path != home.decision(said.site, said.number):
            raise ContractError(f"{path}: is not where this decision belongs", remedy="restore the folder")
        before = newest.get((said.site, said.adapter))
        if before is None or said.number > before.number:
            newest[said.site, said.adapter] = said
    return tuple(sorted(newest.values(), key=lambda each: (each.site, each.number)))


def objections(home: ServerHome, public: str, adapter: str) -> tuple[str, ...]:
    """Why hospitals do not want this adapter used, a sentence each; none where nobody has stopped it."""
    return tuple(
        f"veto of {each.site}: asked on {each.time} to stop using {adapter[:16]} ({each.reason.value}); "
        "it stands until the same hospital decides to keep it"
        for each in decisions(home, public)
        if each.adapter == adapter and each.verdict is Verdict.STOP
    )
