"""Production grade: a stronger recognizer, or the officer's own signed exception, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.client.conftest import OFFICER
from typer.testing import CliRunner

from intraward_client.checkup import examine
from intraward_client.cli import app
from intraward_client.config import SitePolicy, load_policy
from intraward_client.grade import check_grade, sign_exception
from intraward_client.home import SiteHome
from intraward_client.importing import make_deidentifier
from intraward_client.store.vault import Vault
from intraward_shared.config import parse
from intraward_shared.errors import ConfigError, DeidError
from intraward_shared.signing import SigningKey

TODAY, UNTIL = date(2026, 11, 21), date(2027, 6, 30)


@pytest.fixture
def site(make_site: Callable[..., SiteHome], tmp_path: Path) -> SiteHome:
    return make_site(0, head=tmp_path / "head")


def with_deid(home: SiteHome, **deid: Any) -> SitePolicy:
    """The site's policy with this ``[deid]`` table."""
    raw = load_policy(home.policy).model_dump(mode="json", exclude_none=True)
    return parse(raw | {"deid": deid}, SitePolicy, "policy.toml")


def test_the_small_model_is_refused_for_production(site: SiteHome) -> None:
    assert "trial grade; advice" in check_grade(site, load_policy(site.policy), TODAY)
    policy = with_deid(site, grade="production")
    with pytest.raises(DeidError, match="production grade refuses the small model"):
        check_grade(site, policy, TODAY)
    with (
        closing(Vault.open(site.vault, site.vault_keys)) as vault,
        pytest.raises(DeidError, match="refuses the small model"),
    ):
        make_deidentifier(site, vault, policy)
    stronger = with_deid(site, grade="production", model="/srv/models/x", model_sha256="0" * 64)
    assert check_grade(site, stronger, TODAY).startswith("production grade, with the recognizer")


def test_the_officers_exception_holds_for_this_site_until_its_day(site: SiteHome, tmp_path: Path) -> None:
    OFFICER.save(tmp_path / "officer.key")
    signed = sign_exception(site, tmp_path / "officer.key", UNTIL, TODAY)
    policy = with_deid(site, grade="production", small_model_exception=signed.model_dump())
    assert "until 2027-06-30" in check_grade(site, policy, UNTIL)
    with pytest.raises(DeidError, match="ended on 2027-06-30"):
        check_grade(site, policy, date(2027, 7, 1))
    later = signed.model_dump() | {"until": "2027-12-31"}
    with pytest.raises(DeidError, match="not the officer's"):
        check_grade(site, with_deid(site, grade="production", small_model_exception=later), TODAY)
    elsewhere = policy.model_copy(update={"site": "south"})
    with pytest.raises(DeidError, match="not the officer's"):
        check_grade(site, elsewhere, TODAY)


def test_only_the_officer_of_the_ledger_can_sign(site: SiteHome, tmp_path: Path) -> None:
    other = SigningKey.from_seed(b"\x01" * 32)
    other.save(tmp_path / "other.key")
    with pytest.raises(ConfigError, match="not the key of the officer"):
        sign_exception(site, tmp_path / "other.key", UNTIL, TODAY)
    OFFICER.save(tmp_path / "officer.key")
    for day in (date(2026, 11, 20), date(2028, 1, 1)):
        with pytest.raises(ConfigError, match="past, or more than a year"):
            sign_exception(site, tmp_path / "officer.key", day, TODAY)
    signed = sign_exception(site, tmp_path / "officer.key", UNTIL, TODAY)
    policy = with_deid(site, grade="production", small_model_exception=signed.model_dump())
    renamed = policy.model_copy(update={"officer": None})
    with pytest.raises(DeidError, match="names no officer, or another"):
        check_grade(site, renamed, TODAY)


@pytest.mark.parametrize(
    "deid",
    [
        {"model": "/srv/x"},
        {"model_sha256": "0" * 64},
        {"labels": {"HCW": "PERSON"}},
        {"model": "relative", "model_sha256": "0" * 64},
        {"small_model_exception": {"until": "2027-02-30", "signature": "0" * 128}},
        {"grade": "best"},
    ],
)
def test_a_recognizer_without_pin_or_folder_is_a_policy_error(site: SiteHome, deid: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        with_deid(site, **deid)


def test_doctor_and_officer_say_it(site: SiteHome, tmp_path: Path) -> None:
    OFFICER.save(tmp_path / "officer.key")
    text = site.policy.read_text()
    assert 'grade = "trial"' in text
    site.policy.write_text(text.replace('grade = "trial"', 'grade = "production"'))
    failed = {each.name: each.message for each in examine(site) if each.state == "fail"}
    assert "refuses the small model" in failed["de-identifier"]
    until = date.today().replace(day=28).isoformat()
    words = ["officer", "allow-small-model", "--key", str(tmp_path / "officer.key"), "--home", str(site.root)]
    done = CliRunner().invoke(app, [*words, "--until", max(until, date.today().isoformat())])
    assert done.exit_code == 0 and "[deid.small_model_exception]" in done.stdout
    site.policy.write_text(site.policy.read_text() + done.stdout.split("policy.toml:")[1])
    (said,) = (each for each in examine(site) if each.name == "de-identifier")
    assert said.state == "ok" and "by the officer's exception" in said.message
