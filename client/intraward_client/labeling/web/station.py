"""What every page of the station works with, and the rendering of pages."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from intraward_client.labeling.accounts import Account
from intraward_client.labeling.agreement import report
from intraward_client.labeling.book import Book
from intraward_client.labeling.course import Course
from intraward_client.labeling.display import found_at_display
from intraward_client.labeling.drift import watch
from intraward_client.labeling.events import SYSTEM
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judgment import Kind
from intraward_client.labeling.quarantine import RESIDUE, quarantine
from intraward_client.labeling.queue import Turn
from intraward_client.labeling.rubric import Rubric
from intraward_client.labeling.sealing import ItemTexts
from intraward_client.labeling.sessions import Session
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.labeling.visible import visible
from intraward_client.labeling.web.reckoning import Reckoned

STATIC = Path(__file__).parent / "static"


class Station:
    """One station: its book, course, rubrics and de-identifier. ``site`` is shown on every page."""

    def __init__(
        self,
        book: Book,
        free_text: FreeText,
        course: Course,
        rubrics: Mapping[Kind, Rubric],
        *,
        site: str,
        canaries: Sequence[str] = (),
        surrogates: bool = False,
    ) -> None:
        self.book, self.free_text, self.course, self.rubrics = book, free_text, course, rubrics
        self.site, self._canaries, self._surrogates = site, tuple(canaries), surrogates
        self._clean: dict[bytes, bool] = {}
        self.agreement = Reckoned(book, lambda of: report(of.votes(), of.items()))
        self.watches = Reckoned(book, lambda of: watch(of.votes(), of.items()))

    @property
    def terms(self) -> LabelingTerms:
        """The hospital's settings."""
        return self.book.terms

    def texts(self, turn: Turn) -> ItemTexts | None:
        """What to show of an item, looked at once more; None where it was kept back, for good.

        Raises:
            Gone: the patient was forgotten or opted out.
        """
        item = turn.item
        found = self.book.sealer.texts(item.unit, item.prompt_id, item.candidate_ids)
        codes = self._second_look((found.prompt, *found.answers))
        if not codes:
            return found
        with self.book.writing() as connection:
            quarantine(self.book, connection, item.item_id, SYSTEM, f"{RESIDUE}{min(codes)}")
        return None

    def _second_look(self, texts: tuple[str, ...]) -> frozenset[str]:
        """Reason codes; texts found clean are remembered by digest, so that showing them again is quick."""
        digest = hashlib.sha256("\0".join(texts).encode("utf-8", "surrogatepass")).digest()
        if digest in self._clean:
            return frozenset()
        codes = found_at_display(texts, self._canaries, surrogates=self._surrogates)
        if not codes and len(self._clean) < _REMEMBERED:
            self._clean[digest] = True
        return codes


_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class Link:
    """An entry of the navigation."""

    path: str
    name: str
    roles: tuple[str, ...] = field(default=())


NAVIGATION = (
    Link("/", "Home", ("labeller", "senior", "admin", "auditor")),
    Link("/task", "Judge", ("labeller", "senior")),
    Link("/adjudicate", "Adjudicate", ("senior",)),
    Link("/course", "Course", ("labeller", "senior")),
    Link("/progress", "Progress", ("labeller", "senior")),
    Link("/agreement", "Agreement", ("senior", "admin", "auditor")),
    Link("/admin/items", "Items", ("admin",)),
    Link("/admin/users", "Users", ("admin",)),
    Link("/audit", "Events", ("admin", "auditor")),
)
ROLE_NAMES = {"labeller": "Labeller", "senior": "Senior", "admin": "Site admin", "auditor": "Auditor"}
Render = Callable[..., HTMLResponse]


@lru_cache(maxsize=1)
def _pages() -> Environment:
    pages = Environment(
        loader=PackageLoader("intraward_client.labeling.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    pages.filters["visible"] = visible
    pages.tests["flagged_at"] = lambda name, place: name.startswith(f"flag-{place}-")
    pages.tests["rated_at"] = lambda name, place: name.startswith(f"rate-{place}-")
    return pages


@lru_cache(maxsize=1)
def asset_version() -> str:
    """Changes when a static file does, so that browsers may keep them otherwise."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(STATIC.iterdir()))).hexdigest()[:12]


def render(
    station: Station,
    request: Request,
    name: str,
    session: Session | None = None,
    *,
    status: int = 200,
    **values: Any,
) -> HTMLResponse:
    """A page of the templates."""
    account: Account | None = session.account if session is not None else None
    links = [link for link in NAVIGATION if account is not None and account.role in link.roles]
    body = (
        _pages()
        .get_template(name)
        .render(
            site=station.site,
            account=account,
            role=ROLE_NAMES.get(account.role, "") if account else "",
            csrf=session.csrf if session is not None else "",
            links=links,
            here=request.url.path,
            version=asset_version(),
            **values,
        )
    )
    return HTMLResponse(body, status)
