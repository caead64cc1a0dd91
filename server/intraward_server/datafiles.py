"""The data files that a program names relative to itself."""

from __future__ import annotations

from pathlib import Path

from intraward_shared.errors import ConfigError
from intraward_shared.program import ProgramConfig


def beside(program: Path, config: ProgramConfig, *, there: bool = True) -> list[str]:
    """Relative data files of a program, below its folder; with ``there`` all of them have to exist.

    Raises:
        ConfigError: one is missing, or outside the program's folder; names it.
    """
    terms = config.evaluation
    named = [stage.public for stage in config.stages]
    named += [terms.prompts, terms.preferences, terms.records, terms.closed, terms.calibration]
    named += terms.suites.files
    named.append(config.release.gates)
    files = sorted({name for name in named if name is not None and not Path(name).is_absolute()})
    for name in files:
        if ".." in Path(name).parts or (there and not (program.parent / name).is_file()):
            raise ConfigError(
                program.parent / name, "", "no such data file", remedy="put it beside the program"
            )
    return files
