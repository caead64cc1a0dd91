"""Release gates: rules in TOML over evaluation, privacy and attacks, and what they found. Pure.

A release passes when every gate does. The rules are fixed before the first round (``RoundPlan.gates`` names
their digest, and hospitals' ledgers name the plans), so a threshold cannot be lowered once results are known;
coordinator and auditor run this same code over the same figures. A figure that is missing, not finite or of
another kind fails its gate. Safety can veto: a gate with ``veto`` cannot be made optional, and is told first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, StringConstraints, model_validator

from intraward_shared.config import Strict, parse, toml_table
from intraward_shared.errors import ConfigError
from intraward_shared.protocol import Name

Source = Literal["evaluation", "privacy", "attacks"]
Status = Literal["passed", "failed", "missing", "not measured"]
FigurePath = Annotated[
    str, StringConstraints(pattern=r"^([A-Za-z0-9_-]{1,64}|\*)(\.([A-Za-z0-9_-]{1,64}|\*)){0,9}$")
]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9 _.,:-]{1,100}$")]
Found = float | bool | str
WORDS = {"at_least": "at least", "above": "above", "at_most": "at most", "below": "below"}
LOWEST_IS_WORST = ("at_least", "above")
MAX_GATES_BYTES = 200_000


class GateTerms(Strict):
    """One gate. ``figure`` is a dotted path in ``source``; one ``*`` in it stands for every site (or item).

    over: which of the values behind ``*`` counts, the worst or their mean.
    bound: the figure itself, or the low or high end of its 95 % interval.
    minus: another figure to take off first, so that a difference is asked for.
    optional: passes as "not measured" where the program has no such figure.
    """

    name: Name
    source: Source
    figure: FigurePath
    over: Literal["worst", "mean"] = "worst"
    bound: Literal["value", "low", "high"] = "value"
    minus: FigurePath | None = None
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    equals: bool | Word | None = None
    differs: bool | Word | None = None
    veto: bool = False
    optional: bool = False
    why: Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{0,400}$")] = ""

    @model_validator(mode="after")
    def _asks_one_thing(self) -> Self:
        asked = [key for key in (*WORDS, "equals", "differs") if getattr(self, key) is not None]
        if len(asked) != 1:
            raise ValueError(
                "a gate has one of at_least, above, at_most, below, equals, differs, and only one"
            )
        if asked[0] not in WORDS and (self.minus or self.bound != "value" or self.over != "worst"):
            raise ValueError("minus, bound and over are of gates that compare numbers")
        if self.minus is not None and self.bound != "value":
            raise ValueError("a difference of two figures has no interval: leave out bound or minus")
        if self.figure.split(".").count("*") > 1 or (self.minus is not None and "*" in self.minus.split(".")):
            raise ValueError("one * in figure at most, and none in minus")
        if self.veto and self.optional:
            raise ValueError("a veto cannot be optional: what was not measured is not safe")
        return self

    @property
    def comparison(self) -> tuple[str, Found]:
        """Which comparison is asked, and with what."""
        key = next(k for k in (*WORDS, "equals", "differs") if getattr(self, k) is not None)
        return key, getattr(self, key)

    @property
    def asked(self) -> str:
        """The gate in words."""
        key, bound = self.comparison
        what = f"{self.figure} minus {self.minus}" if self.minus else self.figure
        ends = {
            "value": "",
            "low": "low end of the 95 % interval of ",
            "high": "high end of the 95 % interval of ",
        }
        over = "mean of " if self.over == "mean" else ""
        said = f"{WORDS[key]} {bound:g}" if key in WORDS else f"{key} {_word(bound)}"
        return f"{over}{ends[self.bound]}{what} {said}"


class Gates(Strict):
    """A gates file."""

    gates: tuple[GateTerms, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if len({gate.name for gate in self.gates}) < len(self.gates):
            raise ValueError("two gates have the same name")
        return self


class GateResult(Strict):
    """What one gate found. ``item`` is the site (or what else ``*`` stood for) that ``measured`` is of."""

    name: Name
    status: Status
    veto: bool
    asked: str
    measured: float | bool | str | None
    item: str | None
    where: str

    @property
    def passed(self) -> bool:
        """Whether the gate lets a release through."""
        return self.status in ("passed", "not measured")

    @property
    def reason(self) -> str:
        """What was asked, what was measured, and where to look."""
        kind = "veto" if self.veto else "gate"
        of = f" ({self.item})" if self.item is not None else ""
        found = "no such figure" if self.measured is None else f"{_word(self.measured)}{of}"
        return f"{kind} {self.name}: asked {self.asked}; measured {found}; see {self.where}"


class _Value(NamedTuple):
    item: str | None
    found: Found | None


def read_gates(data: bytes, place: object) -> Gates:
    """A gates file, read strictly; ``place`` names it in errors.

    Raises:
        ConfigError: names the key.
    """
    if len(data) > MAX_GATES_BYTES:
        raise ConfigError(place, "", "too long for a gates file", remedy="ask for less")
    return parse(toml_table(data, place), Gates, str(place))


def judge_release(gates: Gates, figures: Mapping[str, Mapping[str, Any]]) -> tuple[GateResult, ...]:
    """Every gate's result, vetoes first, each kind in the order of the file."""
    ordered = sorted(gates.gates, key=lambda gate: not gate.veto)
    return tuple(_judge(gate, figures[gate.source]) for gate in ordered)


