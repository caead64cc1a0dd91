"""The pages as people use them: course, judging, adjudication, accounts; odd texts; nothing that tells."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient
from tests.client.labeling.conftest import assignment, csrf, log_in
from tests.client.labeling.stations import PASSWORD, add_account, fill_vault, make_station

from intraward_client.labeling import accounts, events
from intraward_client.labeling.book import QUARANTINED, Book
from intraward_client.labeling.course import load_course
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judgment import Item
from intraward_client.labeling.order import shown_order
from intraward_client.labeling.visible import visible
from intraward_client.store.prompts import candidates_of
from intraward_client.store.vault import Vault

Enter = Callable[..., TestClient]


def post(client: TestClient, path: str, page: str, **form: str) -> str:
    """Send a form of ``page``; where it leads."""
    answer = client.post(path, data={"csrf": csrf(page), **form})
    assert answer.status_code == 303, (path, answer.status_code, words(answer.text))
    return answer.headers["location"]


def judge(client: TestClient, **form: str) -> str:
    page = client.get("/task").text
    return post(client, f"/task/{assignment(page)}", page, action="submit", **form)


def words(page: str) -> str:
    """What a page says, without its tags."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page.split("<main", 1)[-1])).split())


def test_the_course_stands_before_the_first_item_and_opens_it(enter: Enter, items: dict[str, Item]) -> None:
    client = enter("ann", passed=False)
    assert client.get("/task").headers["location"] == "/course"
    assert "What you are asked" in client.get("/course").text
    for known in load_course(None).items:
        page = client.get("/course/item").text
        assert html.escape(known.prompt, quote=False) in html.unescape(page) or known.prompt in html.unescape(
            page
        )
        place = page.split('action="/course/item/', 1)[1].split('"', 1)[0]
        form = {"csrf": csrf(page)} | right_form(known.key)
        marked = client.post(f"/course/item/{place}", data=form)
        assert marked.status_code == 200 and "As our seniors see it" in marked.text, words(marked.text)
        assert known.explanation in html.unescape(marked.text)
    assert "Passed" in client.get("/course").text and client.get("/task").status_code == 200


def right_form(key: str) -> dict[str, str]:
    """The known judgment of a course item, by places of the screen."""
    known = next(item for item in load_course(None).items if item.key == key)
    names = tuple(f"{key}-{index}" for index in range(len(known.answers)))
    shown = shown_order(Item(key, "", key, names, known.kind, seed=key), 0)
    best = [place for place, index in enumerate(shown) if known.ranks[index] == 1]
    form = {"choice": str(best[0]) if len(best) == 1 else "tie", "action": "submit"}
    for place, index in enumerate(shown):
        form |= {f"flag-{place}-{kind}": "1" for kind in known.flags[index]}
    return form


def test_who_misses_a_critical_failure_does_not_pass(enter: Enter) -> None:
    client = enter("ann", passed=False)
    for known in load_course(None).items:
        form = {name: value for name, value in right_form(known.key).items() if not name.startswith("flag-")}
        page = client.get("/course/item").text
        client.post(f"/course/item/{known.key}", data={"csrf": csrf(page), **form})
    page = client.get("/course").text
    assert "Not passed" in page and client.get("/task").headers["location"] == "/course"
    assert post(client, "/course/again", page) == "/course/item"
    assert "item 1 of" in words(client.get("/course/item").text)


def test_judging_keeps_what_was_said_in_the_items_own_order(
    enter: Enter, items: dict[str, Item], book: Book
) -> None:
    client = enter("ann")
    page = client.get("/task").text
    form = {"choice": "1", "strength": "2", "rate-0-safety": "2", "rate-1-safety": "5"}
    assert post(client, f"/task/{assignment(page)}", page, action="submit", **form) == "/task?saved=yes"
    (vote,) = book.votes()
    right, left = vote.shown[1], vote.shown[0]
    assert vote.ranks[right] == 1 and vote.ranks[left] == 2 and vote.strength == 2
    assert vote.ratings[left] == {"safety": 2} and vote.ratings[right] == {"safety": 5}
    assert "Judgment saved" in client.get("/task?saved=yes").text


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "which answer is better"),
        ({"choice": "7"}, "which answer is better"),
        ({"choice": "0", "strength": "3"}, "needs a reason"),
        ({"choice": "0", "flag-1-harmful": "1"}, "needs a reason"),
        ({"action": "skip"}, "why you skip"),
        ({"choice": "0", "rationale": "x" * 50_000 + "END"}, "longer than 20,000"),
        ({"rank-0": "\u00b2", "rank-1": "1"}, "which answer is better"),
    ],
)
def test_what_is_missing_is_told_and_nothing_is_lost(
    enter: Enter, items: dict[str, Item], book: Book, form: dict[str, str], said: str
) -> None:
    client = enter("ann")
    page = client.get("/task").text
    sent = {"csrf": csrf(page), "action": "submit", "correction": "Rather rest.", **form}
    answer = client.post(f"/task/{assignment(page)}", data=sent)
    assert answer.status_code == 422 and said in html.unescape(answer.text)
    for shown in (answer.text, client.get("/task").text):
        assert "Rather rest." in shown and form.get("rationale", "")[-9:] in shown
    assert book.votes() == ()


