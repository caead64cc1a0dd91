"""How a page says a figure: numbers, units, intervals, missing values.

Epsilon is rounded up, so that no page understates a privacy loss. A figure that nobody measured is said to be
missing and never becomes a zero.
"""

from __future__ import annotations

import math

MISSING = "not measured"
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
        "figure": "Noised figure",
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


def signed(value: float) -> str:
    """A change with its sign, ``+1.13``."""
    return f"+{decimal(value)}" if value > 0 else decimal(value)


def level(value: float) -> str:
    """A value on an axis, without needless zeros."""
    return f"{value:,.6g}".replace("-", "\N{MINUS SIGN}")
