"""NVIDIA FLARE's simulator on clients that train nothing, for ``test_round_overhead``; runs where FLARE is.

``python flare_rounds.py CLIENTS ROUNDS BYTES FOLDER`` prints one JSON line: seconds of the whole and the
moments of the clients' work. Its own FedAvg, the model one fp32 array of BYTES, clients in threads.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

CLIENT = """
import sys, time
import numpy as np
import nvflare.client as flare
flare.init()
while flare.is_running():
    model = flare.receive()
    if model is None:
        break
    with open(sys.argv[1], "a") as file:
        file.write(f"{time.time()}\\n")
    params = {name: np.asarray(value) + 1 for name, value in model.params.items()}
    flare.send(flare.FLModel(params=params, metrics={"accuracy": 0.0}))
"""


def main(clients: int, rounds: int, size: int, folder: Path) -> None:
    """Run, and tell when clients were at work."""
    recipes, environments = import_module("nvflare.app_common.np.recipes"), import_module("nvflare.recipe")

    script, moments = folder / "client.py", folder / "moments"
    script.write_text(CLIENT)
    model = np.zeros(size // 4, dtype=np.float32)
    recipe = recipes.NumpyFedAvgRecipe(
        name="idle",
        model=model,
        min_clients=clients,
        num_rounds=rounds,
        train_script=str(script),
        train_args=str(moments),
    )
    begun, clock = time.time(), time.perf_counter()
    place = {"num_clients": clients, "num_threads": clients, "workspace_root": str(folder / "sim")}
    recipe.execute(environments.SimEnv(**place)).get_result()
    told = sorted(float(line) for line in moments.read_text().split())
    print(json.dumps({"seconds": time.perf_counter() - clock, "begun": begun, "moments": told}))


if __name__ == "__main__":
    clients, rounds, size = (int(word) for word in sys.argv[1:4])
    main(clients, rounds, size, Path(sys.argv[4]))