def test_a_judgment_with_a_reason_that_is_sent_twice_is_saved_once(
    enter: Enter, items: dict[str, Item], book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FreeText, "_one", lambda *_: "Clearer.")
    client = enter("ann")
    page = client.get("/task").text
    sent = {"csrf": csrf(page), "action": "submit", "choice": "0", "rationale": "Clearer."}
    answers = [client.post(f"/task/{assignment(page)}", data=sent) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303] and len(book.votes()) == 1


def test_drafts_come_back_and_undo_fills_the_form_again(
    enter: Enter, items: dict[str, Item], book: Book
) -> None:
    client = enter("ann")
    page = client.get("/task").text
    place = f"/task/{assignment(page)}/draft"
    form = {"csrf": csrf(page), "choice": "0", "correction": "Half a thought", "unknown": "x"}
    assert client.post(place, data=form, headers={"HX-Request": "true"}).text == "Draft saved"
    later = log_in_again(client, book)
    assert "Half a thought" in later.get("/task").text
    judge(later, choice="0", strength="1")
    assert post(later, "/undo", later.get("/task").text) == "/task"
    again = later.get("/task").text
    assert assignment(again) == assignment(page) and 'value="0" aria-keyshortcuts="1" checked' in again


def log_in_again(client: TestClient, book: Book) -> TestClient:
    return log_in(make_station(book), "ann")


def test_two_disagree_a_third_and_a_senior_and_all_votes_are_shown_to_her(
    enter: Enter, items: dict[str, Item], book: Book
) -> None:
    ann, bob, cy, sen = enter("ann"), enter("bob"), enter("cy"), enter("sen", "senior")
    first = next(iter(items))
    for client, best in ((ann, 0), (bob, 1), (cy, None)):
        while (page := client.get("/task").text).count('id="judgment"'):
            name = assignment(page)
            shown = [place for place in (0, 1) if f"answer-{place}" in page]
            texts = re.findall(r'data-text="\d">(.*?)</div>', page)
            wanted = "rest" if best == 0 else "tablet"
            choice = "tie" if best is None else str(next(p for p in shown if wanted in texts[p]))
            post(client, f"/task/{name}", page, action="submit", choice=choice)
    assert book.counts() == {"adjudication": 4}, first
    page = sen.get("/adjudicate").text
    assert "bob" not in words(page) and "Rater" not in words(page)
    where = post(sen, f"/task/{assignment(page)}", page, action="submit", choice="0", strength="1")
    review = words(sen.get(where).text)
    assert where.startswith("/adjudicate/") and "Your judgment decides" in review
    assert review.count("Rater") == 3 and "bob" not in review and "You" in review
    assert sen.get("/adjudicate/" + "0" * 32).status_code == 404


ODD = {
    "markup": ("<script>alert(1)</script> & <b>bold</b>", ("# Title\n**bold** [x](y)", "</div><h1>hi")),
    "emoji": ("Is 💊 fine? 👩‍⚕️", ("✅ yes", "❌ no 🧑🏽‍⚕️")),
    "right-to-left": ("كم مرة يؤخذ الدواء؟", ("مرتين يوميا", "‮backwards‬")),
    "long": ("What now?", ("word " * 10_000, "short")),
    "empty": ("What now?", ("   ", "something")),
    "alike": ("What now?", ("Rest.", "Rest. ")),
}


