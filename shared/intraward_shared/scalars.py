"""Scalar types of everything that is signed: reals that travel as strings, and names.

A signed value must have one spelling (``canonical_json`` refuses floats), so a real number is written as its
shortest decimal string. Kept apart from ``protocol`` so that the parts of a plan can be modules of their own.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, StringConstraints


def unused(value: object) -> bool:
    """Whether an optional field is left out of its canonical form, so that older bytes stay as they were."""
    return value is None


def _read_real(value: Any) -> Any:
    if isinstance(value, str):
        number = float(value)
        if repr(number) != value:
            raise ValueError("a real number is written as its shortest decimal string")
        return number
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


Real = Annotated[float, BeforeValidator(_read_real), PlainSerializer(repr, return_type=str)]
"""A finite float that travels as its shortest decimal string."""

Version = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.+-]{1,64}$")]
"""Version of an installed package, as ``importlib.metadata`` tells it."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
