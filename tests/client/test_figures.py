"""A noised figure: allowed by the policy, charged before a row is read, bounded, never repeated."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.client.conftest import HOSPITAL, MECHANISM

import intraward_client.figures as figures_module
from intraward_client.config import load_policy
from intraward_client.figures import Price, make_terms, noise_for, patient_sums
from intraward_client.home import SiteHome
from intraward_client.participation import pause
from intraward_client.privacy.budget import Budget, prv_epsilon
from intraward_client.site_ledger import open_ledger
from intraward_client.trail import Action, read_trail
from intraward_shared.certificates import certify
from intraward_shared.errors import BudgetExhausted, ConfigError, LedgerError, PlanRefused, TrainingAborted
from intraward_shared.figure import (
    BOUND,
    FIGURE_DOMAIN,
    Figure,
    FigureTerms,
    check_figure,
    fewest_patients,
    figure_mechanism,
    figure_value,
)
from intraward_shared.gate import read_book
from intraward_shared.ledger import Kind, Ledger, read_ledger
from intraward_shared.ledger_entry import FigureName
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import ProgramSchedule, Slot, open_signed
from intraward_shared.stages import Stage

release_figure = partial(figures_module.release_figure, agree=lambda price: None, first=True)
NOW = datetime(2030, 1, 1, tzinfo=UTC)
ALLOWED = {"figures": {"epsilon": 2.0}}
MANY = {f"u{number:04}": (1.0,) if number % 4 else (0.0, 0.0) for number in range(400)}
"""Three patients in four prefer the newer version."""
share = st.floats(allow_nan=True, allow_infinity=True)
told = st.dictionaries(st.text("abc", min_size=1, max_size=4), st.lists(share, max_size=6), max_size=6)


class Died(BaseException):
    """The process is killed at this point."""


def terms_of(home: SiteHome, epsilon: float = 0.5, **changes: Any) -> FigureTerms:
    policy = load_policy(home.policy)
    named = (FigureName.WIN_RATE, "1" * 64, "2" * 64)
    return make_terms(policy, HOSPITAL.public, *named, epsilon, changes.pop("max_error", 0.1), NOW)


def unread() -> Mapping[str, Any]:
    pytest.fail("rows were read")


@given(told, st.text("xyz", min_size=1, max_size=3), st.lists(share, max_size=9), st.integers(1, 4))
def test_one_patient_moves_the_sums_by_at_most_the_bound(
    others: dict[str, list[float]], patient: str, own: list[float], records: int
) -> None:
    before, after = (patient_sums(each, records) for each in (others, {**others, patient: own}))
    moved = math.dist(before, after)
    assert moved <= BOUND + 1e-12
    assert (moved == 0) == (not own) or moved < 1e-12


def test_the_noise_is_the_least_that_costs_no_more() -> None:
    sigma = noise_for(0.5, 1e-5)
    assert events_to_epsilon([figure_mechanism(sigma, 1)], 1e-5) <= 0.5
    assert events_to_epsilon([figure_mechanism(sigma - 0.01, 1)], 1e-5) > 0.5
    with pytest.raises(ConfigError, match="too small"):
        noise_for(1e-6, 1e-5)


def test_what_two_noised_sums_say() -> None:
    assert figure_value(50.0, 100.0, 1.0, 0.1) == 0.75  # 200 patients, 0.25 above one half
    assert figure_value(150.0, 100.0, 1.0, 0.2) == 1.0  # noise may pass 1; the figure does not
    assert figure_value(5.0, 10.0, 1.0, 0.1) is None  # 20 patients are too few for 0.1
    assert figure_value(5.0, 0.0, 1.0, 0.5) is None and figure_value(5.0, -3.0, 1.0, 0.5) is None


def test_it_is_charged_on_disk_before_a_row_is_read_and_an_auditor_counts_it(make_site: Any) -> None:
    home: SiteHome = make_site(more=ALLOWED)
    terms = terms_of(home)

    def read() -> Mapping[str, Any]:
        last = read_ledger(home.ledger)[-1]
        assert (last.kind, last.plan, last.figure) == (Kind.RESERVE, terms.digest, FigureName.WIN_RATE)
        assert last.charges and not home.figure(terms.digest).exists()
        return MANY

    figure, path = release_figure(home, terms, read)
    assert figure.value is not None and abs(figure.value - 0.75) < 0.1
    check_figure(open_signed(path.read_bytes(), FIGURE_DOMAIN, Figure, HOSPITAL.public))
    assert path.stat().st_mode & 0o777 == 0o600
    assert [e.kind for e in read_ledger(home.ledger)] == [Kind.POLICY, Kind.RESERVE, Kind.RELEASE]
    (stage,) = certify(read_ledger(home.ledger)).stages
    assert stage.stage == "figure" and 0.45 < stage.epsilon <= 0.5
    assert read_trail(home, HOSPITAL.public)[-1].action is Action.FIGURE
    text = path.read_text()
    assert not re.search(r'excess|halves|patients|[:"\\]400[,"}\\]', text)  # digests may hold 400, too


def test_a_site_that_did_not_allow_it_a_paused_one_and_a_spent_one_read_nothing(make_site: Any) -> None:
    home: SiteHome = make_site()
    with pytest.raises(ConfigError, match=r"figures\.epsilon"):
        terms_of(home)
    home = make_site(name="allowed", more=ALLOWED)
    with pytest.raises(ConfigError, match="nothing was charged yet"):
        figures_module.release_figure(
            home, terms_of(home), unread, agree=lambda price: pytest.fail("was asked")
        )
    entries = len(read_ledger(home.ledger))
    for epsilon in (2.5, 0.5):
        if epsilon == 0.5:
            pause(home)
        with pytest.raises(BudgetExhausted if epsilon == 2.5 else PlanRefused):
            release_figure(home, terms_of(home, epsilon), unread)
    small: SiteHome = make_site(name="small", more=ALLOWED, lifetime_epsilon=0.4)
    with pytest.raises(BudgetExhausted, match="lifetime"):
        release_figure(small, terms_of(small), unread)
    week: SiteHome = make_site(name="week", more=ALLOWED, weekly_epsilon=0.4)
    with pytest.raises(BudgetExhausted, match="weekly"):
        release_figure(week, terms_of(week), unread)
    assert len(read_ledger(home.ledger)) == entries


def test_the_allowance_counts_every_figure_that_was_charged(make_site: Any) -> None:
    home: SiteHome = make_site(more={"figures": {"epsilon": 1.2}})
    release_figure(home, terms_of(home), lambda: MANY)
    release_figure(home, terms_of(home), lambda: MANY)
    spent = r"costs epsilon 0\.500 .* figures\.epsilon = 1\.2 .* 1\.000 is spent, 0\.200 left"
    with pytest.raises(BudgetExhausted, match=spent):
        release_figure(home, terms_of(home), unread)


def test_a_person_is_told_what_is_left_before_and_after_and_a_no_charges_nothing(make_site: Any) -> None:
    home: SiteHome = make_site(more=ALLOWED, lifetime_epsilon=8.0)
    asked: list[Price] = []

    def refuses(price: Price) -> None:
        asked.append(price)
        raise Died

    for _ in range(2):
        with pytest.raises(Died):
            release_figure(home, terms_of(home), unread, agree=refuses)
    assert [entry.kind for entry in read_ledger(home.ledger)] == [Kind.POLICY]
    with closing(open_ledger(home, load_policy(home.policy), HOSPITAL)) as ledger:
        event = MECHANISM.model_copy(update={"noise_multiplier": 3.0})
        slots = tuple(Slot(round=each, stage=Stage.REWARD, mechanism=event) for each in (1, 2, 3, 4))
        schedule = ProgramSchedule(run_id="run1", slots=slots)
        Budget(ledger, 8.0, 1e-5).admit_schedule(schedule, "2029-01-01T00:00:00Z")
    release_figure(home, terms_of(home), lambda: MANY, agree=asked.append)
    entries = read_ledger(home.ledger)
    before, after = (read_book(entries[:number]).figure(prv_epsilon) for number in (2, 3))
    assert asked[0] == asked[1] and asked[0].left[0] == 8.0 and asked[0].figures == (2.0, 0.0)
    assert asked[2].left == (8.0 - before, 8.0 - after) and asked[2].turns
    assert after - before > asked[2].epsilon  # it costs more of the lifetime than by itself
    release_figure(home, terms_of(home), lambda: MANY, agree=asked.append)
    assert asked[3].left[0] == asked[2].left[1] and not asked[3].turns


@given(st.floats(0.5, 50), st.floats(0.02, 0.5))
def test_from_how_many_patients_on_a_value_is_told(noise: float, error: float) -> None:
    fewest = fewest_patients(noise, error)
    for count, rate in ((fewest, 1.0), (2 * fewest, 0.3)):
        assert figure_value(count * (rate - 0.5), count / 2, noise, error) == rate
    assert figure_value((fewest - 1) / 2, (fewest - 1) / 2, noise, error) is None
    assert fewest_patients(7.3, 0.1) == 199


def test_a_crash_wastes_the_charge_and_the_next_try_has_other_noise(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: SiteHome = make_site(more=ALLOWED)
    drawn: list[tuple[float, float]] = []

    def kept(excess: float, halves: float, *_: float) -> float:
        drawn.append((excess, halves))
        if len(drawn) == 1:
            raise Died
        return 0.5

    monkeypatch.setattr(figures_module, "figure_value", kept)
    with pytest.raises(Died):
        release_figure(home, terms_of(home), lambda: MANY)
    assert read_ledger(home.ledger)[-1].kind is Kind.RESERVE and not list(home.root.glob("figures/*"))
    release_figure(home, terms_of(home), lambda: MANY)
    entries = read_ledger(home.ledger)
    kinds = [entry.kind.value for entry in entries[1:]]
    assert kinds == ["RESERVE", "ABORT", "RESERVE", "RELEASE"] and sum(bool(e.charges) for e in entries) == 2
    truth = patient_sums(MANY, 2)
    assert drawn[0] != drawn[1] and all(math.dist(each, truth) > 0 for each in drawn)


def test_a_crash_between_file_and_release_sends_the_same_bytes_and_charges_no_more(
    make_site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: SiteHome = make_site(more=ALLOWED)
    terms = terms_of(home)
    with monkeypatch.context() as patch, pytest.raises(Died):
        patch.setattr(Ledger, "release", lambda *_: (_ for _ in ()).throw(Died))
        release_figure(home, terms, lambda: MANY)
    written = home.figure(terms.digest).read_bytes()
    release_figure(home, terms_of(home), lambda: MANY)
    first = [entry for entry in read_ledger(home.ledger) if entry.plan == terms.digest]
    assert [entry.kind for entry in first] == [Kind.RESERVE, Kind.RELEASE]
    assert home.figure(terms.digest).read_bytes() == written


def test_what_fails_after_the_charge_is_given_up_and_says_no_more(make_site: Any) -> None:
    home: SiteHome = make_site(more=ALLOWED)

    def broken() -> Mapping[str, Any]:
        raise ValueError("Jane Doe, 12 patients")

    with pytest.raises(TrainingAborted) as told:
        release_figure(home, terms_of(home), broken)
    assert "Jane" not in str(told.value) and "12" not in str(told.value)
    assert [e.kind for e in read_ledger(home.ledger)][-2:] == [Kind.RESERVE, Kind.ABORT]


def test_the_ledgers_rules_hold_a_figure_to_one_unsampled_step_of_its_own_run(make_site: Any) -> None:
    home: SiteHome = make_site(more=ALLOWED)
    terms = terms_of(home)
    sampled = terms.mechanism.model_copy(update={"sample_rate": 0.5})
    with closing(open_ledger(home, load_policy(home.policy), HOSPITAL)) as ledger:
        with pytest.raises(LedgerError, match="rule 10"):
            ledger.reserve(terms.model_copy(update={"mechanism": sampled}))
        ledger.reserve(terms)
        with pytest.raises(LedgerError, match="rule 6"):
            ledger.reserve(terms)
        ledger.abort(terms.digest)
        with pytest.raises(LedgerError, match="rule 6"):
            ledger.reserve(terms)


def test_a_figure_whose_entry_did_not_pay_for_it_is_refused(make_site: Any, tmp_path: Path) -> None:
    home: SiteHome = make_site(more=ALLOWED)
    figure, _ = release_figure(home, terms_of(home), lambda: MANY)
    other, _ = release_figure(home, terms_of(home), lambda: MANY)
    for changed in (
        figure.model_copy(update={"entry": other.entry}),
        figure.model_copy(update={"terms": figure.terms.model_copy(update={"adapter": "3" * 64})}),
        figure.model_copy(update={"entry": figure.entry.model_copy(update={"figure": None})}),
    ):
        with pytest.raises(Exception, match="ledger entry"):
            check_figure(changed)
