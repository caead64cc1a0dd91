"""``deploy/FAULTS.md`` from the table; ``make faults`` writes it when all rows held."""

from __future__ import annotations

from tests.faults.outcome import Outcome, Seen
from tests.faults.phases import Phase
from tests.faults.plant import ROOT
from tests.faults.table import SECTIONS, Cell

PAGE = ROOT / "deploy" / "FAULTS.md"
HEAD = """# Faults

What comes of a fault at each phase of a round. Made from the table of `tests/faults/table.py` by `make
faults`, which runs the rows with real parts; do not edit it.
Every row ends in one of three ways:

- **same**: the very bytes that were sealed come again, for one charge;
- **abort**: the attempt is given up in the ledger and its charge stays (nothing, where nothing was charged
  yet); the plan may be tried again only if its process died or its ledger took no more entries, with fresh
  noise and a new charge;
- **refused**: the code that the coordinator is told; a number after ADMISSION is the coordinator's own check.

In every row the judgments in the vault are compared before and after (none lost), and the ledger's
charges counted (none twice). The phases are those of rule 4: *before reserve* nothing is charged; *in
training* the charge is on disk and rows are read; *after reserve, before release* the sealed bytes are on
disk; *before upload* they are RELEASEd and wait for their slot; *after upload* the coordinator has them,
or is asked to take them again.

Beside the table, `make faults` kills a light process at every write, flush and rename of a ledger's life
(more than {crashes} crashes), fills a small real disk, and sends 1,000 hostile plans to a real ward.
"""
SHORT = {Outcome.SAME_BYTES: "same", Outcome.CLEAN_ABORT: "abort", Outcome.REFUSED: "refused"}
LEAST_CRASHES = 300


def render() -> str:
    """The page."""
    lines = [HEAD.format(crashes=LEAST_CRASHES)]
    for title, faults in SECTIONS.items():
        lines += [f"## {title}", "", "| fault | " + " | ".join(Phase) + " |", "|---" * (len(Phase) + 1) + "|"]
        notes: dict[str, int] = {}
        for fault in faults:
            cells = [_cell(fault.cells[phase], notes) for phase in Phase]
            lines.append(f"| **{fault.name}**: {fault.what} | " + " | ".join(cells) + " |")
        lines += ["", *(f"({number}) Not a case: {reason}." for reason, number in notes.items())]
        lines += [""] if notes else []
    return "\n".join(lines).rstrip() + "\n"


def _cell(cell: Cell, notes: dict[str, int]) -> str:
    if isinstance(cell, Seen):
        return f"{SHORT[cell.outcome]}, {cell.code}"
    return f"({notes.setdefault(cell, len(notes) + 1)})"


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")
