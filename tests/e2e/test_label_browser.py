"""A real browser walks the station: course, ten judgments by keyboard, adjudication, agreement, logout.

Every page is held against axe (WCAG 2.2 A and AA), every request must go to the station's own host, and a
picture of each is kept under ``runs/label-station`` to be looked at. Needs Debian's chromium.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from tests.boundary.sources import ROOT
from tests.client.labeling.stations import PASSWORD, pairs
from tests.e2e.label_site import LabelSite, lay

from intraward_client.labeling.course import load_course
from intraward_client.labeling.opening import open_book

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
    ),
]
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
PICTURES = ROOT / "runs" / "label-station"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}}
PEOPLE = {
    "ann": "labeller",
    "bob": "labeller",
    "cy": "labeller",
    "dan": "labeller",
    "sen": "senior",
    "adm": "admin",
    "aud": "auditor",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabelSite]:
    asked = pairs(10) | {"p-three": ("What first?", ("Check the pulse.", "Wait.", "Call for help now."))}
    settings = {"gold_share": 0.0, "repeat_share": 0.0}
    made = lay(tmp_path_factory.mktemp("label"), asked, PEOPLE, new=["ann"], **settings)  # type: ignore[arg-type]
    with made.served():
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield made
        made.close()


@pytest.fixture
def visit(browser: Browser, site: LabelSite) -> Iterator[Callable[..., Page]]:
    """``visit("ann")``: logged in. A request elsewhere, or one the policy refuses, fails the test."""
    contexts: list[BrowserContext] = []
    elsewhere: list[str] = []

    def enter(name: str, *, script: bool = True, width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            ignore_https_errors=True,
            java_script_enabled=script,
            viewport={"width": width, "height": 860},
            color_scheme="dark" if dark else "light",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on(
            "request",
            lambda request: (
                elsewhere.append(request.url) if not request.url.startswith(site.address) else None
            ),
        )
        page.on(
            "console",
            lambda said: elsewhere.append(said.text) if "Content Security Policy" in said.text else None,
        )
        page.goto(f"{site.address}/login")
        page.fill("#name", name)
        page.fill("#password", PASSWORD)
        page.click("button.main")
        page.wait_for_url(f"{site.address}/")
        return page

    yield enter
    for context in contexts:
        context.close()
    assert elsewhere == []


def accessible(page: Page, name: str) -> None:
    """No violation on this page, and a picture of it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    found = Axe().run(page, options=RULES).response
    told = [(v["id"], [node["target"] for node in v["nodes"]][:3]) for v in found["violations"]]
    assert told == [] and len(found["passes"]) > 5, (name, told)


def test_the_whole_way_of_a_labeller(visit: Callable[..., Page], site: LabelSite) -> None:
    page = visit("ann")
    accessible(page, "home-new")
    page.goto(f"{site.address}/task")
    accessible(page, "course")
    page.click("text=To the first item")
    for known in load_course(None).items:
        page.wait_for_selector("#help-open")  # shown once the keys are bound
        if known is load_course(None).items[0]:
            accessible(page, "course-item")
        answers = [page.inner_text(f'[data-text="{place}"]').strip() for place in (0, 1)]
        best = [place for place, text in enumerate(answers) if known.ranks[known.answers.index(text)] == 1]
        page.keyboard.press(str(best[0] + 1) if len(best) == 1 else "0")
        for place, text in enumerate(answers):
            for kind in known.flags[known.answers.index(text)]:
                page.keyboard.press("f")
                while not page.locator(f'[data-place="{place}"] [data-flags]').evaluate("e => e.open"):
                    page.keyboard.press("Escape")
                    page.evaluate("document.activeElement.blur()")
                    page.keyboard.press("f")
                page.locator(f'input[name="flag-{place}-{kind}"]').focus()
                page.keyboard.press("Space")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Enter")
        page.wait_for_selector(".verdict")
        if known is load_course(None).items[0]:
            accessible(page, "course-marked")
        page.keyboard.press("Enter")  # the next item has the focus
    page.wait_for_selector("text=Passed.")
    page.click("text=Start judging")
    keystrokes = []
    for number in range(11):
        page.wait_for_selector("#help-open")  # shown once the keys are bound
        if number == 0:
            accessible(page, "task")
        keys = ["3", "1", "2"] if page.locator("#judgment").get_attribute("data-answers") == "3" else ["1"]
        if len(keys) == 3:
            accessible(page, "task-three")
        before = page.get_attribute("#judgment", "action")
        for key in (*keys, "Enter"):
            page.keyboard.press(key)
        page.wait_for_function(
            "before => { const form = document.getElementById('judgment'); "
            "return !form || form.getAttribute('action') !== before; }",
            arg=before,
        )
        keystrokes.append(len(keys) + 1)
    assert sorted(keystrokes) == [2] * 10 + [4]
    page.wait_for_selector("text=Nothing is waiting")
    accessible(page, "nothing-left")
    page.goto(f"{site.address}/progress")
    accessible(page, "progress")
    page.click("text=Log out")
    page.wait_for_url(f"{site.address}/login")
    accessible(page, "login")
    page.goto(f"{site.address}/task")
    assert page.url == f"{site.address}/login"
    with open_book(site.home) as book:
        assert len(book.votes()) == 11


