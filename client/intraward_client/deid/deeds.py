"""Whether a word stands where only a person can: who acts, who is told, who is treated.

"Heath passed the swallow", "if precious can fly", "tell robin that", "moss's creatinine": the sentence names a
person whatever the lists say of the word. The verbs and nouns are a small public stock of ward English; each
is one that no drain, score or test takes ("Foley drained", "Wells score", "Page sent" are none). Read in any
case: by ``capitals`` before its eponyms, by ``recase`` for texts that lost their capitals.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex

from intraward_client.deid.eponyms import EPONYMS
from intraward_client.deid.lexicon import listed
from intraward_client.deid.wordkinds import MAYBE, NAMES, Kind
from intraward_client.deid.wordlists import fold, word_list

_DEED = regex.compile(
    r"(?i) (?:also |just |again |always |never |only |already |then |usually |often |probably |has |had )?"
    r"(?:(?:said|says|told|tells|asked|asks|wants|wanted|thinks|thought|knows|knew|believes|believed|signed|signs|agreed|agrees|"
    r"declined|declines|consented|refuses|refused|lives|lived|drove|drives|walks|walked|cooks|bathes|cares|gets|got|goes|went|leaves|"
    r"paged|phoned|texted|emailed|wrote|writes|denies|denied|feels|felt|eats|ate|sleeps|slept|vomited|vomits|threw up|throws up|forgot|"
    r"forgets|remembers|prefers|preferred|hopes|hoped|worries|worried|insists|insisted|complains|complained|admits|apologi[sz]ed|"
    r"promised|prays|smokes|drinks|drank|fell|tripped|fainted|passed out|woke|wakes|coded|desat(?:t?ed|urated|urates)|stable(?=,)|seized|spiked|voided|ambulated)\b"
    r"|(?:placed|inserted|removed|pulled|started|stopped|changed|hold|holds|held|checks|checked|fills|filled|sets|keeps|kept|brings|brought|hung|"
    r"passed|failed|missed|drew|draws|scanned|sees|saw|met|sends|sent|puts|taught|watches|watched|covers|covered|does|did|made|makes|takes|took|"
    r"gives|gave|reads|read|left|wears|uses|used|lost|cleaned|dressed|tolerated|helps|helped|manages|handles|reviewed|examined|performed|"
    r"dictated|drained|sutured|intubated|extubated|scrubbed|closed|started) (?:the|a|an|his|her|their|my|our|it|him|them|up|out|in at|"
    r"two|three|second|first|another|all|every|no one|me|us|you|proxy|power|keys?)\b"
    r"|(?:is|was|has been|keeps|kept) (?:now |still |not |again )?(?:asking|waiting|refusing|vomiting|crying|sleeping|eating|throwing|puking|retching|complaining|"
    r"calling|coming|going|leaving|working|covering|seizing|desatting|sweating|shaking|coughing|limping|asleep|awake|hungry|upset|"
    r"confused|agitated|drowsy|febrile|afebrile|intubated|dizzy|nauseated|nauseous|npo|homeless|scared|anxious|happy|worried|on call|off today|off tonight)\b"
    r"|(?:can|may|could|should|will|to) be (?:reached|contacted|called|paged|notified)\b|gave (?=[A-Z0-9])|prefers\b|gave consent\b|(?:can|could|would|will) (?:you|u)\b|(?:pls|please) (?:call|page|hang|give|check|see|send|draw|take|bring|let|come|put|order|repeat|start|stop|hold)\b|is stuck\b|'s ride\b"
    r"|(?:on|at|via) (?:pager|bleep|beeper|ext|extension|vocera|spok|cell|mobile|her cell|his cell|phone|teams|secure chat|x\d)\b"
    r"|from (?:[\p{L}'.&-]+ ){1,5}(?:came|comes|arrived|is here|called|calls|wants|needs|was sent|was transferred)\b"
    r"|(?:still|now|remains) (?:febrile|afebrile|wheezy|wheezing|npo|asleep|awake|asking|waiting|refusing|vomiting|nauseated|tachy\w*|"
    r"hypotensive|confused|agitated|drowsy|short of|sob|dizzy|intubated|hungry|upset|crying|pending transport|boarding|hypoxic)\b"
    r"|(?:cannot|can't|cant|couldn't|won't|wont|doesn't|didn't|isn't|wasn't|hasn't|wouldn't|can|could|would|should|will) (?:not |now |still )?"
    r"(?:sit|eat|walk|fly|drive|go home|have|come|drink|shower|travel|swim|leave|stand|see|talk|log|remember|recall|read|hear|swallow|afford|"
    r"sleep|lie|sign|speak|tolerate|get|find|reach|open|call|know|want|like|feel|be there|pick|bring|cover)\b)"
)
"""What a person does, behind the word: verbs that need no object, others with one, states, and what one can or cannot."""
_OPENING = regex.compile(
    r"(?i)(?:(?:^|[.?!:;\n(>\"*])[ \t-]*|(?<!\p{L})(?:if|when|whether|that|because|since|until|unless|while|once|so|but|says|said|did|does|why|how|where|and|fyi,?) )$"
)
"""Where a clause begins, before the word."""
_TELLING = regex.compile(
    r"(?i)(?<!\p{L})(?:tell|told|ask|asked|page|paged|call|called|text|texted|notify|notified|remind|reminded|inform|informed|message|"
    r"email|emailed|ping|pinged|update|updated|let|cc|phone|phoned|alert|alerted|bleep|bleeped|consulted)(?: dr\.?)? $"
)
_TOLD = regex.compile(
    r"(?i)(?: (?:know|that|to|re|about|if|whether|we|i|the|when|for|before|once|twice|stat|asap|pls|please|today|tonight|tomorrow|now|"
    r"of|and|with|his|her|a|on|at|it's|there's)\b|[,.;?!]?(?: |\n|$)(?!\p{L}))"
)
"""Behind who is told: what, when, or the end."""
_TOLD_TWO = regex.compile(r"(?i) \p{L}{2,} (?:that|the|to|re|about|if|we|i)\b")
"""The same behind a second name."""
_HANDING = regex.compile(
    r"(?i)(?<!\p{L})(?:(?:cover(?:s|ed|ing)?|filling in) for|(?:endorsed|hand(?:ed)?[ -]?(?:off|over)|sign(?:ed)?[ -]?out|report(?: given)?|page|"
    r"message|reports|escalated|paged out) to|(?:agreed|discussed|reviewed|spoke|seen|rounded|talked|conferred|checked|confirmed|verified) with|"
    r"d/w|s/w|(?<=(?:^|[.:;\n]) ?)per|(?:proxy|agent|hcp|poa|next of kin|nok|emergency contact|decision[ -]maker|surrogate) is) $"
)
_HANDED = regex.compile(
    r"(?i)(?: (?:on|and|at|by|about|re|who|via|before|after|for|over|in|tonight|today|this|overnight)\b|[,;.?!)]|\n|$)"
)
_SURNAME = regex.compile(r"(?: is|:|[.;]) \p{Lu}\p{Ll}[\p{L}'-]+, $")
_ENDED = regex.compile(r"[,;.)]|\n|$| \(")
_ROLES = listed(
    "Pt Pts Ptnt Dr Drs Md Rn Np Pa Cna Fam Mom Gp Pcp Sw Ot Slp Rt Cm Ems Ed Icu Or Ob Id Ent Gyn Neuro Cards Ortho Surg Psych Onc Heme Rad Rads Res Att Tech Pharm Pa Do Dpt Obs Peds Gi Gu Ir Ct Mri Pca"
)
"""Abbreviations of who is there without a name, and of the teams."""
_OWNED = regex.compile(
    r"(?i)'s (?:(?:last|latest|repeat|morning|am|pm|new|follow-?up|home|serum|urine|blood|first|next|admission|post-?op|critical|bedside) )?"
    r"(?:inr|k|potassium|sodium|na|hgb|hb|h/h|cr|creat\w*|bun|labs?|ct|mri|cxr|x-?ray|chart|notes?|meds?|orders?|bp|hr|sats?|bed|room|consents?|"
    r"biopsy|path|results?|dose|scripts?|rx|cultures?|trop\w*|lactate|gas|abg|vbg|ekg|ecg|echo|port|picc|a-?line|surgery|allerg\w+|weight|vitals|"
    r"temp|glucose|sugars?|insulin|wbc|platelets?|plts?|tsh|a1c|hba1c|psa|bnp|d-?dimer|level|trough|urine|ua|discharge|transfer|family|"
    r"wife|husband|mom|mum|dad|son|daughter|mother|father|sister|brother|nurse|cell|phone|pharmacy|appt|appointment|portal|code status)\b"
)
_NO_ONE = listed(
    """light bell button back case page schedule room bed long short center desk line bank case security transport house
    lab labs rapid code bill chart staff family mother father doctor nurse guy pop may will can might mark rich price
    early best fair true just even more less worth hall close ward"""
)
"""Listed names that in small letters are a thing or a manner behind "call" and "page"."""


def is_acting(text: str, start: int, end: int, kind: Kind) -> bool:
    """Whether ``text[start:end]``, a word of ``kind``, is who acts, is told or owns a result."""
    if kind not in NAMES | MAYBE | {Kind.UNKNOWN} or end - start < 2:
        return False
    token = text[start:end]
    small = not token[0].isupper() or text[start : end + 12].isupper()
    before = max(0, start - 28)
    if _HANDED.match(text, end) and _HANDING.search(text, before, start):
        return True
    if kind in MAYBE | {Kind.GIVEN} and not small and text[start - 4 : start] == " by ":
        return _ENDED.match(text, end) is not None
    if small and token.lower() in _NO_ONE and not text[:start].lower().endswith(("ask ", "tell ", "told ")):
        return False
    if _DEED.match(text, end) and (
        _OPENING.search(text, before, start) or (not small and text[start - 1 : start] == " ")
    ):
        return True
    told = _TOLD.match(text, end) or (kind not in MAYBE and _TOLD_TWO.match(text, end))
    if told and _TELLING.search(text, before, start):
        return True
    owner = end - 2 if token[-2:].lower() == "'s" else end
    return fold(text[start:owner]) not in EPONYMS and _OWNED.match(text, owner) is not None


def is_abbreviated_name(text: str, start: int, end: int) -> bool:
    """Whether an abbreviation that is printed as a name ("Loc", not "LOC") acts, or stands behind a surname."""
    token = text[start:end]
    if (
        not token.istitle()
        or len(token) < 2
        or token in _ROLES
        or fold(token) not in word_list("abbreviations")
    ):
        return False
    turned = (
        _SURNAME.search(text, max(0, start - 40), start) is not None and _ENDED.match(text, end) is not None
    )
    return turned or is_acting(text, start, end, Kind.UNKNOWN)
