"""Eponyms: capitalised words that name a disease, a sign, a score or a device, and no person.

An eponym is spared beside the thing it names and never behind a title, a role or a first name: "Parkinson's
disease" stays, "Dr. Parkinson" goes. The lists are wide but never whole, so a noun that eponyms name makes
one of a word that nobody knows ("Zavrik sign"); the surer the word is a surname, the surer the noun must be.
"""

# ruff: noqa: E501 -- an expression is read as a whole

from __future__ import annotations

from functools import cache, lru_cache

import regex

from intraward_client.deid.lexicon import listed
from intraward_client.deid.wordlists import fold, word_list

EPONYMS = frozenset(map(fold, word_list("eponyms_rare") | word_list("eponyms_common")))
"""Eponyms that are spared beside a head noun such as "disease" or "sign"."""

STANDALONE = frozenset(map(fold, word_list("eponyms_rare") | word_list("brands")))
"""Scores, devices and brand names that are spared alone, unless a title or first name stands beside."""

_RARE = frozenset(map(fold, word_list("eponyms_rare")))
_PHRASES = word_list("eponyms_phrases")
_LONGEST = 5
_FIRSTS = frozenset(phrase.split(" ")[0] for phrase in _PHRASES)
NOBODY = frozenset({"ramsay hunt", "sister mary joseph", "swan ganz", "lloyd davies"})
"""Phrases with a first name that are spared without their noun."""

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
    murmur hump hose blade view tenosynovitis hypothesis balance needle needles scissors dressing pulse defect lesion
    lesions variant panel questionnaire inventory checklist projection cannula pump retractors osteotomy prosthesis nail pin
    plate mesh shunt conduit sling boot corset pillow tourniquet laryngoscope airway mask circuit vaporizer vaporiser counter chamber
    lamp lens chart plates prism drops gel spots streak streaks zone border triangle trigone cul-de-sac pouch space cave hiatus
    response effect law principle constant method criterion category classes levels staging tetany cough croup breathing facies
    arthropathy osteitis dermatitis eczema pemphigus naevus nevus melanosis keratosis erythema panniculitis granulomas necrosis
    encephalomyelitis neuronitis neuropathy ophthalmoplegia glaucoma dystrophies cataract uveitis retinoblastoma nephroblastoma
    nephrosis tubulopathy hypokalemia diabetes thyrotoxicosis adenoma hypogonadism dwarfism virilism hyperplasia porphyria storage
    leukaemia macroglobulinemia macroglobulinaemia lymphadenopathy thrombasthenia thrombocytopathy hemophilia haemophilia
    bacillus bacilli parasite worm flu agglutinins fungus yeast vaccine immunoglobulin virus-like hemorrhagic haemorrhagic spirochete
    mania melancholia complex delusion hysteria anxiety depression rating ratings assessment battery matrices memory sleepiness
    osteodystrophy osteochondritis apophysitis epiphysitis fasciotomy arthrodesis release transfer repair hernioplasty herniorrhaphy
    vagotomy pyloroplasty gastrectomy esophagectomy oesophagectomy colectomy pancreatectomy bypass cardiomyotomy myotomy
    valvotomy septostomy circulation switch stage stages approximation view spline ester staining smear medium broth plate
    ileostomy colostomy gastrostomy jejunostomy face faces
    thyroid goiter goitre orbitopathy ophthalmopathy dermopathy storm axis hormone deficiency mutation gene genes
    pathway features stigmata habitus phenotype curves curve plot plots
    gallbladder bar sump rod collar lift vest crutches cushion harness chromosome inheritance trait heart lung kidney hip knee shoulder finger foot hand toe palate bowel rectum"""
)
"""Nouns that an eponym names: "Parkinson disease", "Foley catheter", "Wells score"."""

_OF_PATIENTS = listed(
    """heart lung kidney hip knee shoulder finger foot hand toe bowel rectum lobe liver pain infection diet therapy screening screen
    dialysis operation diagnosis exercise exercises device stroke attack study studies draining placed inserted removed positive
    negative present absent system biopsy deficiency rash monitor cancer chair bag scan storm trial organ organs tongue thyroid
    infusion depression anxiety diabetes cough memory assessment response release transfer repair bypass flu drops pillow
    airway chart vaccine cataract category complex pump dressing panel lens mask stage counter necrosis eczema dermatitis pulse
    resection cast bandage drape wound patch valve tap type breathing edema effusion hallucinations poisoning fissure pneumonia
    leukemia metastasis seizures carcinoma migraine psychosis dementia gangrene hemorrhage ulcer respirations angina cirrhosis
    colitis hepatitis cyst hernia hernias fistula aneurysm abscess graft stent amputation goiter goitre hormone mutation gene
    bar lift collar vest crutches cushion harness rod swab wire wires leads line lines drains node nodes plaques shunt boot corset nail pin plate mesh cells protocol pattern"""
)
"""Of these, what a patient may also have: no eponym is made of an unknown word by them alone."""

_LINK = r"(?:'s|s'|'|s)?(?:[ -](?:and |or |[&-] ?)?(?:\p{Lu}[\p{L}'-]+|von)){0,3}[ -](?:(?!(?:about|after|again|and|are|asked|asks|at|before|but|by|called|calls|came|did|does|for|from|got|had|has|have|he|her|his|if|in|is|"
_LINK += r"may|my|needs|not|of|off|on|or|our|re|said|saw|says|she|so|that|the|their|then|to|told|took|until|wants|was|went|when|where|who|will|with|would|your)\b)\p{Ll}[\p{L}-]*[ -]){0,2}?"
_HEAD = rf"(?i:{'|'.join(sorted(_HEADS, key=len, reverse=True))})s?\b"
_SURE = rf"(?:{'|'.join(sorted(_HEADS - _OF_PATIENTS, key=len, reverse=True))})s?\b"
_NO_RESULT = r"(?! (?:results?|came|was|were|is|showed|shows|due|needs)\b)"
HEADED = regex.compile(rf"{_LINK}{_HEAD}")
"""What follows an eponym that is one: at most three more eponyms, two small words, and the noun."""
BESIDE_UNKNOWN = regex.compile(rf"(?:'s|s'|')?(?:[ -]\p{{Lu}}[\p{{L}}'-]+){{0,2}} {_SURE}{_NO_RESULT}")
"""What makes an eponym of a word that is on no list of names: a noun that eponyms name, right behind it."""
SCORED = regex.compile(
    r"(?: \p{Lu}?\p{Ll}+)? \d{1,3} ?/ ?(?:5|6|9|10|12|14|15|16|18|20|21|23|24|27|28|30|36|40|42|48|50|52|56|60|63|80|100|126)\b(?!/)"
)
"""A score of a scale ("Tinetti 22/28")."""
GRADED = regex.compile(
    r"(?: (?:[A-Z]{3,4} )?(?:score |scale |class |grade |stage |type |level )?(?:[IVX]{1,4}(?:[a-gsA-C]|(?<=II)F)?\b|\d|C\dM\d|[A-F][1-4]?(?=[,.;:)]|$|[ \n](?:at|of|on|in|to|ankle|fracture|with|and|for|by|injury|lesion|type|cirrhosis|disease|aortic|dissection)\b)))|'s?(?!\w)"
    r"|, (?:single|dual|double|triple)[ -]lumen\b| [+-](?!\w)| (?:TP|MSH|MLH|PMS|BRCA|PTEN|APC|VHL|NF|STK|CDH|RET|MEN)\d{0,3}\b|,? (?:POD|(?:post-?op(?:erative)? )?day) ?\d| (?:normal|central|midline|lateral\w*|equivocal|n/a|pending|sent|panel|status|variant|hose|in situ|-ve|\+ve|\+|neg\b|pos\b|elevated|raised|intact|score[ds]|"
    r"in (?:19|20)\d\d\b|(?:to|on) the (?:right|left)\b|lateralis\w+|(?:single|dual|double|triple) lumen\b|different from\b|dull\b|lax\b|tight\b|flushe[sd]\b|locked\b|capped\b|clamped\b|accessed\b|de-?accessed\b|patent\b|tunnel+ed\b|to (?:gravity|suction|drainage|(?:low|wall|bulb|continuous|intermittent|straight) \w+)\b|"
    r"in place\b|[LR] (?:IJ|SC|fem|subclav)|left fem|right fem|(?:aborted|attempted|performed|planned|completed|done|used|applied)(?=[ ]*(?:$|[.,;\n)]))|x ?\d\b|"
    r"not (?:done|used|heard|seen|elicited|tested|applicable|performed|assessed|indicated|present|calculated))"
)
"""A grade or a score behind an eponym ("Killip II", "Braden 18"), or its genitive."""

STAGED = regex.compile(
    r" (?:I{2,3}(?:[a-gsA-C]|(?<=II)F)?|VI{1,3}[a-c]?|IX|(?:IV|[IV])[a-f])(?=[ ]*(?:$|[,.;:)]|\n)|[ ](?:and|or|to) [IVX]|[ ]\p{Ll}{3,})"
)
"""A roman grade, which no surname has behind it unless a first name stands before ("Todani IVa")."""

STRONG_HEAD = regex.compile(
    r"(?:'s|s'|')? (?:sign|test|syndrome|disease|man(?:oeu|eu)vre|maneuver|score|scale|criteria|classification|"
    r"procedure|reflex|palsy|fracture|catheter|index|stain|phenomenon|contraction|position|splint|tube|retractor|"
    r"forceps|clamp|tumou?r|lymphoma|sarcoma|dystrophy|ataxia|chorea|triad|tetralogy|equation|formula|staging|"
    r"esophagus|oesophagus|thyroiditis|nodes?|bodies|cells?|triangle|murmur|hump|needle|scissors|agar|questionnaire|inventory|"
    r"tenosynovitis|view|projection|drain|lesion|defect|grade|mutation|antibod(?:y|ies)|antigen|IgM|IgG|virus|hernia|cannula|facies|"
    r"osteotomy|speculum|bougie|tubercle|ligament|foramen|laryngoscope|blade|staining|smear|rating|variant)s?\b"
    rf"{_NO_RESULT}"
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
ARTICLED = regex.compile(
    r"(?i)(?<!\p{L})(?:an?|another|each|bedside|redo|failed|modified|classic|emergent|elective|open|laparoscopic|robotic|\d{1,2} ?(?:fr|french|g|ga|gauge|mm|inch|f)) $"
)
"""What stands before an eponym and before no surname: "a Whipple", "14 Fr Foley"."""
SOUGHT = regex.compile(
    r"(?i)\b(?:treat\w*|tx|therapy|work-?up|w/u|screen\w*|test(?:ed|ing)?|evaluat\w*|concern\w*|suspect\w*|suspicio\w+|"
    r"diagnos\w*|dx|hx|h/o|history|r/o|rule[sd]? out|possible|probable|likely|confirmed|underlying|flare|mild|severe|early)"
    r"(?:'?d)?(?: (?:for|of|as|to be))? $"
)
"""What one does about a disease, before the eponym alone: "workup for Addison"."""

PERSON_AFTER = regex.compile(
    r"(?:'s)? ?(?:,? (?:M\.?D|D\.?O|R\.?N|N\.?P|PA|PhD|MBBS|FRC\w+|Jr|Sr)\b|[(,]? ?(?:aged? )?\d{1,3} ?(?:y|M\b|F\b)|"
    r",? (?:who|whom|(?:says?|said|reports|reported|states?|stated|called|calls|wants?|wanted|asks?|asked|complains?|"
    r"denies|denied|lives?|agreed|agrees|feels?|felt|told|requests?|requested|missed|tolerated|underwent|presented|"
    r"presents|arrived|came|comes|went|is a \d|is an? (?:\d|\w+ (?:man|woman|lady|gentleman))|was (?:seen|admitted|"
    r"discharged|transferred|counselled|counseled|born|told|asked|given|started|referred|advised|educated))\b)|"
    r"'s (?:wife|husband|son|daughter|mother|father|sister|brother|partner|family|chart|room|appointment|labs|"
    r"medications?|meds|results|sats|mother|care|office|clinic|nurse|creatinine|potassium|blood|wound|pain|"
    r"vitals|insurance|pharmacy|history|discharge|admission|surgery)\b|(?: \((?:MRN|DOB|mrn|dob))|,? (?:MRN|DOB)\b)"
)
"""What follows a person and no eponym: a credential, an age, a deed, a relative, a record number."""


_COUPLED = regex.compile(r"(?:'s)?(?: and | or | & |/)(\p{Lu}[\p{L}-]+)")
_COUPLED_BEFORE = regex.compile(r"(\p{Lu}[\p{L}-]+)(?:'s)?(?: and | or | & |/)$")


def is_coupled(text: str, start: int, end: int) -> bool:
    """Whether another eponym stands across an "and" ("McRoberts and Rubin"), and one of the two is no surname."""
    across = (_COUPLED.match(text, end), _COUPLED_BEFORE.search(text, max(0, start - 30), start))
    others = [fold(match.group(1)) for match in across if match]
    return any(other in EPONYMS and not _RARE.isdisjoint({other, fold(text[start:end])}) for other in others)


def is_topical(text: str, start: int, end: int) -> bool:
    """Whether what an eponym is about stands right behind it ("Gilbert, bilirubin 2.1", "Norwood then Glenn")."""
    topics = _topics().get(fold(text[start:end]))
    return topics is not None and topics.match(text, end) is not None


@cache
def _topics() -> dict[str, regex.Pattern[str]]:
    """Of each line "eponym: topic, topic" of the list, what reaches a topic; a "!" lets a comma or colon lie between."""
    found = {}
    for entry in word_list("eponyms_topics"):
        name, topics = entry.split(":", 1)
        words = "|".join(regex.escape(topic.strip()) for topic in topics.split(","))
        between = _SPACED if name.endswith("!") else _JOINED
        found[fold(name.rstrip("!"))] = regex.compile(
            rf"(?i)(?:'s)?(?:{between}{_NO_DEED}[\w/+%-]+){{0,4}}?{between}(?:{words})"
        )
    return found


_SPACED, _JOINED = r"[ ,:/(-]{1,3}", r"[ /(-]{1,2}"
_NO_DEED = r"(?!(?:has|had|have|is|was|needs?|wants?|will|says?|said|gets?|got|takes?|took|came|comes|here|states?|reports?|still|asks?|asked|called|seen|admitted|who|and his|and her|he|she)\b)"


TITLED = regex.compile(
    r"(?:\b(?P<title>Drs?|Doctor|Mr|Mrs|Ms|Miss|Mx|Prof|Professor|Sir|Nurse|DR|MR|MRS|MS)\b\.?|\b(?i:patient|pt|client|resident|son|daughter|wife|husband|"
    r"mother|father|mum|mom|dad|sister|brother|partner|spouse|niece|nephew|aunt|uncle|(?:sur|first |last |full )?name|nok|kin|attending|surgeon|"
    r"consultant|physician|provider|pcp|gp|registrar|np|rn|crna|midwife|named|called|seen by|signed by|spoke (?:to|with)|met with|discussed with|"
    r"d/w|told|asked|paged|phoned|dear|hi|hello)[ ]?[:=,(]?)[ ]*(?:\p{Lu}\.[ ]?)*$"
)
"""What stands before a person: a title, a role, kin, a label of names, a deed done to a person."""


def phrase_around(text: str, start: int, end: int) -> int | None:
    """Where the phrase begins, if ``text[start:end]`` lies within an eponym of more than one word ("Le Fort II")."""
    for first, last, reach in _phrases(text):
        if first.start() > start:
            return None
        if last.end() >= start and end <= reach:
            return first.start() if _is_thing(text, first, last) else None
    return None


@lru_cache(maxsize=1)
def _phrases(text: str) -> tuple[tuple[regex.Match[str], regex.Match[str], int], ...]:
    """First word, last word and reach (its noun or grade included) of every phrase of the list in ``text``."""
    words = list(_WORD.finditer(text))
    folded = [fold(word.group()) for word in words]
    found = []
    for first, word in enumerate(words):
        if folded[first] not in _FIRSTS:
            continue
        for length in range(2, min(_LONGEST, len(words) - first) + 1):
            last = words[first + length - 1]
            if last.start() - word.start() > _REACH:
                break
            if " ".join(folded[first : first + length]) in _PHRASES:
                nouns = (pattern.match(text, last.end()) for pattern in (GRADED, HEADED))
                found.append((word, last, max(n.end() if n else last.end() + 2 for n in nouns)))
    return tuple(found)


def _is_thing(text: str, first: regex.Match[str], last: regex.Match[str]) -> bool:
    """Whether the phrase is no person's name that reads the same: one with a first name needs its noun."""
    if PERSON_AFTER.match(text, last.end()):
        return False
    if (
        text[first.start() : last.end()].lower() in NOBODY
        or fold(last.group()) in _RARE
        or fold(first.group()) not in word_list("given_names")
        or text[first.end()] == "-"
        or last.group().islower()
    ):
        return True
    return any(head.match(text, last.end()) for head in (HEADED, STRONG_HEAD, GRADED))


_WORD = regex.compile(r"\p{L}[\p{L}\p{M}]*(?:'s\b)?")
_REACH = 64
