"""The fault table: every fault at every phase, what has to come of it, or why the two do not meet.

``deploy/FAULTS.md`` is made from it (``page``), ``make faults`` runs every row. A cell is an outcome with the
code that the coordinator is told, or one sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tests.faults import content, hub, killed, messages, node, processes
from tests.faults.bench import Bench
from tests.faults.outcome import Outcome, Seen
from tests.faults.phases import Phase
from tests.faults.plant import Plant

Cell = Seen | str
OnSite = Callable[[Bench, Phase], Seen]
OnHub = Callable[[hub.Hub, Phase], Seen]
OnPlant = Callable[[Plant, Phase, int], Seen]


@dataclass(frozen=True)
class Fault:
    """A row of the table.

    ``on_site`` strikes a hospital in this process, ``on_hub`` a coordinator, ``on_plant`` real processes.
    """

    name: str
    what: str
    cells: Mapping[Phase, Cell]
    on_site: OnSite | None = None
    on_hub: OnHub | None = None
    on_plant: OnPlant | None = None

    @property
    def key(self) -> str:
        """Name for the command line: ``pytest -k KEY``."""
        strike = self.on_site or self.on_hub or self.on_plant
        assert strike is not None
        return strike.__name__


SAME = Seen(Outcome.SAME_BYTES, "OK")
AGAIN = Seen(Outcome.CLEAN_ABORT, "OK")
ABORTED = Seen(Outcome.CLEAN_ABORT, "ABORTED")


def refused(code: str) -> Seen:
    """A refusal."""
    return Seen(Outcome.REFUSED, code)


def five(*cells: Cell) -> dict[Phase, Cell]:
    """Cells in the order of the phases."""
    return dict(zip(Phase, cells, strict=True))


def inside(asked: Cell, trained: Cell, received: Cell) -> dict[Phase, Cell]:
    """Cells of a fault of contents."""
    nobody = "nobody makes a tensor here; a changed byte is a bit-flipped message"
    return five(asked, trained, nobody, nobody, received)


PROCESSES = (
    Fault(
        "SIGKILL of the ward",
        "before RESERVE nothing was charged; in training the attempt is aborted and a second one charged",
        five(AGAIN, AGAIN, SAME, SAME, SAME),
        on_site=killed.ward_killed,
    ),
    Fault(
        "SIGKILL of the gateway",
        "the ward goes on; started anew it gets in within a minute and carries what was sealed",
        five(*[SAME] * 5),
        on_plant=processes.gateway_killed,
    ),
    Fault(
        "two gateways with one node key",
        "Flower's own exit code; the round goes on with the first",
        five(*[refused("305")] * 5),
        on_plant=processes.two_gateways,
    ),
    Fault(
        "SIGKILL of the SuperLink",
        "the wards go on; superlink and `start --resume` are run again",
        five(*[SAME] * 5),
        on_plant=processes.superlink_killed,
    ),
    Fault(
        "SIGKILL of the ServerApp",
        "the wards go on; `start --resume` is run",
        five(*[SAME] * 5),
        on_plant=processes.serverapp_killed,
    ),
    Fault(
        "SIGKILL of ServerApp and SuperLink",
        "as before",
        five(*[SAME] * 5),
        on_plant=processes.both_killed,
    ),
    Fault(
        "SIGKILL of start",
        "the ServerApp goes on, until `start --resume` stops it and takes its place",
        five(*[SAME] * 5),
        on_plant=processes.start_killed,
    ),
    Fault(
        "partition",
        "the line from gateway to SuperLink is cut for some seconds, connections broken and refused",
        five(*[SAME] * 5),
        on_plant=processes.partition,
    ),
)
MACHINE = (
    Fault(
        "disk full",
        "every write below the site's folder fails (ENOSPC) until the disk is freed and the ward restarted",
        five(refused("LEDGER"), ABORTED, Seen(Outcome.SAME_BYTES, "ABORTED"), SAME, SAME),
        on_site=node.disk_full,
    ),
    Fault(
        "read-only disk",
        "as above with EROFS; a ward started on such a disk does not open",
        five(refused("LEDGER"), ABORTED, Seen(Outcome.SAME_BYTES, "ABORTED"), SAME, refused("LEDGER")),
        on_site=node.disk_read_only,
    ),
    Fault(
        "clock a day ahead",
        "of the hospital; what is trained too late is given up, what is sealed leaves",
        five(refused("PLAN_REFUSED"), ABORTED, SAME, SAME, SAME),
        on_site=node.clock_ahead,
    ),
    Fault(
        "clock a day behind",
        "of the hospital; the answer leaves a day late",
        five(refused("PLAN_REFUSED"), SAME, SAME, SAME, SAME),
        on_site=node.clock_behind,
    ),
    Fault(
        "site leaves mid-round",
        "its charge stays, and nothing goes out any more",
        five(*[refused("PLAN_REFUSED")] * 5),
        on_site=node.leaves,
    ),
    Fault(
        "two nodes with one key",
        "the folder is copied; one of the two is countersigned, the other is refused by that receipt",
        five(*[refused("LEDGER")] * 5),
        on_site=node.second_node,
    ),
)
COORDINATOR = (
    Fault(
        "disk full at the coordinator",
        "of its folder, while a hospital is at that phase; the program stops, and is resumed",
        five(*[SAME] * 5),
        on_hub=hub.hub_disk_full,
    ),
    Fault(
        "read-only disk at the coordinator",
        "as above with EROFS",
        five(*[SAME] * 5),
        on_hub=hub.hub_disk_read_only,
    ),
)
MESSAGES = (
    Fault(
        "duplicated message",
        "the request comes twice, and is paid once",
        five(*[SAME] * 5),
        on_site=messages.duplicated,
    ),
    Fault(
        "replayed message",
        "of the round before",
        five(SAME, SAME, SAME, SAME, refused("ADMISSION_4")),
        on_site=messages.replayed,
    ),
    Fault(
        "reordered messages",
        "of two rounds",
        five(SAME, SAME, SAME, SAME, refused("ADMISSION_4")),
        on_site=messages.reordered,
    ),
    Fault(
        "truncated message",
        "a third is missing",
        five(*[refused("CONTRACT")] * 5),
        on_site=messages.truncated,
    ),
    Fault(
        "bit-flipped message",
        "one bit is another",
        five(*[refused("SIGNATURE")] * 4, refused("ADMISSION_3")),
        on_site=messages.bit_flipped,
    ),
)
CONTENTS = (
    Fault(
        "wrong shape",
        "a row too many",
        inside(refused("CONTRACT"), ABORTED, refused("ADMISSION_9")),
        on_site=content.wrong_shape,
    ),
    Fault(
        "wrong dtype",
        "float64",
        inside(refused("CONTRACT"), ABORTED, refused("ADMISSION_9")),
        on_site=content.wrong_dtype,
    ),
    Fault(
        "wrong name",
        "a tensor that nobody allowed",
        inside(refused("CONTRACT"), ABORTED, refused("ADMISSION_9")),
        on_site=content.wrong_name,
    ),
    Fault(
        "NaN",
        "one number",
        inside(refused("CONTRACT"), ABORTED, refused("ADMISSION_10")),
        on_site=content.not_a_number,
    ),
    Fault(
        "Inf",
        "one number",
        inside(refused("CONTRACT"), ABORTED, refused("ADMISSION_10")),
        on_site=content.infinite,
    ),
    Fault(
        "1e30",
        "one number; as an input it is trained on, and rows whose gradient is not finite count as zero",
        inside(SAME, refused("ADMISSION_11"), refused("ADMISSION_11")),
        on_site=content.huge,
    ),
    Fault(
        "oversized header",
        "of 2^40 bytes, says the message",
        five(
            refused("CONTRACT"),
            "the ward's own header is of a fixed size",
            *["the ward's own header is of a fixed size; a changed byte is a bit-flipped message"] * 2,
            refused("ADMISSION_2"),
        ),
        on_site=content.oversized_header,
    ),
)
SECTIONS = {
    "Processes and the line": PROCESSES,
    "The hospital's machine": MACHINE,
    "The coordinator's machine": COORDINATOR,
    "Messages": MESSAGES,
    "What is inside": CONTENTS,
}
FAULTS = tuple(fault for section in SECTIONS.values() for fault in section)
COVERING = {
    ("ward_killed", Phase.TRAINING),
    ("disk_full", Phase.TRAINING),
    ("disk_full", Phase.SEALED),
    ("disk_read_only", Phase.BEFORE_RESERVE),
    ("clock_ahead", Phase.TRAINING),
    ("leaves", Phase.RELEASED),
    ("second_node", Phase.SEALED),
    ("duplicated", Phase.TRAINING),
    ("bit_flipped", Phase.UPLOADED),
    ("truncated", Phase.SEALED),
    ("replayed", Phase.UPLOADED),
    ("not_a_number", Phase.TRAINING),
    ("huge", Phase.UPLOADED),
    ("wrong_shape", Phase.TRAINING),
}
"""The cells of one hospital that ``make e2e`` runs; with real processes it runs ``test_resume``."""


def cells_on_site() -> list[tuple[Fault, Phase, Seen]]:
    """Every cell that strikes one hospital in this process."""
    return [
        (fault, phase, cell)
        for fault in FAULTS
        if fault.on_site is not None
        for phase, cell in fault.cells.items()
        if isinstance(cell, Seen)
    ]
