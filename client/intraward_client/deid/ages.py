"""Rules for ages over 89, in figures, in words, and by what implies them: Safe Harbor item C.

Ages under 90 stay: they are what a clinical phrase is made of. A figure of ninety or more is an age only
beside a unit, a sex, a birthday, a death or a person: heart rates and saturations have the same figures.
A year of birth that implies such an age is among ``dates``, where the year is judged.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from intraward_client.deid.rules import Rule

_OLD = r"(?:9\d|1[0-2]\d)"
_EDGE = r"(?<![\w.,/+-])"
_TENS = r"(?:ninety(?:[- ](?:one|two|three|four|five|six|seven|eight|nine))?|(?:one|a)[ -]hundred(?:[- ]and[- ](?:one|two|three|four|five|six|seven|eight|nine|ten))?)"
_OLD_WORDS = rf"(?i:{_TENS})"
_YEARS_OLD = r"[ -]?(?i:y(?:ea)?rs?\.?[ -]?(?:old|of age|young)|years?[ -]old|y\.?[/ ]?o\.?(?!\w)|yo[mf]?\b|y\.o\.|y/?o\b)"
_NO_UNIT = r"(?![.,]\d|/\d|[ \t]*(?:%|percent|mg|mcg|mm|ml|mL|kg|lbs?|pounds|beats|bpm|bp|degrees|minutes?|mins?|hours?|days?|weeks?|months?|cm|units?|over|systolic|to \d|on room air|on \d|points?|out of|L\b|mmHg|milli\w+|patients|cases|and \d))"
_WHO = r"(?:he|she|who|patient|pt|mother|father|mom|mum|dad|grand(?:mother|father|ma|pa)|sister|brother|sibling|cousin|twin|neighbou?r|friend|aunt|uncle|wife|husband|partner|spouse|resident|lady|gentleman)"

AGES = (
    Rule(
        "AGE_OVER_89",
        "age and unit",
        rf"{_EDGE}{_OLD}(?={_YEARS_OLD})|\b{_OLD_WORDS}(?=[ -]years?[ -](?:old|of age))",
    ),
    Rule(
        "AGE_OVER_89",
        "years in brackets",
        rf"(?<=[(,][ ]?){_OLD}(?=[ -]?(?:years?|yrs?|y)?[ ]*[),])(?![ ]*%)",
    ),
    Rule(
        "AGE_OVER_89",
        "age between commas",
        rf"(?<=\p{{Lu}}\p{{L}}+,[ ]){_OLD}(?=[ ]?(?:,|\.(?!\d)|;|\)|[ ](?:and|of|from|who|with|is|was)\b))",
    ),
    Rule(
        "AGE_OVER_89",
        "aged",
        rf"\b(?i:aged?|age is|age of|age:|at age|age at \w+|turned|turning|turns|reached|lived to(?: be)?|lived until|survived to|until age|living at|still \w+ at|approaching|nearly|almost|celebrat\w+ (?:his|her|their))[ \t]*[:=]?[ \t]*\K(?:{_OLD}\b{_NO_UNIT}|{_OLD_WORDS}\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "age at death",
        rf"\b(?i:died|dies|death|dead|deceased|passed(?: away)?|expired|diagnosed|retired|alive(?: and well)?|living|healthy|well|widowed|onset|menopause|presented|still drives)[ ,]+(?i:(?:at|aged?)[ ](?:the[ ])?(?:age[ ])?(?:of[ ])?)\K(?:{_OLD}\b{_NO_UNIT}|{_OLD_WORDS}\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "somebody is",
        rf"\b(?i:{_WHO})(?:'s)?[ ](?i:is|was|just turned|turns|will be|now)[ ](?i:now |only |about |almost |nearly )?\K(?:{_OLD}\b{_NO_UNIT}|{_OLD_WORDS}\b(?![ -](?:percent|degrees|minutes|days)))",
    ),
    Rule(
        "AGE_OVER_89",
        "age and sex",
        rf"{_EDGE}{_OLD}(?=[ -]?(?:M|F|m|f|[mM]ale|[fF]emale|[mM]an|[wW]oman|gentleman|lady|widow(?:er)?|WM|WF|BM|BF|MALE|FEMALE|MAN|WOMAN)\b(?![ ]?(?:/|Hz|\()))(?<!\b(?i:t|tmax|temp\w*|fever|febrile)\b[^\n.;]{{0,24}}\d+)",
    ),
    Rule(
        "AGE_OVER_89",
        "sex and age",
        rf"\b(?i:(?<=[(/,;|][ ]?|sex:[ ]?)[mf]|male|female|man|woman|age/sex|sex/age)[ ]?[/,|:][ ]?\K{_OLD}\b{_NO_UNIT}",
    ),
    Rule(
        "AGE_OVER_89",
        "bare years",
        rf"{_EDGE}{_OLD}(?=[ -](?i:years|yrs?)\b(?![ \t]+(?:ago|of|history|later|survival|war|earlier|prior|follow)))",
    ),
    Rule(
        "AGE_OVER_89",
        "years in one letter",
        rf"{_EDGE}(?:9\d|10\d|11\d)(?=y\b|[ ](?:y|Y|yrs?|YRS?)\.?[ ]?[/,|-]?[ ]?(?i:fe?male|m|f|man|woman|lady|gent\w*|wm|wf|bm|bf)\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "age of kin or of somebody named",
        r"\b(?i:eldest|oldest|youngest|grandm\w+|grandf\w+|grandpa|great-?[ ]?\p{L}+|neighbou?r|mother|father|mom|mum|dad|sister|brother|aunt|auntie|uncle|cousin|wife|husband|spouse|resident|matriarch|patriarch|twin|friend|caregiver|roommate|widow|widower|nana|abuela|abuelo)(?:,?[ ]\p{Lu}[\p{L}'\u2019.-]*){0,4},?[ ]\K(?:9\d|1[01]\d)(?=,?[ ](?:has|had|have|who|lives|lived|still|was|is|died|with|and well|alive|drives|walks|keeps|uses|cooks|smokes|remains|helps|takes|says)\b)"
        r"|\p{Lu}\p{Ll}+[ ]\p{Lu}\p{Ll}{2,}[ ]\K(?:9\d|10\d)(?=[ ](?:has a|has the|lives|still|who|had a|keeps|died)\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "kin to an age",
        rf"\b(?i:lived|living|survived|made it)\b[^.;\n]{{0,60}}\b(?i:{_WHO}|one|other|both|another)[ ](?:lived[ ])?to[ ](?:be[ ]|age[ ])?\K(?:9\d|1[01]\d)\b{_NO_UNIT}",
    ),
    Rule(
        "AGE_OVER_89",
        "person of a clause is",
        rf"\b(?i:{_WHO})\b(?![^.;\n]{{0,60}}\b(?i:rate|pulse|hr|bp|pressure|sats?|spo2|saturation|temp\w*|glucose|sugar|weight|wt|level|score|map|count|egfr|gfr|inr|sodium|height|length|oxygen|reading)\b)[^.;\n]{{1,60}}?\b(?i:is|was|turned|turns)[ ](?i:now |only |already |about |almost |nearly )?\K(?:9\d|1[01]\d)(?=[ ]and[ ](?i:still|lives|walks|drives|independent|healthy|sharp|spry|frail|well|active|has|uses|cooks|remains|fully|had|in|takes|very|quite|does|cares|manages|keeps|widowed|retired)\b|[ ]?(?:[.](?:[ ]|$)|\n|$))",
    ),
    Rule(
        "AGE_OVER_89",
        "in their nineties",
        r"\b(?i:mid|late|early)?[ -]?(?i:nineties)\b|(?<=\b(?i:her|his|their|mid|late|early)[ -](?i:mid|late|early)?[ -]?)90(?:'?s)\b|\b(?i:centenarian|nonagenarian|supercentenarian)\b",
    ),
    Rule(
        "AGE_OVER_89",
        "birthday",
        r"\b(?:9\d(?:th|st|nd|rd)|1[0-2]\d(?:th|st|nd|rd))(?= (?i:birthday|year))|\b(?i:ninetieth|hundredth)(?= (?i:birthday))",
    ),
    Rule(
        "AGE_OVER_89",
        "death told with its age",
        rf"\b(?i:died|passed|expired|death|deceased|succumbed|lost)\b[^.;\d]{{0,45}}?\b(?i:at|aged?)\s(?i:(?:the )?(?:ripe )?(?:old )?(?:age )?(?:of )?)\K(?:{_OLD}\b{_NO_UNIT}|{_OLD_WORDS}\b)",
    ),
    Rule(
        "AGE_OVER_89",
        "person is",
        r"(?<!\b(?i:sats?|spo2|saturation|saturations|pulse|rate|hr|bp|map|temp|temperature|glucose|sugar|weight|wt|rhythm|level|count|gfr|egfr|mcv|score|pressure|systolic|qrs|ef|height|length)[ ])\b(?:(?i:mr|mrs|ms|miss|mx|dr|sr|sra|mme|mdme|prof|rev|sister|father|brother|aunt|uncle|nana|grandma|grandpa)\.?[ ](?:\p{L}[\p{L}'\u2019.-]*[ ]){1,3}|(?!(?i:sats?|saturations?|temp|temperature|hr|rate|pulse|bp|map|glucose|weight|sugar|spo2|oxygen|heart|resting|current|sodium|potassium|chloride|calcium|hemoglobin|haemoglobin|platelets?|albumin|creatinine|urea|ferritin|osmolality|lactate|alt|ast|alp|psa|wbc|hgb|hb|plt|na|cl|crp|esr|inr|tsh|age|intake|output|efficacy|accuracy|sensitivity|specificity|bilirubin|cholesterol|systolic|diastolic|gfr|egfr|mcv|mch|ef|lvef|peak|blood|fasting|target|goal|max|min|score|level|qtc|qrs|pr|chol|ldl|hdl|iop|bmi|height|length|total|o2|room|this|that|it|there|which|what|ph|his|her|their)\b)\p{Lu}[\p{L}'\u2019-]+[ ](?:\p{Lu}[\p{L}'\u2019-]+[ ]){0,2})(?:is|was|just turned|turned|will be|aged)[ ](?:now |only |about |almost |nearly |already )?\K(?:9\d|10\d)\b(?=[ ](?:and|but|now|who|with|so|lives?|still|yet|tomorrow|today|next)\b|[,.;!?)]|$)(?!,?[ ]?on[ ]\d|[ ](?:on|with) (?:ra|room|\d|o2|oxygen|l\b|nc|bipap|cpap)|\.\d)",
    ),
    Rule(
        "AGE_OVER_89",
        "person's age beside a pronoun",
        r"\b(?i:at)[ ]\K(?:9\d|10\d)(?=,?[ ](?:he|she|they|pt|the patient|this (?:lady|gentleman|man|woman|patient))\b)|\b(?i:(?:s?he|patient|pt|mom|mum|mother|dad|father)(?:['\u2019]ll| will|['\u2019]d| would) (?:be|turn)|(?:s?he)['\u2019]s)[ ](?:now |only |almost |nearly |about )?\K(?:9\d|10\d)\b(?![./%]|[ ]?(?:kg|lbs?|pounds|percent|cm|on|bpm|systolic|over|days|minutes))",
    ),
)
