"""A renderer of the few template words that our chart uses, for machines without Helm.

It knows ``if`` (a value, or ``ne``), ``else``, ``with``, ``range``, ``end``, ``.Values``, ``.Release.Name``,
``.Chart.AppVersion``, ``.Files.Get``, ``quote``, ``toYaml`` and ``nindent``; anything else raises. That it
renders as Helm does is checked by ``test_helm.py`` where Helm is installed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml


def rendered(chart: Path, values: dict[str, Any], release: str) -> list[dict[str, Any]]:
    """Every manifest of the chart.

    Args:
        chart: its folder.
        values: merged over ``values.yaml``.
        release: the release's name.

    Raises:
        ValueError: a template uses a word that this renderer does not know.
    """
    defaults = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    about = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
    root = {
        "Values": merged(defaults, values),
        "Release": {"Name": release},
        "Chart": {"AppVersion": about["appVersion"]},
        "Files": chart,
    }
    found: list[dict[str, Any]] = []
    for path in sorted((chart / "templates").glob("*.yaml")):
        text = _render(_tokens(path.read_text(encoding="utf-8")), root)
        found += [document for document in yaml.safe_load_all(text) if document]
    return found


def merged(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """``over`` laid over ``base``, table by table."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        result[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return result


def _tokens(text: str) -> list[tuple[str, str]]:
    """Text and tags in turn; a tag with ``-`` has eaten the white space before it."""
    found, at = [], 0
    for match in re.finditer(r"\{\{(-?)\s*(.*?)\s*\}\}", text):
        before = text[at : match.start()]
        found += [("text", before.rstrip() if match.group(1) else before), ("tag", match.group(2))]
        at = match.end()
    return [*found, ("text", text[at:])]


def _render(tokens: list[tuple[str, str]], root: dict[str, Any]) -> str:
    out, rest = _block(tokens, root, root)
    if rest:
        raise ValueError(f"{rest[0][1]} has no beginning")
    return out


def _block(
    tokens: list[tuple[str, str]], root: dict[str, Any], dot: Any
) -> tuple[str, list[tuple[str, str]]]:
    """Render up to the ``else`` or ``end`` that belongs to somebody further out."""
    out = ""
    while tokens:
        (kind, words), *tokens = tokens
        word = words.split()[0] if words.split() else ""
        if kind == "text":
            out += words
        elif word in ("end", "else"):
            return out, [("tag", words), *tokens]
        elif word in ("if", "with", "range"):
            value = _value(words.split(maxsplit=1)[1], root, dot)
            dots = value if word == "range" else [value if word == "with" else dot] if value else []
            inner, rest = tokens, tokens
            for each in dots:
                text, rest = _block(inner, root, each)
                out += text
            if not dots:
                rest = _block(inner, root, None)[1] if word == "if" else _skip(inner)
            if rest[0][1] == "else":
                text, rest = _block(rest[1:], root, dot)
                out += "" if dots else text
            tokens = rest[1:]
        else:
            out += str(_value(words, root, dot))
    return out, []


def _skip(tokens: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """What follows from the ``end`` of this block on."""
    depth = 0
    for number, (kind, words) in enumerate(tokens):
        word = words.split()[0] if kind == "tag" else ""
        if word == "end" and depth == 0:
            return tokens[number:]
        depth += (word in ("if", "with", "range")) - (word == "end")
    raise ValueError("a block has no end")


def _value(words: str, root: dict[str, Any], dot: Any) -> Any:
    first, *pipes = [part.strip() for part in words.split("|")]
    value = _call(first, root, dot)
    for pipe in pipes:
        name, _, argument = pipe.partition(" ")
        if name == "quote":
            value = json.dumps(str(value))
        elif name == "nindent":
            pad = "\n" + " " * int(argument)
            value = pad + str(value).replace("\n", pad)
        else:
            raise ValueError(f"unknown word {name}")
    return value


def _call(words: str, root: dict[str, Any], dot: Any) -> Any:
    name, _, rest = words.partition(" ")
    if name == "toYaml":
        return yaml.safe_dump(_value(rest, root, dot)).rstrip("\n")
    if name == ".Files.Get":
        return (root["Files"] / json.loads(rest)).read_text(encoding="utf-8")
    if name == "ne":
        left, right = rest.split()
        return _value(left, root, dot) != json.loads(right)
    if rest or not name.startswith("."):
        raise ValueError(f"unknown word {name}")
    if name == ".":
        return dot
    value: Any = root
    for key in name.strip(".").split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
