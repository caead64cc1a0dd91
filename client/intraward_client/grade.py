"""What a site may call production: a stronger recognizer, or the officer's signed word to do without one.

DESIGN.md rules 2 and 9. The small spaCy model is not production grade (facts on de-identification, 1). A
site whose ``[deid] grade`` is ``production`` therefore refuses to de-identify with it alone, unless the
privacy officer whom the ledger names has signed an exception for this site, this very model, until a day.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path

from intraward_client.config import SitePolicy, SmallModelException, load_policy
from intraward_client.deid.model import MODEL_SHA256
from intraward_client.home import SiteHome
from intraward_shared.errors import ConfigError, DeidError, SignatureError
from intraward_shared.ledger_chain import policy_entry, read_ledger
from intraward_shared.signing import SigningKey, canonical_json, verify

EXCEPTION_DOMAIN = "intraward/deid-small-model"
_LONGEST_DAYS = 366


def check_grade(home: SiteHome, policy: SitePolicy, today: date) -> str:
    """What this site's de-identification may be called, for the operator.

    Raises:
        DeidError: the grade is production, with the small model alone and no valid exception.
    """
    if policy.deid.model is not None:
        return f"{policy.deid.grade} grade, with the recognizer of [deid] model"
    if policy.deid.grade != "production":
        return (
            "trial grade; advice: the small model is not for production, name a stronger one in [deid] model"
        )
    remedy = "name a stronger model in [deid] model, or ask the officer: officer allow-small-model"
    given = policy.deid.small_model_exception
    if given is None:
        raise DeidError("production grade refuses the small model", remedy=remedy)
    officer = policy_entry(read_ledger(home.ledger)).officer
    if officer is None or policy.officer_key != officer:
        raise DeidError("the ledger names no officer, or another, for the exception", remedy=remedy)
    try:
        verify(officer, EXCEPTION_DOMAIN, _statement(policy.site, given.until), given.signature)
    except SignatureError:
        raise DeidError(
            "the exception for the small model is not the officer's, or not for it", remedy=remedy
        ) from None
    if today > date.fromisoformat(given.until):
        raise DeidError(f"the exception for the small model ended on {given.until}", remedy=remedy)
    return f"production grade with the small model, by the officer's exception until {given.until}"


def sign_exception(home: SiteHome, key_file: Path, until: date, today: date) -> SmallModelException:
    """The officer's exception for this site and the pinned small model.

    Raises:
        ConfigError: the key is not that of the officer whom the ledger names, or the day is past or too far.
    """
    policy, recorded = load_policy(home.policy), policy_entry(read_ledger(home.ledger))
    key = SigningKey.load(key_file)
    if recorded.officer is None or key.public != recorded.officer:
        raise ConfigError(
            key_file, "", "not the key of the officer whom the ledger names", remedy="use that key"
        )
    if not 0 <= (until - today).days <= _LONGEST_DAYS:
        raise ConfigError(
            "--until", "", "past, or more than a year away", remedy="choose a day within a year"
        )
    day = until.isoformat()
    signature = key.sign(EXCEPTION_DOMAIN, _statement(policy.site, day))
    return SmallModelException(until=day, signature=signature)


def _statement(site: str, until: str) -> bytes:
    return canonical_json({"site": site, "model_sha256": MODEL_SHA256, "until": until})
