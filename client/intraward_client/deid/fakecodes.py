"""Invented numbers, addresses and places in the shape of what they replace, and nobody's.

Telephone numbers end in 555-01xx, e-mail and web addresses lie in ``example`` domains, network addresses
in the blocks kept for documentation, ZIP codes in prefixes that are not in use, social security numbers
begin with 9. A value written another way (``4812-0957``, ``48120957``) gets the same digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import regex

from intraward_client.deid.fakenames import invented
from intraward_client.deid.lexicon import listed

if TYPE_CHECKING:
    from intraward_client.deid.surrogates import PatientKey

_KINDS = listed(
    """hospital hospitals clinic infirmary center centre institute university pharmacy school college
    hospice surgery practice"""
)
_GENERIC = _KINDS | listed(
    """general memorial community regional county medical health healthcare children's childrens st
    saint mount our lady of the and for at in de"""
)
_LABELS = listed("MRN NHS SSN NPI DEA VIN UDI SN ID")
_EXTENSION = regex.compile(r"(?i)[ ]*(?:ext(?:ension)?|x)[.:]?[ ]*(\d+)$")
_US_PHONE = regex.compile(r"\(?\d{3}\)?[-. ]\d{3}[-.]\d{4}")
_POSTCODE = regex.compile(r"[A-Z]{1,2}\d[A-Z\d]?[ ]?\d[A-Z]{2}", regex.IGNORECASE)


def invent_code(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    """The surrogate of ``text``, an identifier of class ``kind`` that is neither name, date nor age."""
    made = _phone if _US_PHONE.fullmatch(text) else _MAKERS.get(kind, _shaped)
    return made("PHONE" if made is _phone else kind, text, key, attempt)


def squash(value: str) -> str:
    """Lower-case letters and digits of ``value``."""
    return "".join(filter(str.isalnum, value.lower()))


def _shaped(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    """The same shape: a digit for a digit, a letter for a letter; a label such as MRN stays."""
    digits, letters = (iter(_stream(kind, part, key, attempt)) for part in _split(text))
    label = regex.match(r"\p{Lu}+", text)
    kept = label.end() if label and label.group() in _LABELS else 0
    out = [text[:kept]]
    leads = True
    for character in text[kept:]:
        if character.isdigit():
            drawn = next(digits)
            out.append(str(1 + drawn % 9 if leads and character != "0" else drawn % 10))
            leads = False
        elif character.isalpha():
            letter = chr(ord("A") + next(letters) % 26)
            out.append(letter if character.isupper() else letter.lower())
        else:
            out.append(character)
    return "".join(out)


def _split(text: str) -> tuple[str, str]:
    """Digits and letters of ``text``; a leading label is in neither."""
    label = regex.match(r"\p{Lu}+", text)
    bare = text[label.end() :] if label and label.group() in _LABELS else text
    return "".join(filter(str.isdigit, bare)), "".join(filter(str.isalpha, bare.lower()))


def _stream(kind: str, value: str, key: PatientKey, attempt: int) -> list[int]:
    """A 128-bit number for each character of ``value``."""
    return [key.draw(f"{kind}:{place}", value, attempt) for place in range(len(value))]


def _phone(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    """``(7xx) 555-01xx`` in the same layout; shorter numbers (pagers, extensions) keep their shape."""
    tail = _EXTENSION.search(text)
    if tail and tail.start() > 0:
        cut = tail.start(1)
        return (
            _phone(kind, text[: tail.start()], key, attempt)
            + text[tail.start() : cut]
            + _shaped(kind, text[cut:], key, attempt)
        )
    digits = "".join(filter(str.isdigit, text))
    if len(digits) < 7 or any(map(str.isalpha, text)):
        return _shaped(kind, text, key, attempt)
    fresh = f"55501{key.draw(kind, digits[-7:], attempt) % 100:02d}"
    if len(digits) >= 10:
        fresh = f"{200 + key.draw('AREA', digits[-10:-7], attempt) % 800}{fresh}"
    country = digits[: len(digits) - len(fresh)]
    fresh = (country if country in {"1", "44", "0"} else "0" * len(country)) + fresh
    following = iter(fresh)
    return "".join(next(following) if character.isdigit() else character for character in text)


def _ssn(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    return str(regex.sub(r"\d", "9", _shaped(kind, text, key, attempt), count=1))


def _zip(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    shaped = _shaped(kind, text, key, attempt)
    if regex.fullmatch(r"\d{5}(?:-\d{4})?", text):
        return f"00{int(shaped[2]) % 5}{shaped[3:]}"
    return str(regex.sub(r"^\p{L}+", "ZZ", shaped)) if _POSTCODE.fullmatch(text) else shaped


def _town(key: PatientKey, value: str, attempt: int) -> str:
    number = key.draw("TOWN", value, attempt)
    return invented(chr(ord("A") + number % 26), number // 26)


def _distinct(text: str) -> str:
    words = [word.lower() for word in regex.findall(r"\p{L}[\p{L}\p{M}']*", text)]
    return " ".join([word for word in words if word not in _GENERIC] or words)


def _location(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    town = _town(key, _distinct(text), attempt)
    return town.upper() if text.isupper() and len(text) > 3 else town


def _facility(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    nouns = [word for word in regex.findall(r"\p{L}+", text) if word.lower() in _KINDS]
    town = _town(key, _distinct(text), attempt)
    return f"{town} {nouns[-1] if nouns else 'Hospital'}"


def _address(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    number = 1 + key.draw("HOUSE", squash(text), attempt) % 98
    street = f"{number} {_town(key, _distinct(text), attempt)} Street"
    tail = regex.search(r"\d{5}(?:-\d{4})?$", text)
    return f"{street}, {_zip('ZIP', tail.group(), key, attempt)}" if tail else street


def _user(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    return f"user{key.draw(kind, text.lower(), attempt) % 10**6:06d}"


def _email(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    return f"{_user('USERNAME', text.split('@')[0], key, attempt)}@example.org"


def _url(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    return f"https://example.org/{key.draw(kind, text.lower(), attempt) % 10**6:06d}"


def _ip(kind: str, text: str, key: PatientKey, attempt: int) -> str:
    number = key.draw(kind, text.lower(), attempt)
    if regex.search(r"(?:[0-9A-Fa-f]{2}[:-]){5}", text):
        return f"00-00-5E-00-53-{number % 256:02X}"
    return f"2001:db8::{number % 65536:x}" if ":" in text else f"192.0.2.{1 + number % 254}"


_MAKERS: dict[str, Callable[[str, str, PatientKey, int], str]] = {
    "PHONE": _phone,
    "SSN": _ssn,
    "ZIP": _zip,
    "LOCATION": _location,
    "FACILITY": _facility,
    "ADDRESS": _address,
    "USERNAME": _user,
    "EMAIL": _email,
    "URL": _url,
    "IP": _ip,
}
