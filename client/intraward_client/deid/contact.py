"""Rules for phones, fax, pagers, extensions, mail, web and network addresses, and user names.

45 CFR 164.514(b)(2)(i) items D to F, N, O, and user names among R. Presidio's phone recognizer knows the
number plans of eight regions; these rules know how numbers stand in a note.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_GAP = r"(?:[ \t]*(?:[:=#(\-]|(?i:nos?\.?|nr\.?|num\.?|number|me|him|her|us|them|at|on|is|to)(?!\w)|\b[a-z]{1,9}\b)){0,5}(?:(?<=[:=#])\s*|[ \t]*)"
_EXT = r"(?:[ \t]*,?[ \t]*(?i:ext(?:n|ension)?\.?|x)[ \t]*\.?\d{1,6})?"
_UNIT = r"(?![ \t]*(?:mg|mcg|ml|mL|units|g|kcal|IU|mmHg|bpm|%|/hpf|cells)\b)"
_HANDLE = r"(?=[\w.@-]*(?:[\d_@]|\w\.\w))(?!e\.g|i\.e)@?[A-Za-z\d][\w.-]{2,}(?<![.-])(?:#\d{3,5})?"

CONTACT = (
    Rule(
        "PHONE_NUMBER",
        "North American number",
        rf"(?<![\d-])(?:\+?1[ .-]?)?\(?\d{{3}}(?:\)\s?)?[ ./-]{{0,2}}\d{{3}}[ .-]\d{{4}}{_EXT}(?![\d-])",
    ),
    Rule(
        "PHONE_NUMBER",
        "international number",
        r"(?:\+|\b00)\d{1,3}[ .()-]{0,2}(?:\(0\)[ ]?)?(?:\d(?:[ .()-]{0,2}|[ ]?\n(?=\d{3}))){5,12}\d" + _EXT,
    ),
    Rule(
        "PHONE_NUMBER",
        "national number",
        rf"(?<![\d.,/-])\(?0\d{{1,5}}\)?[ .-]?\d{{3,5}}[ .-]?\d{{3,6}}{_EXT}(?!\d)|(?<![\d.,/-])0\d(?:[ .]\d\d){{4}}(?!\d)|(?<![\d.,/-])0\d{{2,4}} \d{{3,4}} \d \d{{3}}(?!\d)",
    ),
    Rule("PHONE_NUMBER", "local number", rf"(?<![\d.,/-])[2-9]\d{{2}}[-. ]\d{{4}}(?![\d/]){_UNIT}{_EXT}"),
    Rule(
        "PHONE_NUMBER",
        "phone after cue",
        r"\b(?i:tel(?:ephone)?|ph(?:one)?|mob(?:ile)?|cell|fax|pager|pgr|beeper|bleep|call(?:ed)?(?: ?back)?|contact|reach\w*|ring|hotline|home|work|voicemail|whatsapp|sms|text)\b\.?"
        + _GAP
        + rf"\K\+?(?=(?:[ .()/-]{{0,3}}\d){{5}})\(?\d[\d .()/-]{{3,17}}\d{_EXT}{_UNIT}",
    ),
    Rule(
        "PHONE_NUMBER",
        "extension or pager",
        r"\b(?i:pager|pgr|beeper|bleep|extension)[ ]?[:#]?\n\K\d{3,6}\b(?![./-]?\d|[ ]?(?:mg|mL|ml|%|mm|cm|hours|[:)])(?!\w))|\b(?i:ext(?:ension)?|extn|bleep|blp|beep|pager|beeper|pgr|page[drs]?|paging|vocera|ascom|dect|speed dial|pin|hospital phone|work phone|spectralink|on-call phone)\b\.?[ \t]*(?:(?i:no\.?|number|#|:|is|me|him|her|us|at|on|to|the team|team|id)[ \t]*){0,3}\K#?\d[\d-]{1,10}\b(?![ \t]*(?:of|/)[ \t]*\d)(?!/\d|[ \t]?(?:mm|cm|mL|mg)\b)",
    ),
    Rule(
        "PHONE_NUMBER",
        "inside number after a request to call",
        r"\b(?i:call|dial|ring|phone|reach|text|contact|page|bleep|beep)\w*(?:[ ][\p{L}.']+){0,5}?[ ](?:at|on|via|to)[ ]\K[#*x]?\d{4,6}\b(?!/|-\d|[ ]?(?:mg|ml|units|hours|hrs|h\b))",
    ),
    Rule(
        "PHONE_NUMBER",
        "extension behind x",
        r"(?<![\p{L}\d\u00d7])(?<!\d[ ]?)(?i:x)[.:]?(?:\K\d-?\d{3,5}|\K\d{3,6}|[ -]\K\d{4,6}|[ -]\K\d-\d{3,5})\b(?![./-]?\d|[ ]?(?:mg|mcg|ml|mL|cc|units?|days?|weeks?|wks?|months?|hours?|hrs?|h|min(?:utes)?|ft|feet|m|meters|metres|steps|reps|L|g|cells|tabs?|caps?|tablets?|capsules?|puffs?|sets?|pills|sprays|sachets?)(?!\w)|/[a-zA-Z])",
    ),
    Rule(
        "PHONE_NUMBER",
        "number that rings",
        r"(?<![\w./+-])\K\d{4,6}(?=[ ](?i:just |keeps |only |still |always )?(?i:rings?|ringing|goes to|went to|doesn't (?:answer|pick)|does not answer|isn't (?:picking|answering)|no answer|not (?:picking|answering)|is (?:busy|engaged|voicemail)|busy|unanswered|didn't (?:answer|pick))\b)",
    ),
    Rule(
        "PHONE_NUMBER",
        "number behind a hash",
        r"(?<![\w#])#[ ]?\K\d(?:-\d{3,4}|\d{3,5})\b(?![-/.]?\d|[ ]?(?i:tabs?|caps?|tablets?|capsules?|pills|units?)\b)",
    ),
    Rule(
        "PHONE_NUMBER",
        "inside number of whoever is called",
        r"\b(?i:pag(?:e|ed|ing|er|es)|bleep(?:ed|ing)?|beep(?:ed|er)?|bip|ring|rang|dial(?:led|ling)?|phon(?:e|ed)|call(?:ed|ing|back)?|try|reach(?:able|ed)?|text(?:ed)?|contact(?:able)?|extension|ext|vocera|ascom|dect|switch(?:board)?|operator|voicemail)\b(?!(?:[^.;\n\d]|(?<=\b\p{L}{1,4})\.(?=[ ]\p{L})){0,40}\b(?:if|when|when(?:ever)?|unless|until|for|than|over|above|below|under|with|about|goal|x|of|in|by|before|after|since|tomorrow at|today at|back at)\b)(?:[^.;\n\d<>=]|(?<=\b\p{L}{1,4})\.(?=[ ]\p{L})){1,40}?(?<![\w./+-])\K(?!(?:19|20)\d\d\b)\d(?:-\d{3,4}|\d{3,5})\b(?![./:-]?\d|[ ]?(?:mg|mcg|ml|mL|units?|hours|hrs|h\b|days|weeks|mins?|minutes|steps|kcal|cal\b|%|/|am\b|pm\b|times|patients|people))",
    ),
    Rule(
        "PHONE_NUMBER",
        "inside number behind on",
        r"\b(?i:on|via|at)[ ]\K\d{5}\b(?![./:-]?\d|[ ]?(?i:mg|mcg|ml|units?|u|iu|k?cal\w*|ada|calories|copies|cells|steps|patients|people|feet|ft|m|g|l|%|/|x|to)(?!\w))|\b(?i:on|via)[ ]\K(?!(?:19|20)\d\d\b)(?:\d-\d{4}|\d{4,5})(?=[ ]*(?:$|[,.;:!?)]|(?:first|or|and|til|x|ext|for|if|until|till|before|after|to|when|asap|now|please|pls|today|tonight|any|direct|re)\b))(?![.,]\d)",
    ),
    Rule(
        "EMAIL_ADDRESS",
        "e-mail",
        r"(?<![\w.+%'-])[\w.+%'-]++(?:@[\w-]+(?:\.[\w-]+)*|[ ]?@[ ]?[\w-]+(?:[ ]?\.[ ]?[\w-]+)*\.[a-z]{2,})",
    ),
    Rule(
        "EMAIL_ADDRESS",
        "spelled e-mail",
        r"(?<![\w.+-])[\w.+-]++[ ]?(?:\(at\)|\[at\]|(?<=[\w.]) at (?=[\w-]++ dot ))[ ]?[\w-]+(?:(?:\.| dot |\[dot\]|\(dot\))[\w-]+)+",
    ),
    Rule(
        "URL",
        "web address",
        r"(?i:\b(?:https?|ftp|sftp)://[^\s<>\"')\]]+|\bwww\.[^\s<>\"')\]]+|\b[a-z0-9-]++(?:\.[a-z0-9-]+)*\.(?:com|org|net|edu|gov|health|nhs\.uk|co\.uk|ac\.uk|io|info|app|me|ca|de|eu|au|in|example|test|invalid|local)(?:\.[a-z]{2,6})?(?:/[^\s<>\"')\]]*)?\b)(?<![.,;])",
    ),
    Rule(
        "URL",
        "address with a path",
        r"(?<![\w@./-])(?=[a-z\d-]{0,30}[a-z]{3}|\w{1,30}\.\w{3})(?:[a-z\d-]{2,40}\.){1,5}[a-z]{2,10}(?::\d{2,5})?/[^\s<>\"')\],;]*[\w/]",
    ),
    Rule("URL", "path of a portal", r"(?<![\w/])(?:/[\w.-]+){2,}/?(?=[\s,.;)]|$)(?<=\d[\w/]*)"),
    Rule("IP_ADDRESS", "IPv4", r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?:/\d{1,2})?(?![\d.]*\d)"),
    Rule(
        "IP_ADDRESS",
        "IPv6",
        r"(?<![\w:])(?:[0-9a-fA-F]{1,4}:){2,7}(?::?[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{1,4})*|:)(?![\w:])",
    ),
    Rule(
        "USERNAME",
        "user name",
        r"\b(?i:user ?(?:name|id)?|login|log-?[ ]?[io]n|handle|nick ?name|gamer ?tag|discord|snapchat|reddit|tiktok|venmo|zoom(?: id)?|facetime|app id|screen ?name|(?:patient )?portal(?: id| account)?|messag(?:e|ed|ing)(?: from)?|posted as|registered as|online(?: as)?|mychart|my ?health|skype|twitter|instagram|facebook|whatsapp|telegram|alias|(?:signed|logged) (?:in|on) as|(?:chat|channel) name|portal id|account name)[ \t]*(?:(?i:user|name|id|is|as|was|login|handle|account)[ \t]*){0,3}[:=(]?[ \t]*[\x22'\u2018\u201c]?\K(?:(?<=[:=][ \t]*)[\w.@\-]{3,}|"
        + _HANDLE
        + ")",
    ),
    Rule(
        "USERNAME",
        "user name that is a word",
        r"\b(?i:user ?name|screen ?name|user ?id|gamer ?tag)[ \t]*(?:(?i:is|was|of)[ \t]+|[:=][ \t]*|[ \t](?=[\"\u201c'])|[ \t](?=[a-z][\w.]{3,}[ ]*(?:$|[,;.])))[\"'\u2018\u201c]?\K[\w.@#:-]{3,}(?<![.:-])",
    ),
    Rule(
        "USERNAME",
        "user of the record",
        r"\b(?i:by user|from user|(?:entered|edited|signed|filed|modified|charted|created|recorded|verified|reviewed) by)[ \t]+(?:(?<=user[ \t]+)[A-Za-z][\w.-]{2,}|(?=\w*\d)[A-Za-z]{2,}\d{1,4})\b",
    ),
    Rule(
        "USERNAME",
        "account of a forum",
        r"(?<![\w/])[uU]/[A-Za-z][\w-]{3,}|\b(?i:live):[\w.]{3,}\b",
    ),
    Rule(
        "USERNAME",
        "user of an audit",
        r"\b(?i:audit(?: trail| log)?|access log|chart access)[ ]?[:-][ ]?\K(?!(?:chart|record|note|user|patient|encounter|file)\b)[a-z][\w.]{3,}(?=[ ](?:from|viewed|opened|accessed|edited|printed)\b)",
    ),
    Rule("USERNAME", "name and figures", r"\b[A-Za-z][\w.]{2,}+#\d{4}\b"),
    Rule(
        "USERNAME",
        "name for a chat or portal",
        r"\b(?i:portal id|chat name|channel name|log-?[ ]?in name)\b[ :=\"']*(?:is[ ])?\K[\w.-]{4,}(?<![.-])",
    ),
    Rule(
        "USERNAME",
        "initials of whoever wrote it down",
        r"\b(?i:transcribed|typed|dictated|scribed|transcriptionist|typist|scribe|initial(?:ed|led|s)|witnessed|d|t|dd|td)(?<=\b\p{L}{4,}|^\p{L}{1,2})(?:[ ](?i:by))?[ ]?(?::[ ]?|(?<=by)[ ])\K(?!(?:MD|DO|RN|NP|PA|PT|OT|ED|ER|OR|CT|MR|US|IV|LPN|CNA|PCT|HR|BP|RR)\b)[A-Z]{2,3}(?=[ ]*(?:$|[,.;/)]))",
    ),
    Rule("USERNAME", "handle", r"(?<![\w.@])@[A-Za-z_][\w.-]{2,}(?<![.-])"),
    Rule(
        "USERNAME",
        "handle by its shape",
        r"(?<![\w@./+-])(?!covid|omega|interleukin)(?:[a-z]{2,}_[a-z0-9_]*[a-z0-9]|[a-z]{5,}\d{2,4}|[A-Z]{5,}\d{2}|(?:[A-Z][a-z]{2,}){2,}\d{1,4}|[A-Z][A-Za-z]+_[A-Za-z\d_]*\d)(?![\w%@]|\.\w)",
    ),
)
