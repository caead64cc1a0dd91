"""Public word lists of the filters: words that look like names and are not.

The lists are fixed, public and the same at every site; nothing here is learnt from notes (DESIGN
section 6 forbids site vocabularies and gazetteers). An eponym is spared only beside the thing it names
and never behind a title or a first name: "Parkinson's disease" stays, "Dr. Parkinson" goes.
"""

from __future__ import annotations

import regex

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


EPONYMS = listed(
    """parkinson alzheimer crohn hodgkin foley hartmann graves hashimoto cushing addison bell babinski
    murphy mcburney glasgow apgar romberg down marfan turner klinefelter huntington raynaud sjogren
    sjögren behcet kawasaki wilson barrett meniere ménière dupuytren paget ewing kaposi wernicke
    korsakoff tourette guillain barre barré lyme doppler holter gleason braden morse wells child pugh
    ranson kocher swan ganz hickman trendelenburg fowler colles pott baker mohs whipple nissen roux
    billroth heimlich valsalva lasegue tinel phalen kernig brudzinski chvostek trousseau homans virchow
    osler janeway roth bouchard heberden charcot marie tooth duchenne becker friedreich lewy gehrig
    epstein barr coombs gram kussmaul cheyne stokes bishop asperger still reiter felty gilbert rotor
    conn takayasu buerger burger wegener churg strauss henoch schonlein goodpasture alport fanconi
    bartter wilms burkitt waldenstrom merkel bowen hirschsprung meckel zollinger ellison mallory weiss
    boerhaave zenker peyronie bartholin brenner krukenberg asherman sheehan nelson carney horner adie
    argyll robertson brown sequard bence jones heinz howell jolly auer reed sternberg philadelphia rinne
    weber snellen ishihara schober lachman mcmurray thompson hawkins neer spurling schatzker salter
    harris lisfranc maisonneuve monteggia galeazzi bankart hill sachs osgood schlatter legg calve
    perthes scheuermann ludwig vincent quincke stevens johnson lyell sweet kaplan cobb hamilton beck
    barthel rankin norton waterlow killip wagner breslow clark dukes hinchey forrest rockall blatchford
    alvarado ottawa canadian bruce ramsey hunt bowel fallot ebstein eisenmenger brugada wolff parkinson
    white wenckebach mobitz starling kerley kirschner steinmann penrose jackson pratt yankauer guedel
    macintosh mapleson allen ryle sengstaken blakemore malecot tenckhoff broviac schirmer tzanck mantoux
    papanicolaou pap"""
)
"""Eponyms that are spared beside a head noun such as "disease" or "sign"."""

STANDALONE = listed(
    """doppler holter apgar glasgow gleason foley babinski romberg kernig brudzinski valsalva trendelenburg
    braden waterlow barthel gram pap mantoux snellen mohs whipple nissen lachman mcmurray coombs tinel
    phalen ryle kirschner hartmann tylenol advil motrin aspirin lasix lipitor plavix coumadin xarelto
    eliquis ventolin symbicort advair lantus humalog novolog ozempic januvia jardiance farxiga zoloft
    prozac lexapro cymbalta wellbutrin xanax ativan valium ambien seroquel zyprexa risperdal keppra
    lyrica neurontin topamax imitrex prilosec nexium pepcid zantac zofran reglan augmentin zithromax
    cipro levaquin keflex bactrim flagyl diflucan tamiflu humira enbrel remicade keytruda opdivo
    herceptin synthroid norvasc zestril lopressor toprol coreg diovan cozaar entresto spiriva singulair
    flonase claritin zyrtec benadryl epipen narcan suboxone vicodin percocet oxycontin ultram toradol
    celebrex voltaren calpol paracetamol codydramol gaviscon movicol fortisip betadine dettol januvia
    glucophage metformin insulin"""
)
"""Scores, devices and brand names that are spared alone, unless a title or first name stands beside."""

