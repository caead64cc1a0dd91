"""Codes and user names by their shape alone: the recognizer that denies by default.

45 CFR 164.514(b)(2)(i) items G to M and R. A token of letters and figures is an identifier unless it is
certainly clinical (``clinicalcodes``), a measure, a range, a time or a year; so are numbers in groups that
are no range, and small words that are built as user names are (an initial and a family name, a word nobody
knows before a figure, or behind whoever printed, signed or logged in). Cue rules (``patterns``) come first
where fewer figures are enough.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from functools import cache

import regex

from intraward_client.deid.clinicalcodes import COUNTED, is_clinical_code, is_known
from intraward_client.deid.eponyms import EPONYMS
from intraward_client.deid.lexicon import is_drug, listed
from intraward_client.deid.libraries import NlpArtifacts, RecognizerResult
from intraward_client.deid.recase import is_caseless
from intraward_client.deid.recognizer import OwnRecognizer
from intraward_client.deid.rules import RULE_TIMEOUT_SECONDS
from intraward_client.deid.wordkinds import NAMES, Kind, WordKinds
from intraward_client.deid.wordlists import fold, word_list

NAME = "IntrawardCodes"
_OUTER = r"\s,;()\[\]{}\"'|<>=\u2018\u2019\u201c\u201d\u2026\u2022"
_TOKEN = regex.compile(rf"(?<![^{_OUTER}])[^\d{_OUTER}]*+\d[^{_OUTER}]*+")
_LABEL = regex.compile(r"\p{L}[\p{L}./ -]{0,24}(?::|#)(?=.)")
_UNIT_BEHIND = regex.compile(
    r"[ ]?(?:mg|mcg|g|kg|ml|mL|l|L|units?|IU|mmol|mmHg|bpm|beats|cells|copies|kcal|cal(?:orie)?s?|%|mm|cm|hours?|hrs?|h|minutes?|mins?|days?|weeks?|"
    r"months?|years?|yrs?|steps|x|/|to|per|mEq|dB|Hz|ng|pg|lbs?|pounds|ft|feet|m|meters?|metres?|degrees)(?![\p{L}\d])"
)
_LONGEST = 120

_USER = regex.compile(
    r"(?<![\p{L}\d])(?i:user(?:[ -]?(?:name|id))?|log-?[ ]?[io]n(?: name| id)?|log(?:ged|s|ging)?(?: me| him| her| them| us)?(?: back)? (?:in|on)(?: as| with| to)?|"
    r"sign(?:ed|s|ing)?(?: me)? (?:in|on)(?: as| with)?|(?:password|passcode|passwd|pwd|pin|badge|credentials?|access|mfa|2fa|otp|sso|token|profile|mailbox|inbox|in-?basket)(?: reset)? (?:for|of)|unlock(?:ed)?|"
    r"locked out(?: of)?|(?:portal|mychart|patient|my|network|windows|epic|cerner|emr|ehr|domain|e-?prescribing|vpn|citrix|e-?mail|staff|web|app)(?: portal)? account|"
    r"account(?: name)?|sign(?:ed|-?off)|e-?sign(?:ed|ature)?|scribe|typist|transcriptionist|typed|operator|initials|session(?: of)?|alias|handle|auth(?:or|enticated)?|co-?sign|verif(?:ied)?|attest(?:ed)?|"
    r"\p{L}{3,}(?:ed|t|n|ne|de|en) (?:(?:on|off|up|in|out|electronically|digitally|late|online|remotely|in error|in epic|in cerner)[ ]){0,2}by|by|from workstation of|(?:open(?:ed)?|chart|logged|running|session|worked|working|left) under|which of us used|used|"
    r"(?:changed|edited|modified|reassigned|assigned|routed|forwarded|sent|cc'?d?|messaged?|tagged|delegated) to|"
    r"(?:posts?|posted|posting|tweets?|blogs?|blogging|writes|comments?|streams?|plays|chats?|vlogs?|goes|active|reviews?|shares?|appears|listed|found|follows|messages|forum|group|board|online|channel|reddit|discord|twitch|app)\b[^.\n]{0,40}\s(?:as|under|by|called|named)|"
    r"(?:tags|calls|named|names) (?:him|her|them)sel(?:f|ves)|(?:message|chat|e-?mail|note|request|reply|dm|text|post|invite|order)s? from)"
    r"\s*(?:(?i:user|name|id|is|was|as|set to|now|reads?|login|staff|clinician|provider|portal)[ \t]+){0,2}(?:[:=#(]|-(?=[ ]))?[ \t]*[\"'\u2018\u201c]?$"
)
"""What stands before a user name: an account, a session, or whoever did a thing in the record."""
_STRONG = regex.compile(
    r"(?i)(?:user|log|pass|pwd|mfa|2fa|otp|sso|unlock|locked|\w*[ ]?account|sign(?:ed)?[ -](?:in|on)|alias|handle|session|post|tweet|blog|comment|stream|vlog|forum|tags|calls|"
    r"(?:print|typ|enter|key|scan|upload|transcrib|chart|fil|e-?sign|co-?sign|releas|modifi|edit|access|open|creat|record|updat|delet|amend|import|export|download|attest|authenticat|document|dictat|archiv|index|acknowledg)"
    r"(?:ed|n|d)(?: \w+){0,2} by)"
)
_AFTER_USER = regex.compile(
    r"[ ,]{0,2}(?i:\((?:user|login)\)|(?:is|was|got|keeps getting|has been|gets)? ?(?:locked out|logged (?:in|on|out|off)|signed (?:in|on|out))|can(?:no|')t (?:log|sign|get) ?in|"
    r"(?:un|not )able to (?:log|sign)|needs? (?:a )?(?:new )?(?:password|access|login)|forgot (?:the|his|her|my|their) password|password (?:reset|expired))\b"
)
_HANDLE = regex.compile(r"\p{L}[\p{L}\d]*(?:[._-][\p{L}\d]+){0,3}")
_APART = regex.compile(r"[:=/,;|<>()\[\]{}\"'\u2018\u2019\u201c\u201d#@]")
_AROUND = ".!?*-_"
_JOINTS = frozenset("@./_-")


class CodedTokens(OwnRecognizer):
    """OTHER_ID and USERNAME by their shape."""

    def __init__(self, kinds: WordKinds) -> None:
        self._kinds = kinds
        self._seen: dict[str, bool] = {}
        super().__init__(supported_entities=["OTHER_ID", "USERNAME"], name=NAME)

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Spans of codes and user names; `TimeoutError` when splitting the text takes over two seconds."""
        found = [self.found(*span) for span in self._coded(text)]
        found += [self.found("USERNAME", start, end) for start, end in self._users(text)]
        return found

    def _coded(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Tokens with a figure that are an identifier by their shape."""
        for match in _TOKEN.finditer(text, timeout=RULE_TIMEOUT_SECONDS):
            token, start = match.group(), match.start()
            if sum(map(str.isdigit, token)) < 5 and token.replace(".", "", 1).isdigit():
                continue
            label = _LABEL.match(token)
            if label is not None and not is_clinical_code(token.rstrip(".:")):
                start, token = start + label.end(), token[label.end() :]
            bare = token.lstrip("+#*~$/.:@_-\u2013\u2014")
            start += len(token) - len(bare)
            bare = bare.rstrip(".:/_*!?-\u2013\u2014%")
            if _is_looked_up(text, start, bare):
                continue
            entity = self._judged(bare, text[start + len(bare) : start + len(bare) + 14])
            if entity is not None:
                yield entity, start, start + len(bare)

    def _judged(self, token: str, behind: str) -> str | None:
        """What ``token`` identifies, by its shape; None if it may be clinical."""
        digits = sum(map(str.isdigit, token))
        letters = [character for character in token if character.isalpha()]
        if digits == 0 or len(token) > _LONGEST or "://" in token or "@" in token:
            return None
        if not letters:
            return (
                "OTHER_ID" if digits > 4 and _is_grouped(token) and not _UNIT_BEHIND.match(behind) else None
            )
        if is_clinical_code(token):
            return None
        user = _WORD_AND_FIGURE.fullmatch(token)
        pointed = _WORD_POINT_FIGURE.fullmatch(token)
        if (
            pointed is not None
            and self._kinds.of(pointed.group(1)) in _USERLIKE
            and not is_known(pointed.group(1))
        ):
            return "USERNAME"
        if user is not None:
            return self._numbered(user.group(1), len(user.group(2)))
        if digits > 3:
            return None if _is_prose(token) else "OTHER_ID"
        if digits == 3 and len(letters) > 2 and _DENSE.fullmatch(token):
            return None if any(map(self._is_worded, regex.findall(r"\p{L}{3,}", token))) else "OTHER_ID"
        return None

    def _numbered(self, stem: str, figures: int) -> str | None:
        """A word before ``figures`` figures: a user name unless a thing of the clinic is counted."""
        if stem.lower() in COUNTED or is_known(stem):
            return None
        kind = self._kinds.of(stem)
        if kind is Kind.UNKNOWN or kind in NAMES:
            return "USERNAME" if len(stem) > 3 or figures > 2 else None
        return "USERNAME" if figures > 1 and len(stem) > 3 and kind is not Kind.CLINICAL else None

    def _is_worded(self, stem: str) -> bool:
        return is_known(stem) or stem.lower() in COUNTED or self._kinds.of(stem) in {Kind.WORD, Kind.CLINICAL}

    def _users(self, text: str) -> Iterator[tuple[int, int]]:
        """Words that are a user name by how they are built, where an account or a deed in the record is told."""
        caseless = is_caseless(text)
        for word in {piece.strip(_AROUND) for piece in _APART.sub(" ", text).split()}:
            if not self._may_be_user(word):
                continue
            at = text.find(word)
            while at >= 0:
                end = at + len(word)
                if _stands_alone(text, at, end) and self._names_user(text, at, end, caseless):
                    yield at, end
                at = text.find(word, end)

    def _names_user(self, text: str, start: int, end: int, caseless: bool) -> bool:
        """Whether what may be a user name stands where one does, or can be nothing else."""
        word = text[start:end]
        if not caseless and word.islower() and word.isalpha() and _is_whole_name(word):
            return True
        if "_" in word and self._is_joined(word):
            return True
        if not caseless and regex.search(r"[.-]", word) and self._is_pair(word):
            return True
        cue = _USER.search(text, max(0, start - 60), start)
        if cue is not None and (_STRONG.match(cue.group()) or (len(word) > 3 and self._is_user(word))):
            return True
        return _AFTER_USER.match(text, end) is not None

    def _may_be_user(self, word: str) -> bool:
        """Whether ``word`` is no word, abbreviation or name as they are printed in prose; remembered."""
        known = self._seen.get(word)
        if known is None:
            known = 2 < len(word) < 40 and _HANDLE.fullmatch(word) is not None and self._is_odd(word)
            if len(self._seen) < 50_000:
                self._seen[word] = known
        return known

    def _is_odd(self, word: str) -> bool:
        if any(map(str.isdigit, word)):
            return not word.isdigit() and not word[0].isdigit() and not is_clinical_code(word)
        if "_" in word:
            return True
        if "." in word or "-" in word:
            parts = regex.split(r"[.-]", word)
            if not word.islower() or not any(
                len(part) > 2 and self._kinds.of(part) in _USERLIKE for part in parts
            ):
                return False
            return "." in word or not any(part in EPONYMS or is_known(part) for part in parts)
        if not (word.islower() or word.isupper()) or is_known(word):
            return False
        return self._kinds.of(word) is Kind.UNKNOWN

    def _is_joined(self, word: str) -> bool:
        """Whether a part of ``word`` is a name or a word nobody knows ("sgarner_rn"), so no field of a form."""
        parts = [part for part in word.split("_") if len(part) > 2 and part.isalpha() and not is_known(part)]
        return any(self._kinds.of(part) in _USERLIKE for part in parts)

    def _is_pair(self, word: str) -> bool:
        """Whether ``word`` is a name and an initial, a name or a word nobody knows ("bsingh.adeyemo")."""
        parts = regex.split(r"[.-]", word)
        kinds = [self._kinds.of(part) for part in parts if len(part) > 2]
        return (
            len(parts) == 2 and bool(kinds) and NAMES.issuperset(kinds[-1:]) and set(kinds) <= set(_USERLIKE)
        )

    def _is_user(self, word: str) -> bool:
        """Built of an initial and a name, or with a figure or a joint inside."""
        return not word.isalpha() or is_initial_and_name(word)


_ENDINGS = listed("es ed er ly al ic an en ia is us ns rs ts ry ty ey or on in ar st le")
_USERLIKE = frozenset({Kind.UNKNOWN, Kind.GIVEN, Kind.FAMILY, Kind.WORD_FAMILY, Kind.WORD_GIVEN})
_WORD_AND_FIGURE = regex.compile(r"(\p{Ll}{3,}|\p{Lu}{4,}|\p{Lu}\p{Ll}{3,})(\d{1,4})")
_WORD_POINT_FIGURE = regex.compile(r"(\p{L}\p{Ll}{3,}|\p{Lu}{4,})[._-]\d{2,4}")
_DENSE = regex.compile(
    r"[\p{Lu}\d]+(?:[-/_][\p{Lu}\d]+)*|[\p{Ll}\d]+(?:[-/_][\p{Ll}\d]+)*|\p{Lu}+(?:-[\p{Ll}\d]+)+"
)
_RANGE = regex.compile(r"(\d+)[-\u2013](\d+)")
_TIMES = regex.compile(r"(?:[01]\d|2[0-4])[0-5][05][-\u2013](?:[01]\d|2[0-4])[0-5][05]")
_YEARS = regex.compile(r"(?:19|20)\d\d[-\u2013/](?:(?:19|20)\d\d|\d\d)")


_NOMENCLATURE = regex.compile(
    r"(?i)\b(?:cdt|cpt|hcpcs|icd(?:-?\d\d?)?(?:-?(?:cm|pcs))?|ms-drg|drg|loinc|snomed(?: ct)?|atc|omim|mim|orpha|hgvs|rxcui|mesh|clinvar|refseq|dbsnp|dental code|procedure code|billing code|dx code|diagnosis code)"
    r"\b[ :#]*(?:(?:codes?|no\.?|and|or|versus|vs\.?|to|with|,|[A-Z]?\d[\d.-]{2,8})[ ,/:]*){0,6}$"
)
_DRUG = regex.compile(r"(\p{L}[\p{L}-]{3,}) $")


def _is_looked_up(text: str, start: int, token: str) -> bool:
    """Whether ``token`` is a code of a public nomenclature, or the strengths of a drug ("Augmentin 875-125")."""
    if len(token) < 11 and _NOMENCLATURE.search(text, max(0, start - 50), start):
        return True
    drug = _DRUG.search(text, max(0, start - 24), start)
    strengths = regex.fullmatch(r"[1-9]\d{1,2}(?:\.\d+)?-[1-9]\d{1,2}(?:\.\d+)?", token)
    return drug is not None and strengths is not None and is_drug(drug.group(1))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether no letter, figure or joint of an address touches ``text[start:end]``."""
    before, after = text[start - 1 : start], text[end : end + 1]
    if (
        before == after == "/"
        and not text[start - 2 : start - 1].strip()
        and not text[end + 1 : end + 2].strip()
    ):
        return True
    if before.isalnum() or after.isalnum() or before in _JOINTS or after == "@":
        return False
    return after not in {".", "_", "-"} or not text[end + 1 : end + 2].isalnum()


def is_initial_and_name(word: str) -> bool:
    """Whether ``word`` is an initial or two before what begins a family name, or behind a whole one."""
    lowered, names = fold(word), _sorted_names()
    for beginning in (lowered[1:], lowered[2:]):
        at = bisect_left(names, beginning)
        if len(beginning) > 3 and at < len(names) and names[at].startswith(beginning):
            return True
    listed_names = word_list("family_names")
    return any(len(part) > 3 and part in listed_names for part in (lowered[:-1], lowered[:-2]))


def _is_whole_name(word: str) -> bool:
    """Whether ``word`` is one initial and a whole family name ("cwilliams"), or the name and two initials."""
    names = word_list("family_names")
    return (len(word) > 6 and (word[1:] in names or (len(word) > 7 and word[2:] in names))) or (
        len(word) > 6 and word[:-2] in names and word[-2:] not in _ENDINGS
    )


@cache
def _sorted_names() -> list[str]:
    return sorted(word_list("family_names"))


def _is_prose(token: str) -> bool:
    """Words that a dash, a slash or a missing blank joined to a figure ("2024-admission", "day/2024")."""
    parts = regex.split(r"[-/.:+\u2013]", token)
    return any(len(part) > 3 and part.isalpha() and part.islower() for part in parts) and all(
        part.isalpha() or regex.fullmatch(r"(?:19|20)\d\d|\d{1,3}|", part) for part in parts
    )


def _is_grouped(token: str) -> bool:
    """Figures in groups that are no range, no time, no years, no decimal and no date."""
    groups = regex.split(r"[-\u2013\u2010\u2011.]", token)
    if len(groups) == 1 or not all(map(str.isdigit, groups)):
        return False
    total = sum(map(len, groups))
    if "." in token:
        return len(groups) > 2 and min(map(len, groups)) > 1
    if len(groups) > 2:
        return total > 6 and not all(len(group) < 4 and int(group) % 5 == 0 for group in groups)
    if _TIMES.fullmatch(token) or _YEARS.fullmatch(token):
        return False
    low, high = groups
    if len(low) == 1 and len(high) == 4:
        return low not in {"0", "1"}
    if (low[0] == "0" and len(low) > 2) or (high[0] == "0" and len(high) > 2):
        return True
    rising = int(low) < int(high)
    if len(low) < len(high) or len(high) < 3:
        return total > 5 and not (rising and total < 8 and int(low) % 5 == 0 and int(high) % 5 == 0)
    return total > 5 and not (rising and (total < 8 or (int(low) % 50 == 0 and int(high) % 50 == 0)))
