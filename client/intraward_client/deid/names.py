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
TOKEN = r"(?:[dD]')?\p{Lu}(?:'\p{L}[\p{L}\p{M}]*+|[\p{L}\p{M}]++)(?:['-][\p{L}\p{M}]++)*+"
_PARTICLE = (
    r"(?:de|del|della|dela|de la|de los|de las|der|den|da|das|dos|do|di|du|la|le|van|van der|van den|van de|von|bin|bint|ibn|al|el|ter|ten|"
    r"zu|y|e|O'|St\.|Ste\.|ní|nic|af|av)"
)
_PIECE = rf"(?:{_NOT}{TOKEN}|\p{{Lu}}\.)"
NAME = rf"(?:{_PARTICLE}[ ])?{_PIECE}(?:(?:[ ]{{1,2}}|(?<=\.))(?:{_PARTICLE}[ ])?{_PIECE}){{0,3}}(?:,?[ ](?:Jr|Sr|II|III|IV)\b\.?)?"
_COMMA_NAME = rf"{_NOT}{TOKEN}(?:[ ]{TOKEN})?,[ ]?{_PIECE}(?:[ ]{_PIECE})?"
_TITLE = r"(?:Drs?|Doctor|Mr|Mrs|Ms|Miss|Mx|Mister|Madam|Prof|Professor|Rev|Reverend|Father|(?<!\d[ ]?)Fr|Sister|Sr|Nurse|Matron|Sir|Dame|Lord|Lady|Judge|Officer|Sergeant|Sgt|Capt|Captain|Lt|Col|Rabbi|Imam|Pastor|Señora?|Herr|Frau|Mme|M\.|DR|MR|MRS|MS|PROF)"
_LABEL = r"(?i:patient(?:'s)?(?: name)?|pt(?: name)?|(?:full |first |last |given |family |sur|middle |maiden |preferred )?name|middle|given|preferred|alias|aka|surname|forename|re|from|to|cc|attn|ordering|requesting|prescriber|ordering (?:physician|provider)|requested by|ordered by|performed by|interpreted by|read by|collected by|drawn by|scribe|scribed by|technologist|tech|sonographer|attending|attending physician|surgeon|assistant|anesthetist|anaesthetist|anesthesiologist|physician|provider|pcp|gp|consultant|registrar|resident|intern|fellow|therapist|psychologist|psychiatrist|counsel(?:l)?or|nurse|midwife|pharmacist|radiologist|pathologist|dietitian|caller|informant|historian|contact|emergency contact|next of kin|nok|kin|guardian|carer|caregiver|proxy|power of attorney|poa|spouse|wife|husband|partner|mother|father|son|daughter|sister|brother|parent|witness|interpreter|author|dictated by|transcribed by|signed|signed by|electronically signed by|e-signed by|verified by|entered by|reviewed by|reported by|referred by|referring (?:physician|doctor|provider)|seen by|clinician|doctor|social worker|case manager|cc to|copy to|responsible clinician|named nurse|key worker|insured|guarantor|subscriber|policy ?holder|dear|hi|hello|sincerely|regards|best wishes|yours (?:sincerely|faithfully|truly)|thanks|thank you)"
_KIN = r"(?i:son|daughter|wife|husband|mother|father|mum|mom|dad|sister|brother|partner|spouse|fianc[eé]e?|girlfriend|boyfriend|niece|nephew|aunt|uncle|cousin|grand(?:son|daughter|mother|father|child)|step(?:son|daughter|mother|father)|(?:mother|father|son|daughter|sister|brother)-in-law|friend|neighbou?r|roommate|flatmate|carer|caregiver|guardian|landlord|landlady|employer|boss|colleague|coworker|teacher|twin|baby|child|infant|aide|therapist|nurse|surgeon|doctor|cardiologist|neurologist|oncologist|psychiatrist|psychologist|pharmacist|midwife|consultant|physician|dentist|optometrist|podiatrist|physiotherapist|dietitian|social worker|case manager|lawyer|solicitor|pastor|priest|gp|(?:health ?care )?(?:proxy|agent|surrogate)|hcp|h?poa|decision[ -]maker|next of kin|nok|emergency contact|executor)"
_MEET = r"(?i:known as|called|named|seen by|saw|met(?: with)?|spoke (?:to|with)|discuss(?:ed|ion)?(?: \w+){0,3} with|signed(?: off)? by|referred (?:by|to)|letter (?:to|from)|copied to|cc'?d|under(?: the care of)?|accompanied by|escorted by|brought (?:in )?by|reviewed by|examined by|performed by|operated on by|assisted by|consult(?:ed)?(?: with)?|contact(?:ed)?|phoned|telephoned|emailed|texted|paged|(?:next of kin|nok|proxy|hcp|poa|guardian|caregiver|carer|family|parents?|relatives?|spouse|roommate|neighbou?r) (?:of|for)|daughter of|son of|wife of|husband of|mother of|father of|sister of|brother of|care of|attn|regards to|on behalf of|per|prescribed by|ordered by|drawn by|e-?signed(?: by)?|scribed by|dictated by|transcribed by|reported by|thank you for (?:referring|seeing)|history (?:was )?(?:obtained|provided|given) (?:from|by)|relative|answers to|goes by|introduc\w+ (?:to|by)|handed over to|via)"
_DOTTED = r"(?:p\.o|i\.v|i\.m|a\.m|p\.m|e\.g|i\.e|u\.s|u\.k|u\.n|e\.u|d\.c|m\.d|d\.o|r\.n|n\.p|p\.a|p\.t|o\.t|h\.s|[bqt]\.d|p\.r|n\.b|[apco]\.c|p\.s|s\.c|s\.l|s\.q|c\.f|e\.r|e\.d|o\.r|o\.[dsu]|a\.[dsu]|b\.p|h\.r|r\.r|c\.t|g\.i|g\.u|t\.b|v\.s|r\.[av]|l\.[apv]|n\.g|i\.d|a\.k|c\.v|p\.e|r\.o|y\.o|d\.t|b\.s|m\.s|ph\.d|n\.s|o\.b|c\.o|v\.a|r\.t|i\.u|i\.q|q\.h|a\.[ao]|s\.p|s\.o|w\.r)\."
"""What is written with two full stops and names nobody."""
_CREDENTIAL = r"(?:MD|M\.D|DO|D\.O|RN|R\.N|NP|N\.P|PA(?:-C)?|P\.A(?:-C)?|PhD|Ph\.D|MBBS|MBChB|MBBCh|FRC\w+|MRC\w+|FACS|FACC|DDS|DMD|PharmD|LCSW|LPN|CRNA|CNM|APRN|DNP|BSN|MSN|PT|DPT|OT|RD|SLP|LMFT|PsyD|CNA|EMT|FNP|ARNP|BDS|DPM|OD)"

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
        rf"^[ \t]*(?i:dear|hi|hello|(?:(?:many|with)[ ])?thanks|thank you|thx|cheers|sincerely|respectfully(?:[ ]\w+)?|cordially|(?:kind |best |warm )?(?:regards|wishes)|best|yours(?:[ ]\w+)?),?\s+\K{NAME}",
    ),
    Rule(
        "PERSON",
        "patient named",
        rf"\b(?i:patient|pt|client|resident|veteran|mr\./ms\.|baby (?:boy|girl))[ ]\K{NAME}",
    ),
    Rule(
        "PERSON",
        "kin or carer named",
        rf"\b{_KIN}(?:'s name(?: is)?|[ ]\([^)\n]{{1,20}}\))?(?:,?[ ](?:is[ ]|named[ ]|called[ ])?|[ ]?:[ ]?|[ ]-[ ]|[ ]?\()\K(?:{_COMMA_NAME}(?=[ ]?(?:[,.;()\n]|$))|{NAME})",
    ),
    Rule(
        "PERSON",
        "role and name in brackets",
        rf"\b(?i:resident|attending|fellow|intern|hospitalist|registrar|provider|RN|LPN|NP|PA|CNA|tech|interpreter|chaplain|sitter|scribe|student|team lead|officer|therapist)[ ]\(\K{NAME}(?=\))",
    ),
    Rule(
        "PERSON", "phrase of meeting", rf"\b{_MEET}[ ](?:(?:her|his|the|my|our|their|a)[ ]\w+,?[ ])?\K{NAME}"
    ),
    Rule(
        "PERSON",
        "credential",
        rf"(?<!\p{{L}})(?:{_NOT}{TOKEN}|(?:May|June?|April|August|Sun|Thu)(?=[ ]\p{{Lu}}\p{{Ll}})|\p{{Lu}}\.)(?:[ ]{{1,2}}(?:{_PARTICLE}[ ])?(?:{TOKEN}|\p{{Lu}}\.)){{1,3}}(?=,?[ ]{_CREDENTIAL}\b)|(?<!\p{{L}}){_NOT}{TOKEN}(?:(?<=[\p{{Ll}}\d,/][ ]\p{{L}}+)(?=[ ]{_CREDENTIAL}\b)|(?=,[ ]?{_CREDENTIAL}\b))",
    ),
    Rule(
        "PERSON",
        "name and age",
        rf"(?<![\p{{L}}.]){_PIECE}(?:[ ]{_PIECE}){{0,2}}(?=[ ]?(?:\(|,[ ]?)(?:aged?[ ])?\d{{1,3}}[ -]?(?:y|yo|years?|yrs?|F|M|m|f|months?)\b)",
    ),
    Rule(
        "PERSON",
        "name and record",
        rf"(?<![\p{{L}}.])(?!(?:Face|Voice|Staff|User|Badge|Member|Login|Device|Study|Subject|Case|Order|Billing|Verify|Record|Username|Birthdate|Receiving|Sending|Other|Old|Former|Current|Previous|New|Merge|Duplicate|Hand|Finger|Iris|Palm|Retina)\b){_PIECE}(?:,?[ ]{_PIECE}){{0,3}}(?=[ ]{{0,2}}[(\[,;|-]?[ ]{{0,2}}(?:MRN|mrn|DOB|dob|D\.O\.B|NHS|SSN|record|born|Hosp|hospital no|ID[: #]|#\d))",
    ),
    Rule(
        "PERSON",
        "capitals, surname first",
        rf"(?:^|(?<=[:;(\t]|[ ]{{2}}))[ ]*\K{_NOT}(?!ASA\b)\p{{Lu}}[\p{{Lu}}'-]+(?:[ ]\p{{Lu}}[\p{{Lu}}'-]+)?,[ ]{{0,2}}{_NOT}\p{{Lu}}[\p{{L}}'-]+(?:[ ]\p{{Lu}}\.?)?(?=[ ]*(?:$|\(|\[|;|\||-|MRN|DOB|[ ]{{2}}|\d|,))",
    ),
    Rule(
        "PERSON",
        "called so in quotes",
        rf"\b(?i:prefers|preferred|likes|goes by|called|known as|nicknamed?|aka|a\.k\.a\.|answers to|named|says his name is|says her name is)(?:[ ](?i:to be called|the name|to go by|being called))?[ :]{{1,2}}[\"\u201c\u2018']\K{TOKEN}(?:[ ]{TOKEN})?(?=[\"\u201d\u2019'])",
    ),
    Rule("PERSON", "address of an e-mail", rf"{NAME}(?=[ ]?<[^>\n]*@)"),
    Rule(
        "PERSON",
        "initial and surname",
        rf"(?<![\p{{L}}.])(?!(?<=\d[ ])L\.|(?<=(?:^|[\n:;])[ ]{{0,2}})[A-H]\.[ ])(?:\p{{Lu}}\.[ ]{{0,2}}){{1,3}}(?:{_PARTICLE}[ ])?{_NOT}(?:[dD]')?\p{{Lu}}\p{{Ll}}[\p{{L}}'-]*+",
    ),
    Rule(
        "PERSON",
        "sign-off behind a dash",
        rf"(?<=[.?!\")'\n][ ]?)[-\u2013\u2014]{{1,2}}[ ]?\K(?:{NAME}|(?:\p{{L}}\.[ ]?){{1,2}}\p{{L}}\.?|\p{{Lu}}{{2,3}})(?=[\]\)]?\s*\Z)|(?<=[.?!\")'][ ]?)[-\u2013\u2014]{{1,2}}[ ]?\K(?:{NAME}|(?:\p{{L}}\.[ ]?){{1,2}}\p{{L}}\.)(?=[ ]*\n)",
    ),
    Rule(
        "PERSON",
        "initials and a number",
        r"(?<![\w.])(?:\p{L}\.[ ]?){2,3}(?=,?[ ]?(?:\(|#|MRN|mrn|DOB|dob|\p{Lu}{0,4}-?\d{4}|(?:aged?[ ])?\d{1,3}[ ]?(?:[yMFmf]\b|yo\b|y/o|years?)))",
    ),
    Rule(
        "PERSON",
        "initials",
        rf"(?<![\w.])(?=\p{{Lu}}\.[ ]?\p{{Lu}}\.)(?!(?i:{_DOTTED})(?!\p{{L}}))\p{{Lu}}\.[ ]?\p{{Lu}}\.(?![\p{{L}}\d]|[ ]\p{{Lu}}\p{{Ll}})|(?=\p{{L}}\.\p{{L}}\.[\])]?\s*(?:\Z|\n))(?<=(?:[.?!]|\n)[ ]?(?:-[ ])?)(?!(?i:{_DOTTED})(?!\p{{L}}))\p{{L}}\.\p{{L}}\.",
    ),
    Rule(
        "PERSON",
        "surname and role",
        rf"{_NOT}{TOKEN}(?:[ ]{TOKEN})?(?:'s)?(?=,?[ ](?:\(|is |was )?(?:the|her|his|their|my)[ ](?:{_KIN})\b)",
    ),
    Rule(
        "PERSON",
        "initials of a person",
        r"\b(?i:(?:dictated|transcribed|typed|signed|verified|entered|initialed|witnessed|reviewed)(?:[ ]by)?|dict|trans|transc|source|donor|initials|pt|patient|mr|mrs|ms|d|t)[:.]?[ ]{1,2}\K\p{Lu}\.[ ]?(?:\p{Lu}\.[ ]?)?\p{Lu}\.(?!\p{L})",
    ),
    Rule(
        "PERSON",
        "initials with a slash",
        r"^\p{Lu}{2,3}(?::|/)\p{Ll}{2,3}$|^\p{Ll}{2,3}/\p{Ll}{2,3}\s*\Z",
    ),
    Rule(
        "PERSON",
        "initials of whoever dictated",
        r"(?:[Dd]ictated|[Tt]ranscribed|[Tt]yped) by: \K\p{Lu}{2,3}\b(?:/\p{L}{2,3}\b)?",
    ),
    Rule(
        "PERSON",
        "initials who do something",
        r"(?<![\w.])(?=\p{L}\.[ ]?\p{L}\.)(?!(?i:p\.o|i\.v|i\.m|a\.m|p\.m|e\.g|i\.e|u\.s|d\.c|m\.d|h\.s|q\.d|b\.d|t\.d|p\.r|n\.b|a\.c|p\.c|s\.c|d\.o|r\.n|c\.f|u\.k|n\.p|s\.l)\.)\p{L}\.[ ]?\p{L}\.(?:\p{L}\.)?(?= (?:in|refuses|is|was|has|needs|wants|from|called|asks|reports|says|said)\b)|\bS\.L\.(?= in [Rr])",
    ),
    Rule(
        "PERSON",
        "eponym who does something",
        rf"\b(?:[Dd]id|[Dd]oes|[Ii]s|[Tt]ell|[Aa]sk|[Tt]ext|[Cc]all|[Pp]age|[Ww]ill|[Cc]an)[ ]\K{_NOT}\p{{Lu}}\p{{Ll}}{{2,}}(?=[ ](?:mean|going|coming|say|want|know|agree|still|on call|about|to come|that|in today|here|back|have a|need|covering|aware))|\b\p{{Lu}}\p{{Ll}}{{2,}}+(?='s (?:note|notes|patients?|list|orders?|request|team|shift|clinic|advice|letter|opinion|plan|admission))",
    ),
)
