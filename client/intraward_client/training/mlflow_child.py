"""What touches MLflow: a process of its own, without keys or vault, that can open no connection.

``python -m intraward_client.training.mlflow_child`` reads one JSON order from standard input and does it
on a SQLite file of the ward (MLflow's file store refuses to open since 3.7). MLflow asks its makers'
server for settings as soon as it is imported, and brings clients of several services; so this process
refuses itself every socket and every further process by an audit hook, which Python cannot take off
again, before MLflow is imported (rules 1 and 4 of DESIGN.md). It says nothing but figures, on standard
output, when they are asked for. Departs from every other module: it changes its own process, which is why
only ``mlflow_store`` starts it and nobody imports it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any

EXPERIMENT = "intraward"
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.spawn")
_MOST_METRICS = 1000
"""MLflow's own limit of one call."""


def shut_in() -> None:
    """Refuse this process every socket and every child for good; what it writes is its user's alone."""

    def refuse(event: str, _: object) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError(event)

    sys.addaudithook(refuse)
    os.umask(0o077)


def obey(order: Mapping[str, Any]) -> dict[str, Any]:
    """Do one order: ``prepare`` the file, ``write`` one run's figures, or ``read`` the newest ``last`` runs.

    Raises:
        Exception: whatever MLflow raises; the caller is told by the exit code alone.
    """
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{order['file']}")
    known = client.get_experiment_by_name(EXPERIMENT)
    experiment = known.experiment_id if known else client.create_experiment(EXPERIMENT, order["artifacts"])
    if order["act"] == "write":
        _write(client, experiment, order)
    return {"runs": _read(client, experiment, order["last"])} if order["act"] == "read" else {}


def _write(client: Any, experiment: str, order: Mapping[str, Any]) -> None:
    from mlflow.entities import Metric

    run = client.create_run(experiment, start_time=order["time"], run_name=order["run"])
    metrics = [
        Metric(name, value, order["time"], step)
        for step, figures in order["figures"]
        for name, value in figures.items()
    ]
    for start in range(0, len(metrics), _MOST_METRICS):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + _MOST_METRICS])
    client.set_terminated(run.info.run_id)


def _read(client: Any, experiment: str, last: int) -> list[dict[str, Any]]:
    order = ["attributes.start_time DESC", "attributes.run_name DESC"]
    runs = client.search_runs([experiment], max_results=last, order_by=order)
    return [
        {
            "run": run.info.run_name,
            "time": run.info.start_time,
            "figures": {name: _history(client, run.info.run_id, name) for name in sorted(run.data.metrics)},
        }
        for run in runs
    ]


def _history(client: Any, run: str, name: str) -> list[float]:
    found = sorted(client.get_metric_history(run, name), key=lambda metric: metric.step)
    return [float(metric.value) for metric in found]


def main() -> int:
    """Entry point; whatever goes wrong is an exit code, because its text may quote a figure."""
    shut_in()
    try:
        sys.stdout.write(json.dumps(obey(json.load(sys.stdin))))
    except Exception:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