_HEAD = (
    r"(?:'s|s')?[ -](?:(?:and|or|[\p{L}]+)[ -])?(?:disease|syndrome|signs?|palsy|test|score|scale|criteria|"
    r"catheter|"
    r"thyroiditis|lymphoma|sarcoma|tumou?r|tetralogy|fracture|phenomenon|esophagus|oesophagus|contracture|dementia|"
    r"encephalopathy|chorea|ulcer|nodes?|point|manoeuvre|maneuver|procedure|position|solution|stain|monitor|probe|"
    r"ultrasound|studies|study|drain|tube|line|wires?|classification|stage|grade|index|body|bodies|virus|anomaly|"
    r"purpura|cells?|reflex|pupil|breathing|respiration|respirations|cyst|hernia|diverticulum|operation|repair|"
    r"smear|spots?|rash|arthritis|granulomatosis|vasculitis|atrophy|ataxia|dystrophy|neuropathy|fasciitis|gangrene|"
    r"angina|cirrhosis|law|effect|forceps|splint|collar|screw|plate|protein|antibod\w+|titre|titer)\b"
)
HEADED = regex.compile(_HEAD)
POSSESSIVE = regex.compile(r"(?:'s|s')(?!\w)")

_DRUG_ENDINGS = regex.compile(
    r"(?i)\p{L}{2,}(?:mab|nib|pril|prilat|olol|alol|statin|azole|oxacin|floxacin|cillin|mycin|micin|cycline|sartan|"
    r"dipine|tidine|prazole|formin|gliptin|gliflozin|glutide|gliptin|glitazone|triptan|setron|pam|lam|zepam|barbital|"
    r"oxetine|traline|pramine|triptyline|apine|idone|peridol|azine|caine|profen|coxib|sone|solone|onide|terol|"
    r"tropium|lukast|parin|xaban|gatran|grel|thiazide|semide|lactone|zosin|afil|vir|vudine|fovir|quine|quin|fungin|"
    r"cef\w*|ceph\w*|penem|bactam|sulfa\w*|amide|amine|idine|oxin|toin|pentin|gabalin|racetam|zepine|platin|taxel|"
    r"rubicin|bicin|trexate|abine|uracil|fosfamide|ciclib|parib|tinib|zomib|lidomide|imus|prine|feron|poetin|"
    r"grastim|sulin|tide|dronate|calcitol|ferol|thyroxine|iodarone|arone|digoxin|warfarin|morphine|codone|codeine|"
    r"orphan|tadol|fentanil|fentanyl|done|phylline|relin|steride|mide|micin|ole|ine|itis|osis|oma|emia|aemia|uria|"
    r"ectomy|otomy|ostomy|plasty|scopy|graphy|gram|pathy|algia|plegia|paresis|rrhea|rrhoea|penia|megaly|trophy)"
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
    catholic islamic medicare medicaid covid h1n1 christmas"""
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
NOT_A_NAME = sorted(word.capitalize() for word in _CLINICAL if word.isalpha())


def is_clinical(token: str) -> bool:
    """A word of clinical prose, a drug or a test by its ending: never a name on its own."""
    lowered = token.lower().removesuffix("'s")
    return lowered in _CLINICAL or lowered in STANDALONE or _DRUG_ENDINGS.fullmatch(token) is not None


def is_word(token: str, words: frozenset[str]) -> bool:
    """Whether ``token`` is an English word or a regular inflection of one, by the model's WordNet index."""
    lowered = token.lower().removesuffix("'s").strip("'-.")
    if lowered in words or lowered in _CLINICAL:
        return True
    if "-" in lowered:
        return all(is_word(part, words) for part in lowered.split("-") if part)
    return any(
        lowered.endswith(ending) and lowered[: len(lowered) - len(ending)] + stem in words
        for ending, stem in _SUFFIXES
        if len(lowered) > len(ending) + 2
    )


def is_inflected(token: str, words: frozenset[str]) -> bool:
    """A word by inflection only ("Denies", "Diuresed"): a sentence opener, hardly ever a surname."""
    return token.lower() not in words and is_word(token, words)
