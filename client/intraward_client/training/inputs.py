"""What a round trains on: plan, base model, input adapters and the frozen training table.

Also loads the adapters into one model and switches between them. Rule 5 of DESIGN.md is checked at
this door: without a mechanism the table must be public, and a seeded noise source needs a simulated
plan (rule 6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from intraward_client.privacy.noise import NoiseSource
from intraward_client.store.datasets import (
    PairRecord,
    PromptRecord,
    RankingRecord,
    SftRecord,
    TrainingTable,
    narrowed,
)
from intraward_shared.adapters import State
from intraward_shared.errors import ContractError
from intraward_shared.generation import completion_ids, prompt_ids
from intraward_shared.modeling import AdaptedModel, BaseModel, Role, adapted
from intraward_shared.protocol import RoundPlan
from intraward_shared.stages import ON_POLICY, SCORE_HEAD, Stage, heads, trained_names

PUBLIC_UNIT = "public"
FILLERS: dict[Stage, SftRecord | PairRecord | PromptRecord] = {
    Stage.SFT: SftRecord(PUBLIC_UNIT, ".", "."),
    Stage.REWARD: PairRecord(PUBLIC_UNIT, ".", ".", "."),
    Stage.DPO: PairRecord(PUBLIC_UNIT, ".", ".", "."),
    Stage.PPO: PromptRecord(PUBLIC_UNIT, "filler", "."),
    Stage.RLOO: PromptRecord(PUBLIC_UNIT, "filler", "."),
}
"""What fills a private step's forward passes up to the plan's shape; adds nothing to any sum."""
ROW_TYPES: dict[Stage, type | tuple[type, ...]] = {
    Stage.SFT: SftRecord,
    Stage.REWARD: (PairRecord, RankingRecord),
    Stage.DPO: PairRecord,
    Stage.PPO: PromptRecord,
    Stage.RLOO: PromptRecord,
}
ROLES: dict[Stage, tuple[Role, ...]] = {
    Stage.SFT: ("policy",),
    Stage.REWARD: ("reward",),
    Stage.DPO: ("policy", "reference"),
    Stage.PPO: ("policy", "reference", "reward"),
    Stage.RLOO: ("policy", "reference", "reward"),
}


@dataclass(frozen=True)
class TrainingInputs:
    """Everything that a stage may depend on.

    Args:
        adapters: input adapters by role, as the plan's ``inputs`` name them.
        table: the stage's rows; every unit is a patient, or the table is public.
        site: whose round it is; it names the reward head that is this site's own, where each has one.
        in_time: called before every forward pass; raises when the plan's slot is over.
        track: told figures of a step by name, for curves that stay in the ward; nothing depends on it.
        more_bases: the same base model on further devices, which share the work of a step.
        copies: these inputs on each further device, with the model loaded there; ``train`` makes them.
    """

    plan: RoundPlan
    base: BaseModel = field(repr=False)
    adapters: Mapping[str, State] = field(repr=False)
    table: TrainingTable[Any] = field(repr=False)
    in_time: Callable[[], None] = field(default=lambda: None, repr=False)
    track: Callable[[int, Mapping[str, float]], None] = field(default=lambda *_: None, repr=False)
    more_bases: tuple[BaseModel, ...] = field(default=(), repr=False)
    copies: tuple[tuple[TrainingInputs, AdaptedModel], ...] = field(default=(), repr=False)
    site: str = ""

    @property
    def private(self) -> bool:
        """Whether the rows are patients', so that every step is clipped, noised and charged."""
        return self.plan.mechanism is not None

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the tensors that the round trains."""
        return trained_names(self.plan.stage, self.plan.part, tuple(self.adapters[self.plan.trained_input]))

    @cached_property
    def _tokens(self) -> dict[tuple[str, str], list[int]]:
        return {}

    def prompt_ids(self, prompt: str) -> list[int]:
        """Token ids of a prompt, at most the plan's length; each text is tokenised once a round."""
        found = self._tokens.get(("prompt", prompt))
        if found is None:
            found = prompt_ids(self.base, prompt, self.plan.training.max_prompt_tokens)
            self._tokens["prompt", prompt] = found
        return found

    def completion_ids(self, completion: str) -> list[int]:
        """Token ids of an answer with the end token, at most ``longest``; tokenised once a round."""
        found = self._tokens.get(("completion", completion))
        if found is None:
            found = completion_ids(self.base, completion, self.longest)
            self._tokens["completion", completion] = found
        return found

    @property
    def longest(self) -> int:
        """Most tokens of an answer with its end token: one more than the plan's, unless it is cut there."""
        spec = self.plan.training
        return spec.max_completion_tokens + (spec.overlong == "leave_out")

    @cached_property
    def fitting(self) -> TrainingTable[Any]:
        """The table without the records of which an answer would have to be cut, unless the plan has it cut.

        A patient's ranking of more answers than the plan's ``candidates`` is narrowed to its best and worst
        one. Both are functions of the record and of the plan, so no patient's row depends on another's.
        """
        rows = tuple(map(self._narrowed, self.table.rows)) if self.private else self.table.rows
        if self.plan.training.overlong == "leave_out":
            rows = tuple(row for row in rows if all(map(self._fits, _answers(row))))
        return self.table if rows == self.table.rows else TrainingTable(rows)

    def _narrowed(self, row: Any) -> Any:
        if not isinstance(row, RankingRecord) or len(row.answers) <= self.plan.training.candidates:
            return row
        return narrowed(row)

    @property
    def left_out(self) -> int:
        """How many public records are longer than the plan's texts; patients' are not counted."""
        return 0 if self.private else len(self.table.rows) - len(self.fitting.rows)

    def _fits(self, answer: str) -> bool:
        found = completion_ids(self.base, answer, self.longest + 1)
        if len(found) > self.longest:
            return False
        self._tokens["completion", answer] = found
        return True

    def check(self, noise: NoiseSource) -> None:
        """Refuse inputs that do not fit the stage, before any row is used.

        Raises:
            ContractError: a missing adapter or head, rows of another stage, private rows without a
                mechanism, or seeded noise under a plan that is not simulated.
        """
        stage = self.plan.stage
        if stage not in ROLES:
            raise ContractError(f"stage {stage.value} trains nothing")
        if missing := [role for role in ROLES[stage] if role not in self.adapters]:
            raise ContractError(f"stage {stage.value} needs the {missing[0]!r} adapter")
        if lacking := [name for name in heads(stage) if name not in self.trained]:
            raise ContractError(f"the adapter that stage {stage.value} trains lacks {lacking[0]!r}")
        if stage in ON_POLICY and not set(SCORE_HEAD) <= set(self.adapters["reward"]):
            raise ContractError("the reward adapter has no score head")
        if any(not isinstance(row, ROW_TYPES[stage]) for row in self.table.rows):
            raise ContractError(f"the table's rows are not those of stage {stage.value}")
        if not self.private and any(unit != PUBLIC_UNIT for unit in self.table.units):
            raise ContractError("rows of patients need a privacy mechanism in the plan")
        if self.private and self.plan.training.stops:
            raise ContractError("target_kl and max_ratio may not stop a round on patients' rows")
        if stage is Stage.REWARD and self.plan.lora.reward.per_site and self.site not in self.plan.cohort:
            raise ContractError("the plan has a reward head for each site, and none for this one")
        if noise.simulated and not self.plan.simulated:
            raise ContractError("a seeded noise source needs a simulated plan")
        if self.left_out and not self.fitting.rows:
            raise ContractError(
                "every public record has an answer longer than training.max_completion_tokens",
                remedy='ask for longer texts, or for training.overlong = "cut"',
            )

    def on_devices(self, model: AdaptedModel) -> tuple[tuple[TrainingInputs, AdaptedModel], ...]:
        """Inputs and model of each device, these and ``model`` first."""
        return ((self, model), *self.copies)

    @contextmanager
    def loaded(self) -> Iterator[tuple[TrainingInputs, AdaptedModel]]:
        """The model of the round on every device, its trained role active; unloaded at exit.

        Yields:
            these inputs with ``copies``, and the model on the first device.
        """
        plan = self.plan
        with ExitStack() as stack:
            ready = []
            for base in (self.base, *self.more_bases):
                model = stack.enter_context(adapted(base, plan.lora, ROLES[plan.stage]))
                own = self if base is self.base else replace(self, base=base, more_bases=())
                own.load(model)
                model.use(plan.trained_input)
                ready.append((own, model))
            yield replace(self, copies=tuple(ready[1:])), ready[0][1]

    def load(self, model: AdaptedModel) -> None:
        """Copy each role's LoRA tensors, and the heads that belong to the stage, into ``model``."""
        stage = self.plan.stage
        for role in ROLES[stage]:
            wanted = set(model.lora(role))
            if role == self.plan.trained_input:
                wanted |= set(heads(stage))
            elif role == "reward":
                wanted |= set(SCORE_HEAD)
            model.load(role, {name: array for name, array in self.adapters[role].items() if name in wanted})
        model.autocast = self.plan.training.bf16
        model.checkpointing = self.plan.training.checkpointing


def _answers(row: SftRecord | PairRecord | RankingRecord | PromptRecord) -> tuple[str, ...]:
    """Texts of a record that are trained on as answers."""
    if isinstance(row, SftRecord):
        return (row.completion,)
    if isinstance(row, PairRecord):
        return row.chosen, row.rejected
    return row.answers if isinstance(row, RankingRecord) else ()
