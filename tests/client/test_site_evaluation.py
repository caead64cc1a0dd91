"""What models are worth on held-out patients, who wins comparisons, drift; it stays here, or is charged."""

from __future__ import annotations

import json
import math
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from tests.client.conftest import HOSPITAL, MARKER, MECHANISM
from tests.client.labeling.stations import add_account, refuse
from tests.client.labeling.test_preparing import SAMPLING, _notes

from intraward_client import preparing
from intraward_client.config import MonitoringTerms, load_policy
from intraward_client.evaluation import BASE, Lengths, Model, figure, losses, policy_wins, reward_wins
from intraward_client.home import SiteHome
from intraward_client.installed import install, rollback
from intraward_client.labeling.comparisons import compared, shares, versions
from intraward_client.labeling.events import Actor
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judging import submit
from intraward_client.labeling.judgment import Vote
from intraward_client.labeling.opening import open_book
from intraward_client.labeling.queue import next_turn
from intraward_client.labeling.versions import prepare_comparison
from intraward_client.monitoring import Batch, follow, loss_rates
from intraward_client.store.datasets import PairRecord, PromptRecord, SftRecord, in_holdout
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.heldout import held_out
from intraward_client.store.prompts import candidates_of
from intraward_client.store.schema import frozen_rows
from intraward_client.store.vault import Vault
from intraward_client.ward import Ward
from intraward_shared.errors import LabelError
from intraward_shared.figure import FIGURE_DOMAIN, Figure, check_figure
from intraward_shared.generation import completion_ids, prompt_ids
from intraward_shared.ledger import Kind, read_ledger
from intraward_shared.modeling import adapted
from intraward_shared.protocol import open_signed
from intraward_shared.stages import Stage

SHORT = Lengths(max_prompt=4, max_completion=4)
SHARES = {"evaluation": {"holdout": 0.5}}


def opened(home: SiteHome) -> Any:
    return closing(Vault.open(home.vault, home.vault_keys))


def test_a_held_out_patient_is_in_no_round_and_one_who_trained_is_never_held_out(make_site: Any) -> None:
    home: SiteHome = make_site(12)
    with opened(home) as vault:
        key = vault.derive("holdout")
        freeze(vault, "1" * 64, Stage.REWARD, holdout=0.3)
        trained = set(frozen_table(vault, "1" * 64, Stage.REWARD).units)
        out = {row.unit for row in held_out(vault, 0.3).pairs}
        assert out and trained and out.isdisjoint(trained) and len(out | trained) == 12
        assert all(in_holdout(unit, key, 0.3) for unit in out)
        assert {row.unit for row in held_out(vault, 0.5).pairs} == out  # the others stand in a round's table
        with vault.transaction() as connection:
            named = set(connection.execute(select(frozen_rows.c.unit)).scalars())
        assert named == trained


def test_the_wards_rounds_leave_them_out(make_site: Any, rounds: Any) -> None:
    from datetime import UTC, datetime

    from intraward_client.slot import SlotClock

    home: SiteHome = make_site(8, more=SHARES)
    clock = SlotClock(virtual=False, now=lambda: datetime(2030, 1, 1, tzinfo=UTC))
    with closing(Ward(home, slots=clock)) as ward:
        ward.execute(rounds(mechanism=MECHANISM).bytes_by())
    with opened(home) as vault:
        key = vault.derive("holdout")
        with vault.transaction() as connection:
            named = set(connection.execute(select(frozen_rows.c.unit)).scalars())
        assert named and not any(in_holdout(unit, key, 0.5) for unit in named)


def test_figures_are_those_of_a_literal_computation(tiny: Any, adapter_of: Any, lora_of: Any) -> None:
    base, lora = tiny("llama"), lora_of("llama")
    reward = Model("r", lora, adapter_of(base, "llama", Stage.REWARD, 3, scale=0.5))
    policy = Model("p", lora, adapter_of(base, "llama", Stage.SFT, 4, scale=0.5))
    pairs = [PairRecord(f"u{n % 3}", f"w{n}", f"w{n + 1} w2", f"w{n + 2}") for n in range(6)]
    wins = reward_wins(base, reward, pairs, SHORT)
    with adapted(base, lora, ("reward",)) as model:
        model.load("reward", reward.state)
        for pair, said in zip(pairs[:3], (wins["u0"][0], wins["u1"][0], wins["u2"][0]), strict=True):
            one, other = (_score(model, base, pair.prompt, text) for text in (pair.chosen, pair.rejected))
            assert said == (1.0 if one > other else 0.0)
    record = SftRecord("u", "w1 w2", "w3 w4")
    assert losses(base, policy, [record], SHORT)["u"][0] == pytest.approx(
        _loss(base, policy, record), rel=1e-5
    )
    prompts = [PromptRecord(f"u{n}", f"i{n}", f"w{n} w1") for n in range(5)]
    same = policy_wins(base, (policy.nothing(), policy.nothing()), reward, prompts, SHORT)
    assert policy.nothing().name == BASE and {told for (told,) in same.values()} == {0.5}
    told = figure({"a": [1.0, 1.0, 1.0, 0.0], "b": [0.0]})
    assert told == {"value": 0.375, "interval": None, "patients": 2, "records": 5}


