"""A real browser opens the coordinator's pages and the auditor's: accessible, narrow, no request elsewhere.

Every page is held against axe (WCAG 2.2 A and AA), light, dark and 390 pixels wide. Needs Debian's chromium.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, sync_playwright

from intraward_server.dashboard.app import create_app
from intraward_server.dashboard.pages import PAGES, write_report
from intraward_server.dashboard.serve import bind
from intraward_server.dashboard.view import read_view
from intraward_server.home import ServerHome
from intraward_shared.attack_results import read_attacks
from intraward_shared.audit_page import render
from intraward_shared.audit_report import audit_report
from intraward_shared.signing import SigningKey
from intraward_simulation.attacks.inversion import run_inversion
from intraward_simulation.attacks.result import write_result

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
    ),
]
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
SCREENS = ((1280, "light"), (1100, "light"), (1280, "dark"), (390, "light"))
CUT = """[...document.querySelectorAll(".scroll")]
    .filter(each => each.scrollWidth > each.clientWidth).map(each => each.getAttribute("aria-label"))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield made
        made.close()


def look(browser: Browser, address: str, allowed: str) -> None:
    """Open a page on every screen; no violation, no sideways scrolling, nothing asked for elsewhere."""
    for width, scheme in SCREENS:
        context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)  # type: ignore[arg-type]
        page, told = context.new_page(), []
        page.on("request", lambda asked: told.append(asked.url) if allowed not in asked.url else None)  # noqa: B023
        page.on("console", lambda said: told.append(said.text) if "Security" in said.text else None)  # noqa: B023
        page.goto(address)
        assert page.evaluate("document.documentElement.scrollWidth") == width, (address, width)
        if width > 1000:  # the tables fit; below they scroll by themselves
            assert page.evaluate(CUT) == [], (address, width)
        found = Axe().run(page, options=RULES).response
        wrong = [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found["violations"]]
        assert (wrong, told) == ([], []), (address, width, scheme)
        assert len(found["passes"]) > 5
        context.close()


def test_the_coordinators_pages(browser: Browser, inside: tuple[Path, Path], tmp_path: Path) -> None:
    home = tmp_path / "server"
    shutil.copytree(inside[0] / "server", home)
    public = SigningKey.load(ServerHome(home).key).public
    listener = bind("127.0.0.1", 0)
    served = uvicorn.Server(uvicorn.Config(create_app(home, public), log_level="error", lifespan="off"))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        for path in (*PAGES, "/nothing-here"):
            look(browser, address + path, address)
    finally:
        served.should_exit = True
        thread.join(30)
    write_report(read_view(home, public), tmp_path / "report.html")
    look(browser, (tmp_path / "report.html").as_uri(), "file:///")


def test_the_auditors_page(browser: Browser, inside: tuple[Path, Path], tmp_path: Path) -> None:
    run = inside[0]
    public = SigningKey.load(ServerHome(run / "server").key).public
    write_result(tmp_path / "inversion.json", run_inversion((8.0,), (1,)))
    view = read_view(run / "server", public)
    adapters = run / "server" / "adapters"
    told = audit_report(
        sorted(run.glob("sites/*/ledger.jsonl")),
        read_attacks([tmp_path / "inversion.json"]),
        receipts=run / "server" / "receipts",
        coordinator_key=public,
        adapters=[adapters / view.adapters[0].name[:16]],
        ancestors=adapters,
    )
    assert told.passed and len(told.adapters[0].lineage) > 3
    page = tmp_path / "privacy_report.html"
    page.write_text(render(told), encoding="utf-8")
    look(browser, page.as_uri(), "file:///")