def test_keys_do_nothing_in_a_text_field_and_a_passage_is_kept(
    visit: Callable[..., Page], site: LabelSite
) -> None:
    page = visit("dan")
    page.goto(f"{site.address}/task")
    page.keyboard.press("w")
    page.keyboard.type("1 2 s u k e p z")
    assert page.input_value("#rationale") == "1 2 s u k e p z"
    assert page.locator("input[name=choice]:checked").count() == 0
    page.wait_for_selector("#draft-state:has-text('Draft saved')")
    page.keyboard.press("Escape")
    page.locator('[data-text="0"]').select_text()
    page.keyboard.press("f")
    page.keyboard.press("Space")
    kind = page.evaluate("document.activeElement.name").removeprefix("flag-0-")
    length = len(page.inner_text('[data-text="0"]'))
    assert page.input_value(f'input[name="span-0-{kind}"]') == f"0-{length}"
    accessible(page, "task-flagged")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    accessible(page, "task-keys")
    page.keyboard.press("Escape")
    page.reload()
    assert page.input_value("#rationale") == "1 2 s u k e p z"


def test_without_javascript_and_on_a_narrow_screen_it_all_works(
    visit: Callable[..., Page], site: LabelSite
) -> None:
    page = visit("cy", script=False, width=320)
    page.goto(f"{site.address}/task")
    page.locator("input[name=choice][value='1']").check(force=True)
    page.click("button[value=submit]")
    assert "Judgment saved" in page.inner_text("main")
    page = visit("cy", width=320)
    page.goto(f"{site.address}/task")
    assert page.evaluate("document.documentElement.scrollWidth") == 320
    accessible(page, "task-narrow")
    accessible_dark = visit("cy", dark=True)
    accessible_dark.goto(f"{site.address}/task")
    accessible(accessible_dark, "task-dark")


def test_a_senior_adjudicates_blind_and_sees_agreement(visit: Callable[..., Page], site: LabelSite) -> None:
    page = visit("bob")
    page.goto(f"{site.address}/task")
    page.keyboard.press("e")
    page.wait_for_url("**/task?saved=skip")
    for _ in range(3):
        page.wait_for_selector("#help-open")  # shown once the keys are bound
        before = page.get_attribute("#judgment", "action")
        page.keyboard.press("2")
        page.keyboard.press("Enter")
        page.wait_for_function(
            "before => document.getElementById('judgment')?.getAttribute('action') !== before", arg=before
        )
    senior = visit("sen")
    senior.goto(f"{site.address}/adjudicate")
    accessible(senior, "adjudicate")
    senior.keyboard.press("1")
    senior.keyboard.press("Enter")
    senior.wait_for_selector("table")
    accessible(senior, "review")
    senior.goto(f"{site.address}/agreement")
    accessible(senior, "agreement")


@pytest.mark.parametrize(
    ("name", "paths"),
    [("adm", ("/", "/admin/users", "/admin/items", "/audit")), ("aud", ("/audit", "/agreement", "/nothing"))],
)
def test_the_office_is_accessible(
    visit: Callable[..., Page], site: LabelSite, name: str, paths: tuple[str, ...]
) -> None:
    page = visit(name)
    for path in paths:
        page.goto(site.address + path)
        accessible(page, f"{name}{path.replace('/', '-')}")
    page.set_viewport_size({"width": 390, "height": 860})
    for path in paths:
        page.goto(site.address + path)
        accessible(page, f"{name}{path.replace('/', '-')}-narrow")
        wide = page.evaluate(
            "[document.documentElement, ...document.querySelectorAll('.card:has(> .stack)')]"
            ".filter(e => e.scrollWidth > e.clientWidth).length"
        )
        assert wide == 0, path


def test_an_item_is_taken_away_by_two_keys_and_released_by_an_admin(
    visit: Callable[..., Page], site: LabelSite
) -> None:
    page = visit("bob")
    page.goto(f"{site.address}/task")
    page.wait_for_selector("#help-open")
    page.keyboard.press("p")
    page.wait_for_url("**/phi")
    accessible(page, "phi")
    page.keyboard.press("Enter")
    page.wait_for_url("**saved=phi")
    admin = visit("adm")
    admin.goto(f"{site.address}/admin/items")
    admin.click("summary:has-text('Release')")
    accessible(admin, "adm-release")
    admin.select_option("select[name=reason]", "pressed-by-mistake")
    admin.click("form button:has-text('Release')")
    admin.wait_for_selector("text=in the queue again")
