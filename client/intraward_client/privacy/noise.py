"""The one source of randomness of a training attempt: a keyed stream that says nothing twice.

Keeps rule 6 of DESIGN.md and section 6 (noise). A key comes from fresh operating-system entropy,
bound by HKDF (RFC 5869) to the ledger entry and attempt that were charged for it; every draw is a
ChaCha20 keystream under its own sub-key, named by purpose, step and tensor, into which 32 more bytes
of entropy go at the moment of drawing. So a name can be drawn once only, a fork is refused, and a
process that is restored from a snapshot and draws the same name again gets other noise. Gaussians are
Box-Muller in fp64, the radius from 106 bits, the angle from 53: values reach 12.1 standard deviations
(24-bit uniforms lose 7e-5 of tail mass, 53-bit ones 1e-7 at noise multiplier 0.3; facts on DP training,
section 4). They are computed where the model is: only the keystream crosses to a GPU. There is no
producer thread that could die: a draw happens in the step that uses it or raises. Departs from Opacus,
whose default generator is a 32-bit Mersenne Twister that ``torch.manual_seed`` makes repeatable. A seed
exists for simulation only and says so.
"""

from __future__ import annotations

import hmac
import math
import os
from collections.abc import Sequence
from typing import NoReturn

import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from torch import Tensor

from intraward_shared.errors import ContractError, TrainingAborted
from intraward_shared.signing import canonical_json

KEY_BYTES = 32
_UNIT = 2.0**-53
_HIGH = 2**53 - 1


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

    def gaussian(
        self, step: int, name: str, shape: Sequence[int], device: torch.device | str = "cpu"
    ) -> Tensor:
        """Standard normal values in fp64 for one tensor at one step; each (step, name) once.

        Args:
            device: where to compute and leave them.

        Raises:
            TrainingAborted: drawn before, or by another process than the one that made the source.
        """
        count = math.prod(shape)
        words = self._words(["gaussian", step, name], 3 * ((count + 1) // 2))
        return box_muller(words.to(device))[:count].reshape(tuple(shape))

    def uniforms(self, purpose: str, step: int, name: str, count: int) -> Tensor:
        """Uniform values on [0, 1) in fp64 ``(count,)``; each (purpose, step, name) once.

        Raises:
            TrainingAborted: as ``gaussian``.
        """
        return _high_bits(self._words(["uniforms", purpose, step, name], count)).double() * _UNIT

    def subkey(self, purpose: str) -> bytes:
        """A key of 32 bytes for a pseudo-random function named by ``purpose``; each purpose once."""
        return self._derive(["subkey", purpose])

    def generator(self, purpose: str) -> torch.Generator:
        """A torch generator for draws that need no cryptographic strength; each purpose once."""
        seed = int.from_bytes(self._derive(["generator", purpose])[:8], "little") >> 1
        return torch.Generator().manual_seed(seed)

    def _words(self, label: list[str | int], count: int) -> Tensor:
        """``count`` pseudo-random 64-bit words, as int64, of the keystream named ``label``."""
        stream = Cipher(ChaCha20(self._derive(label), bytes(16)), mode=None).encryptor()
        words = bytearray(8 * count)
        stream.update_into(bytes(8 * count), words)
        return torch.frombuffer(words, dtype=torch.int64) if count else torch.zeros(0, dtype=torch.int64)

    def _derive(self, label: list[str | int]) -> bytes:
        """HKDF-Expand of one block under ``label``, which is thereby used up; with entropy of its own."""
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
        entropy = b"" if self._simulated else os.urandom(KEY_BYTES)
        return hmac.digest(self._key, entropy + info + b"\x01", "sha256")


def box_muller(words: Tensor) -> Tensor:
    """Standard normal values in fp64 from uniform 64-bit words, two values from each three words.

    The radius comes from u in (0, 1] with 106 bits, of which fp64 keeps the leading 53, so the tail is as
    fine as fp64 is; it is at most sqrt(212 ln 2) = 12.12.

    Args:
        words: int64 ``(3 n,)``; the result is ``(2 n,)``.
    """
    high, low, turn = (_high_bits(part).double() for part in words.chunk(3))
    radius = low.add_(1.0).mul_(_UNIT).add_(high).mul_(_UNIT).log_().mul_(-2.0).sqrt_()
    angle = turn.mul_(2.0 * math.pi * _UNIT)
    return torch.cat([radius * angle.cos(), radius * angle.sin()])


def _high_bits(words: Tensor) -> Tensor:
    """The upper 53 bits of each word, as integers in [0, 2^53)."""
    return (words >> 11) & _HIGH


def _extract(entropy: bytes, name: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=name).derive(entropy)
