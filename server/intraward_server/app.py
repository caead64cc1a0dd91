"""The Flower ServerApp: the coordinator's program on Flower's Grid.

The run configuration names only the coordinator's folder. Flower does not sign it, so no privacy term
may ever come from it (facts on Flower, section 3.3); everything else stands in ``program.toml``.
"""

from __future__ import annotations

import logging
from pathlib import Path

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from intraward_server.program import ProgramEvent, run

log = logging.getLogger("flwr")
app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run or continue the program of the folder named ``intraward-home``."""
    run(grid, Path(str(context.run_config["intraward-home"])), progress=_report)


def _report(event: ProgramEvent) -> None:
    where = f"{event.stage} round {event.round}/{event.rounds}" if event.stage else f"{event.rounds} rounds"
    sites = ", ".join(event.detail.get("sites", ()))
    log.info("intraward %s: %s%s", event.kind, where, f" ({sites})" if sites else "")
