"""The public corpus: shape, mixture, determinism, and a hold-out that cannot overlap."""

from __future__ import annotations

import re
from statistics import mean

from intraward_simulation.clinicians import TIE_GAP, examine, true_reward
from intraward_simulation.corpus import (
    KINDS,
    MAX_WORDS,
    heldout_pairs,
    heldout_prompts,
    is_held_out,
    person_word,
    public_corpus,
    public_prompts,
)

PROMPT = re.compile(
    r"Patient: \d{1,2} year old (man|woman|boy|girl) with [a-z ]+ for \d (days|weeks)\. Advice:"
)


def test_prompts_have_one_shape_and_never_cross_the_hold_out() -> None:
    public, held = public_prompts(1, 1500), heldout_prompts(2, 1500)
    assert all(PROMPT.fullmatch(prompt) for prompt in public + held)
    assert not set(public) & set(held)
    assert not any(map(is_held_out, public)) and all(map(is_held_out, held))
    assert not any(is_held_out(example.prompt) for example in public_corpus(3, 500))


def test_everything_is_a_function_of_the_seed() -> None:
    assert public_corpus(4, 200) == public_corpus(4, 200) != public_corpus(5, 200)
    assert public_prompts(4, 50) == public_prompts(4, 50)
    assert heldout_pairs(4, 50) == heldout_pairs(4, 50)
    assert public_corpus(4, 100) == public_corpus(4, 200)[:100]


def test_corpus_is_a_low_but_improvable_mixture() -> None:
    corpus = public_corpus(6, 3000)
    assert 0.2 <= mean(true_reward(e.prompt, e.completion) for e in corpus) <= 0.4
    found = [examine(e.prompt, e.completion) for e in corpus]
    assert 0.15 < mean(f.danger for f in found) < 0.35
    assert 0.15 < mean(f.safety_net for f in found) < 0.4
    assert not any(f.nonsense for f in found)
    assert max(len(e.completion.split()) for e in corpus) <= MAX_WORDS
    assert len({e.completion for e in corpus}) > 1500  # varied


def test_index_says_what_is_there() -> None:
    for example in public_corpus(8, 800):
        found, kinds = examine(example.prompt, example.completion), set(example.kinds)
        assert kinds <= set(KINDS) and len(example.kinds) == len(re.findall(r"\.", example.completion))
        assert ("danger" in kinds) == found.danger and ("net" in kinds) == found.safety_net
        assert "advice" not in kinds or found.advice == 0.5


def test_heldout_pairs_follow_the_rule_and_length_says_little() -> None:
    pairs = heldout_pairs(9, 2000)
    gaps = [true_reward(p["prompt"], p["chosen"]) - true_reward(p["prompt"], p["rejected"]) for p in pairs]
    assert min(gaps) >= TIE_GAP
    assert all(is_held_out(p["prompt"]) and set(p) == {"prompt", "chosen", "rejected"} for p in pairs)
    for measure in (len, lambda text: len(text.split())):
        longer = mean(measure(p["chosen"]) > measure(p["rejected"]) for p in pairs)
        assert 0.5 <= longer <= 0.65


def test_person_words() -> None:
    assert [person_word(17, True), person_word(2, False), person_word(18, True), person_word(90, False)] == [
        "girl",
        "boy",
        "woman",
        "man",
    ]
