"""From judgments to training rows and files: real vault, real book, and the commands over them."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.client.labeling.stations import Clock, add_account, fill_vault, make_book

from intraward_client.deid.deidentifier import Deidentifier, DeidSettings
from intraward_client.deid.note import DeidentifiedNote, DeidReceipt, Quarantined, seal_note
from intraward_client.home import SiteHome
from intraward_client.labeling.book import Book
from intraward_client.labeling.events import Actor
from intraward_client.labeling.exports import export, forget_exports
from intraward_client.labeling.formats.judged import JudgedTask
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.imports import Rule, bring, read_project
from intraward_client.labeling.judging import submit, undo
from intraward_client.labeling.judgment import Flag, Vote
from intraward_client.labeling.quarantine import PHI_SEEN, quarantine, release, withhold_all
from intraward_client.labeling.queue import next_turn
from intraward_client.labeling.records import collect
from intraward_client.labeling.rubric import shipped_rubrics
from intraward_client.labeling.settling import settle
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.store.consent import opt_out
from intraward_client.store.datasets import PairRecord, RankingRecord
from intraward_client.store.frozen import freeze, frozen_table
from intraward_client.store.preferences import sft_table
from intraward_client.store.prompts import prompt_table, prompts_without_candidates
from intraward_client.store.rankings import UNACCEPTABLE, comparison_table, pair_table
from intraward_client.store.vault import Vault
from intraward_client.store.withheld import offer_again, withheld_prompts
from intraward_shared.errors import VaultError
from intraward_shared.stages import Stage

ASKED = {
    "p0": ("what about the first pain?", ("rest and drink", "go to the clinic")),
    "p1": ("what about the second pain?", ("rest", "go to the clinic", "take two of them")),
    "p2": ("what about the third pain?", ("wait", "go now")),
}
ADMIN, RECEIPT = Actor("it", "command"), DeidReceipt("safe-harbor", "0" * 64, "0" * 64, {})
RUBRICS = shipped_rubrics()
_NUMBERS = count()
NEVER: Any = None
"""A de-identifier that is not asked: no text of the file may come so far."""


class Cleans:
    """A de-identifier that holds back what says ``Varga``."""

    def deidentify_text(
        self, text: str, patient_id: str, known: Mapping[str, str]
    ) -> DeidentifiedNote | Quarantined:
        if "Varga" in text:
            return Quarantined(f"n{next(_NUMBERS)}", patient_id, "residue")
        return seal_note(f"n{next(_NUMBERS)}", patient_id, text, RECEIPT)


class Work:
    """A site with three items and two raters."""

    def __init__(self, home: SiteHome, terms: LabelingTerms) -> None:
        self.home, self.clock = home, Clock()
        self.vault = Vault.open(home.vault, home.vault_keys)
        self.items = fill_vault(self.vault, ASKED)
        self.book: Book = make_book(home, Vault.open(home.vault, home.vault_keys), terms, self.clock)
        self.book.add_items(self.items.values())
        self.raters = [add_account(self.book, name) for name in ("mira", "omar")]

    def judge(self, said: dict[str, Any], *names: str) -> None:
        """Everybody (or those named) judges every item that ``said`` names, by patient."""
        by_item = {item.item_id: patient for patient, item in self.items.items()}
        for account in self.raters:
            if names and account.name not in names:
                continue
            while (turn := next_turn(self.book, account)) is not None:
                vote = said.get(by_item[turn.item.item_id], {"skipped": "cannot-judge"})
                made = Vote(turn.item.item_id, account.name, **vote)
                submit(self.book, FreeText(Cleans), account, turn, made)
                settle(self.book, RUBRICS, turn.item.item_id)

    def collect(self) -> Any:
        return collect(self.book, self.vault, RUBRICS, Cleans())


@pytest.fixture
def work(make_site: Any) -> Any:
    made = Work(make_site(0), LabelingTerms(gold_share=0, repeat_share=0))
    yield made
    made.book.close()
    made.vault.close()


HARM = ((Flag("harmful", 0, 4),), ())
SAID: dict[str, Any] = {
    "p0": {
        "ranks": (2, 1),
        "strength": 3,
        "ratings": ({"safety": 2}, {"safety": 5}),
        "flags": HARM,
        "rationale": "too little",
        "correction": "go to the clinic within a day",
    },
    "p1": {"ranks": (2, 1, 2), "strength": 1},
    "p2": {"ranks": (1, 2), "strength": 1, "all_unacceptable": True},
}


def test_agreed_items_become_rows_of_their_patients(work: Work) -> None:
    work.judge(SAID)
    found = work.collect()
    assert (found.rows, found.without, found.demonstrations, found.held) == (3, 0, 2, 0)
    rows = {row.unit: row for row in comparison_table(work.vault).rows}
    pair, ranked, refused = (rows[work.vault.unit_of(name)] for name in ("p0", "p1", "p2"))
    assert isinstance(pair, PairRecord) and (pair.chosen, pair.margin) == ("go to the clinic", 3.0)
    assert dict(pair.marks[1].ratings) == {"safety": 2.0} and dict(pair.marks[1].flags)["harmful"]
    assert not dict(pair.marks[0].flags)["harmful"] and not dict(pair.marks[0].flags)[UNACCEPTABLE]
    assert isinstance(ranked, RankingRecord) and ranked.ranks == (2, 1, 2)
    assert all(dict(marks.flags)[UNACCEPTABLE] for marks in refused.marks)
    demonstrated = sft_table(work.vault).rows
    assert {row.completion for row in demonstrated} == {"go to the clinic within a day"}
    assert {row.unit for row in demonstrated} == {work.vault.unit_of("p0")}
    assert work.collect().demonstrations == 0 and len(comparison_table(work.vault).rows) == 3


def test_what_is_not_agreed_on_trains_nothing_and_loses_its_row(work: Work) -> None:
    work.judge(SAID, "mira")
    assert work.collect().rows == 0
    work.judge(SAID, "omar")
    assert work.collect().rows == 3
    undo(work.book, work.raters[1])
    assert work.collect().rows == 2 and len(comparison_table(work.vault).rows) == 2
    with work.book.writing() as connection:
        quarantine(work.book, connection, work.items["p0"].item_id, ADMIN, PHI_SEEN)
    work.collect()
    assert work.vault.unit_of("p0") not in {row.unit for row in comparison_table(work.vault).rows}


def test_raters_who_disagree_hold_their_item_back(work: Work) -> None:
    work.judge(SAID, "mira")
    work.judge({**SAID, "p0": {"ranks": (1, 2), "strength": 1}}, "omar")
    assert work.collect().rows == 2


def test_a_correction_goes_with_its_vote_and_follows_what_its_rater_says_now(work: Work) -> None:
    work.judge(SAID)
    assert work.collect().demonstrations == 2
    undo(work.book, work.raters[1])  # the last item that was judged is agreed on no more
    for _ in range(2):
        undo(work.book, work.raters[1])
    assert work.collect().rows == 0 and sft_table(work.vault).rows == ()
    again = {**SAID["p0"], "correction": "see somebody today"}
    work.judge({**SAID, "p0": again}, "omar")
    assert work.collect().demonstrations == 2
    told = {row.completion for row in sft_table(work.vault).rows}
    assert told == {"go to the clinic within a day", "see somebody today"}
    for _ in range(3):
        undo(work.book, work.raters[1])
    work.judge({**SAID, "p0": {**SAID["p0"], "correction": ""}}, "omar")
    assert work.collect().rows == 3
    assert [row.completion for row in sft_table(work.vault).rows] == ["go to the clinic within a day"]


def test_what_was_taken_away_trains_nothing_until_it_is_released(work: Work) -> None:
    work.judge(SAID)
    work.collect()
    item, unit = work.items["p0"], work.vault.unit_of("p0")
    plans = {stage: stage.value.ljust(64, "0") for stage in (Stage.SFT, Stage.REWARD, Stage.PPO)}
    for stage, plan in plans.items():
        freeze(work.vault, plan, stage)
    tables = (sft_table, comparison_table, pair_table, prompt_table)

    def units() -> list[set[str]]:
        found = [{row.unit for row in table(work.vault).rows} for table in tables]
        frozen = [frozen_table(work.vault, plan, stage).rows for stage, plan in plans.items()]
        return [*found, *({row.unit for row in rows} for rows in frozen)]

    assert all(unit in there for there in units())
    with work.book.writing() as connection:
        quarantine(work.book, connection, item.item_id, ADMIN, PHI_SEEN)
    assert not any(unit in there for there in units())
    work.collect()
    assert not any(unit in there for there in units())
    assert unit not in {prompt.unit for prompt in prompts_without_candidates(work.vault, "e" * 64)}
    offer_again(work.vault, item.prompt_id)  # died between the two databases
    withhold_all(work.book)
    assert item.prompt_id in withheld_prompts(work.vault)
    release(work.book, item.item_id, ADMIN, "pressed-by-mistake")
    settle(work.book, RUBRICS, item.item_id)
    work.collect()
    assert all(unit in there for there in units())


def test_every_item_of_the_prompt_goes_with_it(work: Work) -> None:
    one = work.items["p1"]
    other = replace(one, item_id="f" * 32, candidate_ids=one.candidate_ids[:2])
    work.book.add_items([other])
    with work.book.writing() as connection:
        quarantine(work.book, connection, one.item_id, ADMIN, PHI_SEEN)
    assert work.book.states()[other.item_id] == "quarantined"
    release(work.book, one.item_id, ADMIN, "pressed-by-mistake")
    assert one.prompt_id in withheld_prompts(work.vault)
    release(work.book, other.item_id, ADMIN, "pressed-by-mistake")
    assert withheld_prompts(work.vault) == frozenset()


def test_a_correction_that_names_somebody_is_held_back(work: Work) -> None:
    named = {**SAID["p0"], "correction": "as Varga said"}
    work.judge({**SAID, "p0": named})
    assert work.collect().demonstrations == 0 and sft_table(work.vault).rows == ()


@pytest.mark.parametrize("form", ["trl", "kto", "labelstudio", "argilla"])
def test_exports_are_private_files_and_events(work: Work, form: Any) -> None:
    work.judge(SAID)
    work.collect()
    made = export(work.home, work.book, work.vault, form, ADMIN)
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(work.home.exports.stat().st_mode) == 0o700
    text = made.path.read_text(encoding="utf-8")
    assert "go to the clinic" in text and "d" * 64 not in text  # the answer, and not whose it is
    with work.book.reading() as connection:
        told = connection.exec_driver_sql("SELECT action, subject, detail FROM events").fetchall()
    assert [(row[0], row[1]) for row in told if row[0] == "export"] == [("export", form)]
    assert made.sha256 in str(told) and "clinic" not in str(told)
    forget_exports(work.home)
    assert not work.home.exports.exists()


def test_who_opted_out_is_in_no_export(work: Work) -> None:
    work.judge(SAID)
    work.collect()
    opt_out(work.vault, iter(["p0"]))
    for form in ("trl", "labelstudio"):
        text = export(work.home, work.book, work.vault, form, ADMIN).path.read_text()
        assert "first pain" not in text and "second pain" in text


def rule(work: Work, *own: str, overlap: int | None = None) -> Rule:
    return Rule(work.book.terms, RUBRICS, frozenset(own), overlap)


def test_an_export_imported_again_is_left_to_collect(work: Work) -> None:
    work.judge(SAID)
    path = export(work.home, work.book, work.vault, "labelstudio", ADMIN, names=True).path
    tasks = read_project(path, "labelstudio")
    votes = {task.task_id: task.votes for task in tasks}
    kept: dict[str, tuple[Vote, ...]] = {}
    for vote in work.book.votes():
        kept[vote.item_id] = (*kept.get(vote.item_id, ()), vote)
    assert votes == kept
    own = rule(work, *work.book.states())
    assert [own.unfit(task) for task in tasks] == ["own-item"] * 3
    assert bring(work.vault, NEVER, tasks, own).left_out == {"own-item": 3}
    assert comparison_table(work.vault).rows == ()


@pytest.mark.parametrize("form", ["labelstudio", "argilla"])
def test_an_export_that_the_book_lost_trains_by_the_same_rule(work: Work, form: Any) -> None:
    late = work.items["p2"].item_id
    gone = {"ranks": (1, 2), "strength": 1}
    work.judge(SAID, "mira")
    work.judge({**SAID, "p0": gone, "p2": {"skipped": "cannot-judge"}}, "omar")
    by_item = {item.item_id: patient for patient, item in work.items.items()}
    tasks = read_project(export(work.home, work.book, work.vault, form, ADMIN).path, form)
    assert all(vote.rater.startswith("rater-") for task in tasks for vote in task.votes)
    told = {by_item[task.task_id]: rule(work, overlap=1).unfit(task) for task in tasks}
    assert told == {"p0": "no-consensus", "p1": None, "p2": "too-few-raters"}, late
    assert work.collect().rows == 1


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([("a", "first", (1, 2)), ("b", "gold", (1, 2))], "too-few-raters"),
        ([("a", "first", (1, 2)), ("a", "repeat", (1, 2))], "too-few-raters"),
        ([("a", "first", (1, 2)), ("a", "first", (1, 2))], "too-few-raters"),
        ([("a", "gold", (1, 2)), ("b", "gold", (1, 2))], "unjudged"),
        ([("a", "first", (1, 2)), ("b", "first", (2, 1)), ("c", "adjudication", (2, 1))], None),
        ([("a", "first", (1, 2)), ("b", "first", (1, 2))], None),
    ],
)
def test_gold_repeats_and_what_a_person_said_before_say_nothing(
    work: Work, said: list[tuple[str, Any, tuple[int, ...]]], told: str | None
) -> None:
    votes = tuple(Vote("t", rater, ranks=ranks, strength=1, stage=stage) for rater, stage, ranks in said)
    assert rule(work).unfit(JudgedTask("t", "what now?", ("rest", "go"), votes, patient="P-1")) == told
    seniors = [vote for vote in votes if vote.stage == "adjudication"]
    assert not seniors or rule(work).standing(
        JudgedTask("t", "what now?", ("rest", "go"), votes, patient="P-1")
    ).deciding == tuple(seniors)


@pytest.mark.slow
def test_a_unit_of_another_site_is_refused(work: Work, tmp_path: Path) -> None:
    work.judge(SAID)
    path = export(work.home, work.book, work.vault, "labelstudio", ADMIN).path
    (task, *_) = read_project(path, "labelstudio")
    foreign = replace(task, unit="f" * 32, task_id="x")
    with pytest.raises(VaultError, match="no patient of this site"):
        bring(work.vault, Deidentifier(DeidSettings(), bytes(32)), [foreign], rule(work))


@pytest.mark.slow
def test_the_commands(make_site: Any, call: Any, tmp_path: Path) -> None:
    work = Work(make_site(0), LabelingTerms(gold_share=0, repeat_share=0))
    work.judge(SAID)
    work.book.close()
    work.vault.close()
    where = ("--home", work.home.root)
    code, told = call("label", "collect", *where, "--json")
    assert code == 0 and json.loads(told)["rows"] == 3
    plot = tmp_path / "agreement.png"
    code, told = call("label", "agreement", "--raters", "--plot", plot, *where, "--json")
    found = json.loads(told)
    assert code == 0 and plot.stat().st_size > 10_000
    assert {row["rater"] for row in found["raters"]} == {"mira", "omar"} and "clinic" not in told
    assert next(q for q in found["questions"] if q["question"] == "preference")["percent"]["value"] == 1.0
    code, told = call("label", "agreement", *where)
    assert code == 0 and "preference" in told
    code, told = call("label", "export", "--format", "labelstudio", *where)
    assert code == 0 and "must" in told
    project = {
        "id": 3,
        "data": {"q": "Mr Varga asks: may I run?", "a": "Mr Varga may run", "b": "rest first", "mrn": "P-7",
                 "known": {"last": "Varga"}},
        "annotations": [{"completed_by": 1, "result": [
            {"type": "pairwise", "from_name": "pw", "value": {"selected": "right"}}]}],
    }  # fmt: skip
    file = tmp_path / "project.json"
    file.write_text(json.dumps([project]))
    options = (
        "--format",
        "labelstudio",
        "--prompt",
        "q",
        "--patient",
        "mrn",
        "--answer",
        "a",
        "--answer",
        "b",
    )
    code, told = call("label", "import", file, *options, *where, "--json")
    assert code == 0 and json.loads(told)["left_out"] == {"too-few-raters": 1}
    code, told = call("label", "import", file, *options, "--overlap", "1", *where, "--json")
    assert code == 0 and json.loads(told) == {
        "tasks": 1,
        "rows": 1,
        "left_out": {},
        "comments_not_taken": 0,
    }
    with closing(Vault.open(work.home.vault, work.home.vault_keys)) as vault:
        row = next(row for row in comparison_table(vault).rows if row.unit == vault.unit_of("P-7"))
        assert isinstance(row, PairRecord) and row.chosen == "rest first"
        assert "Varga" not in row.prompt + row.rejected
    code, told = call("label", "import", file, "--format", "argilla", *where)
    assert code == 1 and "record 1" in told and "Varga" not in told
    code, told = call("label", "prepare", *where)
    assert code == 1 and "the ward does not answer" in told
    code, _ = call("forget", "p0", *where)
    assert code == 0 and not work.home.exports.exists()