def _judge(gate: GateTerms, source: Mapping[str, Any]) -> GateResult:
    path = gate.figure if gate.bound == "value" else f"{gate.figure}_interval"
    value = _measure(gate, list(_values(gate, source)))
    if value.found is None:
        status: Status = "not measured" if gate.optional and not _present(gate, source) else "missing"
    else:
        status = "passed" if _holds(gate, value.found) else "failed"
    return GateResult(
        name=gate.name,
        status=status,
        veto=gate.veto,
        asked=gate.asked,
        measured=value.found,
        item=value.item,
        where=f"{gate.source}: {path}",
    )


def _values(gate: GateTerms, source: Mapping[str, Any]) -> Iterator[_Value]:
    """What stands at the gate's path, each site's by its name."""
    parts = gate.figure.split(".")
    if "*" not in parts:
        yield _Value(None, _figure(gate, source, parts))
        return
    at = parts.index("*")
    for key in _keys(_walk(source, parts[:at])):
        yield _Value(key, _figure(gate, source, [*parts[:at], key, *parts[at + 1 :]]))


def _figure(gate: GateTerms, source: Mapping[str, Any], parts: Sequence[str]) -> Found | None:
    key, bound = gate.comparison
    if key not in WORDS:
        found = _walk(source, parts)
        return found if type(found) is type(bound) else None
    if gate.bound != "value":
        interval = _walk(source, [*parts[:-1], f"{parts[-1]}_interval"])
        ends = interval if isinstance(interval, list) and len(interval) == 2 else [None, None]
        return _number(ends[0 if gate.bound == "low" else 1])
    value = _number(_walk(source, parts))
    if gate.minus is None or value is None:
        return value
    other = _number(_walk(source, gate.minus.split(".")))
    return None if other is None else value - other


def _measure(gate: GateTerms, values: Sequence[_Value]) -> _Value:
    """The value that counts; none where one of them is missing."""
    missing = next((value for value in values if value.found is None), None)
    if missing is not None or not values:
        return missing or _Value(None, None)
    key, _ = gate.comparison
    if key not in WORDS:
        return next((value for value in values if not _holds(gate, value.found)), values[0])
    numbers = [(float(value.found or 0.0), value.item) for value in values]
    if gate.over == "mean":
        return _Value(None, math.fsum(number for number, _ in numbers) / len(numbers))
    worst = (min if key in LOWEST_IS_WORST else max)(numbers, key=lambda pair: pair[0])
    return _Value(worst[1], worst[0])


def _holds(gate: GateTerms, found: Found | None) -> bool:
    key, bound = gate.comparison
    if found is None:
        return False
    if key in ("equals", "differs"):
        return (found == bound) == (key == "equals")
    ours, theirs = float(found), float(bound)
    return {
        "at_least": ours >= theirs,
        "above": ours > theirs,
        "at_most": ours <= theirs,
        "below": ours < theirs,
    }[key]


def _present(gate: GateTerms, source: Mapping[str, Any]) -> bool:
    """Whether the program has the figure at all; one that is there and no number is never "not measured"."""
    parts = gate.figure.split(".")
    stem = parts[: parts.index("*")] if "*" in parts else parts
    found = _walk(source, stem)
    return found is not None and found != {} and found != []


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for part in parts:
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _keys(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return sorted(map(str, value))
    return [str(index) for index in range(len(value))] if isinstance(value, list) else []


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _word(value: Found) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else f"{value:.4g}"
