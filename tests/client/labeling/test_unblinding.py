"""Blind pairs: written by the coordinator, judged at a station, counted with the key and not without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.client.labeling.stations import Clock, add_account, home_at, make_book, refuse
from tests.client.labeling.test_additions import ADMIN, CLEANS

from intraward_client.labeling.additions import add, read_additions
from intraward_client.labeling.book import Book
from intraward_client.labeling.freetext import FreeText
from intraward_client.labeling.judging import submit
from intraward_client.labeling.judgment import Vote
from intraward_client.labeling.queue import next_turn
from intraward_client.labeling.terms import LabelingTerms
from intraward_client.labeling.unblinding import unblind
from intraward_client.store.vault import Vault
from intraward_server.suites.bench import Subject
from intraward_server.suites.blind import blind_pairs, write_pairs
from intraward_shared.blind import BlindKey, read_key, unblinded
from intraward_shared.errors import ConfigError, LabelError, RoundFailed

POLICY, SFT = Subject("policy", "a" * 64, {}), Subject("sft", "b" * 64, {})
COUNT = 24
PROMPTS = [f"How is question {n} answered?" for n in range(COUNT)]
OURS = [f"Well, and with care, number {n}." for n in range(COUNT)]
THEIRS = [f"Badly {n}." for n in range(COUNT - 2)] + ["", OURS[-1]]


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, BlindKey]:
    """The coordinator's file, and its key as it is read back."""
    rows, key = blind_pairs(PROMPTS, OURS, THEIRS, (POLICY, SFT), "run-1")
    write_pairs(rows, key, tmp_path / "pairs.jsonl", tmp_path / "key.json")
    return tmp_path / "pairs.jsonl", read_key(tmp_path / "key.json")


@pytest.fixture
def book(tmp_path: Path, vault: Vault) -> Iterator[Book]:
    terms = LabelingTerms(gold_share=0.0, repeat_share=0.0)
    with closing(make_book(home_at(tmp_path / "site"), vault, terms, Clock())) as made:
        yield made


def test_nothing_in_the_file_says_who_is_who(written: tuple[Path, BlindKey]) -> None:
    path, key = written
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(rows) == COUNT - 2 and key.same == 2 and len(read_additions(path)) == len(rows)
    assert {pair.first for pair in key.pairs} == {"policy", "other"}  # 1 of 4 million draws would not do
    for row, pair in zip(rows, key.pairs, strict=True):
        assert set(row) == {"id", "prompt", "answers", "patient"} and row["id"] == pair.id
        assert (row["answers"][0] in OURS) == (pair.first == "policy")
    assert (path.parent / "key.json").stat().st_mode & 0o077 == 0
    assert blind_pairs(PROMPTS, OURS, THEIRS, (POLICY, SFT), "r")[1].pairs[0].id != key.pairs[0].id
    with pytest.raises(ConfigError, match="is there already"):
        write_pairs(rows, key, path, path.parent / "new.json")
    assert not (path.parent / "new.json").exists()
    with pytest.raises(RoundFailed, match="same"):
        blind_pairs(PROMPTS, OURS, OURS, (POLICY, SFT), "r")


def test_votes_are_told_apart_by_the_key_alone(
    written: tuple[Path, BlindKey], book: Book, vault: Vault
) -> None:
    path, key = written
    with pytest.raises(LabelError, match="none of the key"):
        unblind(book, vault, key)
    add(book, vault, CLEANS, read_additions(path), ADMIN)
    assert unblind(book, vault, key)["win_rate"] is None
    for rater, better in (("ann", "Well"), ("bob", None)):
        account = add_account(book, rater)
        for _ in range(COUNT - 4):  # two pairs stay without a vote
            turn = next_turn(book, account)
            assert turn is not None
            texts = book.sealer.texts(turn.item.unit, turn.item.prompt_id, turn.item.candidate_ids)
            good = [better is None or answer.startswith(better) for answer in texts.answers]
            ranks = tuple(1 if each else 2 for each in good)
            assert submit(
                book,
                FreeText(refuse),
                account,
                turn,
                Vote(turn.item.item_id, rater, ranks=ranks, stage=turn.stage, shown=turn.shown),
            )
    found = unblind(book, vault, key)
    assert found["votes"] == 2 * (COUNT - 4) and found["same"] == 2
    assert found["pairs"] + found["not_judged"] == COUNT - 2
    # ann always prefers the policy, bob calls every pair a tie: 1 and 1/2, whatever pairs each of them saw
    assert 0.5 < found["win_rate"] <= 1.0
    assert found["win_rate"] == pytest.approx(_by_hand(book, key, vault))
    assert not any(text in json.dumps(found) for text in (*PROMPTS[:1], "Well", "ann"))


def _by_hand(book: Book, key: BlindKey, vault: Vault) -> float:
    """Mean over pairs of the mean over votes, from the texts themselves."""
    by_item: dict[str, list[float]] = {}
    for vote in book.votes():
        by_item.setdefault(vote.item_id, []).append(1.0 if vote.rater == "ann" else 0.5)
    return sum(sum(votes) / len(votes) for votes in by_item.values()) / len(by_item)


def test_a_length_that_decides_everything_is_taken_out() -> None:
    rows, key = blind_pairs(
        [f"p{n}" for n in range(80)],
        ["word " * (5 + n % 7) + str(n) for n in range(80)],
        ["word " * (3 + n % 5) + str(n) for n in range(80)],
        (POLICY, Subject("base", None, {})),
        "run-1",
    )
    assert len(rows) + key.same == 80 and key.against == "base" and key.other is None
    longer = {p.id: [1.0 if p.words[0] > p.words[1] else 0.0] for p in key.pairs}
    found = unblinded(key, longer)
    assert found["win_rate"] > 0.7 and found["length_controlled"] < found["win_rate"] - 0.15
    few = unblinded(key, dict(list(longer.items())[:4]))
    assert few["win_rate_interval"] is None and few["pairs"] == 4


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    for text, said in (("[]", "no JSON object"), ("{", "is not JSON"), ('{"run_id": "r"}', "is missing")):
        path.write_text(text)
        with pytest.raises(ConfigError, match=said):
            read_key(path)
