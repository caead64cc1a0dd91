"""Entries that need the privacy officer: amendments and burns, for the writer and for the auditor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from intraward_shared.errors import LedgerError
from intraward_shared.ledger import Kind, Ledger, charged, read_ledger, stage_charges, verify_chain
from intraward_shared.ledger_burn import burn_charges, charge_for, rounds_by_count, whole_lifetime
from intraward_shared.ledger_entry import Burn, LedgerEntry, sign_entry
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import from_bytes, to_bytes
from intraward_shared.signing import SigningKey

TIME = "2030-01-01T00:00:00Z"
OFFICER = SigningKey.from_seed(b"o" * 32)
STRANGER = SigningKey.from_seed(b"x" * 32)


@pytest.fixture
def governed(make_ledger: Callable[..., Ledger]) -> Any:
    """An open ledger that names an officer."""
    with make_ledger(officer=OFFICER.public) as ledger:
        yield ledger


@pytest.fixture
def burn_of() -> Callable[..., Burn]:
    """``burn_of(sequence)``: a whole lifetime of epsilon 8."""

    def make(sequence: int, **changes: Any) -> Burn:
        fields: dict[str, Any] = {"sequence": sequence, "entry": "e" * 64, "evidence": "receipt"}
        fields |= {"rounds": 1, "mechanism": whole_lifetime(8.0, 1e-5)}
        return Burn(**(fields | changes))

    return make


def resigned(
    entries: tuple[LedgerEntry, ...], key: SigningKey, officer: SigningKey | None, **changes: Any
) -> list[LedgerEntry]:
    """The ledger with its last entry changed by who holds these keys."""
    last = entries[-1].model_copy(update={"countersignature": None} | changes)
    fields = {name: getattr(last, name) for name in LedgerEntry.model_fields}
    for name in ("key_id", "signature", "countersignature"):
        del fields[name]
    return [*entries[:-1], sign_entry(key, officer, **fields)]


def test_an_old_line_keeps_its_bytes_and_names_no_officer(spent_file: Path) -> None:
    for line in spent_file.read_bytes().splitlines():
        assert to_bytes(from_bytes(line, LedgerEntry)) == line
        assert b"officer" not in line and b"burn" not in line and b"countersignature" not in line
        assert b"second_path" not in line


def test_an_unused_field_that_is_written_out_is_not_canonical(spent_file: Path, tmp_path: Path) -> None:
    line = spent_file.read_bytes().splitlines(keepends=True)[0]
    copy = tmp_path / "null.jsonl"
    copy.write_bytes(line.replace(b'"charges"', b'"burn":null,"charges"'))
    with pytest.raises(LedgerError, match="canonical"):
        read_ledger(copy)


def test_the_cap_is_raised_by_the_officer_alone(governed: Ledger, site_key: SigningKey) -> None:
    for officer, message in ((None, "did not sign"), (STRANGER, "does not verify"), (site_key, "does not")):
        with pytest.raises(LedgerError, match=f"rule 8: the privacy officer.*{message}"):
            governed.amend_policy("d" * 64, 8.5, TIME, officer=officer)
    assert len(governed.entries) == 1
    governed.amend_policy("d" * 64, 8.5, TIME, officer=OFFICER)
    governed.amend_policy("d" * 64, 3.0, TIME)
    assert governed.privacy.lifetime_epsilon == 3.0
    with pytest.raises(LedgerError, match="did not sign"):
        governed.amend_policy("d" * 64, 8.5, TIME)  # that it was as high before does not count


def test_without_an_officer_the_cap_is_never_raised(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="did not sign"):
        ledger.amend_policy("d" * 64, 9.0, TIME)
    with pytest.raises(LedgerError, match="where no officer signs"):
        ledger.amend_policy("d" * 64, 9.0, TIME, officer=OFFICER)


def test_an_amendment_is_signed_for_its_place_and_its_very_terms(
    governed: Ledger, site_key: SigningKey
) -> None:
    raised = governed.amend_policy("d" * 64, 9.0, TIME, officer=OFFICER)
    governed.amend_policy("d" * 64, 2.0, TIME)
    again = raised.model_copy(
        update={"sequence": 3, "previous": governed.entries[-1].hash, "signature": "0" * 128}
    )
    signed = again.model_copy(update={"signature": site_key.sign("intraward/ledger/v1", again.signed_bytes)})
    assert signed.countersignature == raised.countersignature
    with pytest.raises(LedgerError, match="officer's signature does not verify"):
        verify_chain([*governed.entries, signed])


def test_the_auditor_refuses_what_the_sites_key_alone_raised(governed: Ledger, site_key: SigningKey) -> None:
    governed.amend_policy("d" * 64, 7.0, TIME)
    entries = governed.entries
    terms = entries[-1].terms
    assert terms is not None
    higher = terms.model_copy(update={"lifetime_epsilon": 9.0})
    moved = terms.model_copy(update={"second_path": "/mnt/other"})
    for changes in ({"terms": higher}, {"terms": moved}):
        with pytest.raises(LedgerError, match="rule 8"):
            verify_chain(resigned(entries, site_key, None, **changes))
        verify_chain(resigned(entries, site_key, OFFICER, **changes))
        with pytest.raises(LedgerError, match="rule 8"):
            verify_chain(resigned(entries, site_key, STRANGER, **changes))
    for officer in (STRANGER.public, None):
        with pytest.raises(LedgerError, match="the officer changed"):
            verify_chain(
                resigned(entries, site_key, OFFICER, terms=terms.model_copy(update={"officer": officer}))
            )


def test_a_countersignature_belongs_to_amendments_and_burns(
    governed: Ledger, site_key: SigningKey, round_of: Any
) -> None:
    governed.reserve(round_of(1))
    with pytest.raises(LedgerError, match="where no officer signs"):
        verify_chain(resigned(governed.entries, site_key, OFFICER))


def test_a_burn_jumps_past_the_gap_charges_it_and_says_so(
    governed: Ledger, site_key: SigningKey, burn_of: Any, round_of: Any, tmp_path: Path
) -> None:
    governed.reserve(round_of(1))
    entry = governed.burn(burn_of(6), TIME, OFFICER)
    assert (entry.kind, entry.sequence, entry.previous) == (Kind.BURN, 7, governed.entries[1].hash)
    governed.reserve(round_of(2))
    assert [item.sequence for item in governed.entries] == [0, 1, 7, 8]
    assert governed.charges() == (whole_lifetime(8.0, 1e-5),)
    entries = read_ledger(tmp_path / "ledger.jsonl", site_key.public)
    assert entries == governed.entries and list(stage_charges(entries)) == ["burn"]
    assert events_to_epsilon(charged(entries), 1e-5) >= 8.0
    governed.close()
    with Ledger.open(tmp_path / "ledger.jsonl", site_key) as ledger:
        ledger.release(round_of(2).digest, "f" * 64)
        assert ledger.head[0] == 9


def test_a_burn_in_a_ledger_that_went_on_comes_after_both_lines(
    governed: Ledger, burn_of: Any, round_of: Any
) -> None:
    for number in (1, 2, 3):
        governed.reserve(round_of(number))
    assert governed.burn(burn_of(1), TIME, OFFICER).sequence == 4
    with pytest.raises(LedgerError, match="not lost"):
        governed.burn(burn_of(2, entry=governed.entries[2].hash), TIME, OFFICER)


def test_a_burn_needs_the_officer_and_its_whole_charge(
    governed: Ledger, burn_of: Any, mechanism_of: Any
) -> None:
    each = mechanism_of()
    with pytest.raises(LedgerError, match="does not verify"):
        governed.burn(burn_of(6), TIME, STRANGER)
    with pytest.raises(LedgerError, match="charges less"):
        governed.burn(burn_of(6, mechanism=whole_lifetime(7.9, 1e-5)), TIME, OFFICER)
    with pytest.raises(LedgerError, match="charges less"):  # it reaches the cap, but composes better
        governed.burn(burn_of(6, mechanism=each, rounds=40), TIME, OFFICER)
    with pytest.raises(LedgerError, match="charges less"):  # six entries, three rounds
        governed.burn(burn_of(6, mechanism=each, rounds=2, evidence="second_head"), TIME, OFFICER)
    governed.burn(burn_of(6, mechanism=each, rounds=3, evidence="second_head"), TIME, OFFICER)
    with pytest.raises(LedgerError, match="charges less"):  # a fork: the gap cannot be counted
        governed.burn(burn_of(3, mechanism=each, rounds=3, evidence="second_head"), TIME, OFFICER)


def test_a_site_without_an_officer_cannot_burn(ledger: Ledger, burn_of: Any) -> None:
    with pytest.raises(LedgerError, match="where no officer signs"):
        ledger.burn(burn_of(6), TIME, OFFICER)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"charges": ()}, "not the rounds"),
        ({"run_id": "run"}, "nothing else"),
        ({"plan": "a" * 64}, "nothing else"),
        ({"sequence": 6}, "chain is broken"),
        ({"sequence": 8}, "chain is broken"),
        ({"burn": None}, "chain is broken|names a lost entry"),
        ({"kind": Kind.RESERVE}, "nothing else, names a lost entry"),
    ],
)
def test_a_forged_burn_is_found(
    governed: Ledger, site_key: SigningKey, burn_of: Any, changes: dict[str, Any], message: str
) -> None:
    governed.burn(burn_of(6), TIME, OFFICER)
    verify_chain(resigned(governed.entries, site_key, OFFICER))
    with pytest.raises(LedgerError, match=message):
        verify_chain(resigned(governed.entries, site_key, OFFICER, **changes))
    with pytest.raises(LedgerError, match="did not sign"):
        verify_chain(resigned(governed.entries, site_key, None))


def test_a_burn_of_an_entry_that_is_there_is_found(
    governed: Ledger, site_key: SigningKey, burn_of: Any
) -> None:
    burn = burn_of(0)
    governed.burn(burn, TIME, OFFICER)
    held = burn.model_copy(update={"entry": governed.entries[0].hash})
    with pytest.raises(LedgerError, match="holds"):
        verify_chain(resigned(governed.entries, site_key, OFFICER, burn=held))


def test_the_count_is_charged_where_it_is_known_and_below_the_cap(mechanism_of: Any) -> None:
    assert [rounds_by_count(4, lost) for lost in (4, 5, 6, 7, 9)] == [None, 1, 1, 2, 3]
    each, whole = mechanism_of(), whole_lifetime(8.0, 1e-5)
    assert 8.0 <= events_to_epsilon([whole], 1e-5) < 8.01
    ask = {"cap": 8.0, "delta": 1e-5}
    assert charge_for(each, 4, 10, counted=True, **ask) == (each, 3)
    for lost, counted in ((4000, True), (4, True), (10, False)):
        assert charge_for(each, 4, lost, counted=counted, **ask) == (whole, 1)


@pytest.mark.parametrize(("rate", "noise", "steps"), [(0.2, 0.8, 11), (0.05, 0.8, 217), (0.2, 2.0, 230)])
def test_a_whole_lifetime_composes_worse_than_a_lost_line_within_the_cap(
    mechanism_of: Any, rate: float, noise: float, steps: int
) -> None:
    lost, whole = mechanism_of(steps, noise, rate), whole_lifetime(8.0, 1e-5)
    assert 7.7 < events_to_epsilon([lost], 1e-5) <= 8.0
    for later in (mechanism_of(50), mechanism_of(50, 0.8, 0.2)):
        assert events_to_epsilon([lost, later], 1e-5) <= events_to_epsilon([whole, later], 1e-5)


def test_many_rounds_are_charged_in_a_few_mechanisms(burn_of: Any, mechanism_of: Any) -> None:
    slots = burn_charges(burn_of(1, mechanism=mechanism_of(), rounds=12_501))
    assert [slot.mechanism.steps for slot in slots] == [100_000, 100_000, 50_020]
    assert [slot.round for slot in slots] == [1, 2, 3]


@pytest.mark.parametrize("cap", [0.5, 8.0, pytest.param(100.0, marks=pytest.mark.exhaustive)])
def test_a_whole_lifetime_of_any_cap_can_be_accounted_for(cap: float) -> None:
    epsilon = events_to_epsilon([whole_lifetime(cap, 1e-5)], 1e-5)
    assert cap <= epsilon <= cap * 1.001 + 0.01
