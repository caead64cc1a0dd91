"""The station's commands, and where it may listen: a socket, or TLS; the proxy's login on a socket alone."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.client.labeling.stations import pairs
from tests.e2e.label_desk import make_certificate
from tests.e2e.label_site import LabelSite, lay

from intraward_client.labeling import accounts
from intraward_client.labeling.opening import open_book
from intraward_client.labeling.serve import lan_of, serve
from intraward_client.labeling.web.station import STATIC, Station
from intraward_shared.errors import ConfigError

Call = Callable[..., tuple[int, str]]
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
"""sha256 of htmx 2.0.11's ``dist/htmx.min.js``."""


@pytest.fixture
def site(tmp_path: Path) -> LabelSite:
    return lay(tmp_path, pairs(2), {"ann": "labeller"})


def test_the_vendored_library_is_the_published_one() -> None:
    assert hashlib.sha256((STATIC / "htmx-2.0.11.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (STATIC / "htmx-LICENSE.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("address", ["station", "10.0.0.1:", "10.0.0.1:99999", ":8443"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    make_certificate(tmp_path)
    with pytest.raises(ConfigError, match="host:port"):
        lan_of(address, tmp_path / "station.crt", tmp_path / "station.key")


def test_a_network_address_needs_a_certificate_that_loads(tmp_path: Path) -> None:
    make_certificate(tmp_path)
    with pytest.raises(ConfigError, match="--certificate"):
        lan_of("10.0.0.1:8443", None, None)
    (tmp_path / "bad.key").write_text("no key", encoding="ascii")
    with pytest.raises(ConfigError, match="do not load"):
        lan_of("10.0.0.1:8443", tmp_path / "station.crt", tmp_path / "bad.key")


def test_the_proxys_login_is_refused_on_a_network_address(
    site: LabelSite, tmp_path: Path, station: Station
) -> None:
    proxy = station.terms.proxy.model_copy(update={"roles": {"raters": "labeller"}})
    station.book.terms = station.terms.model_copy(update={"login": "proxy", "proxy": proxy})
    lan = lan_of("127.0.0.1:8443", tmp_path / "station.crt", tmp_path / "station.key")
    with pytest.raises(ConfigError, match="anybody could set the headers"):
        serve(station, site.home, lan)


def test_forgetting_a_patient_reaches_the_book(site: LabelSite, call: Call) -> None:
    assert call("forget", "p-00001", "--home", site.home.root)[0] == 0
    with open_book(site.home) as book:
        assert len(book.items()) == 1


def test_accounts_by_command_take_the_password_from_standard_input(
    site: LabelSite, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = ("--home", site.home.root)
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough password\n"))
    assert call("label", "user", "add", "Lee", "--role", "senior", *home)[0] == 0
    code, told = call("label", "user", "list", "--json", *home)
    assert code == 0 and [row["role"] for row in json.loads(told)["users"]] == ["labeller", "senior"]
    assert call("label", "user", "disable", "lee", *home)[0] == 0
    with open_book(site.home) as book, book.reading() as connection:
        lee, stored = accounts.find(connection, "lee"), accounts.stored_hash(connection, "lee")
    assert lee is not None and lee.disabled and accounts.matches(stored, "a long enough password")
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    for wrong in (("add", "kim"), ("reset", "lee"), ("disable", "nobody"), ("add", "kim", "--role", "god")):
        code, told = call("label", "user", *wrong, *home)
        assert code == 1 and "Traceback" not in told, wrong
    code, told = call("label", "verify", "--json", *home)
    assert code == 0 and json.loads(told)["whole"] and json.loads(told)["events"] == 4
    assert call("label", "verify", "--head", "f" * 64, *home)[0] == 1
