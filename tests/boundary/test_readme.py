"""The pages cannot drift: what the code offers is documented, and nothing is said that is not so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel
from tests.boundary.pages import (
    PAGES,
    blocks,
    commands,
    makefile_targets,
    subcommand_of,
    subcommands,
    text_of,
    top_folders,
)
from tests.boundary.sources import ROOT, tracked_files

from intraward_client.config import SitePolicy
from intraward_client.store.importers import Kind
from intraward_shared.certificates import PROMISE
from intraward_shared.config import parse
from intraward_shared.program import GoldTerms, ProgramConfig
from intraward_shared.release_gates import Gates, read_gates
from intraward_simulation.report_data import ReportData
from intraward_simulation.scenario import Files, Scenario

CLAIMS = re.compile(
    r"\bHIPAA\b|\banonym(?:ous|ised|ized|ity)\b|cannot be reconstructed|protects? (?:the )?labell?ers"
    r"|prevents? (?:all )?backdoors?",
    re.IGNORECASE,
)
"""What must never be promised (DESIGN.md section 7)."""
DENIAL = re.compile(r"\b(?:not|never|no|nor|neither|cannot)\b", re.IGNORECASE)
SENTENCE = re.compile(r"(?<=[.!?:;|])\s+|\n\s*\n")
MENTION = re.compile(r"(intraward-(?:client|server|audit|simulate))((?: [a-z]+){1,2})")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def claims_in(text: str) -> list[str]:
    """Sentences that make a forbidden claim without denying it."""
    sentences = [" ".join(part.split()) for part in SENTENCE.split(text)]
    return [s for s in sentences if CLAIMS.search(s) and not DENIAL.search(CLAIMS.sub("", s))]


def keys_of(model: type[BaseModel]) -> set[str]:
    """Names of a model's fields and of the fields of the models within, at any depth."""
    names: set[str] = set()
    for name, field in model.model_fields.items():
        names.add(name)
        for inner in _models_in(field.annotation):
            names |= keys_of(inner)
    return names


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def named_in(page: str) -> set[str]:
    """Every dotted part of what a page writes as code, blocks included."""
    text = text_of(page)
    code = re.findall(r"`([^`\n]+)`", text) + re.findall(r"^```.*?^```$", text, re.MULTILINE | re.DOTALL)
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", " ".join(code)))


def heading_anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_names_every_top_folder() -> None:
    house = text_of("README.md").split("## The house")[1].split("\n## ")[0]
    assert [name for name in top_folders() if not re.search(rf"^{name}/ ", house, re.MULTILINE)] == []


def test_the_readme_names_every_make_target() -> None:
    offered = {line.split()[1] for c in commands() if (line := c.line).startswith("make ")}
    assert offered == set(makefile_targets())


def test_every_command_is_shown_in_a_block_that_is_run() -> None:
    shown = {found for c in commands() if (found := subcommand_of(c.line.split())) is not None}
    assert sorted(subcommands() - shown) == []


def test_every_command_that_is_mentioned_exists() -> None:
    groups = {path[:2] for path in subcommands()}
    wrong = [
        f"{page}: {program}{rest}"
        for page in PAGES
        for program, rest in MENTION.findall(text_of(page))
        if (program, rest.split()[0]) not in groups
    ]
    assert wrong == []


def test_the_two_commands_come_first() -> None:
    first = [line.split("#")[0].strip() for line in blocks("README.md", "sh")[0].splitlines()]
    assert first == ["make demo", "make test"]


def test_the_promise_stands_word_for_word_with_its_limits() -> None:
    text = " ".join(text_of("README.md").split())
    assert PROMISE in text
    for limit in ("Within one hospital.", "Patients, not raters.", "Simulated runs are not private."):
        assert f"**{limit}**" in text


def test_nothing_is_claimed_that_may_not_be() -> None:
    kinds = {".md", ".j2", ".html", ".py", ".toml"}
    files = [p for p in tracked_files() if p.suffix in kinds and "tests" not in p.relative_to(ROOT).parts]
    assert len(files) > 100
    assert {str(p.relative_to(ROOT)): c for p in files if (c := claims_in(p.read_text("utf-8")))} == {}


@pytest.mark.parametrize(
    "sentence",
    [
        "intraward is HIPAA compliant.",
        "Updates are anonymous. They are not large.",
        "The notes cannot be reconstructed.",
        "Noise protects labellers and prevents backdoors.",
    ],
)
def test_a_forbidden_claim_is_found(sentence: str) -> None:
    assert claims_in(sentence) != []


def test_a_denied_claim_is_allowed() -> None:
    assert claims_in("Nothing here is called anonymous, and it does not prevent backdoors.") == []


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in LINK.findall(text_of(page)):
            place, _, anchor = link.partition("#")
            if place.startswith("https://"):
                continue
            target = (ROOT / page).parent / place if place else ROOT / page
            if not target.exists() or (anchor and anchor not in heading_anchors(target)):
                broken.append(f"{page}: {link}")
    assert broken == []


@pytest.mark.parametrize(
    ("page", "model"),
    [
        ("client/README.md", SitePolicy),
        ("server/README.md", ProgramConfig),
        ("server/README.md", Gates),
        ("simulation/README.md", ReportData),
        ("simulation/README.md", Files),
    ],
)
def test_every_key_is_explained(page: str, model: type[BaseModel]) -> None:
    keys = set(ReportData.model_fields) if model is ReportData else keys_of(model)
    if model is ProgramConfig:
        keys -= {"unit", "adjacency"}  # of a mechanism; each has one possible value
    assert sorted(keys - named_in(page)) == []


def test_every_key_of_a_scenario_is_explained() -> None:
    own = set(Scenario.model_fields) | {
        key
        for table in ("run", "hospitals", "files", "evaluation")
        for model in _models_in(Scenario.model_fields[table].annotation)
        for key in keys_of(model)
    }
    own -= keys_of(GoldTerms)  # the coordinator's own, on its page
    assert sorted(own - named_in("simulation/README.md")) == []


def test_every_kind_of_import_is_explained() -> None:
    table = text_of("client/README.md").split("## What is imported")[1].split("\n## ")[0]
    assert [kind for kind in get_args(Kind) if not re.search(rf"^\| `{kind}`", table, re.MULTILINE)] == []


def test_the_examples_are_what_the_programs_read() -> None:
    policy, program = blocks("client/README.md", "toml")[0], blocks("server/README.md", "toml")[0]
    policy = policy.replace("MODEL_DIGEST", "0" * 64).replace("COORDINATOR_KEY", "0" * 64)
    policy = policy.replace("OFFICER_KEY", "0" * 64)
    assert parse(tomllib.loads(policy), SitePolicy, "policy.toml").site == "st-mary"
    assert parse(tomllib.loads(program), ProgramConfig, "program.toml").program.name == "first-program"
    (gates,) = (text for text in blocks("server/README.md", "toml") if text.startswith("[[gates]]"))
    assert [gate.veto for gate in read_gates(gates.encode(), "gates.toml").gates] == [False, True]
