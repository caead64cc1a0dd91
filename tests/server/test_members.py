"""The member list: signed, one site one set of keys; a revoked site's updates are refused at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from intraward_server import cli
from intraward_server.home import ServerHome
from intraward_server.members import (
    MemberList,
    check_cohort,
    enrolled,
    excluded,
    left,
    read_members,
    revoked,
    save_members,
)
from intraward_server.program import run
from intraward_server.session import open_session
from intraward_shared.enrolment import EnrolmentRequest, make_request, open_request
from intraward_shared.errors import ConfigError, EnrolmentRefused, RoundFailed
from intraward_shared.leaving import LEAVE_DOMAIN, LeaveStatement
from intraward_shared.node_key import make_node_key
from intraward_shared.program import ProgramConfig, load_program
from intraward_shared.protocol import sign_value
from intraward_shared.signing import SigningKey

TIME = "2026-01-01T00:00:00Z"


@pytest.fixture
def request_of(tmp_path: Path) -> Any:
    """``request_of(site, key)``: a verified request; the same file name gives the same node key."""

    def make(site: str, key: SigningKey, node: str | None = None) -> EnrolmentRequest:
        path = tmp_path / "nodes" / (node or f"{site}-{key.key_id}")
        if not path.exists():
            make_node_key(path, site)
        return open_request(make_request(site, key, path, TIME), "request")

    return make


def test_enrolling_twice_changes_nothing_and_other_keys_are_refused(request_of: Any) -> None:
    key = SigningKey.generate()
    asked = request_of("alpha", key)
    members = enrolled(MemberList(), asked, TIME)
    assert enrolled(members, asked, "2027-01-01T00:00:00Z") is members and members.version == 1
    with pytest.raises(EnrolmentRefused, match="other keys"):
        enrolled(members, request_of("alpha", SigningKey.generate()), TIME)
    for stolen in (request_of("beta", key), request_of("beta", SigningKey.generate(), f"alpha-{key.key_id}")):
        with pytest.raises(EnrolmentRefused, match="a key of the member alpha"):
            enrolled(members, stolen, TIME)


def test_revoked_keys_never_come_back_and_new_ones_may(request_of: Any) -> None:
    asked = request_of("alpha", SigningKey.generate())
    out = revoked(enrolled(MemberList(), asked, TIME), "alpha", "left", TIME)
    assert out.revoked == {"alpha"} and revoked(out, "alpha", "again", TIME) is out
    with pytest.raises(EnrolmentRefused, match="revoked with these very keys"):
        enrolled(out, asked, TIME)
    again = enrolled(out, request_of("alpha", SigningKey.generate()), TIME)
    assert again.revoked == frozenset() and again.version == 3
    with pytest.raises(EnrolmentRefused, match="which was revoked"):
        enrolled(revoked(again, "alpha", "left again", TIME), asked, TIME)
    with pytest.raises(ConfigError, match="not a member"):
        revoked(again, "beta", "left", TIME)
    for reason in ("", "x" * 301, "two\nlines"):
        with pytest.raises(ConfigError, match="--reason"):
            revoked(again, "alpha", reason, TIME)


def test_a_leave_statement_is_the_sites_own(request_of: Any) -> None:
    key = SigningKey.generate()
    members = enrolled(MemberList(), request_of("alpha", key), TIME)
    members = enrolled(members, request_of("beta", SigningKey.generate()), TIME)

    def said(site: str, signer: SigningKey) -> bytes:
        word = LeaveStatement(
            site=site, public=signer.public, time=TIME, ledger_sequence=None, ledger_entry=None
        )
        return sign_value(word, LEAVE_DOMAIN, signer)

    reason = left(members, "alpha", said("alpha", key))
    assert "2026-01-01" in reason
    gone = revoked(members, "alpha", reason, TIME).find("alpha")
    assert gone is not None and gone.revoked is not None and gone.revoked.reason == reason
    for site, statement in (
        ("alpha", said("alpha", SigningKey.generate())),
        ("alpha", said("beta", key)),
        ("beta", said("alpha", key)),
        ("gamma", said("gamma", key)),
        ("alpha", b"{}"),
    ):
        with pytest.raises(EnrolmentRefused, match="not its leave statement"):
            left(members, site, statement)


def test_a_changed_list_is_refused(tmp_path: Path, request_of: Any) -> None:
    home, key = ServerHome(tmp_path / "home"), SigningKey.generate()
    assert read_members(home, key.public) == MemberList()
    out = revoked(
        enrolled(MemberList(), request_of("alpha", SigningKey.generate()), TIME), "alpha", "left", TIME
    )
    save_members(home, out, key)
    assert read_members(home, key.public) == out
    with pytest.raises(ConfigError, match=r"members\.json"):
        read_members(home, SigningKey.generate().public)
    home.members.write_bytes(home.members.read_bytes().replace(b"left", b"came"))
    with pytest.raises(ConfigError, match=r"members\.json"):
        read_members(home, key.public)


def test_a_real_program_takes_only_enrolled_sites(federation: Any, request_of: Any) -> None:
    home = ServerHome(federation().home)
    config = load_program(home.program)
    terms = config.program.model_copy(update={"simulated": False, "seed": None})
    real: ProgramConfig = config.model_copy(update={"program": terms})
    check_cohort(home, config, MemberList())
    with pytest.raises(ConfigError, match="alpha is not enrolled with this key"):
        check_cohort(home, real, MemberList())
    key = SigningKey.load(home.key)
    members = MemberList()
    for site in real.cohort:
        members = enrolled(members, request_of(site, SigningKey.generate()), TIME)
    with pytest.raises(ConfigError, match="alpha is not enrolled with this key"):
        check_cohort(home, real, members)
    save_members(home, members, key)
    with pytest.raises(ConfigError, match="alpha"):
        excluded(home, real, key.public)


def test_a_real_run_does_not_begin_with_a_site_written_in_by_hand(federation: Any) -> None:
    def real(table: dict[str, Any]) -> None:
        table["program"] |= {"simulated": False, "round_deadline_s": 4 * 3600.0}
        del table["program"]["seed"]

    made = federation(change=real)
    with pytest.raises(ConfigError, match="alpha is not enrolled with this key"):
        open_session(made.home)
    assert not ServerHome(made.home).state.exists()
    done = CliRunner().invoke(cli.app, ["start", "--dry-run", "--home", str(made.home)])
    assert isinstance(done.exception, ConfigError) and "not enrolled" in done.exception.message


def test_a_site_revoked_in_a_running_program_is_asked_and_summed_no_more(
    federation: Any, request_of: Any, make_site_keys: Any
) -> None:
    made = federation()
    home = ServerHome(made.home)
    key, members = SigningKey.load(home.key), MemberList()
    for site in ("alpha", "beta", "gamma"):
        members = enrolled(members, request_of(site, make_site_keys(site)), TIME)
    save_members(home, members, key)

    def revoke_beta(plan: Any) -> None:
        if plan.round == 2:  # beta is at work: its update of this very round is refused when it comes
            save_members(home, revoked(members, "beta", "key lost", TIME), key)

    made.wards["beta"].before = revoke_beta
    run(made.grid(), made.home)
    lines = [json.loads(line) for line in home.history.read_text().splitlines()]
    assert lines[0]["sites"] == ["alpha", "beta", "gamma"]
    assert lines[1]["sites"] == ["alpha", "gamma"] and lines[1]["missing"] == {"beta": "ADMISSION_2"}
    assert all(line["missing"] == {"beta": "REVOKED"} for line in lines[2:])
    assert [plan.round for plan in made.wards["beta"].plans] == [1, 2]


def test_too_few_are_left_after_a_revocation(federation: Any, request_of: Any, make_site_keys: Any) -> None:
    made = federation()
    home = ServerHome(made.home)
    members = MemberList()
    for site in ("alpha", "beta"):
        members = enrolled(members, request_of(site, make_site_keys(site)), TIME)
        members = revoked(members, site, "left", TIME)
    save_members(home, members, SigningKey.load(home.key))
    with pytest.raises(RoundFailed, match="quorum"):
        run(made.grid(), made.home)
    assert all(ward.plans == [] for ward in made.wards.values())
