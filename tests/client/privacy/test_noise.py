"""Noise: its distribution, that no value comes twice, and that nobody can repeat it."""

from __future__ import annotations

import copy
import math
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

import intraward_client.privacy.noise as noise_module
from intraward_client.privacy.noise import NoiseSource, box_muller
from intraward_shared.errors import ContractError, TrainingAborted


def seeded(seed: int = 1, attempt: int = 1) -> NoiseSource:
    return NoiseSource.seeded(seed, "north", "0" * 64, attempt)


def test_gaussian_moments() -> None:
    values = seeded().gaussian(0, "a", (1000, 1001)).numpy().ravel()
    assert values.dtype == np.float64
    bound = 5 / math.sqrt(values.size)  # five standard errors
    assert abs(values.mean()) < bound
    assert abs(values.std() - 1) < bound
    assert abs((values**3).mean()) < math.sqrt(15) * bound
    assert abs((values**4).mean() - 3) < math.sqrt(96) * bound


def test_gaussian_matches_the_normal_distribution() -> None:
    values = np.sort(seeded().gaussian(0, "a", (200_000,)).numpy())
    expected = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in values])
    distance = np.abs(np.arange(1, values.size + 1) / values.size - expected).max()
    assert distance < 1.95 / math.sqrt(values.size)  # Kolmogorov-Smirnov, p = 0.001


def test_the_two_halves_of_a_pair_are_not_correlated() -> None:
    values = seeded().gaussian(0, "a", (400_000,)).numpy()
    assert abs(np.corrcoef(values[:200_000], values[200_000:])[0, 1]) < 5 / math.sqrt(200_000)


def test_tail_reaches_beyond_eight_standard_deviations() -> None:
    words = torch.tensor([0, 0, 0])
    assert float(box_muller(words)[0]) == pytest.approx(math.sqrt(212 * math.log(2)))
    largest = torch.tensor([-1, -1, 0])  # all 64 bits set
    assert float(box_muller(largest)[0]) == 0.0
    smallest = torch.tensor([1 << 11, 0, 0])  # the lowest of the upper word's bits: 2^-53
    assert float(box_muller(smallest)[0]) == pytest.approx(math.sqrt(106 * math.log(2)))


def test_uniforms_lie_in_the_half_open_interval_and_are_flat() -> None:
    values = seeded().uniforms("rollout", 0, "a", 100_000).numpy()
    assert values.min() >= 0
    assert values.max() < 1
    counts = np.histogram(values, bins=20, range=(0, 1))[0]
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001


def test_each_name_is_drawn_once() -> None:
    source = seeded()
    source.gaussian(0, "a", (2,))
    source.gaussian(1, "a", (2,))
    source.gaussian(0, "b", (2,))
    with pytest.raises(TrainingAborted, match="drawn before"):
        source.gaussian(0, "a", (2,))
    source.generator("batches")
    with pytest.raises(TrainingAborted):
        source.generator("batches")
    source.subkey("sampling")
    with pytest.raises(TrainingAborted):
        source.subkey("sampling")


def test_names_steps_and_attempts_give_different_values() -> None:
    source = seeded()
    draws = [source.gaussian(0, "a", (8,)), source.gaussian(0, "b", (8,)), source.gaussian(1, "a", (8,))]
    draws += [seeded(attempt=2).gaussian(0, "a", (8,)), seeded(seed=2).gaussian(0, "a", (8,))]
    flat = torch.cat(draws).tolist()
    assert len(set(flat)) == len(flat)


def test_seeded_repeats_and_says_so() -> None:
    assert torch.equal(seeded().gaussian(0, "a", (5,)), seeded().gaussian(0, "a", (5,)))
    assert seeded().simulated


def test_fresh_never_repeats_whatever_the_global_seed() -> None:
    draws = []
    for _ in range(2):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            np.random.seed(0)
            source = NoiseSource.fresh("e" * 64, 1)
            assert not source.simulated
            draws.append(source.gaussian(0, "a", (4,)))
    assert not torch.equal(draws[0], draws[1])


def test_global_generators_are_left_alone() -> None:
    before = torch.random.get_rng_state()
    source = seeded()
    source.gaussian(0, "a", (4,))
    torch.rand(4, generator=source.generator("x"))
    assert torch.equal(before, torch.random.get_rng_state())


def test_noise_cannot_be_copied_or_printed() -> None:
    source = seeded()
    for attempt in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            attempt(source)
    assert repr(source) == "NoiseSource(...)"


def test_key_of_another_length_is_refused() -> None:
    with pytest.raises(ContractError):
        NoiseSource(b"short", simulated=True)


def test_a_fork_draws_nothing_and_the_parent_goes_on() -> None:
    """In a process of its own with one thread: a fork of pytest's might wait for another thread's lock."""
    code = (
        "import os, torch\n"
        "torch.set_num_threads(1)\n"
        "from intraward_client.privacy.noise import NoiseSource\n"
        "from intraward_shared.errors import TrainingAborted\n"
        "source = NoiseSource.seeded(1, 'north', '0' * 64, 1)\n"
        "before = source.gaussian(0, 'a', (8,))\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    try:\n"
        "        source.gaussian(0, 'a', (2,))\n"
        "        os._exit(1)\n"
        "    except TrainingAborted:\n"
        "        os._exit(42)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42\n"
        "after = source.gaussian(1, 'a', (8,))\n"
        "assert float(after.abs().min()) > 0 and not torch.equal(before, after)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_restored_snapshot_draws_other_noise() -> None:
    """Two processes that go on from the same memory, as after a virtual machine's snapshot, differ."""
    key = bytes(range(32))
    one, two = (NoiseSource(key, simulated=False) for _ in range(2))
    for step in range(3):
        first, second = (source.gaussian(step, "a", (64,)) for source in (one, two))
        assert not set(first.tolist()) & set(second.tolist())
    assert one.subkey("sampling") != two.subkey("sampling")


def test_a_failing_generator_stops_the_step_and_never_gives_zeros(monkeypatch: pytest.MonkeyPatch) -> None:
    """No entropy, no keystream, no noise: there is no queue that could run dry and no default to fall to."""
    for target, name in ((os, "urandom"), (noise_module, "ChaCha20")):
        source = NoiseSource.fresh("e" * 64, 1)
        with monkeypatch.context() as patch:

            def broken(*_: object) -> bytes:
                raise OSError("no entropy")

            patch.setattr(target, name, broken)
            with pytest.raises(OSError, match="no entropy"):
                source.gaussian(0, "a", (4,))
        with pytest.raises(TrainingAborted, match="drawn before"):
            source.gaussian(0, "a", (4,))  # the name is used up: it is not quietly drawn later


def test_a_step_draws_every_tensor_and_no_value_twice() -> None:
    source = NoiseSource.fresh("e" * 64, 1)
    values = torch.cat([source.gaussian(s, n, (500,)) for s in range(4) for n in "abc"])
    assert len(set(values.tolist())) == len(values) and int(torch.count_nonzero(values)) == len(values)
