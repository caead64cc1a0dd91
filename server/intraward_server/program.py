"""The stage machine: sft > label > reward > ppo | dpo > evaluate, one finished round at a time.

Rule 10 of DESIGN.md: plans are on disk before they are sent, outcomes before they are used, and
``state.json`` moves last, so a coordinator killed anywhere goes on with the same plan bytes and no
round is ever asked for twice. How adapters pass from stage to stage stands in ``succession``.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flwr.serverapp import Grid

from intraward_server.admission import AdmittedUpdate, admit, norm_bound
from intraward_server.checkpoint import (
    FinishedRound,
    LedgerHead,
    ProgramState,
    append_history,
    save_state,
    trim_history,
)
from intraward_server.concluding import final_figures
from intraward_server.evaluation import Scorer
from intraward_server.gathering import Gathering
from intraward_server.home import ServerHome
from intraward_server.members import excluded
from intraward_server.plans import Position, build_plan, positions, proxy_terms, slot_of
from intraward_server.rounds import Inbox, RoundResult, RoundTerms, find_nodes, run_round
from intraward_server.session import Session, open_session
from intraward_server.sole import sole_coordinator
from intraward_server.succession import Succession
from intraward_server.suites.policies import check_suites
from intraward_shared.adapters import State, encode, l2_norm
from intraward_shared.durable import write_durably
from intraward_shared.errors import RoundFailed
from intraward_shared.protocol import (
    PLAN_DOMAIN,
    RECEIPT_DOMAIN,
    Receipt,
    RoundPlan,
    open_signed,
    pack_request,
    sign_value,
)
from intraward_shared.stages import Stage


@dataclass(frozen=True)
class ProgramEvent:
    """What just happened, for a terminal. ``kind``: joined, planned, finished, evaluated or done."""

    kind: str
    stage: str = ""
    round: int = 0
    rounds: int = 0
    detail: Mapping[str, Any] = field(default_factory=dict)


_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})
Progress = Callable[[ProgramEvent], None]


@dataclass(frozen=True)
class ProgramResult:
    """The outcome of a finished program."""

    run_id: str
    rounds: int
    policy: str | None
    reward: str | None
    evaluation: Mapping[str, Any]


def run(
    grid: Grid, home: Path, *, gold: Scorer | None = None, progress: Progress | None = None
) -> ProgramResult:
    """Run or continue the program in ``home`` until it is finished.

    Args:
        grid: Flower's Grid, or the in-process one.
        home: the coordinator's folder with ``program.toml`` and key.
        gold: true reward of (prompt, answer); simulation only.
        progress: told after each step.

    Raises:
        ConfigError, InputError, ModelError: before anything is sent.
        RoundFailed: no quorum; run again to go on with the same plan. Or another process runs it, or the
            folder's disk takes no more.
    """
    try:
        with sole_coordinator(ServerHome(home)):
            return Program(open_session(home, gold), grid, progress).run()
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise RoundFailed(
            f"{home}: the disk takes no more ({os.strerror(error.errno)})",
            remedy="mend it, then run start --resume: the same plan is sent, and costs nothing twice",
        ) from None


class Program:
    """One program on its way; holds the session, the grid and the nodes found."""

    def __init__(self, session: Session, grid: Grid, progress: Progress | None = None) -> None:
        self._s, self._grid, self._progress = session, grid, progress
        self._every = positions(session.config)
        check_suites(session)
        self._succession = Succession(session)
        self._nodes: dict[str, int] = {}
        terms = session.config.program
        self._terms = RoundTerms(
            terms.quorum, terms.round_deadline_s, terms.poll_s, terms.resends, terms.resend_s
        )

    def run(self) -> ProgramResult:
        """All rounds that are left, then the evaluation."""
        home = self._s.home
        trim_history(home.history, self._s.state.next_round)
        self._clear_inbox()
        while self._s.state.next_round <= len(self._every):
            self._round(self._every[self._s.state.next_round - 1])
        if self._s.state.status != "finished":
            figures = final_figures(self._s)
            write_durably(home.evaluation, json.dumps(figures, indent=2, sort_keys=True).encode())
            self._save(self._s.state.model_copy(update={"status": "finished"}))
        self._tell("done")
        return result_of(self._s)

    def _clear_inbox(self) -> None:
        """Remove updates of rounds that are over: a crash came before that, or the round was given up."""
        home, pending = self._s.home, ""
        path = home.plan(self._s.state.next_round)
        if path.exists():
            pending = open_signed(path.read_bytes(), PLAN_DOMAIN, RoundPlan, self._s.key.public).digest[:16]
        for folder in (home.root / "inbox").iterdir():
            if folder.name != pending:
                shutil.rmtree(folder)

    def _round(self, at: Position) -> None:
        began = time.monotonic()
        plan, signed = self._plan(at)
        self._tell("planned", at)
        trained = self._s.registry.load(plan.inputs[plan.trained_input])
        inbox = Inbox(self._s.home.inbox(plan.digest), self._admission(plan, trained))
        outcome = inbox.closed() or self._ask(plan, signed, inbox)
        adapter, heads, figures, told = self._aggregate(at, plan, trained, inbox, outcome)
        state = self._advanced(at, plan, outcome, adapter, heads)
        line = self._history(at, plan, outcome, inbox, adapter)
        line["figures"] = figures or self._figures(at, state)
        line |= told
        line["seconds"] = round(time.monotonic() - began, 3)
        line["finished"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        append_history(self._s.home.history, line)
        self._save(state)
        shutil.rmtree(self._s.home.inbox(plan.digest))
        self._tell("finished", at, line)

    def _plan(self, at: Position) -> tuple[RoundPlan, bytes]:
        """The round's plan: the one on disk, or a new one that is on disk before anybody sees it."""
        entered = self._succession.enter(at)
        if entered is not self._s.state:
            self._save(entered)
        path, key = self._s.home.plan(at.round), self._s.key
        if path.exists():
            signed = path.read_bytes()
            plan = open_signed(signed, PLAN_DOMAIN, RoundPlan, key.public)
            if (plan.run_id, plan.round) == (self._s.state.run_id, at.round):
                return plan, signed
        inputs = self._succession.inputs(at.stage.stage)
        role = "reward" if at.stage.stage is Stage.REWARD else "policy"
        now = None if self._s.config.program.simulated else datetime.now(UTC)
        plan = build_plan(
            self._s.config,
            self._s.state,
            at,
            inputs,
            self._s.registry.load(inputs[role]),
            self._s.schedule_value,
            now,
        )
        signed = sign_value(plan, PLAN_DOMAIN, key)
        write_durably(path, signed)
        return plan, signed

    def _ask(self, plan: RoundPlan, signed: bytes, inbox: Inbox) -> RoundResult:
        config, out = self._s.config, self._excluded()
        wait = config.program.join_deadline_s if not self._nodes else config.program.poll_s
        keys = {site: public for site, public in config.site_keys.items() if site not in out}
        known = {site: node for site, node in self._nodes.items() if site in keys}
        self._nodes = find_nodes(self._grid, keys, known, self._terms, wait)
        self._tell("joined", detail={"sites": sorted(self._nodes)})
        blobs = [encode(self._s.registry.load(name)) for name in sorted(set(plan.inputs.values()))]
        if plan.public_data is not None:
            blobs.append(self._s.home.public(plan.public_data).read_bytes())
        schedule = self._s.schedule if plan.schedule is not None else None
        manifests = self._s.registry.ancestry(plan.inputs.values())

        def request_for(site: str) -> bytes:
            return pack_request(signed, schedule, self._receipt(site), blobs, manifests)

        try:
            outcome = run_round(self._grid, self._nodes, plan.cohort, request_for, inbox, self._terms)
        except RoundFailed:
            self._nodes = {}
            raise
        outcome = RoundResult(outcome.sites, {**outcome.missing, **dict.fromkeys(sorted(out), "REVOKED")})
        inbox.close(outcome)
        self._nodes = {s: n for s, n in self._nodes.items() if outcome.missing.get(s) != "UNREACHABLE"}
        return outcome

    def _excluded(self) -> frozenset[str]:
        """Sites that were revoked, as the list on disk says now."""
        return excluded(self._s.home, self._s.config, self._s.key.public)

    def _admission(
        self, plan: RoundPlan, trained: State
    ) -> Callable[[bytes, Collection[str]], AdmittedUpdate]:
        config, bound = self._s.config, self._bound(plan, trained)
        heads = {site: head.sequence for site, head in self._s.state.heads.items()}
        keys = config.site_keys

        def check(data: bytes, seen: Collection[str]) -> AdmittedUpdate:
            return admit(data, plan, keys, seen, max_norm=bound, heads=heads, revoked=self._excluded())

        return check

    def _bound(self, plan: RoundPlan, trained: State) -> float:
        """Largest norm at which an update of this round is taken."""
        own = {output.name: trained[output.name] for output in plan.outputs}
        return norm_bound(plan, l2_norm(own), self._s.config.admission.max_norm)

    def _aggregate(
        self, at: Position, plan: RoundPlan, trained: State, inbox: Inbox, outcome: RoundResult
    ) -> tuple[str | None, dict[str, LedgerHead], dict[str, Any], dict[str, Any]]:
        """Sum in the order of site names, countersign each ledger head, and sign the new adapter.

        A reward model is measured before, because what it is worth stands in its card, which is signed.
        """
        terms = self._s.config.aggregation
        gathering, heads = Gathering(terms, trained, plan.part, plan.lora.reward, plan.cohort), {}
        norms: dict[str, float] = {}
        for update in inbox.updates(outcome.sites):
            gathering.add(update.site, update.tensors)
            norms[update.site] = l2_norm(update.tensors)
            heads[update.site] = LedgerHead(
                sequence=update.header.ledger_sequence, entry=update.header.ledger_entry, round=plan.round
            )
            self._countersign(plan, update)
        if at.stage.stage is Stage.LABEL:
            return None, heads, {}, {}
        started = plan.inputs[plan.trained_input]
        made = gathering.adapter(self._s.home.moments, started, fresh=at.number == 1)
        figures: dict[str, Any] = {}
        if at.stage.stage is Stage.REWARD:
            figures = self._s.scorecard.after_round(Stage.REWARD, {"reward": made.state})
        lineage = self._succession.lineage(at, tuple(plan.inputs.values()), plan.digest, heads)
        adapter = self._s.registry.put(made.state, lineage, figures)
        made.keep(adapter)
        told = {"norms": norms, "norm_bound": self._bound(plan, trained)}
        return adapter, heads, figures, told | gathering.figures()

    def _countersign(self, plan: RoundPlan, update: AdmittedUpdate) -> None:
        receipt = Receipt(
            site=update.site,
            run_id=plan.run_id,
            round=plan.round,
            plan=plan.digest,
            update=update.sealed,
            ledger_sequence=update.header.ledger_sequence,
            ledger_entry=update.header.ledger_entry,
        )
        path = self._s.home.receipt(update.site, plan.round)
        write_durably(path, sign_value(receipt, RECEIPT_DOMAIN, self._s.key))

    def _receipt(self, site: str) -> bytes | None:
        head = self._s.state.heads.get(site)
        return self._s.home.receipt(site, head.round).read_bytes() if head else None

    def _advanced(
        self,
        at: Position,
        plan: RoundPlan,
        outcome: RoundResult,
        adapter: str | None,
        heads: Mapping[str, LedgerHead],
    ) -> ProgramState:
        state = self._s.state
        finished = FinishedRound(
            round=at.round,
            stage=at.stage.stage,
            stage_round=at.stage_round,
            iteration=at.iteration,
            plan=plan.digest,
            sites=outcome.sites,
            adapter=adapter,
        )
        update: dict[str, Any] = {
            "rounds": (*state.rounds, finished),
            "last_slot": slot_of(self._s.config, plan.slot_time),
            "heads": {**state.heads, **heads},
        }
        if adapter is not None:
            update[plan.trained_input] = adapter
        return state.model_copy(update=update)

    def _history(
        self, at: Position, plan: RoundPlan, outcome: RoundResult, inbox: Inbox, adapter: str | None
    ) -> dict[str, Any]:
        return {
            "round": at.round,
            "stage": at.stage.stage.value,
            "stage_round": at.stage_round,
            "iteration": at.iteration,
            "part": plan.part.value,
            "plan": plan.digest,
            "adapter": adapter,
            "sites": list(outcome.sites),
            "missing": dict(outcome.missing),
            "bytes": inbox.size,
            "free": plan.mechanism is None,
        }

    def _figures(self, at: Position, state: ProgramState) -> dict[str, Any]:
        """Figures of a round's new adapter; of a policy beside sft's, and where its iteration began."""
        stage, card = at.stage.stage, self._s.scorecard
        if stage in (Stage.LABEL, Stage.REWARD):
            return {}
        if stage is Stage.SFT:
            return card.after_round(stage, self._succession.adapters(("policy",), state))
        proxy = proxy_terms(self._s.config, state)
        figures = card.after_round(stage, self._succession.beside_sft(state), proxy)
        if at.number == 1 and figures:
            figures["start"] = card.after_round(stage, self._succession.beside_sft(self._s.state), proxy)
        if at.last and self._s.config.program.iterations > 1:
            figures["over_sft"] = card.over_sft(self._succession.beside_sft(state), proxy)
        return figures

    def _save(self, state: ProgramState) -> None:
        save_state(self._s.home.state, state)
        self._s.state = state

    def _tell(self, kind: str, at: Position | None = None, detail: Mapping[str, Any] | None = None) -> None:
        if self._progress is None:
            return
        if at is None:
            self._progress(ProgramEvent(kind, rounds=len(self._every), detail=detail or {}))
        else:
            stage = at.stage.stage.value
            self._progress(ProgramEvent(kind, stage, at.round, len(self._every), detail or {}))


def result_of(session: Session) -> ProgramResult:
    """The finished program's outcome, read from its folder."""
    state, path = session.state, session.home.evaluation
    figures = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return ProgramResult(state.run_id, len(state.rounds), state.policy, state.reward, figures)
