"""The one source of randomness of a training attempt: a keyed stream that says nothing twice.

Keeps rule 6 of DESIGN.md and section 6 (noise). A key comes from fresh operating-system entropy,
bound by HKDF (RFC 5869) to the ledger entry and attempt that were charged for it; every draw is a
ChaCha20 keystream under its own sub-key, named by purpose, step and tensor. So a name can be drawn
once only, and a fork, which would repeat the stream, is refused. Gaussians are Box-Muller in fp64
over 53-bit uniforms, which reach 8.57 standard deviations (24-bit ones lose 7e-5 of tail mass; facts
on DP training, section 4). Departs from Opacus, whose default generator is a 32-bit Mersenne Twister
that ``torch.manual_seed`` makes repeatable. A seed exists for simulation only and says so.
"""

from __future__ import annotations

import hmac
import math
import os
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from numpy.typing import NDArray
from torch import Tensor

from intraward_shared.errors import ContractError, TrainingAborted
from intraward_shared.signing import canonical_json

KEY_BYTES = 32
_UNIT = 2.0**-53


class NoiseSource:
    """Randomness of one attempt of one plan, in the process that made it; for one thread.

    ``fresh`` for every real site; ``seeded`` for simulation, marked by ``simulated``.
    """

    __slots__ = ("_key", "_pid", "_simulated", "_used")

    def __init__(self, key: bytes, *, simulated: bool) -> None:
        """Take a uniformly random key of 32 bytes; ``simulated`` if anyone could make it again.

        Raises:
            ContractError: the key has another length.
        """
        if len(key) != KEY_BYTES:
            raise ContractError("a noise key has 32 bytes")
        self._key, self._simulated, self._pid = key, simulated, os.getpid()
        self._used: set[bytes] = set()

    @classmethod
    def fresh(cls, ledger_entry: str, attempt: int) -> NoiseSource:
        """A source that nobody can repeat, bound to the RESERVE entry's hash and the attempt."""
        name = canonical_json(["intraward/noise/v1", ledger_entry, attempt])
        return cls(_extract(os.urandom(KEY_BYTES), name), simulated=False)

    @classmethod
    def seeded(cls, seed: int, site: str, plan_digest: str, attempt: int) -> NoiseSource:
        """The repeatable source of a simulated site: not private, and marked so."""
        name = canonical_json(["intraward/simulated-noise/v1", site, plan_digest, attempt])
        return cls(_extract(str(seed).encode(), name), simulated=True)

    @property
    def simulated(self) -> bool:
        """Whether a seed made this source; then nothing drawn from it protects anyone."""
        return self._simulated

    def __repr__(self) -> str:
        return "NoiseSource(...)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a noise source cannot be copied or pickled: its stream would repeat")

    def gaussian(self, step: int, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal values in fp64 for one tensor at one step; each (step, name) once.

        Raises:
            TrainingAborted: drawn before, or by another process than the one that made the source.
        """
        count = math.prod(shape)
        words = self._words(["gaussian", step, name], 2 * ((count + 1) // 2))
        return torch.from_numpy(box_muller(words)[:count].reshape(tuple(shape)))

    def uniforms(self, purpose: str, step: int, name: str, count: int) -> Tensor:
        """Uniform values on [0, 1) in fp64 ``(count,)``; each (purpose, step, name) once.

        Raises:
            TrainingAborted: as ``gaussian``.
        """
        words = self._words(["uniforms", purpose, step, name], count)
        return torch.from_numpy((words >> np.uint64(11)).astype(np.float64) * _UNIT)

    def subkey(self, purpose: str) -> bytes:
        """A key of 32 bytes for a pseudo-random function named by ``purpose``; each purpose once."""
        return self._derive(["subkey", purpose])

    def generator(self, purpose: str) -> torch.Generator:
        """A torch generator for draws that need no cryptographic strength; each purpose once."""
        seed = int.from_bytes(self._derive(["generator", purpose])[:8], "little") >> 1
        return torch.Generator().manual_seed(seed)

    def _words(self, label: list[str | int], count: int) -> NDArray[np.uint64]:
        """``count`` pseudo-random 64-bit words of the keystream named ``label``."""
        stream = Cipher(ChaCha20(self._derive(label), bytes(16)), mode=None).encryptor()
        return np.frombuffer(stream.update(bytes(8 * count)), dtype="<u8").astype(np.uint64, copy=False)

    def _derive(self, label: list[str | int]) -> bytes:
        """HKDF-Expand of one block under ``label``, which is thereby used up."""
        if os.getpid() != self._pid:
            raise TrainingAborted(
                "the noise source was made by another process",
                remedy="make the source in the process that trains; nothing was drawn",
            )
        info = canonical_json(label)
        if info in self._used:
            raise TrainingAborted(
                "noise of this name was drawn before", remedy="start a new attempt; noise is never reused"
            )
        self._used.add(info)
        return hmac.digest(self._key, info + b"\x01", "sha256")


def box_muller(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Standard normal values from an even number of uniform 64-bit words, two from each pair.

    The radius comes from u in (0, 1] with 53 bits, so it is at most sqrt(106 ln 2) = 8.57.
    """
    first, second = np.split(words >> np.uint64(11), 2)
    radius = np.sqrt(-2.0 * np.log((first.astype(np.float64) + 1.0) * _UNIT))
    angle = second.astype(np.float64) * (2.0 * np.pi * _UNIT)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])


def _extract(entropy: bytes, name: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=name).derive(entropy)
