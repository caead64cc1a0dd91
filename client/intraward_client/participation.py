"""Whether this hospital takes part: it may pause, resume, and leave for good. Read before every plan.

DESIGN.md section 1: hospital IT wants to know how to stop it. A pause and a departure are entries of the
audit trail, so they outlast every restart; a departure is also the signed statement for the consortium,
and either of the two is enough. A trail that does not
verify could hide a departure: nothing is answered then. A paused ward still sends bytes
that were released before, because they are paid for and out; one that left answers nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from intraward_client.config import load_policy
from intraward_client.home import SiteHome
from intraward_client.trail import Action, read_trail, record
from intraward_shared.durable import write_durably
from intraward_shared.errors import ConfigError, ContractError, IntrawardError, PlanRefused
from intraward_shared.leaving import LEAVE_DOMAIN, LeaveStatement
from intraward_shared.ledger_chain import read_ledger
from intraward_shared.protocol import open_signed, sign_value
from intraward_shared.signing import SigningKey


class State(StrEnum):
    """How the ward answers plans."""

    ACTIVE = "active"
    PAUSED = "paused"
    LEFT = "left"


@dataclass(frozen=True)
class Participation:
    """State, and since when and why where it is not ``active``."""

    state: State
    since: str = ""
    reason: str = ""


_STATES = {Action.PAUSE: State.PAUSED, Action.RESUME: State.ACTIVE, Action.LEAVE: State.LEFT}


def participation(home: SiteHome, public: str) -> Participation:
    """The present state, from trail and statement.

    Raises:
        ConfigError: the trail was changed; the ward then takes no plan.
    """
    entries = read_trail(home, public)
    left = next((entry for entry in entries if entry.action is Action.LEAVE), None)
    if left is not None:
        return Participation(State.LEFT, left.time, left.reason)
    if home.leave_statement.exists():
        return Participation(State.LEFT)
    last = next((entry for entry in reversed(entries) if entry.action in _STATES), None)
    if last is None or last.action is Action.RESUME:
        return Participation(State.ACTIVE)
    return Participation(_STATES[last.action], last.time, last.reason)


def check_member(home: SiteHome, public: str) -> None:
    """Refuse a new plan at a site that paused or left.

    Raises:
        PlanRefused: rule ``participation``.
    """
    state = _read(home, public)
    if state is not State.ACTIVE:
        raise PlanRefused("participation", f"this site has {_words(state)}", remedy=_remedy(state))


def check_not_left(home: SiteHome, public: str) -> None:
    """Refuse everything, released bytes too, at a site that left.

    Raises:
        PlanRefused: rule ``participation``.
    """
    if _read(home, public) is State.LEFT:
        raise PlanRefused("participation", f"this site has {_words(State.LEFT)}", remedy=_remedy(State.LEFT))


def pause(home: SiteHome, reason: str = "") -> Participation:
    """Take no new plan from now on; a round under way goes on to its end.

    Raises:
        ConfigError: the site left, or the trail cannot be written.
    """
    return _change(home, Action.PAUSE, State.PAUSED, reason)


def resume(home: SiteHome) -> Participation:
    """Take plans again.

    Raises:
        ConfigError: the site left, or the trail cannot be written.
    """
    return _change(home, Action.RESUME, State.ACTIVE, "")


def leave(home: SiteHome, reason: str = "") -> LeaveStatement:
    """Leave for good; called again it returns the statement that was made.

    The statement is on disk before the trail says so: killed in between, the site has left, and a second
    call completes it. A ledger that cannot be read keeps nobody from leaving.

    Raises:
        ConfigError: nothing can be written, or a statement on disk is not this site's.
    """
    policy, key = load_policy(home.policy), SigningKey.load(home.signing_key)
    statement = _made_before(home, key)
    if statement is None:
        sequence, entry = _head(home, key)
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        statement = LeaveStatement(
            site=policy.site, public=key.public, time=moment, ledger_sequence=sequence, ledger_entry=entry
        )
        write_durably(home.leave_statement, sign_value(statement, LEAVE_DOMAIN, key))
    if not any(entry.action is Action.LEAVE for entry in read_trail(home, key.public)):
        record(home, key, Action.LEAVE, reason=reason)
    return statement


def _change(home: SiteHome, action: Action, wanted: State, reason: str) -> Participation:
    key = SigningKey.load(home.signing_key)
    now = participation(home, key.public)
    if now.state is State.LEFT:
        raise ConfigError(home.root, "", "this site has left the consortium", remedy=_remedy(State.LEFT))
    if now.state is not wanted:
        record(home, key, action, reason=reason)
    return participation(home, key.public)


def _read(home: SiteHome, public: str) -> State:
    """The state; what does not verify refuses."""
    try:
        return participation(home, public).state
    except IntrawardError as error:
        raise PlanRefused("participation", error.message, remedy=error.remedy) from None


def _made_before(home: SiteHome, key: SigningKey) -> LeaveStatement | None:
    try:
        return open_signed(home.leave_statement.read_bytes(), LEAVE_DOMAIN, LeaveStatement, key.public)
    except FileNotFoundError:
        return None
    except (OSError, ContractError):
        raise ConfigError(
            home.leave_statement,
            "",
            "is not a statement of this site",
            remedy="move it away, and leave again",
        ) from None


def _head(home: SiteHome, key: SigningKey) -> tuple[int | None, str | None]:
    try:
        last = read_ledger(home.ledger, key.public)[-1]
    except IntrawardError:
        return None, None
    return last.sequence, last.hash


def _words(state: State) -> str:
    return "left the consortium" if state is State.LEFT else "paused"


def _remedy(state: State) -> str:
    if state is State.LEFT:
        return "leaving is for good; a new site is made with init and enrolled anew"
    return "intraward-client resume, when the hospital wants to take part again"
