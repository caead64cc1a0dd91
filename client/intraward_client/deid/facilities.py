"""Rules for hospitals, homes, clinics, pharmacies, schools and employers: parts of Safe Harbor items B and R.

The whole name goes, its kind included ("Our Lady of Sorrows Home"). Names without a word of their kind are
left to ``venues``, which asks what each word is.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.addresses import LINKS
from intraward_client.deid.rules import Rule

FACILITIES = (
    Rule(
        "FACILITY",
        "saint",
        r"\b(?:St|Saint)\b\.?[ ]\p{Lu}\p{Ll}{3,}(?:'s)?\b(?! (?:wort|vitus|Vitus|louis encephalitis|Louis encephalitis|Elmo|elmo))(?<!St\. Jude valve)(?!'s wort)",
    ),
    Rule(
        "FACILITY",
        "saint by a letter",
        r"\bSt\.?[ ](?:\p{Lu}(?:'s|s)?|\p{Lu}\p{Ll}+(?:'s|s))(?![\w'-])(?! (?:wort|Vitus))",
    ),
    Rule(
        "FACILITY",
        "hospital cut short",
        r"\b\p{Lu}[\p{Ll}'-]{2,}[ ](?<!(?:Next|First|Second|Third|Fourth|Surg|Int|New|Old|Last|The|Per|Our|Your) )(?:Gen|Gen'l|Genl|Regl|Reg'l|Meml|Mem'l|Meth|Hosp|Med[ ]Ctr|Univ|Infirm|Cty)\b\.?(?![\w'-])|\b(?:at|from|to|by)[ ]\K\p{Lu}\p{Ll}{2,}[ ](?i:gen|regl|meml?|meth|hosp|infirm|med ctr)\b",
    ),
    Rule("FACILITY", "outside hospital", r"\bOSH[ ,:(]+\K\p{Lu}\p{Ll}+(?:[ ]\p{Lu}\p{Ll}+){0,3}"),
    Rule(
        "FACILITY",
        "pharmacy of a chain",
        r"(?i:\b(?:pharmacy|rx|script|sent to|pick(?:s|ed)? up (?:at|from)|fill(?:s|ed)? at|call(?:ed)? in to|erx|e-prescribed to)\b[^\n.;]{0,16}?)\b\K(?:CVS|Walgreens|Rite Aid|Boots|Walmart|Costco|Kroger|Publix|Safeway|Duane Reade|Shoppers Drug Mart|Rexall|Chemist Warehouse|Lloyds|Superdrug|Target|Sam's Club|Wegmans|Meijer|H-?E-?B|Priceline|Jean Coutu)(?:[ ]on[ ]\p{Lu}\p{L}+(?:[ ]\p{Lu}\p{L}+)?|[ ]?#\d+)?|\b(?:CVS|Walgreens|Rite Aid|Walmart|Costco|Kroger|Publix|Duane Reade|Rexall|Boots)[ ](?:on[ ]\p{Lu}\p{L}+(?:[ ]\p{Lu}\p{L}+)?|#\d+)",
    ),
    Rule(
        "FACILITY",
        "labelled facility",
        r"(?:^|(?<=[|;>]|[ ]{2}))[ \t]*(?i:(?:[\p{L}]+[ /&]{1,3}){0,2}(?:hospital|facility|clinic|site|practice|surgery|care home|pharmacy|employer|workplace|school|organi[sz]ation|osh|pcp office|lab|laboratory|snf|daycare|nursing home|agency|branch|company|agency branch|trust|provider organi[sz]ation))(?:[ ]name)?[ \t]*:[ \t]*\K(?!(?:None|No|Not|See|Unknown|Nil|Same|Follow|Call|Yes|Pending|Declined|Retired|Unemployed|Self|Normal|Stable|Open|Closed|As|On|Patient|Pt)\b)(?![^\n;|:]*[ ]\p{Ll}{4,}[ ](?:\p{Ll}{2,}|\d))(?![^\n;|:]*[ ](?:is|are|was|were|shows?|showed|given|with|tried|peaked|and[ ]\p{Ll}+[ ]\p{Ll}+|no|not|without|held|started|started|mg|g/L|oriented|regular|at[ ]\d)\b)\p{Lu}[^\n;|:]{1,60}?(?=[ \t]{2,}|[ \t]*(?:$|[;|(]|,[ ]*(?:\d|\(|[Tt]el|[Pp]h|[Ff]ax))|[.][ ])",
    ),
    Rule(
        "FACILITY",
        "facility of another language",
        rf"\b(?:Hôpital|Hopital|Clínica|Clinica|Klinikum|Klinik|Ospedale|Clinique|Krankenhaus|Szpital|Sjukhuset|Ziekenhuis|Centro[ ]M[ée]dico|Centre[ ]Hospitalier|Policlinico|Policlínica|Universitätsklinikum|Universitätsspital|Nemocnice|Spital(?:ul)?|CHU)[ ](?:(?:{LINKS}|rechts|links)[ ]){{0,2}}\p{{Lu}}[\p{{L}}'-]+(?:[ ](?:{LINKS}[ ]){{0,2}}\p{{Lu}}[\p{{L}}'-]+){{0,3}}|\b\p{{Lu}}\p{{L}}+(?:sjukhus(?:et)?|krankenhaus|klinikum|ziekenhuis|sairaala|sykehus|sygehus)\b",
    ),
    Rule(
        "FACILITY",
        "employer after cue",
        r"\b(?i:employ(?:ed|er|ee)|works?|worked|working|job|position|retired|internship|enrolled|student|pupil|teach(?:es|er)?|studies|studying|attends)(?:[ ](?:as|an?|the|is|was|of|[a-z]+er|[a-z]+or|[a-z]+ist|[a-z]+nt|clerk|cook|driver|nurse|grade)){0,4}[ ](?:at|for|with|by|from)[ ](?:the[ ])?\K\p{Lu}[\p{L}'&-]+(?:[ ](?:&[ ]|and[ ]|of[ ])?\p{Lu}[\p{L}'&-]+){0,4}",
    ),
)
