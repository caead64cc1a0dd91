"""Public word lists of the filters: words that look like names and are not.

The lists are fixed, public and the same at every site; nothing here is learnt from notes (DESIGN
section 6 forbids site vocabularies and gazetteers). Eponyms are in ``eponyms``.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

import regex

from intraward_client.deid.wordlists import word_list

MONTHS = tuple(
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
)
"""English month names; not ``calendar``'s, which follow the machine's locale."""


def listed(text: str) -> frozenset[str]:
    """The words of a list written as text."""
    return frozenset(text.split())


_DRUG_ENDINGS = regex.compile(
    r"(?i)\p{L}{2,}(?:mab|[^l]nib|pril|prilat|olol|statin|azole|oxacin|cillin|mycin|micin|cycline|sartan|"
    r"dipine|tidine|prazole|formin|gliptin|gliflozin|glutide|glitazone|triptan|setron|zepam|zolam|barbital|"
    r"oxetine|traline|pramine|triptyline|apine|idone|peridol|azine|caine|profen|coxib|solone|onide|terol|"
    r"tropium|lukast|parin|xaban|gatran|grel|thiazide|semide|lactone|zosin|afil|ciclovir|tegravir|navir|buvir|previr|"
    r"vudine|fovir|quine|fungin|penem|bactam|sulfa\w*|toin|pentin|gabalin|racetam|zepine|platin|taxel|"
    r"rubicin|trexate|tabine|uracil|fosfamide|ciclib|parib|tinib|zomib|lidomide|limus|tropin|poetin|"
    r"grastim|sulin|tirelin|relix|dronate|calcitol|ferol|thyroxine|darone|codone|morphone|"
    r"orphan|tadol|fentanil|fentanyl|phylline|steride|itis|osis|aemia|emia|uria|vastatin|cept|lukin|stim|tide|kinra|"
    r"ectomy|otomy|ostomy|plasty|scopy|scopic|graphy|graphic|gram|pathy|pathic|algia|plegia|paresis|rrhea|rrhoea|penia|"
    r"megaly|trophy|trophic|coccus|cocci|bacter|bacteria|bacterium|virus|viridae|myces|phyta|monas|ella|"
    r"cardia|pnea|pnoea|phagia|phasia|kinesia|esthesia|lysis|blastoma|sarcoma|carcinoma|adenoma|lymphoma|gliomas?|neuromas?|fibromas?|myomas?|myelomas?|lipomas?|angiomas?|(?:schw)?annomas?|epitheliomas?|teratomas?|seminomas?|ependymomas?|meningiomas?|melanomas?|hematomas?|haematomas?|osteomas?|chondromas?|insulinomas?|gastrinomas?|papillomas?|granulomas?|condylomas?|xanthomas?|thymomas?|"
    r"glycemia|kalemia|natremia|thorax|derma|dermal|genic|cyte|cytes|cytic|phil|philia|phobia|mycosis|ectasis|stenosis)"
)
_CLINICAL = listed(
    """abdomen abdominal admission admitted advice age aged airway allergies allergy alert anxiety
    appointment assessment background bilateral bloods bp breathing bun caller cardiac cardiology
    cardiovascular chest clinic clinical comment complaint complains completed condition consult
    consultation contact continue cough course creatinine ct cxr date day days denies dermatology
    details diagnosed diagnosis diarrhea discharge discharged disposition diuresed dob dose ecg echo ed
    ekg elderly emergency encounter endocrine er estimated evaluation examination exam extremities
    family female fever findings fever flu follow followed following foot gastro gcs general gender
    genitourinary geriatrics gp gi gu hba1c headache heent hemoglobin history hospital hpi hr icu
    impression indication infection informed initial inpatient instructions insurance intake
    investigations iv jaundice joint kidney knee labs laboratory left liver lungs male man management
    medical medication medications medicine mental migraine mini mr mri mrn musculoskeletal name nausea
    neck nephrology neuro neurology neurological new next no normal note notes nhs nurse nursing o2
    objective observations obstetrics oncology operative orthopedics outcome outpatient pain paramedic
    past patient pediatrics phone phq physical physician plan portal position post postop potassium pre
    prescribed presenting primary problem procedure procedures prognosis progress psychiatry pt pulse
    question radiology rash reason received recommendation recommendations record referral referred
    rehab renal report reports respiratory result results return review reviewed right room rr
    saturation sats sent sex signed skin social sodium specialty spo2 ssn stable started status stroke
    subject subjective summary surgeon surgery surgical symptoms systems tel telephone temp temperature
    therapy thyroid times today tomorrow total transfer transferred treated treatment triage troponin
    type ultrasound undergoing unit urgent urinalysis urine urology vaccine visit vital vitals vomiting
    ward weight white woman work wound xray yesterday hospital_1 monday tuesday wednesday thursday
    friday saturday sunday mon tue tues wed thu thur thurs fri sat sun january february march april may
    june july august september october november december english spanish french german chinese arabic
    hindi american british african asian european caucasian hispanic latino christian muslim jewish
    catholic islamic medicare medicaid covid h1n1 christmas vehicle photo vin tel fundi practitioner therapist
    consultant coma scale hall saw consciousness status stage class type level phase group table figure box chapter section
    handover incident dispatch responder wallet belongings transport ambulance police fire education psoriatic absent presence increased decreased mmhg insurance member sample npi"""
)
_SHORT_VERBS = listed(
    """act add age aid aim air arm ask beg box buy cap cry cut die dig dip dot dry dye eat end eye fix fly gag get hit ice
    jog key lag lay let lie log mix nap nod oil owe own pad pat pay pin pop run sag say see set sew sip sit sue tap tax
    tie tip try use wax win zip hug hop rub red sad wet hot big low old shy bad few new raw"""
)
_SUFFIXES = (
    ("ies", "y"),
    ("ied", "y"),
    ("es", ""),
    ("s", ""),
    ("ed", ""),
    ("ed", "e"),
    ("ing", ""),
    ("ing", "e"),
    ("d", ""),
    ("ly", ""),
    ("er", ""),
    ("est", ""),
)
_PREFIXES = ("re", "un", "non", "pre", "post", "over", "mis")
NOT_A_NAME = sorted(word.capitalize() for word in _CLINICAL if word.isalpha())


def is_clinical(token: str) -> bool:
    """A word of clinical prose, a drug or a test by its ending: never a name on its own."""
    lowered = token.lower().removesuffix("'s")
    return (
        lowered in _CLINICAL
        or lowered in word_list("clinical")
        or lowered in word_list("abbreviations")
        or (lowered.endswith("s") and lowered[:-1] in word_list("abbreviations"))
        or lowered in word_list("brands")
        or lowered in word_list("organisms")
        or (len(lowered) > 6 and _DRUG_ENDINGS.fullmatch(lowered) is not None)
    )


def is_drug(token: str) -> bool:
    """A brand, a generic name on the list of brands, or what ends as drugs do."""
    lowered = token.lower()
    return lowered in word_list("brands") or (
        len(lowered) > 6 and _DRUG_ENDINGS.fullmatch(lowered) is not None
    )


def is_word(token: str, words: frozenset[str]) -> bool:
    """Whether ``token`` is an English word or a regular inflection of one, by the model's WordNet index."""
    lowered = token.lower().removesuffix("'s").strip("'-.")
    if lowered in words or lowered in _CLINICAL:
        return True
    if "-" in lowered:
        return all(is_word(part, words) for part in lowered.split("-") if part)
    if any(len(lowered) > len(start) + 3 and lowered.removeprefix(start) in words for start in _PREFIXES):
        return True
    return any(
        lowered.endswith(ending) and lowered[: len(lowered) - len(ending)] + stem in words
        for ending, stem in _SUFFIXES
        if len(lowered) > len(ending) + (2 if ending in {"s", "ies", "ied"} else 3)
        or lowered[: len(lowered) - len(ending)] + stem in _SHORT_VERBS
    )


def is_inflected(token: str, words: frozenset[str]) -> bool:
    """A word by inflection only ("Denies", "Diuresed"): a sentence opener, hardly ever a surname."""
    return token.lower() not in words and is_word(token, words)