def _score(model: Any, base: Any, prompt: str, text: str) -> float:
    import torch

    model.use("reward")
    ids = prompt_ids(base, prompt, 4) + completion_ids(base, text, 4)
    rows = torch.tensor([ids])
    return float(model.appraise(rows, torch.ones_like(rows)).score)


def _loss(base: Any, policy: Model, record: SftRecord) -> float:
    import torch

    asked, told = prompt_ids(base, record.prompt, 4), completion_ids(base, record.completion, 4)
    with adapted(base, policy.lora, ("policy",)) as model:
        model.load("policy", policy.state)
        model.use("policy")
        rows = torch.tensor([asked + told])
        logprobs = model(rows, torch.ones_like(rows))[0].log_softmax(-1)
    own = [float(logprobs[len(asked) - 1 + at, token]) for at, token in enumerate(told)]
    return -sum(own) / len(own)


def test_evaluate_tells_the_person_and_nobody_else(
    make_site: Any, release: Any, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    home: SiteHome = make_site(10)
    policy = load_policy(home.policy)
    reward = install(release(3, stage=Stage.REWARD), home, policy).digest
    install(release(1), home, policy)
    words = ("evaluate", "--reward", reward[:12], "--home", home.root, "--max-prompt-tokens", 8)
    code, out = call(*words)
    assert code == 1 and "evaluation.holdout" in out and "patients" not in out
    home.policy.write_text(home.policy.read_text().replace("holdout = 0.0", "holdout = 0.5"))
    before = {path: path.read_bytes() for path in (home.ledger, home.trail)}
    code, out = call(*words, "--save", "--json")
    assert code == 0, out
    value = json.loads(out)
    assert set(value["figures"]) == {"longer_wins", "reward_accuracy"} and value["against"] == "base"
    assert 0 < value["figures"]["reward_accuracy"]["patients"] < 10
    (kept,) = (home.root / "evaluation").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600 and json.loads(kept.read_text()) == value
    assert MARKER not in out and not home.log.exists()
    assert all(path.read_bytes() == data for path, data in before.items())
    with closing(Ward(home)) as ward:
        assert b"evaluation" not in ward.describe()


@pytest.fixture
def site(make_site: Any, release: Any) -> tuple[SiteHome, str, str]:
    """A site with two installed versions, newer and older, and an item of both for each of nine patients."""
    home: SiteHome = make_site(0, more={"figures": {"epsilon": 4.0}})
    _notes(home, 9)
    policy = load_policy(home.policy)
    older, newer = (install(release(seed), home, policy).digest for seed in (1, 2))
    return home, newer, older


def prepared(home: SiteHome, newer: str, older: str) -> int:
    """Items of both versions, by the ward."""
    sampling = {**SAMPLING, "candidates": 2, "adapter": newer}
    with closing(Ward(home)) as ward, open_book(home) as book, opened(home) as vault:

        def told(request: dict[str, Any]) -> dict[str, Any]:
            return dict(json.loads(preparing.answer_request(ward, json.dumps(request).encode())))

        options: dict[str, Any] = {"kind": "answers", "specialty": "", "sampling": sampling}
        made = prepare_comparison(book, vault, told, Actor("ana", "admin"), **options, against=older)
        again = prepare_comparison(book, vault, told, Actor("ana", "admin"), **options, against=older)
        assert again.items == 0
        with pytest.raises(LabelError, match="same adapter"):
            prepare_comparison(book, vault, told, Actor("ana", "admin"), **options, against=newer)
        for item in book.items():
            wrote = {each.candidate_id: each.adapter_digest for each in candidates_of(vault, item.prompt_id)}
            assert [wrote[name] for name in item.candidate_ids] == [newer, older]
        assert versions(book, vault) == tuple(sorted((newer, older)))
    return made.items


def judged(home: SiteHome, name: str, ranks: tuple[int, int]) -> None:
    """One rater says the same of every item."""
    with open_book(home) as book:
        account = add_account(book, name)
        while (turn := next_turn(book, account)) is not None:
            said = Vote(turn.item.item_id, name, ranks=ranks, stage=turn.stage, shown=turn.shown)
            assert submit(book, FreeText(refuse), account, turn, said)


def test_comparisons_are_counted_by_version_and_a_forgotten_patient_leaves_them(
    site: tuple[SiteHome, str, str],
) -> None:
    home, newer, older = site
    items = prepared(home, newer, older)
    assert items > 2  # a prompt that both answer alike makes none
    judged(home, "ann", (1, 2))
    judged(home, "bob", (1, 1))
    with open_book(home) as book, opened(home) as vault:
        votes = compared(book, vault, newer, older)
        assert sorted({vote.won for vote in votes}) == [0.5, 1.0] and len(votes) == 2 * items
        assert {vote.won for vote in compared(book, vault, older, newer)} == {0.0, 0.5}
        by_patient = shares(votes)
        assert all(told == [0.75] for told in by_patient.values()) and len(by_patient) == items
        gone = sorted(by_patient)[0]
        patient = next(f"p{number}" for number in range(9) if vault.unit_of(f"p{number}") == gone)
        vault.forget(patient)
        book.reconcile()
        assert set(shares(compared(book, vault, newer, older))) == set(by_patient) - {gone}


def test_losing_comparisons_alarms_and_the_alarm_says_what_to_do(
    site: tuple[SiteHome, str, str], call: Any, tmp_path: Path
) -> None:
    home, newer, older = site
    prepared(home, newer, older)
    judged(home, "ann", (2, 1))
    words = ("drift", "--against", older[:12], "--home", home.root)
    code, out = call(*words)
    assert code == 0 and "comparisons lost: 100.0 in 100" in out and "ALARM" not in out
    home.policy.write_text(home.policy.read_text().replace("threshold = 4.0", "threshold = 0.5"))
    code, out = call(*words, "--plot", tmp_path / "drift.svg")
    assert code == 1 and "ALARM" in out and "intraward-client decide" in out and "adapter rollback" in out
    assert (tmp_path / "drift.svg").stat().st_mode & 0o777 == 0o600
    rollback(home, load_policy(home.policy))
    code, out = call("drift", "--home", home.root)
    assert code == 0 and "nothing was counted yet" in out and "intraward-client flags add" in out


def test_how_many_comparisons_an_alarm_takes_at_the_defaults() -> None:
    rates = loss_rates(MonitoringTerms())
    lost = next(n for n in range(1, 100) if follow([Batch("t", 1, 1)] * n, rates).alarm_since)
    assert lost == math.ceil(4 / math.log(0.6 / 0.5)) == 22
    assert follow([Batch("t", 1, 0.5)] * 1000, rates).alarm_since is None  # ties alone are no drift


def test_a_judged_win_rate_is_released_by_command_once_the_ward_has_stopped(
    site: tuple[SiteHome, str, str], call: Any
) -> None:
    home, newer, older = site
    prepared(home, newer, older)
    judged(home, "ann", (1, 2))
    words = ("figure", "judged-win-rate", "--epsilon", 2, "--against", older[:12], "--home", home.root)
    with closing(Ward(home)):
        code, out = call(*words)
        assert code == 1 and len(read_ledger(home.ledger)) == 1
    code, out = call(*words)
    assert code == 1 and "nothing was charged yet" in out and len(read_ledger(home.ledger)) == 1
    code, out = call(*words, "--first")
    assert code == 1 and "50.000 before" in out and "--yes" in out and len(read_ledger(home.ledger)) == 1
    code, out = call(*words, "--first", "--yes")
    assert code == 0 and "not told, it would be too uncertain" in out  # nine patients at most
    (path,) = (home.root / "figures").iterdir()
    made = open_signed(path.read_bytes(), FIGURE_DOMAIN, Figure, HOSPITAL.public)
    check_figure(made)
    assert (made.terms.adapter, made.terms.against, made.value) == (newer, older, None)
    assert [entry.kind for entry in read_ledger(home.ledger)][1:] == [Kind.RESERVE, Kind.RELEASE]
    code, out = call("figure", "judged-win-rate", "--epsilon", 1, "--home", home.root)
    assert code == 1 and "--against: is missing" in out
    other = ("figure", "reward-accuracy", "--epsilon", 1, "--home", home.root)
    assert "--adapter: is missing" in call(*other)[1]
    code, out = call(*other, "--adapter", newer[:12])
    assert code == 1 and "is a policy, and this needs a reward model" in out
    assert len(read_ledger(home.ledger)) == 3
