"""What ends on a day, and who should be told before: certificates, pending plans, signed exceptions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from intraward_shared.errors import ConfigError

WARN_BEFORE = timedelta(days=30)


@dataclass(frozen=True)
class Expiry:
    """Something that ends at ``at``, and what to do about it."""

    what: str
    at: datetime
    remedy: str

    def days_left(self, now: datetime) -> int:
        """Whole days until the end; negative afterwards."""
        return (self.at - now) // timedelta(days=1)

    def told(self, now: datetime) -> str:
        """One sentence."""
        if self.at <= now:
            return f"{self.what} ended on {self.at:%Y-%m-%d}; {self.remedy}"
        return f"{self.what} ends on {self.at:%Y-%m-%d}, in {self.days_left(now)} days; {self.remedy}"


def warnings(known: Iterable[Expiry], now: datetime) -> list[str]:
    """A sentence for each thing that ended, or ends within 30 days."""
    return [each.told(now) for each in known if each.at - now < WARN_BEFORE]


def read_certificate(path: Path) -> x509.Certificate:
    """First X.509 certificate of a PEM file.

    Raises:
        ConfigError: no such file, or no certificate in it.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except OSError:
        raise ConfigError(path, "", "the certificate cannot be read", remedy="check the path") from None
    except ValueError:
        raise ConfigError(path, "", "not a certificate in PEM form", remedy="restore it") from None


def end_of(text: str) -> datetime:
    """Time of a protocol value, ``YYYY-MM-DDTHH:MM:SSZ``."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
