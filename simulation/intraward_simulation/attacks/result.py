"""From measured figures to the result that is printed and written: one JSON object, free of dates.

The same seeds, settings and library versions on the same kind of machine give the same file; the auditor's
package owns its form and its gates (``intraward_shared.attack_results``).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import intraward_client
from intraward_shared.attack_results import Attack, AttackClaim, AttackFigure, AttackResult, Privacy, judge
from intraward_shared.config import Strict
from intraward_shared.errors import ConfigError
from intraward_shared.source_code import code_digest

Values = Mapping[str, float]
Tell = Callable[[float], None]
"""Told the share done."""
LIBRARIES = ("dp-accounting", "numpy", "opacus", "peft", "torch", "transformers")


def part_of(tell: Tell, index: int, parts: int) -> Tell:
    """What tells the share done of part ``index`` out of ``parts`` equal ones."""
    return lambda share: tell((index + share) / parts)


def figures(privacy: Privacy, epsilon: float, seed: int, values: Values) -> list[AttackFigure]:
    """One figure for each named value."""
    return [
        AttackFigure(name=name, privacy=privacy, epsilon=epsilon, seed=seed, value=value)
        for name, value in values.items()
    ]


def conclude(
    attack: Attack,
    measured: Sequence[AttackFigure],
    claims: Sequence[AttackClaim],
    settings: Mapping[str, int | float | str],
) -> AttackResult:
    """Hold the figures against the attack's gates."""
    gates = judge(attack, measured)
    return AttackResult(
        attack=attack,
        code_version=version("intraward"),
        client_code=client_code(),
        seeds=tuple(dict.fromkeys(figure.seed for figure in measured)),
        settings=dict(settings) | {f"version_{name}": version(name) for name in LIBRARIES},
        claims=tuple(claims),
        figures=tuple(measured),
        gates=gates,
        passed=all(gate.passed for gate in gates),
    )


def client_code() -> str:
    """SHA-256 over names and contents of the attacked package's source files."""
    return code_digest(Path(intraward_client.__file__).parent)


def write_result(path: Path, result: Strict) -> None:
    """Write the result whole or not at all.

    Raises:
        ConfigError: the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        text = json.dumps(result.model_dump(mode="json"), indent=2, sort_keys=True) + "\n"
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError:
        raise ConfigError(path, "", "the result cannot be written", remedy="check folder and disk") from None
    finally:
        draft.unlink(missing_ok=True)
