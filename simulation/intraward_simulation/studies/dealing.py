"""Who has which comparisons in a study of federation: patients of sites, and pairs that nobody trains on.

A text is a number here: the place of its state in the study's table (``tail``). Sources:

* ``synthetic``: hospitals with different case mix, one to four comparisons a patient of answers as an
  unaligned model gives them, judged by the known rule with slips; test pairs are free of slips.
* ``hh_harmless_filtered``: crowd workers' pairs, one a prompt; a prompt is a patient.
* ``medquad_judged``, ``mts_summary_ratings``: people's pairs, all of a prompt one patient's.

Sets without sites are dealt by a keyed hash of the prompt, and so are folds: no other prompt moves one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from intraward_server.baselines import fold_of
from intraward_simulation import corpus
from intraward_simulation.clinicians import SimulatedClinician
from intraward_simulation.complaints import COMPLAINTS
from intraward_simulation.data import read_rows
from intraward_simulation.hospitals import CASE_MIXES

Source = Literal["synthetic", "hh_harmless_filtered", "medquad_judged", "mts_summary_ratings"]
SLIPS = 0.05
"""Share of comparisons in which a simulated clinician errs."""
TEST_PAIRS = 1000
_VISITS = (0.35, 0.35, 0.2, 0.1)  # one to four comparisons a patient

Text = tuple[str, str]


class Pair(NamedTuple):
    """Places of the better and the worse answer."""

    chosen: int
    rejected: int


Units = Mapping[str, Sequence[Pair]]
"""Comparisons by patient."""


@dataclass(frozen=True, repr=False)
class Dealt:
    """One seed's sites and test pairs; folds of a real set are apart.

    Args:
        sites: comparisons by patient, of each site. test: pairs that no site has. groups: prompt of each.
    """

    sites: tuple[Units, ...]
    test: tuple[Pair, ...]
    groups: tuple[str, ...]

    @property
    def pooled(self) -> Units:
        """All sites' patients as one site's."""
        return {name: pairs for site in self.sites for name, pairs in site.items()}


@dataclass
class Texts:
    """Every text that is asked for, once."""

    rows: list[Text] = field(default_factory=list, repr=False)
    _place: dict[Text, int] = field(default_factory=dict, repr=False)

    def place(self, prompt: str, answer: str) -> int:
        """Number of a text; a new one is added."""
        text = (prompt, answer)
        if text not in self._place:
            self._place[text] = len(self.rows)
            self.rows.append(text)
        return self._place[text]


def deal_synthetic(texts: Texts, seed: int, sites: int, patients: int) -> Dealt:
    """Synthetic hospitals, each with its case mix in turn."""
    mixes = tuple(CASE_MIXES)
    made = tuple(
        _hospital(texts, seed, f"site-{number}", mixes[number % len(mixes)], patients)
        for number in range(sites)
    )
    rows = corpus.heldout_pairs(seed + 4, TEST_PAIRS)
    test = tuple(_pair(texts, row["prompt"], row["chosen"], row["rejected"]) for row in rows)
    return Dealt(made, test, tuple(row["prompt"] for row in rows))


def _hospital(texts: Texts, seed: int, name: str, mix: str, patients: int) -> dict[str, list[Pair]]:
    clinician, weights = SimulatedClinician(seed, SLIPS), CASE_MIXES[mix].weights()
    low, high = CASE_MIXES[mix].ages
    found: dict[str, list[Pair]] = {}
    for number in range(patients):
        patient = f"{name}-{number}"
        key = hashlib.sha256(f"{seed}|{patient}".encode()).digest()
        draw = np.random.default_rng(int.from_bytes(key[:8], "big"))
        age, female = int(draw.integers(low, high + 1)), bool(draw.random() < 0.5)
        pairs: list[Pair] = []
        for visit in range(1 + int(draw.choice(4, p=_VISITS))):
            complaint = COMPLAINTS[int(draw.choice(len(COMPLAINTS), p=weights))]
            prompt = corpus.write_prompt(draw, complaint, age, corpus.person_word(age, female))
            answers = [corpus.write_answer(draw, complaint)[0] for _ in range(2)]
            judged = clinician.judge(f"{patient}-{visit}", prompt, answers)
            if judged is not None:
                pairs.append(_pair(texts, prompt, answers[judged.chosen], answers[judged.rejected]))
        if pairs:
            found[patient] = pairs
    return found


def deal_real(texts: Texts, folder: Path, source: Source, seed: int, sites: int, folds: int) -> list[Dealt]:
    """A real set's folds, each with the other folds dealt to the sites.

    Raises:
        ConfigError, InputError: the file is missing or a line is not what it should be.
    """
    units: dict[str, list[Pair]] = {}
    keys = ("prompt", "chosen", "rejected")
    for row in read_rows(folder / source / "pairs.jsonl", *keys):
        units.setdefault(row["prompt"], []).append(_pair(texts, *(row[key] for key in keys)))
    home = {name: fold_of(f"site|{name}", sites, seed) for name in units}
    found = []
    for number in range(folds):
        inside = {name: pairs for name, pairs in units.items() if fold_of(name, folds, seed) == number}
        dealt = tuple(
            {name: pairs for name, pairs in units.items() if name not in inside and home[name] == place}
            for place in range(sites)
        )
        test = [(pair, name) for name, pairs in inside.items() for pair in pairs]
        found.append(Dealt(dealt, tuple(p for p, _ in test), tuple(n for _, n in test)))
    return found


def _pair(texts: Texts, prompt: str, chosen: str, rejected: str) -> Pair:
    return Pair(texts.place(prompt, chosen), texts.place(prompt, rejected))
