"""Strict TOML: unknown keys, values of another type or range, and no number: refused with file and key.

Every configuration file of intraward (site policy, program, scenario) is read here, once, at start
(STYLE.md: config validated at start). Values never appear in the message, only where they stand. ``true``
is no number, and neither is ``"50"``: pydantic's strict mode for JSON, whose types TOML shares, says so, and
leaves the protocol's own reals in strings (``protocol.Real``) as they are.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from intraward_shared.brought import read_brought
from intraward_shared.errors import ConfigError


class Strict(BaseModel):
    """A frozen value that refuses unknown keys, NaN and infinity, and never quotes its input in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True)


Model = TypeVar("Model", bound=BaseModel)
MAX_TOML_BYTES = 10_000_000


def load_toml(path: Path | str, model: type[Model]) -> Model:
    """Read ``path`` and validate it as ``model``.

    Raises:
        ConfigError: the file is missing, is not TOML, or a key is unknown, missing or out of range.
    """
    path = Path(path)
    try:
        data = read_brought(path, MAX_TOML_BYTES)
    except FileNotFoundError:
        raise ConfigError(
            path, "", "no such file", remedy="check the path, or make one with the init command"
        ) from None
    except OSError:
        raise ConfigError(path, "", "cannot be read", remedy="check permissions") from None
    return parse(toml_table(data, path), model, path)


def toml_table(data: bytes, source: object) -> dict[str, Any]:
    """The table in a TOML file's bytes; ``source`` names it in errors.

    Raises:
        ConfigError: it is not UTF-8, not TOML, or nested deeper than anybody would write it.
    """
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(source, "", "cannot be read as UTF-8 text", remedy="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(source, "", f"not valid TOML: {error}", remedy="mend the line named") from None
    except RecursionError:
        raise ConfigError(source, "", "not valid TOML: nested too deeply", remedy="mend it") from None


def parse(raw: dict[str, Any], model: type[Model], source: Path | str) -> Model:
    """Validate an already read table; every problem is named by its dotted key, unknown keys first.

    Raises:
        ConfigError: a key is unknown, missing, of another type or out of range; ``key`` is the first one's.
    """
    try:
        return model.model_validate_json(json.dumps(raw, default=_plain), strict=True)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
    found = sorted(found, key=lambda item: item["type"] != "extra_forbidden")
    told = [(_key(item["loc"]), _sentence(item, model)) for item in found]
    key, first = told[0]
    others = "".join(f"; {name}: {sentence}" if name else f"; {sentence}" for name, sentence in told[1:])
    raise ConfigError(source, key, first + others, remedy=_remedy(found[0]["type"]))


def _plain(value: object) -> str:
    """Paths and names in a table that a program made; a date of TOML stays none of our types."""
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, Path):
        return str(value)
    return f"<{type(value).__name__}>"


def _key(location: Sequence[str | int]) -> str:
    return ".".join(str(part) for part in location)


def _sentence(item: Mapping[str, Any], model: type[BaseModel]) -> str:
    """What is wrong in words for people; never the value."""
    kind, context = item["type"], item.get("ctx", {})
    if kind == "extra_forbidden":
        near = get_close_matches(str(item["loc"][-1]), _names(model, item["loc"][:-1]), n=1)
        return "unknown key" + (f"; did you mean {near[0]}?" if near else "")
    if kind == "missing":
        return "is missing"
    if kind == "string_pattern_mismatch" and context.get("pattern") == "^[0-9a-f]{64}$":
        return "is not 64 lower-case hexadecimal digits"
    return str(item["msg"]).removeprefix("Value error, ")


def _names(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Keys of the table at a place within a model; none where it cannot be told."""
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        inner = _model_in(field.annotation) if field is not None else None
        if isinstance(part, str):
            if inner is None:
                return []
            model = inner
    return list(model.model_fields)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def _remedy(kind: str) -> str:
    if kind == "extra_forbidden":
        return "remove the key, or check its spelling"
    if kind == "missing":
        return "add the key"
    return "put a value that fits; the README of the package lists every key"
