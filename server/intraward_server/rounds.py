"""One round on a Flower Grid: push, stream the replies, admit, and close with a quorum or fail.

Rule 10 of DESIGN.md, and what Flower's strategies lack (facts on Flower, sections 3.4 and 6): a
quorum, a deadline, and one reply in memory at a time. Admitted bytes are spooled to disk and summed
later in the order of site names, so that the order of arrival never changes a bit. Replies are mapped
by the message they answer, because the error reply for a dead node comes from another node's number.
A site that answered is never asked for a second result: a request sent again (node died, coordinator
restarted) is the same plan, which the site answers with the same bytes.
"""

from __future__ import annotations

import gc
import json
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from flwr.app import Message
from flwr.serverapp import Grid

from intraward_server.admission import AdmittedUpdate
from intraward_shared import wire
from intraward_shared.durable import write_durably
from intraward_shared.errors import AdmissionRefused, ContractError, RoundFailed
from intraward_shared.protocol import unpack_parts
from intraward_shared.signing import canonical_json, parse_canonical

_CODE = re.compile(r"[A-Z_]{1,32}")
UNREACHABLE, LATE = "UNREACHABLE", "LATE"

Admit = Callable[[bytes, Collection[str]], AdmittedUpdate]


@dataclass(frozen=True)
class RoundTerms:
    """When a round is good enough. Times in seconds; ``resends`` counts pushes after a dead node."""

    quorum: int
    deadline_s: float
    poll_s: float = 1.0
    resends: int = 3
    resend_s: float = 10.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class RoundResult:
    """Sites that were admitted, in the order of the sum, and the code of every other one."""

    sites: tuple[str, ...]
    missing: Mapping[str, str]


class Inbox:
    """Admitted sealed updates of one plan on disk, and the closing list that fixes which are summed."""

    def __init__(self, folder: Path, admit: Admit) -> None:
        """Open the folder; a file that does not pass admission is removed and its site asked again."""
        self._folder, self._admit = folder, admit
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._sites: set[str] = set()
        for path in sorted(folder.glob("*.sealed")):
            try:
                self._sites.add(self._admit(path.read_bytes(), self._sites).site)
            except AdmissionRefused:
                path.unlink()

    @property
    def sites(self) -> tuple[str, ...]:
        """Sites whose update is here, sorted."""
        return tuple(sorted(self._sites))

    def take(self, data: bytes) -> str:
        """Admit and keep one sealed update; returns its site.

        Raises:
            AdmissionRefused: a check said no; nothing is kept.
        """
        site = self._admit(data, self._sites).site
        write_durably(self._folder / f"{site}.sealed", data)
        self._sites.add(site)
        return site

    def updates(self, sites: Collection[str]) -> Iterator[AdmittedUpdate]:
        """Updates one at a time, by site name, checked again as they come from disk."""
        for site in sorted(sites):
            yield self._admit((self._folder / f"{site}.sealed").read_bytes(), ())

    @property
    def size(self) -> int:
        """Bytes of all updates here."""
        return sum(path.stat().st_size for path in self._folder.glob("*.sealed"))

    def close(self, result: RoundResult) -> None:
        """Fix the round's outcome; nothing that arrives later changes it."""
        value = {"sites": list(result.sites), "missing": dict(result.missing)}
        write_durably(self._folder / "closed.json", canonical_json(value))

    def closed(self) -> RoundResult | None:
        """The fixed outcome, if the round was closed and its updates are all here."""
        path = self._folder / "closed.json"
        if not path.exists():
            return None
        value = parse_canonical(path.read_bytes())
        if set(value["sites"]) - self._sites:
            return None
        return RoundResult(tuple(value["sites"]), value["missing"])


@dataclass
class _Collection:
    """Replies still awaited, by message id, and what was learnt of sites that are not admitted."""

    waiting: dict[str, str] = field(default_factory=dict)
    resend_at: dict[str, float] = field(default_factory=dict)
    pushes: dict[str, int] = field(default_factory=dict)
    codes: dict[str, str] = field(default_factory=dict)


def run_round(
    grid: Grid,
    nodes: Mapping[str, int],
    cohort: Collection[str],
    request_for: Callable[[str], bytes],
    inbox: Inbox,
    terms: RoundTerms,
) -> RoundResult:
    """Ask every reachable site of the cohort that has not answered yet, and wait for the replies.

    Args:
        grid: Flower's, or the in-process one.
        nodes: node id of each reachable site.
        cohort: the plan's sites.
        request_for: a site's request bytes (they differ by its receipt only).
        inbox: where admitted updates go; those already there are not asked for again.
        terms: quorum, deadline, waiting times.

    Raises:
        RoundFailed: fewer updates than the quorum; what came stays in the inbox for the next attempt.
    """
    state = _Collection(codes={site: UNREACHABLE for site in cohort if site not in nodes})
    asked = sorted(set(cohort) & set(nodes) - set(inbox.sites))
    if len(asked) + len(inbox.sites) < terms.quorum:  # hopeless: nobody is asked to spend anything
        raise _no_quorum(_outcome(inbox, state), terms)
    deadline = terms.clock() + terms.deadline_s
    for site in asked:
        _push(grid, nodes[site], site, request_for, state, terms)
    while (state.waiting or state.resend_at) and terms.clock() < deadline:
        if not _sweep(grid, inbox, state, terms, deadline):
            terms.sleep(min(terms.poll_s, max(0.0, deadline - terms.clock())))
        for site in [s for s, moment in state.resend_at.items() if moment <= terms.clock()]:
            del state.resend_at[site]
            _push(grid, nodes[site], site, request_for, state, terms)
    for site in [*state.waiting.values(), *state.resend_at]:
        state.codes[site] = LATE
    result = _outcome(inbox, state)
    if len(result.sites) < terms.quorum:
        raise _no_quorum(result, terms)
    return result


