"""Who belongs to the consortium: a list signed by the coordinator, changed only as a whole.

Rules 9 and 10 of DESIGN.md. ``members.json`` says which keys are enrolled, which node of the SuperLink is a
site's, and who was revoked when and why. The program's ``[[sites]]`` are the cohort of one run; each of them
has to stand in the list with the same key. A revoked site's updates are refused from the moment at which the
list says so, in the middle of a round too (``admission``, check 2). A simulated coordinator has no list.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from intraward_server.home import ServerHome
from intraward_shared.config import Strict
from intraward_shared.durable import write_durably
from intraward_shared.enrolment import EnrolmentRequest, SiteKeys, Time
from intraward_shared.errors import ConfigError, ContractError, EnrolmentRefused
from intraward_shared.leaving import LEAVE_DOMAIN, LeaveStatement
from intraward_shared.program import ProgramConfig
from intraward_shared.protocol import open_signed, sign_value
from intraward_shared.revocation import Reason
from intraward_shared.signing import SigningKey

MEMBERS_DOMAIN = "intraward/members/v1"


class Revocation(Strict):
    """When and why a site was revoked."""

    time: Time
    reason: Reason


class Member(Strict):
    """One site. ``node`` is its number at the SuperLink, once it is registered there."""

    keys: SiteKeys
    enrolled: Time
    node: Annotated[str, StringConstraints(pattern=r"^\d{1,20}$")] | None = None
    revoked: Revocation | None = None


class MemberList(Strict):
    """Every site by name; ``version`` counts the changes.

    ``former`` are revoked members whose name was enrolled anew: their keys never come back.
    """

    schema_version: Literal[1] = 1
    version: int = Field(default=0, ge=0)
    members: tuple[Member, ...] = ()
    former: tuple[Member, ...] = ()

    def find(self, site: str) -> Member | None:
        """The member of that name."""
        return next((each for each in self.members if each.keys.site == site), None)

    @property
    def revoked(self) -> frozenset[str]:
        """Names of the revoked sites."""
        return frozenset(each.keys.site for each in self.members if each.revoked is not None)

    def put(self, member: Member) -> MemberList:
        """This list with one member added, changed, or in the place of a revoked one of its name."""
        there, former = self.find(member.keys.site), self.former
        if there is not None and there.keys != member.keys:
            former = (*former, there)
        others = [each for each in self.members if each is not there]
        every = sorted([*others, member], key=lambda each: each.keys.site)
        return MemberList(version=self.version + 1, members=tuple(every), former=former)


def read_members(home: ServerHome, public: str) -> MemberList:
    """The list as the coordinator signed it; an empty one if there is none yet.

    Raises:
        ConfigError: the file was changed, or signed by another key.
    """
    try:
        data = home.members.read_bytes()
    except FileNotFoundError:
        return MemberList()
    try:
        return open_signed(data, MEMBERS_DOMAIN, MemberList, public)
    except ContractError:
        raise ConfigError(
            home.members,
            "",
            "not the member list that this coordinator signed",
            remedy="restore the file from your backup",
        ) from None


def save_members(home: ServerHome, members: MemberList, key: SigningKey) -> None:
    """Sign and write the list."""
    write_durably(home.members, sign_value(members, MEMBERS_DOMAIN, key))


def enrolled(members: MemberList, request: EnrolmentRequest, time: str) -> MemberList:
    """The list with the site of a verified request in it; the same list if it is enrolled with these keys.

    Raises:
        EnrolmentRefused: the name or a key is another member's, or the site was revoked with these keys.
    """
    keys = request.keys
    there = members.find(keys.site)
    if there is not None and there.keys == keys:
        if there.revoked is None:
            return members
        raise EnrolmentRefused(
            f"{keys.site}: was revoked with these very keys",
            remedy="the hospital makes a new site, with new keys, and sends its new request",
        )
    if there is not None and there.revoked is None:
        raise EnrolmentRefused(
            f"{keys.site}: is enrolled with other keys",
            remedy="ask the hospital; if the keys really changed: intraward-server revoke, then enroll again",
        )
    for other in (*members.members, *members.former):
        if {other.keys.public_key, other.keys.node_key} & {keys.public_key, keys.node_key}:
            raise EnrolmentRefused(
                f"{keys.site}: has a key of the member {other.keys.site}"
                + (", which was revoked" if other.revoked else ""),
                remedy="every site has keys of its own: the hospital makes a new site and sends its request",
            )
    return members.put(Member(keys=keys, enrolled=time))


def revoked(members: MemberList, site: str, reason: str, time: str) -> MemberList:
    """The list with a site revoked; the same list if it was before.

    Raises:
        ConfigError: no such member, or the reason is empty or too long.
    """
    member = members.find(site)
    if member is None:
        raise ConfigError("revoke", "SITE", "not a member", remedy="see intraward-server status")
    if member.revoked is not None:
        return members
    try:
        why = Revocation(time=time, reason=reason)
    except ValueError:
        raise ConfigError(
            "revoke", "--reason", "not one line of 1 to 300 characters", remedy="shorten it"
        ) from None
    return members.put(member.model_copy(update={"revoked": why}))


def left(members: MemberList, site: str, statement: bytes) -> str:
    """The reason for revoking a site that left, from its own signed statement.

    Raises:
        EnrolmentRefused: not signed by the key that is enrolled under this name, or of another site.
    """
    member = members.find(site)
    try:
        if member is None:
            raise ContractError("its site is no member")
        said = open_signed(statement.rstrip(b"\n"), LEAVE_DOMAIN, LeaveStatement, member.keys.public_key)
        if (said.site, said.public) != (site, member.keys.public_key):
            raise ContractError("it is of another site")
    except ContractError as error:
        raise EnrolmentRefused(
            f"{site}: not its leave statement: {error.message}",
            remedy="ask the hospital for its leave.json, or revoke with --reason",
        ) from None
    return f"left on {said.time}, by its own statement"


def check_cohort(home: ServerHome, config: ProgramConfig, members: MemberList) -> None:
    """Hold the cohort of a real program against the list.

    Raises:
        ConfigError: a site was written into the program by hand, or with another key.
    """
    if config.program.simulated:
        return
    for site in config.sites:
        member = members.find(site.name)
        if member is None or member.keys.public_key != site.public_key:
            raise ConfigError(
                home.program,
                "sites",
                f"{site.name} is not enrolled with this key",
                remedy="enroll the site's request: intraward-server enroll enrolment.json",
            )


def excluded(home: ServerHome, config: ProgramConfig, public: str) -> frozenset[str]:
    """Sites of the cohort that are revoked as of now.

    Args:
        home: the coordinator's folder.
        config: the program; a real one's cohort has to be enrolled.
        public: the coordinator's public key.

    Raises:
        ConfigError: the list was changed, or does not hold the cohort.
    """
    members = read_members(home, public)
    check_cohort(home, config, members)
    return members.revoked & set(config.cohort)
