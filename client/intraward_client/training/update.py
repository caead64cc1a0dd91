"""LocalUpdate: what training hands to the gate. Its tensors are the noised difference, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field

from intraward_shared.adapters import State


@dataclass(frozen=True)
class LocalUpdate:
    """Tensors ``after - before`` of exactly the names that the plan's round trains (float32).

    Only ``egress.seal`` turns it into bytes that may leave. ``flagged``: some row's gradient was not
    finite and counted as zero. ``left_out``: public records longer than the plan's texts (patients' are
    never counted). Both are for the operator's log inside the ward, never sealed.
    """

    plan_digest: str
    tensors: State = field(repr=False)
    flagged: bool = field(default=False, repr=False)
    left_out: int = 0
