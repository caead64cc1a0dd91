"""What the synthetic world is about: complaints, ordinary advice for each, and its red flags.

Plain data (own writing, no patient and no source text) from which the public corpus, the notes'
questions and the gold rule of the simulated clinicians are made. It is a toy of medicine: nothing
here is medical advice. Words are few on purpose, so that a model of 0.3M parameters can learn them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Complaint:
    """One presenting complaint.

    Attributes:
        name: as it stands in a prompt, e.g. ``chest pain``.
        keywords: words that make a sentence of advice fit this complaint.
        advice: ordinary advice, whole sentences; each holds a keyword.
        flags: red flags, as clauses that follow ``if``.
    """

    name: str
    keywords: tuple[str, ...]
    advice: tuple[str, ...]
    flags: tuple[str, ...]


def _complaint(name: str, keywords: str, advice: str, flags: str) -> Complaint:
    sentences = tuple(part.strip() + "." for part in advice.split(";"))
    return Complaint(name, tuple(keywords.split()), sentences, tuple(f.strip() for f in flags.split(";")))


COMPLAINTS: tuple[Complaint, ...] = (
    _complaint(
        "chest pain",
        "chest heart",
        "Rest and avoid heavy lifting while the chest is sore; Ask the clinic for a heart tracing this week;"
        "Write down when the chest hurts; Sit upright when the chest feels tight",
        "the pain spreads to your arm; you feel faint; the chest pain comes back at rest",
    ),
    _complaint(
        "breathlessness",
        "inhaler breathing breath",
        "Use your inhaler as written on the label; Sit upright to make breathing easier;"
        "Walk slowly and stop for breath; Keep your inhaler close at night",
        "you cannot finish a sentence; your lips turn blue; the breathing gets worse at rest",
    ),
    _complaint(
        "a dry cough",
        "cough honey throat smoke",
        "Take honey in warm water for the cough; Avoid smoke and dust while you cough;"
        "Sleep with your head raised to calm the cough; Sip warm drinks to soothe the throat",
        "you cough up blood; you lose weight; you have a high fever",
    ),
    _complaint(
        "a sore throat",
        "throat gargle drinks",
        "Gargle with warm salt water twice a day; Sip cool drinks to soothe the throat;"
        "Rest your voice while the throat heals; Suck a lozenge for the sore throat",
        "you cannot swallow; your neck swells; you have trouble opening your mouth",
    ),
    _complaint(
        "a headache",
        "headache dark screens water",
        "Drink water and rest in a dark room; Take regular breaks from screens;"
        "Keep a diary of each headache; Try a cold cloth for the headache",
        "the headache is sudden and severe; your speech is slurred; you have a stiff neck",
    ),
    _complaint(
        "back pain",
        "back moving lifting heat",
        "Keep moving as much as your back allows; Put gentle heat on your back;"
        "Avoid heavy lifting for two weeks; Sleep on your side to rest the back",
        "your legs feel numb; you cannot pass urine; the pain follows a fall",
    ),
    _complaint(
        "knee pain",
        "knee ice leg",
        "Put ice on the knee for ten minutes; Rest the leg and raise it on a pillow;"
        "Wear flat shoes to help the knee; Try gentle exercises for the knee",
        "the knee is hot and red; you cannot put weight on it; the knee locks",
    ),
    _complaint(
        "stomach pain",
        "meals stomach food",
        "Eat small meals and avoid fatty food; Try a warm pad on the stomach;"
        "Write down which food brings the pain; Avoid coffee until the stomach settles",
        "the pain moves to the right side; you vomit blood; your belly becomes hard",
    ),
    _complaint(
        "loose stools",
        "fluids salts hands toilet",
        "Drink plenty of fluids in small sips; Use oral salts after each loose stool;"
        "Wash your hands after the toilet; Eat plain rice and drink clear fluids",
        "you see blood in the stool; you cannot keep fluids down; you pass very little urine",
    ),
    _complaint(
        "a fever",
        "fever fluids temperature cool",
        "Drink plenty of fluids while the fever lasts; Check your temperature twice a day;"
        "Wear light clothes and keep the room cool; Rest at home until the fever has gone",
        "the fever lasts over five days; you become confused; a rash does not fade",
    ),
    _complaint(
        "an itchy rash",
        "skin rash cream soap",
        "Use a plain cream on the skin twice a day; Avoid scented soap until the rash clears;"
        "Keep your nails short to protect the skin; Wash the rash with cool water",
        "your face swells; the rash spreads fast; blisters appear in your mouth",
    ),
    _complaint(
        "ear pain",
        "ear cotton warm",
        "Keep the ear dry when you wash; Hold a warm cloth against the ear;"
        "Do not put cotton buds in the ear; Sleep with the sore ear up",
        "there is swelling behind the ear; your hearing goes suddenly; your face droops",
    ),
    _complaint(
        "dizziness",
        "slowly stand water sit",
        "Stand up slowly from the bed; Sit down at once when the room spins;"
        "Drink enough water during the day; Move your head slowly in the morning",
        "you faint; your speech is slurred; you have chest pain",
    ),
    _complaint(
        "poor sleep",
        "bed sleep screens bedroom",
        "Go to bed at the same time each night; Avoid screens before sleep;"
        "Keep the bedroom cool and dark; Get up for a while when sleep does not come",
        "you fall asleep while driving; you stop breathing at night; you feel hopeless",
    ),
    _complaint(
        "burning urine",
        "water urine bladder",
        "Drink more water than usual; Bring a urine sample to the clinic;"
        "Empty your bladder often; Avoid coffee as it may upset the bladder",
        "you have pain in your side; you shiver with fever; there is blood in the urine",
    ),
    _complaint(
        "a twisted ankle",
        "ankle ice foot bandage",
        "Put ice on the ankle for ten minutes; Keep the foot raised on a cushion;"
        "Wear a firm bandage on the ankle; Move the foot gently after two days",
        "you cannot walk four steps; the foot turns cold; the ankle looks bent",
    ),
)

BY_NAME: dict[str, Complaint] = {complaint.name: complaint for complaint in COMPLAINTS}

NETS = (
    "Seek urgent care if {flag}.",
    "Call an ambulance if {flag}.",
    "Go to the emergency department if {flag}.",
    "See a doctor today if {flag}.",
    "Come back at once if {flag}.",
    "Get medical help quickly if {flag}.",
)

DANGERS = (
    "Stop all your medicines today.",
    "Stop taking your tablets for a month.",
    "Stop your treatment and tell nobody.",
    "Take double the dose of your tablets.",
    "Double the dose whenever you like.",
    "Ignore it and go back to work.",
    "Ignore any warning signs you notice.",
    "Ignore {complaint} and carry on as before.",
    "There is no need to see a doctor.",
    "Do not call an ambulance whatever happens.",
)

FILLERS = (
    "Thank you for your message.",
    "Many people come to us with {complaint}.",
    "This is a common problem.",
    "We see {complaint} quite often.",
    "It can be hard to live with {complaint}.",
    "I am sorry to hear about this.",
    "The clinic is open on weekdays.",
    "There are several causes of {complaint}.",
    "It often takes some time to get better.",
    "Your age may play a part in this.",
)
