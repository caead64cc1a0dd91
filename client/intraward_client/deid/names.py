"""Names by cue: titles, labels, kin, credentials and phrases of meeting.

The small NER model finds about 71 % of patients' names in notes (facts, section 4). A cue needs no list:
what stands behind "Dr." or "Patient:" is a name, also when it is an eponym or an English word. Names
without a cue are left to ``capitals``.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.lexicon import NOT_A_NAME, listed
from intraward_client.deid.rules import Rule

_NEVER = listed(
    """MRN DOB SSN NHS Dr Mr Mrs Ms The This That These Those She He His Her They Their We Our You Your I It Its In On At And Or But
    With Was Were Is Are Be For To From By Of As Not No Unknown None Nil Yes See Has Had Have If What Which When Where Why Who
    How Should Can Could Would Will May Do Does Did MD DO RN NP PA FYI Please Pls Hello Hi Dear Re Cc Fax Email Page Call
    Also Then There Here Both Each Some Any All Other Another Same Since After Before During While Because Until Upon
    Seen Saw Per Via Denies Reports States Alert Awake Oriented Lives Works Follow Return Continue Start Stop Give Take Add"""
)
_NOT = rf"(?!(?:{'|'.join((*NOT_A_NAME, *(word.upper() for word in NOT_A_NAME), *sorted(_NEVER)))})\b)"
TOKEN = r"\p{Lu}(?:'\p{L}[\p{L}\p{M}]*+|[\p{L}\p{M}]++)(?:['-][\p{L}\p{M}]++)*+"
_PARTICLE = (
    r"(?:de|del|de la|der|den|da|dos|do|di|du|la|le|van|van der|van den|von|bin|bint|ibn|al|el|ter|zu|y|e|O')"
)
_PIECE = rf"(?:{_NOT}{TOKEN}|\p{{Lu}}\.)"
NAME = rf"(?:{_PARTICLE}[ ])?{_PIECE}(?:(?:[ ]{{1,2}}|(?<=\.))(?:{_PARTICLE}[ ])?{_PIECE}){{0,3}}(?:,?[ ](?:Jr|Sr|II|III|IV)\b\.?)?"
_COMMA_NAME = rf"{_NOT}{TOKEN}(?:[ ]{TOKEN})?,[ ]?{_PIECE}(?:[ ]{_PIECE})?"
_TITLE = r"(?:Drs?|Doctor|Mr|Mrs|Ms|Miss|Mx|Mister|Madam|Prof|Professor|Rev|Reverend|Father|Fr|Sister|Sr|Nurse|Matron|Sir|Dame|Lord|Lady|Judge|Officer|Sergeant|Sgt|Capt|Captain|Lt|Col|Rabbi|Imam|Pastor|Señora?|Herr|Frau|Mme|M\.|DR|MR|MRS|MS|PROF)"
_LABEL = r"(?i:patient(?:'s)?(?: name)?|pt(?: name)?|(?:full |first |last |given |family |sur|middle |maiden |preferred )?name|surname|forename|re|from|to|cc|attn|ordering|requesting|prescriber|ordering (?:physician|provider)|requested by|ordered by|performed by|interpreted by|read by|collected by|drawn by|scribe|scribed by|technologist|tech|sonographer|attending|attending physician|surgeon|assistant|anesthetist|anaesthetist|anesthesiologist|physician|provider|pcp|gp|consultant|registrar|resident|intern|fellow|therapist|psychologist|psychiatrist|counsel(?:l)?or|nurse|midwife|pharmacist|radiologist|pathologist|dietitian|caller|informant|historian|contact|emergency contact|next of kin|nok|kin|guardian|carer|caregiver|proxy|power of attorney|poa|spouse|wife|husband|partner|mother|father|son|daughter|sister|brother|parent|witness|interpreter|author|dictated by|transcribed by|signed|signed by|electronically signed by|e-signed by|verified by|entered by|reviewed by|reported by|referred by|referring (?:physician|doctor|provider)|seen by|clinician|doctor|social worker|case manager|cc to|copy to|responsible clinician|named nurse|key worker|insured|guarantor|subscriber|policy ?holder|dear|hi|hello|sincerely|regards|best wishes|yours (?:sincerely|faithfully|truly)|thanks|thank you)"
_KIN = r"(?i:son|daughter|wife|husband|mother|father|mum|mom|dad|sister|brother|partner|spouse|fianc[eé]e?|girlfriend|boyfriend|niece|nephew|aunt|uncle|cousin|grand(?:son|daughter|mother|father|child)|step(?:son|daughter|mother|father)|(?:mother|father|son|daughter|sister|brother)-in-law|friend|neighbou?r|roommate|flatmate|carer|caregiver|guardian|landlord|landlady|employer|boss|colleague|coworker|teacher|twin|baby|child|infant|aide|therapist|nurse|surgeon|doctor|cardiologist|neurologist|oncologist|psychiatrist|psychologist|pharmacist|midwife|consultant|physician|dentist|optometrist|podiatrist|physiotherapist|dietitian|social worker|case manager|lawyer|solicitor|pastor|priest|gp)"
_MEET = r"(?i:known as|called|named|seen by|saw|met(?: with)?|spoke (?:to|with)|discuss(?:ed|ion)?(?: \w+){0,3} with|signed(?: off)? by|referred (?:by|to)|letter (?:to|from)|copied to|cc'?d|under(?: the care of)?|accompanied by|escorted by|brought (?:in )?by|reviewed by|examined by|performed by|operated on by|assisted by|consult(?:ed)?(?: with)?|contact(?:ed)?|phoned|telephoned|emailed|texted|paged|daughter of|son of|wife of|husband of|mother of|father of|sister of|brother of|care of|attn|regards to|on behalf of|per|prescribed by|ordered by|drawn by|e-?signed(?: by)?|scribed by|dictated by|transcribed by|reported by|thank you for (?:referring|seeing)|history (?:was )?(?:obtained|provided|given) (?:from|by)|relative|answers to|goes by|introduc\w+ (?:to|by)|handed over to|via)"
_CREDENTIAL = r"(?:M\.?D|D\.?O|R\.?N|N\.?P|P\.?A(?:-C)?|Ph\.?D|MBBS|MBChB|MBBCh|FRC\w+|MRC\w+|FACS|FACC|DDS|DMD|PharmD|LCSW|LPN|CRNA|CNM|APRN|DNP|BSN|MSN|PT|DPT|OT|RD|SLP|LMFT|PsyD|CNA|EMT|FNP|ARNP|BDS|DPM|OD)"

NAMES = (
    Rule(
        "PERSON",
        "title",
        rf"\b(?:{_TITLE}\.?(?:[ ]?/[ ]?|[ ](?:and|&)[ ]))?\b{_TITLE}\b\.?[ ]{{1,2}}\K(?:\p{{Lu}}\.?[ ]?){{0,2}}(?:{_PARTICLE}[ ])?{TOKEN}(?:(?:[ ]{{1,2}}|(?<=\.))(?:{_PARTICLE}[ ])?{_PIECE}){{0,3}}(?:(?:[ ]and[ ]|,[ ])(?={_TITLE}\b))?",
    ),
    Rule(
        "PERSON",
        "label",
        rf"(?:^|(?<=[\n.;|\t(,>]|[ ]{{2}}))[ \t]*{_LABEL}(?:[ \t]*\([\p{{L}} ]+\))?[ \t]*[:=][ \t]*\K(?:{_TITLE}\.?[ ])?(?:{_COMMA_NAME}|{NAME})",
    ),
    Rule(
        "PERSON",
        "label inside a line",
        rf"\b{_LABEL}[ \t]*:[ \t]*\K(?:{_TITLE}\.?[ ])?(?:{_COMMA_NAME}|{NAME})",
    ),
    Rule(
        "PERSON",
        "two labelled words in any case",
        r"^[ \t]*(?i:patient name|patient's name|full name|next of kin|surname|forename|first name|last name)[ \t]*[:=][ \t]*\K\p{L}[\p{L}'.-]*(?:,?[ ]\p{L}[\p{L}'.-]*){0,3}(?=[ \t]*(?:$|[ \t]{2}|[;|(,]))",
    ),
    Rule(
        "PERSON",
        "closing or greeting",
        rf"^[ \t]*(?i:dear|hi|hello|sincerely|regards|kind regards|best wishes|yours \w+|thanks|thank you),?\s+\K{NAME}",
    ),
    Rule(
        "PERSON",
        "patient named",
        rf"\b(?i:patient|pt|client|resident|veteran|mr\./ms\.|baby (?:boy|girl))[ ]\K{NAME}",
    ),
    Rule(
        "PERSON",
        "kin or carer named",
        rf"\b{_KIN}(?:'s name(?: is)?|[ ]\([^)\n]{{1,20}}\))?(?:,?[ ](?:is[ ]|named[ ]|called[ ])?|[ ]?:[ ]?|[ ]-[ ]|[ ]?\()\K{NAME}",
    ),
    Rule(
        "PERSON", "phrase of meeting", rf"\b{_MEET}[ ](?:(?:her|his|the|my|our|their|a)[ ]\w+,?[ ])?\K{NAME}"
    ),
    Rule(
        "PERSON",
        "credential",
        rf"(?<!\p{{L}})(?:{_NOT}{TOKEN}|\p{{Lu}}\.)(?:[ ](?:{TOKEN}|\p{{Lu}}\.)){{0,3}}(?=,?[ ]{_CREDENTIAL}\b)",
    ),
    Rule(
        "PERSON",
        "name and age",
        rf"(?<![\p{{L}}.]){_PIECE}(?:[ ]{_PIECE}){{0,2}}(?=[ ]?(?:\(|,[ ]?)(?:aged?[ ])?\d{{1,3}}[ -]?(?:y|yo|years?|yrs?|F|M|m|f|months?)\b)",
    ),
    Rule(
        "PERSON",
        "name and record",
        rf"(?<![\p{{L}}.]){_PIECE}(?:,?[ ]{_PIECE}){{0,3}}(?=[ ]{{0,2}}[(\[,;|-]?[ ]{{0,2}}(?:MRN|mrn|DOB|dob|D\.O\.B|NHS|SSN|record|born|Hosp|hospital no|ID[: #]|#\d))",
    ),
    Rule(
        "PERSON",
        "capitals, surname first",
        rf"(?:^|(?<=[:;(\t]|[ ]{{2}}))[ ]*\K{_NOT}\p{{Lu}}[\p{{Lu}}'-]+(?:[ ]\p{{Lu}}[\p{{Lu}}'-]+)?,[ ]{{0,2}}{_NOT}\p{{Lu}}[\p{{L}}'-]+(?:[ ]\p{{Lu}}\.?)?(?=[ ]*(?:$|\(|\[|;|\||-|MRN|DOB|[ ]{{2}}|\d|,))",
    ),
    Rule("PERSON", "address of an e-mail", rf"{NAME}(?=[ ]?<[^>\n]*@)"),
    Rule(
        "PERSON",
        "initial and surname",
        rf"(?<![\p{{L}}.])(?:\p{{Lu}}\.[ ]?){{1,3}}(?:{_PARTICLE}[ ])?{_NOT}\p{{Lu}}\p{{Ll}}[\p{{L}}'-]+",
    ),
    Rule(
        "PERSON",
        "surname and role",
        rf"{_NOT}{TOKEN}(?:[ ]{TOKEN})?(?:'s)?(?=,?[ ](?:\(|is |was )?(?:the|her|his|their|my)[ ](?:{_KIN})\b)",
    ),
    Rule(
        "PERSON",
        "initials of a person",
        r"\b(?i:(?:dictated|transcribed|typed|signed|verified|entered|initialed|witnessed|reviewed)(?:[ ]by)?|initials|pt|patient|mr|mrs|ms|d|t)[:.]?[ ]{1,2}\K\p{Lu}\.[ ]?(?:\p{Lu}\.[ ]?)?\p{Lu}\.(?!\p{L})",
    ),
    Rule(
        "PERSON",
        "initials with a slash",
        r"^\p{Lu}{2,3}[:/]\p{Ll}{2,3}$|(?<=\n)\p{Ll}{2,3}/\p{Ll}{2,3}\s*\Z|\b(?<=[Dd]ictated by: |[Tt]ranscribed by: |[Tt]yped by: )\p{Lu}{2,3}\b(?:/\p{L}{2,3}\b)?",
    ),
    Rule(
        "PERSON",
        "initials who do something",
        r"(?<![\w.])(?!(?i:p\.o|i\.v|i\.m|a\.m|p\.m|e\.g|i\.e|u\.s|d\.c|m\.d|h\.s|q\.d|b\.d|t\.d|p\.r|n\.b|a\.c|p\.c|s\.c|d\.o|r\.n|c\.f|u\.k|n\.p|s\.l)\.)\p{L}\.[ ]?\p{L}\.(?:\p{L}\.)?(?= (?:in|refuses|is|was|has|needs|wants|from|called|asks|reports|says|said)\b)|\bS\.L\.(?= in [Rr])",
    ),
    Rule(
        "PERSON",
        "eponym who does something",
        rf"\b(?:[Dd]id|[Dd]oes|[Ii]s|[Tt]ell|[Aa]sk|[Tt]ext|[Cc]all|[Pp]age|[Ww]ill|[Cc]an)[ ]\K{_NOT}\p{{Lu}}\p{{Ll}}{{2,}}(?=[ ](?:mean|going|coming|say|want|know|agree|still|on call|about|to come|that|in today|here|back|have a|need|covering|aware))|\b\p{{Lu}}\p{{Ll}}{{2,}}+(?='s (?:note|notes|patients?|list|orders?|request|team|shift|clinic|advice|letter|opinion|plan|admission))",
    ),
)