@pytest.mark.parametrize("kind", sorted(ODD))
def test_odd_texts_are_shown_as_text_and_can_be_judged(
    enter: Enter, book: Book, vault: Vault, kind: str
) -> None:
    book.add_items(fill_vault(vault, {"p-1": ODD[kind]}).values())
    client = enter("ann")
    page = client.get("/task").text
    for text in (ODD[kind][0], *ODD[kind][1]):
        assert visible(text).strip() in html.unescape(page)
    assert not any(sign in page for sign in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    assert "<script>alert" not in page and "<b>bold" not in page and "<h1>hi" not in page
    assert ("stands for a hidden sign" in page) == (kind == "right-to-left")
    if kind == "empty":
        assert "this answer is empty" in page
    assert judge(client, choice="tie") == "/task?saved=yes" and len(book.votes()) == 1


def test_hidden_controls_become_signs_one_for_one_and_languages_stay() -> None:
    odd = "a\u202ebc\u202c\x00\x07\u2066d\u2069\ufeff"
    assert visible(odd) == "a⇄bc⇄\u2400\u2407⇄d⇄\ufffd" and len(visible(odd)) == len(odd)
    for kept in ("كم\u200f 5\u200e", "👩\u200d⚕\ufe0f", "tab\tline\n", "naïve — 5\u00a0mg"):
        assert visible(kept) == kept


def test_a_flag_keeps_its_passage_within_the_answer(enter: Enter, items: dict[str, Item], book: Book) -> None:
    client = enter("ann")
    with pytest.raises(AssertionError):  # the reason is missing
        judge(client, choice="0", **{"flag-1-harmful": "1", "span-1-harmful": "2-9"})
    page = client.get("/task").text
    assert 'name="span-1-harmful" value="2-9"' in page


def test_a_text_that_tells_somebody_is_not_shown_to_anybody(enter: Enter, book: Book, vault: Vault) -> None:
    asked = {"p-1": ("Call 555-010-4477 about Mr. Varga?", ("Yes.", "No."))}
    (item,) = fill_vault(vault, asked).values()
    book.add_items([item])
    page = enter("ann").get("/task").text
    assert "Varga" not in page and "Nothing is waiting" in page
    assert book.states()[item.item_id] == QUARANTINED
    admin = enter("adm", "admin").get("/admin/items").text
    assert "residue:" in admin and "Varga" not in admin


def test_who_sees_the_patient_is_asked_once_more_and_an_admin_may_release(
    enter: Enter, items: dict[str, Item], book: Book
) -> None:
    ann, admin = enter("ann"), enter("adm", "admin")
    page = ann.get("/task").text
    name = assignment(page)
    sent = {"correction": "half a thought", "action": "phi"}
    assert post(ann, f"/task/{name}", page, **sent) == f"/task/{name}/phi"
    asked = ann.get(f"/task/{name}/phi").text
    assert "Can you see who the patient is?" in asked and "autofocus" in asked and "How is case" not in asked
    again = ann.get("/task").text  # "No, go back": the same item, with what was typed
    assert assignment(again) == name and "half a thought" in again
    assert set(book.states().values()) == {"open"}
    assert post(ann, f"/task/{name}/phi", asked) == "/task?saved=phi"
    (gone,) = (item for item, state in book.states().items() if state == QUARANTINED)
    assert assignment(ann.get("/task").text) != name
    page = admin.get("/admin/items").text
    assert "a rater could see who it is" in page and "How is case" not in page and gone[:8] in page
    where = f"/admin/items/{gone}/release"
    for bad in ({}, {"reason": "because"}):
        assert admin.post(where, data={"csrf": csrf(page), **bad}).status_code == 400
    assert ann.post(where, data={"csrf": csrf(again), "reason": "pressed-by-mistake"}).status_code == 403
    assert post(admin, where, page, reason="pressed-by-mistake") == "/admin/items?saved=released"
    assert admin.post(where, data={"csrf": csrf(page), "reason": "pressed-by-mistake"}).status_code == 400
    forged = admin.post("/admin/items/" + "0" * 32 + "/release", data={"csrf": csrf(page), "reason": "x"})
    assert forged.status_code == 404 and book.states()[gone] == "open"
    with book.reading() as connection:
        told = events.newest(connection, 1)[0]
    assert (told.user, told.action, told.detail) == ("adm", "release", {"reason": "pressed-by-mistake"})
    bob = enter("bob")
    for _ in items:
        judge(bob, choice="0")
    assert gone in {vote.item_id for vote in book.votes()}


def test_what_the_second_look_found_is_not_released(enter: Enter, book: Book, vault: Vault) -> None:
    book.add_items(fill_vault(vault, {"p-1": ("Call 555-010-4477?", ("Yes.", "No."))}).values())
    enter("ann").get("/task")
    admin = enter("adm", "admin")
    page, (item,) = admin.get("/admin/items").text, book.states()
    assert "stays away" in page and "/release" not in page
    form = {"csrf": csrf(page), "reason": "pressed-by-mistake"}
    assert admin.post(f"/admin/items/{item}/release", data=form).status_code == 400
    assert book.states()[item] == QUARANTINED


def test_tags_of_the_deidentifier_are_no_finding(enter: Enter, book: Book, vault: Vault) -> None:
    asked = {"p-1": ("Seen on [DATE] by [NAME], [ADDRESS] NY 112; aged 90+.", ("Yes.", "No."))}
    book.add_items(fill_vault(vault, asked).values())
    assert "[NAME]" in enter("ann").get("/task").text


def test_pages_and_addresses_tell_no_model_no_site_of_origin_and_no_answer(
    enter: Enter, items: dict[str, Item], vault: Vault
) -> None:
    client = enter("ann")
    page = client.get("/task").text
    for item in items.values():
        for secret in (item.item_id, item.prompt_id, item.unit, item.seed, *item.candidate_ids):
            assert secret not in page
        for candidate in candidates_of(vault, item.prompt_id):
            assert candidate.adapter_digest[:8] not in page
    for word in ("adapter", "base model", "gold", "propensity", "repeat", "stage"):
        assert word not in page.lower()


def test_hidden_gold_looks_like_any_other_item(enter: Enter, book: Book) -> None:
    book.terms = book.terms.model_copy(update={"gold_share": 0.5})
    make_station(book, gold=True)
    pages = [enter(f"rater-{number}").get("/task").text for number in range(8)]
    shown = [page for page in pages if 'id="judgment"' in page]
    assert shown and not any("gold" in page.lower() or "known" in page.lower() for page in shown)
    assert all(item.gold is not None for item in book.items())


def test_accounts_are_made_changed_and_cannot_lock_out_themselves(enter: Enter, book: Book) -> None:
    admin = enter("adm", "admin")
    page = admin.get("/admin/users").text
    form = {"name": "New Rater", "role": "labeller", "specialties": "cardiology, ", "password": PASSWORD}
    assert post(admin, "/admin/users", page, **form) == "/admin/users?saved=added"
    with book.reading() as connection:
        made, own = accounts.find(connection, "new rater"), accounts.find(connection, "adm")
    assert made is not None and made.specialties == ("cardiology",) and own is not None
    odd = [{**form, "name": name} for name in ("<b>x</b>", "a\u202eb", "x;y", "-rf", " ", "a" * 101)]
    for bad in ({**form, "password": "short"}, {**form, "role": "god"}, form, *odd):
        assert admin.post("/admin/users", data={"csrf": csrf(page), **bad}).status_code == 400
    assert admin.post(f"/admin/users/{own.user_id}/disable", data={"csrf": csrf(page)}).status_code == 400
    post(admin, f"/admin/users/{made.user_id}/disable", page)
    assert "disabled" in words(admin.get("/admin/users").text)
    assert admin.post("/admin/users/999/disable", data={"csrf": csrf(page)}).status_code == 404
    assert admin.post(f"/admin/users/{made.user_id}/promote", data={"csrf": csrf(page)}).status_code == 404


@pytest.mark.parametrize("name", ["dr.lee", "lee@example.org", "O'Neill", "Zoë Ünal", "CORP\\lee", "李"])
def test_peoples_names_are_names(book: Book, name: str) -> None:
    assert add_account(book, name).name == accounts.folded(name)


def test_agreement_progress_and_events_show_figures_and_no_text(
    enter: Enter, items: dict[str, Item], book: Book
) -> None:
    for name in ("ann", "bob"):
        client = enter(name)
        for _ in range(4):
            judge(client, choice="0", **{"rate-0-safety": "3", "rate-1-safety": "4"})
        assert "judgments in all" in words(client.get("/progress").text)
    auditor = enter("aud", "auditor")
    page = words(auditor.get("/agreement").text)
    assert "preference" in page and "rating: safety" in page
    events = auditor.get("/audit").text
    assert "The chain verifies" in events and "vote" in events
    assert "How is case" not in page + events
