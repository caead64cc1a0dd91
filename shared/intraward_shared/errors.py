"""Every error that intraward raises on purpose, in one tree.

Keeps rule 1 and section 8 of DESIGN.md: an error names a file, a key, a line or a rule, and what to
do; it never holds a value from a record. The tree::

    IntrawardError
     +-- ConfigError         a TOML file or option is wrong            (file, key)
     +-- InputError          a data file is wrong                      (file, line)
     +-- ModelError          a base model is missing or not the pinned one
     +-- ContractError       bytes that do not follow the protocol
     |    +-- SignatureError     signature missing, wrong, or by an unknown key
     |    +-- DigestError        content does not match its digest
     +-- PlanRefused         the site's policy says no                 (rule)
     +-- LedgerError         the ledger is broken, locked or rolled back
     |    +-- BudgetExhausted    the plan would pass the lifetime cap
     +-- DeidError           the de-identifier is not fit to run
     +-- VaultError          the vault cannot be opened, or an entry was tampered with
     +-- EgressRefused       what was to leave is not on the allow-list
     +-- EnrolmentRefused    an enrolment request or a kit is not what it should be
     +-- SuperLinkError      Flower's SuperLink, or its command line, said no or nothing
     +-- AdmissionRefused    the coordinator does not take an update   (check)
     +-- TrainingAborted     training stopped after rows were read; the charge stays
     +-- RoundFailed         no quorum, or the deadline passed
 +-- ReleaseRefused      an adapter may not be released: gates that failed, or a revocation

``code`` is the only part that may cross the hospital's edge.
"""

from __future__ import annotations


class IntrawardError(Exception):
    """Base of the tree.

    Args:
        message: one fixed sentence that says what is wrong and where; never a value from a record.
        remedy: what the reader can do now.
    """

    code = "ERROR"

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} ({self.remedy})" if self.remedy else self.message


class ConfigError(IntrawardError):
    """A configuration file or option is wrong; names file and key."""

    code = "CONFIG"

    def __init__(self, file: object, key: str, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{file}: {key}: {message}" if key else f"{file}: {message}", remedy=remedy)
        self.file, self.key = str(file), key


class InputError(IntrawardError):
    """A data file is wrong; names file and line, never the line's content."""

    code = "INPUT"

    def __init__(self, file: object, line: int, message: str, *, remedy: str = "") -> None:
        super().__init__(f"{file}: line {line}: {message}" if line else f"{file}: {message}", remedy=remedy)
        self.file, self.line = str(file), line


class ModelError(IntrawardError):
    """A base model directory is missing, incomplete or not the pinned one."""

    code = "MODEL"


class ContractError(IntrawardError):
    """Bytes from the other side do not follow the protocol."""

    code = "CONTRACT"


class SignatureError(ContractError):
    """A signature is missing, wrong, or made by a key that is not trusted."""

    code = "SIGNATURE"


class DigestError(ContractError):
    """Content does not match the digest that names it."""

    code = "DIGEST"


class PlanRefused(IntrawardError):
    """The site's own policy refuses a plan before any row is read; ``rule`` names which sentence."""

    code = "PLAN_REFUSED"

    def __init__(self, rule: str, message: str, *, remedy: str = "") -> None:
        super().__init__(f"plan refused by rule {rule!r}: {message}", remedy=remedy)
        self.rule = rule


class LedgerError(IntrawardError):
    """The ledger is broken, held by another writer, or older than a receipt for it."""

    code = "LEDGER"


class BudgetExhausted(LedgerError):
    """The plan would pass the site's lifetime epsilon; nothing was read."""

    code = "BUDGET"


class DeidError(IntrawardError):
    """The de-identifier cannot be trusted to run (missing model, failed self-test)."""

    code = "DEID"


class VaultError(IntrawardError):
    """The vault cannot be opened, or an entry does not decrypt in its context."""

    code = "VAULT"


class LabelError(IntrawardError):
    """The label station cannot do it: its database, an account, a session or a judgment says no."""

    code = "LABEL"


class EgressRefused(IntrawardError):
    """What was to leave is not exactly what the plan allows."""

    code = "EGRESS"


class EnrolmentRefused(IntrawardError):
    """An enrolment request or a kit is malformed, changed on the way, or of somebody else."""

    code = "ENROLMENT"


class SuperLinkError(IntrawardError):
    """Flower's SuperLink could not be started, refused a call, or did not answer."""

    code = "SUPERLINK"


class AdmissionRefused(IntrawardError):
    """The coordinator does not take an update; ``check`` is the number in ``admission``'s list."""

    code = "ADMISSION"

    def __init__(self, check: int, message: str, *, remedy: str = "") -> None:
        super().__init__(f"update refused by check {check}: {message}", remedy=remedy)
        self.check = check


class TrainingAborted(IntrawardError):
    """Training stopped after rows were read. The only thing said outside is the code; the charge stays."""

    code = "ABORTED"


class RoundFailed(IntrawardError):
    """A round ended without its quorum."""

    code = "ROUND"


class ReleaseRefused(IntrawardError):
    """An adapter may not be released, or was revoked; names each reason."""

    code = "RELEASE"
