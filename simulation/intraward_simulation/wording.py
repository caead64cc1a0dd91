"""How the report says a figure: numbers, units, missing values, and the sentences at the top.

Keeps DESIGN.md section 7: the headline claims what was measured and nothing else, and a bad figure
comes first. Epsilon is rounded up, so that no page understates a privacy loss.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from intraward_shared.pages import numerals
from intraward_simulation.report_data import ReportData, SiteSpend

Tone = Literal["good", "bad", "plain"]
MOST_WORDS = 300
WORDS = ("no", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def hospitals(count: int) -> str:
    """``Three hospitals`` at the start of a sentence."""
    word = WORDS[count] if 0 < count < len(WORDS) else f"{count:,}"
    return f"{word} hospital{'' if count == 1 else 's'}"


def nearest_to_cap(data: ReportData) -> SiteSpend | None:
    """The site whose total is the largest."""
    spent = [site for site in data.privacy.sites if site.total is not None]
    return max(spent, key=lambda site: site.total or 0, default=None)


@dataclass(frozen=True)
class Headline:
    """The first two things a reader sees."""

    title: str
    sentence: str
    tone: Tone


def headline(data: ReportData) -> Headline:
    """Bad news first; otherwise who trained, and what was found outside."""
    bad = _bad_news(data)
    who = hospitals(len(data.run.sites))
    if bad is not None:
        return bad
    if data.egress.identifiers_planted is None or search_is_blind(data):
        return Headline(f"{who} trained one model.", _kept(data), "plain")
    left = f"None of {numerals.whole(data.egress.identifiers_planted)} planted identifiers got out."
    return Headline(f"{who} trained one model. {left}", _kept(data), "good")


def _bad_news(data: ReportData) -> Headline | None:
    found, planted = data.egress.identifiers_found, data.egress.identifiers_planted
    if found:
        where = [place.place for place in data.egress.places if place.found]
        named = f" Found in: {', '.join(where)}." if where else ""
        title = f"{numerals.whole(found)} of {numerals.whole(planted)} planted identifiers got out."
        return Headline(title, f"Nothing of this run should be released.{named}", "bad")
    broken = [site.site for site in data.ledger.sites if not site.verified]
    if not data.ledger.verified:
        named = f" Not verified: {', '.join(broken)}." if broken else ""
        return Headline(
            "A privacy ledger does not verify.",
            f"The privacy figures below cannot be relied on.{named}",
            "bad",
        )
    over = [site.site for site in data.privacy.sites if (site.total or 0) > site.cap]
    if over:
        title = f"{hospitals(len(over))} spent more privacy than the cap allows."
        return Headline(title, f"Over the cap: {', '.join(over)}.", "bad")
    return None


def _kept(data: ReportData) -> str:
    site = nearest_to_cap(data)
    spent = (
        f" They cost at most epsilon {numerals.epsilon(site.total)} of {numerals.cap(site.cap)} per patient."
        if site is not None
        else ""
    )
    return (
        "Notes, prompts and labels stayed inside; clipped, noised and signed LoRA updates "
        f"are the only thing built to leave.{spent}"
    )


def compare(after: str, before: str) -> Markup:
    """``after`` with the words that ``before`` does not have in that place marked."""
    new, old = re.findall(r"\S+\s*", after), before.split()
    matcher = difflib.SequenceMatcher(
        None, old[:MOST_WORDS], [w.strip() for w in new[:MOST_WORDS]], autojunk=False
    )
    out = []
    for kind, _, _, start, end in matcher.get_opcodes():
        part = "".join(new[start:end])
        words = part.rstrip()
        out.append(escape(part) if kind == "equal" or not words else _mark(words, part[len(words) :]))
    return Markup("").join([*out, escape("".join(new[MOST_WORDS:]))])


def _mark(words: str, space: str) -> Markup:
    return Markup("<mark>{}</mark>{}").format(words, space)


def search_is_blind(data: ReportData) -> bool:
    """Whether the positive control failed: the search misses identifiers that are known to be there."""
    control, planted = data.egress.control_found, data.egress.identifiers_planted
    return control is not None and planted is not None and control < planted
