"""The Flower ServerApp of a simulation over processes: the coordinator's program, recorded.

The same ``program.run`` as everywhere; around it the Grid is recorded, so that the run can be searched
for identifiers, and ``Watch`` tells the waiting process how far it is and how it ended. What it is told
comes by the run configuration, which names folders of this machine and no privacy term (rule 3 of
DESIGN.md: a run configuration is not signed).
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from intraward_server import program
from intraward_simulation.federation import RecordingGrid
from intraward_simulation.values import ValuesName, gold_rule
from intraward_simulation.watch import Watch

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the program of the folder that the run configuration names."""
    config = context.run_config
    torch.set_num_threads(int(config["intraward-threads"]))
    watch = Watch(Path(str(config["intraward-watch"])))
    values = cast(list[ValuesName], str(config["intraward-gold"]).split())

    def work() -> None:
        program.run(
            RecordingGrid(grid, Path(str(config["intraward-record"]))),
            Path(str(config["intraward-home"])),
            gold=gold_rule(values) if values else None,
            progress=watch.report,
        )

    watch.perform(work)
