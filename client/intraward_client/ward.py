"""The ward: the data-side process. Plan in, sealed update out, and nothing else.

``execute`` is the whole of rule 4 of DESIGN.md in the order it must happen: verify, check against the
policy, the lineage and the budget, fix the training table, RESERVE (fsync), read rows, train, seal,
persist the sealed bytes (fsync), RELEASE (fsync), answer at the slot time. A crash at any point wastes
budget at most: sealed bytes that exist are sent again, an attempt without sealed bytes is ABORTed and
may be retried with fresh noise and a new charge, at most three times. After a row was read the only
thing said outside is ``ABORTED``.

Two front ends call the same object: simulation directly, and ``wardsocket`` for a gateway in
another process. Free stages (public data, released adapters) run without touching the vault.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

from intraward_client import egress
from intraward_client.config import SitePolicy, load_policy
from intraward_client.home import SiteHome
from intraward_client.lineage import check_lineage
from intraward_client.participation import check_member, check_not_left
from intraward_client.plancheck import check_context, check_plan
from intraward_client.privacy.budget import Budget
from intraward_client.privacy.noise import NoiseSource
from intraward_client.privacy.week import check_week
from intraward_client.request import Request, open_request
from intraward_client.site_ledger import open_ledger, take_receipt
from intraward_client.slot import SlotClock
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.vault import Vault
from intraward_client.training.inputs import TrainingInputs
from intraward_client.training.label import generate_candidates
from intraward_client.training.publicrows import public_table
from intraward_client.training.tracking import Track, check_store, open_track
from intraward_client.training.train import rehearse, train
from intraward_client.training.update import LocalUpdate
from intraward_shared.base_model import BaseModel, load_base
from intraward_shared.durable import write_durably
from intraward_shared.errors import IntrawardError, PlanRefused
from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.protocol import RoundPlan
from intraward_shared.signing import SigningKey, canonical_json
from intraward_shared.stages import Stage


class Labeller(Protocol):
    """Who judges candidates as soon as they are generated; only simulation has one."""

    def __call__(self, vault: Vault) -> None:
        """Judge what is unlabelled in the vault."""


class Ward:
    """One hospital's data side. Holds vault, keys, ledger and model; has no network."""

    def __init__(
        self,
        home: SiteHome,
        *,
        labeller: Labeller | None = None,
        progress: Callable[[str, float], None] | None = None,
        watch: Track | None = None,
        slots: SlotClock | None = None,
    ) -> None:
        """Open the site.

        Args:
            home: an initialised site folder.
            labeller: simulation only.
            progress: told stage name and share done, for the operator's terminal.
            watch: told each step's figures, for the operator's terminal.
            slots: another clock than the machine's (tests); a simulated site lives by slot times.

        Raises:
            IntrawardError: policy, keys, ledger or vault cannot be opened.
        """
        self.home = home
        self.policy: SitePolicy = load_policy(home.policy)
        check_store(self.policy.tracking.store, home.policy, home.curves)
        self._key = SigningKey.load(home.signing_key)
        self._ledger = open_ledger(home, self.policy, self._key)
        self._labeller, self._progress, self._watch = labeller, progress, watch
        self._slots = slots or SlotClock(virtual=self.policy.simulation.allowed)
        self._bases: dict[str, BaseModel] = {}
        self._lock = threading.Lock()

    @property
    def public_key(self) -> str:
        """The site's public signing key."""
        return self._key.public

    def close(self) -> None:
        """Give the ledger back to other writers."""
        self._ledger.close()

    def describe(self) -> bytes:
        """Who this is and what it takes part in; depends on configuration only."""
        return canonical_json(
            {
                "site": self.policy.site,
                "public": self._key.public,
                "stages": [s.value for s in self.policy.stages],
            }
        )

    def execute(self, request: bytes) -> bytes:
        """Run one request; answers with a sealed update or a code (``egress.reply``).

        An answer about rows leaves at the plan's slot time (``slot``).

        Raises:
            Stopping: the ward was stopped while an answer waited.
        """
        with self._lock:
            try:
                parsed = self._open(request)
                check_not_left(self.home, self.public_key)
            except Exception as error:
                return self._refused(error, None)
            answer, about_rows = self._execute(parsed)
            if about_rows:  # under the lock: how soon it is free again would tell how long training took
                self._slots.hold(parsed.plan)
                answer = self._unless_left(parsed.plan, answer)
        return answer

    @contextmanager
    def between_rounds(self) -> Iterator[BaseModel]:
        """The base model while no plan is under way (``preparing``); a plan that comes meanwhile waits."""
        with self._lock:
            yield self._load_base()

    def stop(self) -> None:
        """Let no answer wait any longer; what is sealed stays and is sent when asked for again."""
        self._slots.stop()

    def _execute(self, request: Request) -> tuple[bytes, bool]:
        """The answer, and whether it depends on rows, so that it has to wait for its slot."""
        plan = request.plan
        known = self._ledger.state_of(plan.digest) is not None
        try:
            kept = self._kept(plan)
            if kept is not None:
                return (self._labelled(request, kept) if plan.stage is Stage.LABEL else _ok(kept)), True
            check_member(self.home, self.public_key)
            now, ledger = self._slots.now(plan), self._ledger.entries
            check_plan(plan, self.policy, request.schedule, request.inputs, now)
            check_lineage(plan, request.manifests, self.policy.site, ledger)
            check_context(plan, self._load_base())
            if plan.stage is not Stage.LABEL:
                for base in (self._load_base(), *self._more_bases()):
                    rehearse(plan, base, request.inputs)
            entry = self._reserve(request, now)
        except Exception as error:
            return self._refused(error, plan), known
        try:
            if plan.stage is Stage.LABEL:
                return self._labelled(request, self._seal(LocalUpdate(plan.digest, {}), plan, entry)), True
            with self._tracking(
                plan, entry.attempt or 1
            ) as track:  # ends after RELEASE: a slow store is late,
                update = self._train(request, entry, track)  # and costs neither the round nor its charge
                self._slots.check_in_time(plan)
                return _ok(self._seal(update, plan, entry)), True
        except Exception as error:  # whatever it was: rows were read, so outside it is ABORTED and no more
            return self._stopped(error, plan), True

    def _unless_left(self, plan: RoundPlan, answer: bytes) -> bytes:
        """The answer, unless the hospital left while it was made: then nothing goes out any more."""
        try:
            check_not_left(self.home, self.public_key)
        except PlanRefused as error:
            return self._refused(error, plan)
        return answer

    def _stopped(self, error: Exception, plan: RoundPlan) -> bytes:
        """After RESERVE something failed: bytes that were sealed before it still leave, else ABORT for good.

        A ledger that takes no more entries must not keep the ward from answering: its open RESERVE is
        ended by the next process, which finds either the sealed bytes or a dead attempt.
        """
        with suppress(IntrawardError, OSError):  # outbox or ledger fails again: the first error is told
            kept = self._kept(plan)
            if kept is not None:
                return egress.reply("OK", kept)
        with suppress(IntrawardError, OSError):
            self._ledger.abort(plan.digest)
            self._sealed_path(plan).unlink(missing_ok=True)  # an aborted attempt's bytes never leave
        name = error.code if isinstance(error, IntrawardError) else type(error).__name__
        self._log({"time": plan.slot_time, "plan": plan.digest, "code": "ABORTED", "operator": name})
        return egress.reply("ABORTED")

    def _open(self, request: bytes) -> Request:
        opened = open_request(request, self.policy.coordinator.public_key)
        if opened.receipt:
            take_receipt(self.home, self.policy, self._ledger, opened.receipt)
        return opened

    def _sealed_path(self, plan: RoundPlan) -> Path:
        return self.home.outbox / f"{plan.digest}.sealed"

    def _kept(self, plan: RoundPlan) -> bytes | None:
        """Sealed bytes of an earlier execution; RELEASEs them first if a crash came in between."""
        path = self._sealed_path(plan)
        if not path.exists():
            return None
        sealed = path.read_bytes()
        self._ledger.ensure_released(plan.digest, sealed)
        return sealed

    def _reserve(self, request: Request, now: datetime) -> LedgerEntry:
        plan, terms = request.plan, self.policy.privacy
        budget = Budget(self._ledger, terms.lifetime_epsilon, terms.delta)
        self._ledger.abort_dead_attempt(plan.digest)
        if plan.mechanism is not None and request.schedule is not None and plan.schedule is not None:
            schedule = request.schedule[1]
            paid = self._ledger.has_schedule(schedule)
            new = () if paid else tuple(slot.mechanism for slot in schedule.slots)
            check_week(self._ledger.entries, new, terms.weekly_epsilon, terms.delta, now)
            budget.admit_schedule(schedule, plan.slot_time)
        new = self._ledger.pending_charges(plan)
        check_week(self._ledger.entries, new, terms.weekly_epsilon, terms.delta, now)
        budget.admit(plan)
        write_durably(self.home.plans / f"{plan.digest}.json", request.signed_plan)
        if plan.mechanism is not None:
            with closing(self._vault()) as vault:
                freeze(vault, plan.digest, plan.stage, self.policy.evaluation.holdout)
        return self._ledger.reserve(plan)

    def _seal(self, update: LocalUpdate, plan: RoundPlan, entry: LedgerEntry) -> bytes:
        sealed = egress.seal(update, plan, self.policy.site, (entry.sequence, entry.hash), self._key)
        write_durably(self._sealed_path(plan), sealed)
        self._ledger.ensure_released(plan.digest, sealed)
        notes = ["a gradient was not finite and counted as zero"] if update.flagged else []
        if update.left_out:
            notes.append(f"{update.left_out} public records were left out: longer than the plan's texts")
        event = {"time": plan.slot_time, "plan": plan.digest, "code": "OK", "bytes": len(sealed)}
        self._log(event | ({"operator": "; ".join(notes)} if notes else {}))
        return sealed

    def _train(self, request: Request, entry: LedgerEntry, track: Track) -> LocalUpdate:
        plan = request.plan
        if request.public is not None:
            table = public_table(plan.stage, request.public)
        else:
            with closing(self._vault()) as vault:
                table = frozen_table(vault, plan.digest, plan.stage)
        in_time = partial(self._slots.check_in_time, plan)
        base, more = self._load_base(), self._more_bases()
        inputs = TrainingInputs(
            plan, base, request.inputs, table, in_time, track, more, site=self.policy.site
        )
        return train(inputs, self._noise(plan, entry), self._report(plan))

    def _tracking(self, plan: RoundPlan, attempt: int) -> AbstractContextManager[Track]:
        """Curves of one attempt; they stay in the site's folder."""
        name = f"{plan.run_id}-{plan.round:04d}-{plan.stage.value}-{attempt}"
        event: dict[str, object] = {"time": plan.slot_time, "plan": plan.digest, "code": "OK"}
        return open_track(
            self.policy.tracking.store,
            self.home.curves / name,
            self._watch,
            lambda: self._log(event | {"operator": "curves could not be kept; the round goes on"}),
        )

    def _labelled(self, request: Request, sealed: bytes) -> bytes:
        """Prepare candidates, and answer what was sealed before: it cannot depend on how that went.

        Labelling costs nothing, so its answer must say nothing. What goes wrong is told to the operator,
        and what is left over is done when the plan comes again; a simulated site fails loudly instead.
        """
        try:
            self._label(request)
        except Exception as error:
            name = error.code if isinstance(error, IntrawardError) else type(error).__name__
            plan = request.plan
            self._log({"time": plan.slot_time, "plan": plan.digest, "code": "OK", "operator": name})
            if self.policy.simulation.allowed:
                return egress.reply("ABORTED")
        return _ok(sealed)

    def _label(self, request: Request) -> None:
        plan = request.plan
        with closing(self._vault()) as vault:
            generate_candidates(
                plan,
                self._load_base(),
                request.inputs["policy"],
                vault,
                self._noise_for_label(plan),
                self._report(plan),
            )
            if self._labeller is not None:
                self._labeller(vault)

    def _noise(self, plan: RoundPlan, entry: LedgerEntry) -> NoiseSource:
        if plan.seed is not None:
            return NoiseSource.seeded(plan.seed, self.policy.site, plan.digest, entry.attempt or 1)
        return NoiseSource.fresh(entry.hash, entry.attempt or 1)

    def _noise_for_label(self, plan: RoundPlan) -> NoiseSource:
        """Randomness of the candidates; the same at each retry in simulation, since nothing is charged."""
        if plan.seed is not None:
            return NoiseSource.seeded(plan.seed, self.policy.site, plan.digest, 1)
        return NoiseSource.fresh(plan.digest, 1)

    def _vault(self) -> Vault:
        return Vault.open(self.home.vault, self.home.vault_keys)

    def _load_base(self, device: str | None = None) -> BaseModel:
        """The base model on ``device``, by default the policy's first; loaded once."""
        terms = self.policy.model
        where = device or terms.device
        if where not in self._bases:
            self._bases[where] = load_base(terms.path, terms.sha256, where, terms.dtype)
        return self._bases[where]

    def _more_bases(self) -> tuple[BaseModel, ...]:
        """The base model on the policy's further devices, which share the passes of a round."""
        return tuple(map(self._load_base, self.policy.model.more_devices))

    def _report(self, plan: RoundPlan) -> Callable[[float], None]:
        name = f"{self.policy.site} {plan.stage.value} {plan.stage_round}"

        def step(share: float) -> None:
            self._slots.check_in_time(plan)
            if self._progress is not None:
                self._progress(name, share)

        return step

    def _refused(self, error: Exception, plan: RoundPlan | None) -> bytes:
        """Nothing was read: the code says which kind of refusal; its detail stays in the operator's log.

        An error from outside intraward's own tree is told by its type, because its text may quote a value.
        """
        own = isinstance(error, IntrawardError)
        code = error.code if isinstance(error, IntrawardError) else "ERROR"
        self._log(
            {
                "time": plan.slot_time if plan else "",
                "plan": plan.digest if plan else "",
                "code": code,
                "rule": error.rule if isinstance(error, PlanRefused) else "",
                "operator": str(error) if own else f"unexpected {type(error).__name__}",
            }
        )
        return egress.reply(code if code in egress.REPLY_CODES else "PLAN_REFUSED")

    def _log(self, event: dict[str, object]) -> None:
        """Tell the operator; a full disk must not keep the ward from answering the coordinator."""
        with suppress(OSError):
            self.home.note(event)


def _ok(sealed: bytes) -> bytes:
    return egress.reply("OK", sealed)


def site_status(home: SiteHome) -> dict[str, object]:
    """What ``status`` may say: configuration and ledger only, the same for a site without patients."""
    policy = load_policy(home.policy)
    log = home.log.read_text(encoding="utf-8").splitlines() if home.log.exists() else []
    last = json.loads(log[-1]) if log else {}
    return {"site": policy.site, "last_time": last.get("time", ""), "last_code": last.get("code", "")}
