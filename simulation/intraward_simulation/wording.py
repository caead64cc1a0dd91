"""How the report says a figure: numbers, units, missing values, and the sentences at the top.

Keeps DESIGN.md section 7: the headline claims what was measured and nothing else, and a bad figure
comes first. Epsilon is rounded up, so that no page understates a privacy loss.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup, escape

from intraward_simulation.report_data import ReportData, SiteSpend

Tone = Literal["good", "bad", "plain"]
MISSING = "not measured"
MOST_WORDS = 300
ACRONYMS = {
    "SSN",
    "MRN",
    "NHS",
    "URL",
    "IP",
    "US",
    "UK",
    "ID",
    "ZIP",
    "DOB",
    "IBAN",
    "NPI",
    "SFT",
    "PPO",
    "KL",
}
WORDS = ("no", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")


def whole(value: int | None) -> str:
    """``1204`` as ``1,204``."""
    return MISSING if value is None else f"{value:,}"


def decimal(value: float | None, digits: int = 2) -> str:
    """A signed decimal with a true minus sign."""
    if value is None:
        return MISSING
    shown = f"{value:,.{digits}f}"
    return "0" if float(shown.replace(",", "")) == 0 else shown.replace("-", "\N{MINUS SIGN}")


def percent(value: float | None, digits: int = 1) -> str:
    """A share as per cent."""
    return MISSING if value is None else f"{100 * value:.{digits}f} %"


def between(interval: tuple[float, float] | None, *, share: bool = False) -> str:
    """A 95 % interval as ``0.88 to 0.93``, or in per cent."""
    if interval is None:
        return ""
    low, high = interval
    return f"{100 * low:.1f} to {100 * high:.1f} %" if share else f"{decimal(low)} to {decimal(high)}"


def epsilon(value: float | None, digits: int = 2) -> str:
    """Epsilon rounded up at ``digits``; exactly zero stays ``0``."""
    if value is None:
        return MISSING
    scaled = math.ceil(value * 10**digits - 1e-6) / 10**digits
    return "0" if value == 0 else f"{max(scaled, 10**-digits):,.{digits}f}"


def cap(value: float) -> str:
    """A cap without needless zeros."""
    return f"{value:,.2f}".rstrip("0").rstrip(".")


def small(value: float) -> str:
    """Delta in scientific form, ``1e-5``."""
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa.removesuffix('.0')}e{int(exponent)}"


def size(count: int | None) -> str:
    """Bytes in decimal units."""
    if count is None:
        return MISSING
    amount = float(count)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 999.5 or unit == "GB":
            break
        amount /= 1000
    return f"{count:,} bytes" if unit == "bytes" else f"{amount:,.{0 if amount >= 100 else 1}f} {unit}"


def duration(seconds: float | None) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds is None:
        return MISSING
    if seconds < 99.5:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    if seconds < 7170:
        return f"{round(seconds) // 60} min {round(seconds) % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def hospitals(count: int) -> str:
    """``Three hospitals`` at the start of a sentence."""
    word = WORDS[count] if 0 < count < len(WORDS) else f"{count:,}"
    return f"{word} hospital{'' if count == 1 else 's'}"


def label(name: str) -> str:
    """``PHONE_NUMBER`` as ``Phone number``; what everybody writes in capitals stays so."""
    words = name.replace("_", " ").split()
    shown = [word if word in ACRONYMS or not word.isupper() else word.lower() for word in words]
    return " ".join([shown[0][:1].upper() + shown[0][1:], *shown[1:]]) if shown else name


def stage(name: str) -> str:
    """A stage's name for people."""
    known = {
        "sft": "SFT",
        "reward": "Reward model",
        "ppo": "PPO",
        "rloo": "RLOO",
        "dpo": "DPO",
        "label": "Labels",
    }
    return known.get(name.lower(), label(name))


def odds(value: float) -> str:
    """``exp(epsilon)``, the factor that the bound allows, rounded up to what a reader can hold."""
    if value > 30:
        return "more than ten thousand billion"
    factor = math.exp(value)
    if factor < 100:
        return f"{math.ceil(factor * 10) / 10:,.1f}"
    digits = 10 ** (len(str(int(factor))) - 3)
    return f"{math.ceil(factor / digits) * digits:,}"


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
    left = f"None of {whole(data.egress.identifiers_planted)} planted identifiers got out."
    return Headline(f"{who} trained one model. {left}", _kept(data), "good")


def _bad_news(data: ReportData) -> Headline | None:
    found, planted = data.egress.identifiers_found, data.egress.identifiers_planted
    if found:
        where = [place.place for place in data.egress.places if place.found]
        named = f" Found in: {', '.join(where)}." if where else ""
        title = f"{whole(found)} of {whole(planted)} planted identifiers got out."
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
        f" They cost at most epsilon {epsilon(site.total)} of {cap(site.cap)} per patient."
        if site is not None
        else ""
    )
    return (
        "Notes, prompts and labels stayed inside; clipped, noised and signed LoRA updates "
        f"are the only thing built to leave.{spent}"
    )


def signed(value: float) -> str:
    """A change with its sign, ``+1.13``."""
    return f"+{decimal(value)}" if value > 0 else decimal(value)


def level(value: float) -> str:
    """A value on an axis, without needless zeros."""
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")


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
