"""The pages of deploy/: every file is in the index, links lead somewhere, and no name is made up."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.boundary.sources import tracked_files
from tests.boundary.test_readme import LINK, claims_in, heading_anchors
from tests.deploy.shipped import DEPLOY, PAGES, UNITS

INDEX = DEPLOY / "README.md"
NAMES = [str(page.relative_to(DEPLOY)) for page in PAGES]


def test_every_file_stands_in_the_index() -> None:
    text = INDEX.read_text(encoding="utf-8")
    named = set(re.findall(r"[`(]([\w./-]+)[`)]", text))
    charts = "helm/intraward-server/"
    files = [path.relative_to(DEPLOY) for path in tracked_files() if DEPLOY in path.parents]
    missing = [str(path) for path in files if str(path) not in named and not str(path).startswith(charts)]
    assert missing == ["README.md"] and charts in named


def test_the_index_names_no_file_that_is_not_there() -> None:
    rows = re.findall(r"^\| (`[^|]+) \|", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([\w./-]+/[\w./-]+)`", row)]
    assert len(named) > 15
    assert [name for name in named if not (DEPLOY / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        place, _, anchor = link.partition("#")
        target = page.parent / place if place else page
        if not target.exists() or (anchor and anchor not in heading_anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_nothing_is_claimed_that_may_not_be(page: Path) -> None:
    assert claims_in(page.read_text(encoding="utf-8")) == []


def test_units_that_are_named_exist() -> None:
    known = {path.stem for path in UNITS} | {"intraward-server", "intraward-client"}
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    units = "ward|gateway|label|superlink|coordinator|proxy|serverapp"
    named = set(re.findall(rf"\bintraward-(?:{units})\b", text))
    assert named <= known and {path.stem for path in UNITS} <= named
