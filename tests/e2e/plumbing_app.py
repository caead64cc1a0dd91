"""ServerApps that ask nodes who they are and have wards echo bytes; for two tests with processes."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from flwr.app import Context, Message
from flwr.serverapp import Grid, ServerApp

from intraward_server.program import ProgramEvent
from intraward_shared import wire
from intraward_shared.errors import RoundFailed
from intraward_simulation.federation import RecordingGrid
from intraward_simulation.watch import Watch

NODES = 3

app = ServerApp()
asking = ServerApp()
weighing = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Ask, echo, and write what came back; then fail, so that the test sees how failure is told."""
    config = context.run_config
    home, watch = Path(str(config["intraward-home"])), Watch(Path(str(config["intraward-watch"])))
    recorded = RecordingGrid(grid, Path(str(config["intraward-record"])))

    def work() -> None:
        nodes = wait_for_nodes(recorded, NODES)
        watch.report(ProgramEvent("nodes", rounds=len(nodes)))
        told = exchange(recorded, [wire.request(n, wire.QUERY, b"describe") for n in nodes])
        echoes = exchange(recorded, [wire.request(n, wire.TRAIN, bytes([7] * 1000)) for n in nodes])
        watch.report(ProgramEvent("echoes", rounds=len(echoes)))
        sites = sorted(json.loads(wire.read(m))["site"] for m in told)
        sizes = [len(wire.read(m)) for m in echoes]
        (home / "result.json").write_text(json.dumps({"sites": sites, "sizes": sizes}))
        raise RoundFailed("the plumbing app always fails", remedy="it is a test")

    watch.perform(work)


@asking.main()
def ask(grid: Grid, context: Context) -> None:
    """Ask the first node who it is, and write what it said."""
    told = exchange(grid, [wire.request(n, wire.QUERY, b"describe") for n in wait_for_nodes(grid, 1)])
    sites = [json.loads(wire.read(message))["site"] for message in told]
    Path(str(context.run_config["intraward-home"]), "sites.json").write_text(json.dumps(sites))


@weighing.main()
def weigh(grid: Grid, context: Context) -> None:
    """Have the first node's ward echo as many random bytes as a large update has, and write how many came."""
    size = int(context.run_config["intraward-bytes"])
    (node, *_) = wait_for_nodes(grid, 1)
    told = exchange(grid, [wire.request(node, wire.TRAIN, os.urandom(size))])
    sizes = [len(wire.read(message)) for message in told]
    Path(str(context.run_config["intraward-home"]), "weighed.json").write_text(json.dumps(sizes))


def wait_for_nodes(grid: Grid, count: int) -> list[int]:
    """Nodes, once there are enough of them."""
    while len(nodes := list(grid.get_node_ids())) < count:
        time.sleep(0.3)
    return nodes


def exchange(grid: Grid, messages: list[Message]) -> list[Message]:
    """Send and wait for every answer."""
    waiting, answers = set(grid.push_messages(messages)), []
    while waiting:
        for message in grid.pull_messages(sorted(waiting)):
            waiting.discard(message.metadata.reply_to_message_id)
            answers.append(message)
        time.sleep(0.2)
    return answers
