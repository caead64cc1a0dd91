"""Calls that the product never makes (DESIGN.md rules 6 and 9).

Nowhere: pickle and its kin, ``torch.load``, ``eval``, ``exec``, ``yaml.load``, ``trust_remote_code``,
``allow_pickle``. In the hospital and the contract, also no generator that everyone shares: noise and
sampling draw from an explicit one, or a library call could quietly repeat them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest
from tests.boundary.sources import Source, calls, imports, source, sources, within

PICKLES = ("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal")
NEVER = ("eval", "exec", "torch.load", "yaml.load", "yaml.unsafe_load", "yaml.full_load", "builtins.eval")
MUST_BE_FALSE = ("trust_remote_code", "allow_pickle")
UNSEEDED_PACKAGES = ("intraward_client", "intraward_shared")
NUMPY_ALLOWED = ("Generator", "default_rng", "SeedSequence", "PCG64", "PCG64DXSM", "Philox", "SFC64")
PYTHON_ALLOWED = ("SystemRandom",)
TORCH_SEEDS = (
    "torch.manual_seed",
    "torch.seed",
    "torch.random.manual_seed",
    "torch.random.seed",
    "torch.set_rng_state",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "transformers.set_seed",
)
TORCH_DRAWS = ("rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "normal", "poisson")


def slips(module: Source) -> list[str]:
    """Forbidden calls and imports of one module, as ``module:line what``."""
    found = [(line, name) for line, name in imports(module) if name.split(".")[0] in PICKLES]
    for call, name in calls(module):
        found += [(call.lineno, what) for what in _never(call, name)]
        if module.name.split(".")[0] in UNSEEDED_PACKAGES:
            found += [(call.lineno, what) for what in _shared_generator(call, name)]
    return sorted({f"{module.name}:{line} {what}" for line, what in found})


def _never(call: ast.Call, name: str) -> Iterator[str]:
    if name in NEVER:
        yield name
    for keyword in call.keywords:
        is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
        if keyword.arg in MUST_BE_FALSE and not is_false:
            yield keyword.arg


def _shared_generator(call: ast.Call, name: str) -> Iterator[str]:
    last = name.rsplit(".", 1)[-1]
    if within(name, "numpy.random") and last not in NUMPY_ALLOWED:
        yield name
    if within(name, "random") and name != "random" and last not in PYTHON_ALLOWED:
        yield name
    if name in TORCH_SEEDS:
        yield name
    explicit = any(keyword.arg == "generator" for keyword in call.keywords)
    if name in {f"torch.{draw}" for draw in TORCH_DRAWS} and not explicit:
        yield f"{name} without a generator"


def test_no_forbidden_call() -> None:
    assert [slip for module in sources() for slip in slips(module)] == []


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "def f():\n    from pickle import loads",
        "import torch\ntorch.load('x')",
        "from torch import load as read\nread('x')",
        "eval('1')",
        "import yaml\nyaml.load('x')",
        "f(trust_remote_code=True)",
        "f(trust_remote_code=flag)",
        "import numpy\nnumpy.load('x', allow_pickle=True)",
        "import torch\ntorch.manual_seed(1)",
        "import torch as t\nt.random.manual_seed(1)",
        "import torch\ntorch.randn(3)",
        "import torch\ntorch.multinomial(p, 1)",
        "import numpy as np\nnp.random.seed(1)",
        "import numpy.random as npr\nnpr.normal()",
        "from numpy import random\nrandom.rand(2)",
        "import random\nrandom.choice(x)",
        "from random import shuffle\nshuffle(x)",
    ],
)
def test_a_planted_slip_is_found(text: str) -> None:
    assert slips(source(text, "intraward_client.planted")) != []


@pytest.mark.parametrize(
    "text",
    [
        "model.eval()",
        "import torch\ntorch.randn(3, generator=g)",
        "import torch\ntorch.Generator().manual_seed(seed)",
        "import numpy as np\nnp.random.default_rng(7)",
        "import random\nrandom.SystemRandom()",
        "f(trust_remote_code=False)",
        "from safetensors.numpy import load\nload(data)",
    ],
)
def test_what_is_allowed_passes(text: str) -> None:
    assert slips(source(text, "intraward_client.planted")) == []


def test_seeds_are_for_simulation_alone() -> None:
    text = "import numpy as np\nnp.random.seed(1)"
    assert slips(source(text, "intraward_simulation.planted")) == []
