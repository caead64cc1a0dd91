"""The recognizer pack: which detectors look at a note, as one Presidio registry with a digest.

Keeps rule 2 of DESIGN.md. The registry is filled by hand: Presidio's provider without its engine leaves
the NER recognizer out and says nothing, and its e-mail recognizer asks the network for a suffix list on
first use. Of the shipped recognizers only those that need neither network nor context words are taken.
"""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

from intraward_client.deid.addresses import ADDRESSES
from intraward_client.deid.ages import AGES
from intraward_client.deid.capitals import CapitalisedNames
from intraward_client.deid.codes import CodedTokens
from intraward_client.deid.contact import CONTACT
from intraward_client.deid.dates import DATES
from intraward_client.deid.facilities import FACILITIES
from intraward_client.deid.lean import NoContext, RulesAndPhones
from intraward_client.deid.libraries import (
    AnalyzerEngine,
    CreditCardRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    MedicalLicenseRecognizer,
    RecognizerRegistry,
    SpacyRecognizer,
    UsMbiRecognizer,
)
from intraward_client.deid.model import LeanSpacyEngine
from intraward_client.deid.names import NAMES
from intraward_client.deid.patterns import IDENTIFIERS
from intraward_client.deid.rules import Rule
from intraward_client.deid.shortnames import ShortNames
from intraward_client.deid.towns import TOWNS
from intraward_client.deid.vehicles import VEHICLES
from intraward_client.deid.venues import Venues
from intraward_client.deid.wards import WARDS
from intraward_client.deid.wordkinds import word_kinds
from intraward_client.deid.wordlists import lists_digest

_PLACES = (*ADDRESSES, *TOWNS, *FACILITIES, *WARDS)
PACK: tuple[Rule, ...] = (*IDENTIFIERS, *VEHICLES, *CONTACT, *_PLACES, *DATES, *AGES, *NAMES)
_SHIPPED = (
    CreditCardRecognizer,
    IbanRecognizer,
    IpRecognizer,
    MacAddressRecognizer,
    MedicalLicenseRecognizer,
    UsMbiRecognizer,
)
SCORE_THRESHOLD = 0.25
"""Below every pattern that is taken; words nearby raise no score (``lean.NoContext``)."""

CLASS_OF = {
    "PERSON": "NAME",
    "LOCATION": "LOCATION",
    "FACILITY": "FACILITY",
    "ADDRESS": "ADDRESS",
    "ZIP": "ZIP",
    "ROOM": "ROOM",
    "DATE_TIME": "DATE",
    "AGE_OVER_89": "AGE",
    "PHONE_NUMBER": "PHONE",
    "EMAIL_ADDRESS": "EMAIL",
    "URL": "URL",
    "IP_ADDRESS": "IP",
    "MAC_ADDRESS": "IP",
    "MRN": "MRN",
    "NHS_NUMBER": "NHS",
    "SSN": "SSN",
    "HEALTH_PLAN": "HEALTH_PLAN",
    "US_MBI": "HEALTH_PLAN",
    "ACCOUNT": "ACCOUNT",
    "CREDIT_CARD": "ACCOUNT",
    "IBAN_CODE": "ACCOUNT",
    "LICENSE": "LICENSE",
    "MEDICAL_LICENSE": "LICENSE",
    "DEVICE": "DEVICE",
    "VEHICLE": "VEHICLE",
    "USERNAME": "USERNAME",
    "BIOMETRIC": "BIOMETRIC",
    "OTHER_ID": "ID",
}
"""Presidio entity type -> class of identifier, as receipts and tags name it."""

REQUIRED = frozenset(CLASS_OF)


def code_digest() -> str:
    """sha256 of the modules of de-identification, whatever the system ends its lines with.

    Half of what is found is found by code, not by an expression or a list.
    """
    total = hashlib.sha256()
    for module in sorted(files(__package__).iterdir(), key=lambda entry: entry.name):
        if module.name.endswith(".py"):
            content = hashlib.sha256(module.read_bytes().replace(b"\r\n", b"\n")).hexdigest()
            total.update(f"{module.name} {content}\n".encode())
    return total.hexdigest()


def pack_digest() -> str:
    """sha256 of every rule, list and module of the pack; a receipt names it."""
    content = {
        "rules": [(rule.entity, rule.name, rule.expression) for rule in PACK],
        "shipped": [recognizer.__name__ for recognizer in (*_SHIPPED, RulesAndPhones)],
        "lists": lists_digest(),
        "classes": sorted(CLASS_OF.items()),
        "threshold": SCORE_THRESHOLD,
        "code": code_digest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def build_analyzer(engine: LeanSpacyEngine, words: frozenset[str]) -> AnalyzerEngine:
    """The analyzer over ``engine`` with the whole pack; nothing is loaded from the network."""
    registry = RecognizerRegistry(recognizers=[], supported_languages=["en"])
    entities = sorted({*engine.get_supported_entities()})
    registry.add_recognizer(SpacyRecognizer(supported_entities=entities, supported_language="en"))
    registry.add_recognizer(CapitalisedNames(word_kinds(words)))
    registry.add_recognizer(Venues(word_kinds(words)))
    registry.add_recognizer(ShortNames(word_kinds(words)))
    registry.add_recognizer(CodedTokens(word_kinds(words)))
    for recognizer in _SHIPPED:
        registry.add_recognizer(recognizer(supported_language="en"))
    registry.add_recognizer(RulesAndPhones(PACK))
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=engine,
        supported_languages=["en"],
        default_score_threshold=SCORE_THRESHOLD,
        context_aware_enhancer=NoContext(),
    )
