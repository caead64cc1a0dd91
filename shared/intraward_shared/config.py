"""Strict TOML: unknown keys, values that do not fit and non-finite numbers are refused with file and key.

Every configuration file of intraward (site policy, program, scenario) is read here, once, at start
(STYLE.md: config validated at start). Values never appear in the message, only where they stand.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from intraward_shared.errors import ConfigError


class Strict(BaseModel):
    """A frozen value that refuses unknown keys, NaN and infinity, and never quotes its input in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path | str, model: type[Model]) -> Model:
    """Read ``path`` and validate it as ``model``.

    Raises:
        ConfigError: the file is missing, is not TOML, or a key is unknown, missing or out of range.
    """
    path = Path(path)
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            path, "", "no such file", remedy="check the path, or make one with the init command"
        ) from None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            path, "", "cannot be read as UTF-8 text", remedy="check permissions and encoding"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(path, "", f"not valid TOML: {error}", remedy="mend the line named") from None
    return parse(raw, model, path)


def parse(raw: dict[str, Any], model: type[Model], source: Path | str) -> Model:
    """Validate an already read table; the first problem is named by its dotted key."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(source, key, first["msg"], remedy=_remedy(first["type"])) from None


def _remedy(kind: str) -> str:
    if kind == "extra_forbidden":
        return "remove the key, or check its spelling"
    if kind == "missing":
        return "add the key"
    return "correct the value"
