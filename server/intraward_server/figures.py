"""Noised figures that hospitals hand over: verified with the ledger entry that paid for them, countersigned.

Rule 7 of DESIGN.md and section 6, what else could speak. The receipt is like that of a round, so an auditor
sees a ledger from which the charge was cut off, and a release bundle holds it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from intraward_server.handed_in import member_keys, open_statement, read_statement
from intraward_server.home import ServerHome
from intraward_server.registry import Registry
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, ContractError
from intraward_shared.figure import FIGURE_DOMAIN, Figure, check_figure
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import RECEIPT_DOMAIN, Receipt, sign_value
from intraward_shared.signing import SigningKey, digest


def take_figure(home: ServerHome, key: SigningKey, registry: Registry, file: Path) -> Figure:
    """Verify a figure, keep it, and countersign its ledger entry. The same file again changes nothing.

    Raises:
        SignatureError, ContractError: not a member's figure, or its ledger entry did not pay for it.
        ConfigError: it cannot be read, is about an adapter that is not in the registry, or of another kind of
            run; or other bytes came before under the same terms.
    """
    data = read_statement(file)
    figure = open_statement(data, FIGURE_DOMAIN, Figure, member_keys(home, key.public), file)
    terms, entry = figure.terms, figure.entry
    try:
        check_figure(figure)
    except ContractError as error:
        raise type(error)(f"{file}: {error.message}", remedy="ask the hospital for the file again") from None
    known = registry.names()
    if terms.adapter not in known or (terms.against is not None and terms.against not in known):
        raise ConfigError(file, "terms.adapter", "is not in this registry", remedy="see registry list")
    if terms.simulated != registry.manifest(terms.adapter).simulated:
        raise ConfigError(
            file,
            "terms.simulated",
            "a simulated site's figure is not of a real run, nor the reverse",
            remedy="ask a hospital of this run",
        )
    place = home.figure(terms.site, terms.digest)
    if place.exists() and place.read_bytes() != data:
        raise ConfigError(
            file,
            "",
            "other bytes came before under the same terms: noise was drawn twice for one charge",
            remedy="keep both files, and ask the hospital's privacy officer",
        )
    write_durably(place, data)
    receipt = Receipt(
        site=terms.site,
        run_id=terms.run_id,
        round=1,
        plan=terms.digest,
        update=digest(data),
        ledger_sequence=entry.sequence,
        ledger_entry=entry.hash,
    )
    write_durably(home.figure_receipt(terms.site, terms.digest), sign_value(receipt, RECEIPT_DOMAIN, key))
    return figure


def figure_row(figure: Figure) -> dict[str, Any]:
    """What a person wants to know of it; ``epsilon`` is of this figure alone, at the hospital's delta."""
    terms, entry = figure.terms, figure.entry
    keep = {"site", "name", "adapter", "against", "max_error", "simulated", "time"}
    return terms.model_dump(mode="json", include=keep) | {
        "max_error": terms.max_error,
        "value": figure.value,
        "epsilon": events_to_epsilon([terms.mechanism], entry.delta),
        "delta": entry.delta,
        "ledger_sequence": entry.sequence,
    }