def _outcome(inbox: Inbox, state: _Collection) -> RoundResult:
    missing = {site: code for site, code in sorted(state.codes.items()) if site not in inbox.sites}
    return RoundResult(inbox.sites, missing)


def _push(
    grid: Grid,
    node: int,
    site: str,
    request_for: Callable[[str], bytes],
    state: _Collection,
    terms: RoundTerms,
) -> None:
    """Push a site's request; one that Flower did not take (no message id) counts like a dead node."""
    state.pushes[site] = state.pushes.get(site, 0) + 1
    names = [name for name in grid.push_messages([wire.request(node, wire.TRAIN, request_for(site))]) if name]
    _let_go()
    for name in names:
        state.waiting[name] = site
    if not names:
        _died(site, state, terms)


def _let_go() -> None:
    """Free the bytes of a message that is done with.

    Flower's array records hold themselves in a cycle, so an adapter for each site would wait for the next
    full collection; the young ones take under a millisecond.
    """
    gc.collect(1)


def _died(site: str, state: _Collection, terms: RoundTerms) -> None:
    """Ask again a little later, or give the site up for this round."""
    if state.pushes[site] <= terms.resends:
        state.resend_at[site] = terms.clock() + terms.resend_s
    else:
        state.codes[site] = UNREACHABLE


def _sweep(grid: Grid, inbox: Inbox, state: _Collection, terms: RoundTerms, deadline: float) -> bool:
    """Pull once for every awaited message; true when something came."""
    came = False
    for name in list(state.waiting):
        if terms.clock() >= deadline:
            break
        for message in grid.pull_messages([name]):
            site = state.waiting.pop(message.metadata.reply_to_message_id, None)
            if site is None:
                continue
            came = True
            code = _receive(message, inbox)
            del message
            _let_go()
            if code == UNREACHABLE:
                _died(site, state, terms)
            elif code != "OK":
                state.codes[site] = code
    return came


def _receive(message: Message, inbox: Inbox) -> str:
    """``OK`` when an update was admitted, else why not."""
    if message.has_error():
        return UNREACHABLE
    try:
        parts = unpack_parts(wire.read(message))
        if set(parts) != {"code", "update"}:
            raise ContractError("a reply holds a code and an update")
        code = parts["code"].decode("ascii", errors="replace")
        if not _CODE.fullmatch(code):
            raise ContractError("a reply's code is not a code")
        if code == "OK":
            inbox.take(parts["update"])
    except AdmissionRefused as error:
        return f"ADMISSION_{error.check}"
    except ContractError as error:
        return error.code
    return code


def _no_quorum(result: RoundResult, terms: RoundTerms) -> RoundFailed:
    told = ", ".join(f"{site} {code}" for site, code in sorted(result.missing.items()))
    came = f"{len(result.sites)} of the {terms.quorum} updates of the quorum came ({told})"
    if {"BUDGET", "PLAN_REFUSED"} & set(result.missing.values()):
        return RoundFailed(
            came,
            remedy="these sites' own policies refuse the plan: agree on fewer steps or more noise, "
            "or go on without them; each site's ward.log names the rule",
        )
    return RoundFailed(
        came,
        remedy="start again when the sites are back: the same plan is sent and costs nothing twice; "
        "or give the round up with: intraward-server skip",
    )


def find_nodes(
    grid: Grid, site_keys: Mapping[str, str], known: Mapping[str, int], terms: RoundTerms, wait_s: float
) -> dict[str, int]:
    """Ask unknown nodes which site they serve, until all sites are found or ``wait_s`` passed.

    A node that cannot answer yet (its ward is starting) is asked again. The answer only addresses; what
    is trusted is the update's signature.
    """
    found = dict(known)
    waiting: dict[str, int] = {}
    strangers: set[int] = set()
    until = terms.clock() + wait_s
    while set(site_keys) - set(found):
        busy = {*found.values(), *waiting.values(), *strangers}
        for node in [node for node in grid.get_node_ids() if node not in busy]:
            names = grid.push_messages([wire.request(node, wire.QUERY, b"describe")])
            waiting.update({name: node for name in names if name})
        for message in list(grid.pull_messages(sorted(waiting))) if waiting else []:
            asked = waiting.pop(message.metadata.reply_to_message_id, None)
            if asked is None or message.has_error():
                continue
            site = _described(message, site_keys)
            if site is None:
                strangers.add(asked)
            else:
                found.setdefault(site, asked)
        if not set(site_keys) - set(found) or terms.clock() >= until:
            break
        terms.sleep(min(terms.poll_s, max(0.0, until - terms.clock())))
    return found


def _described(message: Message, site_keys: Mapping[str, str]) -> str | None:
    """Site that a node says it serves, when that site is enrolled with the key that it names."""
    try:
        told = json.loads(wire.read(message))
        site, public = str(told["site"]), str(told["public"])
    except (ContractError, ValueError, KeyError, TypeError):
        return None
    return site if site_keys.get(site) == public else None
