"""One aggregation in a process of its own, for ``test_aggregation``: FOLDER of encoded updates, and whose.

Prints seconds and the peak of memory above what the process held before, in megabytes. Both sides start from
bytes on disk, as replies do: ours takes one update after the other, Flower's strategies hold all of them.
"""

from __future__ import annotations

import json
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.strategy.strategy_utils import aggregate_arrayrecords

from intraward_server.aggregation import StreamingMean
from intraward_shared.adapters import decode


def ours(paths: list[Path]) -> Any:
    """Our mean: decoded, added, dropped."""
    mean = StreamingMean()
    for path in paths:
        mean.add(decode(path.read_bytes()))
    return mean.value()


def flower(paths: list[Path]) -> Any:
    """Flower's: every reply's records, then their weighted sum."""
    records = []
    for path in paths:
        arrays = ArrayRecord({name: Array(array) for name, array in decode(path.read_bytes()).items()})
        records.append(RecordDict({"arrays": arrays, "metrics": MetricRecord({"num-examples": 1.0})}))
    return aggregate_arrayrecords(records, "num-examples")


def resident(what: str) -> float:
    """Megabytes of this process: VmHWM, its peak since it was last cleared, or VmRSS, now."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{what}:")).split()[1]) / 1024


def main(folder: Path, whose: str, count: int) -> dict[str, float]:
    """Aggregate ``count`` updates of the folder."""
    paths = sorted(folder.glob("*.safetensors"))[:count]
    aggregate_arrayrecords(  # whatever the libraries load at their first call
        [RecordDict({"a": ArrayRecord({"x": Array(np.zeros(1))}), "m": MetricRecord({"n": 1.0})})], "n"
    )
    np.save(BytesIO(), np.zeros(1))
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins here: imports took more for a moment
    before, start = resident("VmRSS"), time.perf_counter()
    made = ours(paths) if whose == "ours" else flower(paths)
    seconds = time.perf_counter() - start
    assert len(made) > 0
    return {"seconds": seconds, "megabytes": resident("VmHWM") - before}


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
