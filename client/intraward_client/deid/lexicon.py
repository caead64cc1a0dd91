"""Public word lists of the filters: words that look like names and are not.

The lists are fixed, public and the same at every site; nothing here is learnt from notes (DESIGN
section 6 forbids site vocabularies and gazetteers). An eponym is spared only beside the thing it names
and never behind a title or a first name: "Parkinson's disease" stays, "Dr. Parkinson" goes.
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


EPONYMS = word_list("eponyms_rare") | word_list("eponyms_common")
"""Eponyms that are spared beside a head noun such as "disease" or "sign"."""

STANDALONE = word_list("eponyms_rare") | word_list("brands")
"""Scores, devices and brand names that are spared alone, unless a title or first name stands beside."""

_HEADS = listed(
    """abscess agar allograft amputation amyotrophy anaemia anastomosis anemia aneurysm angina angle anomaly antibodies
    antibody aphasia apparatus approach area arteritis artery arthritis arthroplasty aspect ataxia atrophy attack
    bag bandage barbe basin biopsy bite block blocks bodies body breathing brace cannula canal capsule cardiomyopathy
    cast catheter catheters cell cells chair choledocholithiasis chorea circle cirrhosis clamp classification closure
    coma collar colitis contracture corpuscles count crisis criteria crossing curettage cyst cysts deformity degeneration
    dementia device diagnosis dialysis diet dilators disease diseases disorder dissector diverticulum drain drainage
    drains drape duct dysphagia dysplasia dystrophy edema effect effusion elevator embolectomy encephalitis
    encephalopathy endocarditis enterocolitis epilepsy equation exercise exercises esophagus fasciitis fever filter
    fissure fistula flap foramen forceps formula fracture fractures frame fundoplication gangrene gait ganglion gland
    glands glomerulonephritis granuloma granulomatosis graft grade gyrus hallucinations hemorrhage hepatitis hernia
    hernias histiocytosis hook incision index inclusion infarct infection intubation iridocyclitis island islet islets
    jelly joint keratitis knot law leads lesion leukemia ligament ligaments line lines liver lobe loop loops lymphoma
    lymphomas maculopathy maneuver manoeuvre membrane metastasis microphthalmia migraine model monitor myelitis
    myopathy needle neoplasm nephritis nephropathy neuralgia neuritis neuroma neuropathy node nodes nodule nodules
    nucleus nystagmus oesophagus operation organ orchitis outlet pain palsy pancreatitis paralysis patch pattern
    phenomenon plane plaques plate plexus plication point pneumonia poisoning position pouch powder probe procedure
    procedures protein protocol pseudotumor psychosis pterygium puncture pupil pupils purpura pyramid pyramids quotient
    rash reaction recess reduction reflex reflexes reagent regimen repair resection respiration respirations retinitis
    retinopathy retraction retractor rhinitis ring rings rod rods rule rules salt salts sarcoma scale scales scan scar
    schema scissors sclerosis score scores screen screening screw segment sign signs sinus solution speculum sphincter
    spine splint splints spot spots stage staging stain stains stenosis stent stitch stockings strain striae stroke
    studies study sulcus suture sutures swab symphysis syndrome syndromes system tap technique tendinopathy tendon test
    tests tetralogy theorem therapy thyroiditis tic titer titre tongue tophi toxin tracheostomy traction transform
    trap triad triangle trial tube tubes tubercle tubules tumor tumors tumour tumours type ulcer ulcers ultrasonography
    ultrasound urticaria uveitis valve vasculitis vein velocity venography view virus wart warts waves wheal wire
    wires wort zone negative positive absent present inserted removed placed draining bag sensation sequence
    tear tears contractions serology antigen igm igg iga dna pcr titers titres
    colonization carcinoma cancer catheterization immunoassay blot mole hypothermia reflux anaesthesia anesthesia
    thyroid goiter goitre orbitopathy ophthalmopathy dermopathy storm axis hormone deficiency mutation gene genes
    chromosome inheritance trait heart lung kidney hip knee shoulder finger foot hand toe palate bowel rectum"""
)
"""Nouns that an eponym names: "Parkinson disease", "Foley catheter", "Wells score"."""

_LINK = r"(?:'s|s'|'|s)?(?:[ -](?:and |or |[&-] ?)?(?:\p{Lu}[\p{L}'-]+|von)){0,3}[ -](?:\p{Ll}[\p{L}-]*[ -]){0,2}?"
_HEAD = rf"(?i:{'|'.join(sorted(_HEADS, key=len, reverse=True))})s?\b"
HEADED = regex.compile(rf"{_LINK}{_HEAD}")
"""What follows an eponym that is one: at most three more eponyms, two small words, and the noun."""
GRADED = regex.compile(
    r"(?: (?:[A-Z]{3,4} )?(?:score |scale |class |grade |stage |type |level )?(?:[IVX]{1,4}[ab]?\b|\d|C\dM\d|[ABC](?=[,.;)]|$)))|'s?(?!\w)"
)
"""A grade or a score behind an eponym ("Killip II", "Braden 18"), or its genitive."""

STRONG_HEAD = regex.compile(
    r"(?:'s|s'|')? (?:sign|test|syndrome|disease|man(?:oeu|eu)vre|maneuver|score|scale|criteria|classification|"
    r"procedure|reflex|palsy|fracture|catheter|index|stain|phenomenon|contraction|position|splint|tube|retractor|"
    r"forceps|clamp|tumou?r|lymphoma|sarcoma|dystrophy|ataxia|chorea|triad|tetralogy|equation|formula|staging|"
    r"esophagus|oesophagus|thyroiditis|nodes?|bodies|cells?)s?\b(?! (?:results?|came|was|were|is|showed|shows)\b)"
)
"""Nouns that make an eponym of whatever stands before them, on a list or not."""


_PARTS = (
    "ampulla|angle|anomaly|area|artery|bundle|canal|circle|classification|crest|criteria|crypts?|cyst|disease|duct|"
    "fascia|fibers?|fibres?|fissure|fold|foramen|fossa|frenulum|gland|islets?|law|layer|ligament|line|loop|node|nodule|"
    "organ|plane|plexus|point|pouch|rule|septum|sign|sinus|space|sphincter|sulcus|symptom|syndrome|test|tetralogy|"
    "triangle|triad|tubercle|valve|vein|wort|zone"
)
OF_ONE = regex.compile(
    rf"\b(?:{_PARTS}|(?i:positive|negative|modified|reverse|bilateral)) (?:of )?(?:von )?$"
)
"""What stands before an eponym that is one: "circle of Willis"."""
SOUGHT = regex.compile(
    r"(?i)\b(?:treat\w*|tx|therapy|work-?up|w/u|screen\w*|test(?:ed|ing)?|evaluat\w*|concern\w*|suspect\w*|suspicio\w+|"
    r"diagnos\w*|dx|hx|h/o|history|r/o|rule[sd]? out|possible|probable|likely|confirmed|underlying|flare|mild|severe|early)"
    r"(?:'?d)?(?: (?:for|of|as|to be))? $"
)
"""What one does about a disease, before the eponym alone: "workup for Addison"."""

PERSON_AFTER = regex.compile(
    r"(?:'s)? ?(?:,? (?:M\.?D|D\.?O|R\.?N|N\.?P|PA|PhD|MBBS|FRC\w+|Jr|Sr)\b|[(,]? ?(?:aged? )?\d{1,3} ?(?:y|M\b|F\b)|"
    r",? (?:who|whom|(?:says?|said|reports?|reported|states?|stated|called|calls|wants?|wanted|asks?|asked|complains?|"
    r"denies|denied|lives?|agreed|agrees|feels?|felt|told|requests?|requested|missed|tolerated|underwent|presented|"
    r"presents|arrived|came|comes|went|is a \d|is an? (?:\d|\w+ (?:man|woman|lady|gentleman))|was (?:seen|admitted|"
    r"discharged|transferred|counselled|counseled|born|told|asked|given|started|referred|advised|educated))\b)|"
    r"'s (?:wife|husband|son|daughter|mother|father|sister|brother|partner|family|chart|room|appointment|labs|"
    r"medications?|meds|results|sats|mother|care|office|clinic|nurse|creatinine|potassium|blood|scan|wound|pain|"
    r"vitals|insurance|pharmacy|history|discharge|admission|surgery)\b|(?: \((?:MRN|DOB|mrn|dob))|,? (?:MRN|DOB)\b)"
)
"""What follows a person and no eponym: a credential, an age, a deed, a relative, a record number."""

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
    r"cardia|pnea|pnoea|phagia|phasia|kinesia|esthesia|lysis|blastoma|sarcoma|carcinoma|adenoma|lymphoma|"
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
        or lowered in word_list("brands")
        or (len(lowered) > 6 and _DRUG_ENDINGS.fullmatch(lowered) is not None)
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
        if len(lowered) > len(ending) + (2 if ending == "s" else 3)
        or lowered[: len(lowered) - len(ending)] + stem in _SHORT_VERBS
    )


def is_inflected(token: str, words: frozenset[str]) -> bool:
    """A word by inflection only ("Denies", "Diuresed"): a sentence opener, hardly ever a surname."""
    return token.lower() not in words and is_word(token, words)
