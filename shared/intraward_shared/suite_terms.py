"""Which evaluation suites the coordinator runs at the end of a program, on which files, and how far.

A suite measures answers of policies to public prompts by rules, never by a model's opinion. ``refusals``,
``bias`` and ``faithfulness`` need a file; ``red-team`` and ``phi`` have prompts of their own; ``closed``,
``perplexity`` and ``win-rate`` read the files that ``[evaluation]`` names already.
"""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from intraward_shared.config import Strict
from intraward_shared.scalars import Real

SuiteName = Literal["refusals", "red-team", "bias", "phi", "closed", "perplexity", "win-rate", "faithfulness"]
SUITES: tuple[SuiteName, ...] = get_args(SuiteName)
OWN_FILES: dict[SuiteName, str] = {
    "refusals": "refusals",
    "red-team": "red_team",
    "bias": "bias",
    "phi": "phi",
    "faithfulness": "faithfulness",
}
"""Suite, and the key of ``[evaluation.suites]`` that names its file."""
WITH_OWN_PROMPTS: tuple[SuiteName, ...] = ("red-team", "phi")


class SuiteTerms(Strict):
    """``run`` is done at the program's end; files are JSONL beside it, but for ``red_team`` (TOML).

    refusals: ``{"prompt"}`` of harmful requests, ``"category"`` where known; bias: ``{"vignette", "prompt",
    "attributes"}``; phi: ``{"prompt"}``; planted: one value a line that no answer may hold; faithfulness:
    ``{"prompt"}`` with the source text in it. ``limit``: most rows of a file; ``samples``: answers a prompt
    of phi; lengths in tokens.
    """

    run: tuple[SuiteName, ...] = ()
    refusals: str | None = Field(default=None, min_length=1)
    red_team: str | None = Field(default=None, min_length=1)
    bias: str | None = Field(default=None, min_length=1)
    phi: str | None = Field(default=None, min_length=1)
    planted: str | None = Field(default=None, min_length=1)
    faithfulness: str | None = Field(default=None, min_length=1)
    limit: int = Field(default=200, ge=1, le=100_000)
    samples: int = Field(default=4, ge=1, le=1000)
    max_prompt_tokens: int = Field(default=512, ge=1, le=32_768)
    max_completion_tokens: int = Field(default=96, ge=1, le=32_768)
    temperature: Real = Field(default=1.0, ge=0, le=10)
    batch: int = Field(default=32, ge=1, le=65_536)

    @model_validator(mode="after")
    def _has_files(self) -> Self:
        if len(set(self.run)) < len(self.run):
            raise ValueError("evaluation.suites.run names a suite twice")
        for suite in self.run:
            key = OWN_FILES.get(suite)
            if key is not None and suite not in WITH_OWN_PROMPTS and getattr(self, key) is None:
                raise ValueError(f'suite "{suite}" has no prompts of its own: name a file, {key} = "..."')
        return self

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is named."""
        named = (*(getattr(self, key) for key in OWN_FILES.values()), self.planted)
        return tuple(name for name in named if name is not None)
