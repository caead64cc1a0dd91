"""Federation studies: the tail scores as the whole model does, nobody trains on a test prompt, terms hold."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from intraward_client.privacy.noise import NoiseSource
from intraward_server.productgap import product_gap
from intraward_shared.adapters import State
from intraward_shared.aggregation_terms import AggregationTerms
from intraward_shared.errors import ConfigError
from intraward_shared.generation import encode_pairs
from intraward_shared.modeling import BaseModel, adapted, load_base
from intraward_shared.privacy import events_to_epsilon
from intraward_shared.protocol import Mechanism, TrainingSpec
from intraward_shared.stages import Part
from intraward_simulation.scenario import scenario_path
from intraward_simulation.studies import dealing, federated, run
from intraward_simulation.studies.dealing import Pair, Texts, deal_real, deal_synthetic
from intraward_simulation.studies.residual import Residual
from intraward_simulation.studies.seedtable import over_seeds, seed_table
from intraward_simulation.studies.tail import Tail, first_state, states_of, tail_lora
from intraward_simulation.studies.tailtraining import RoundTerms, outcomes, site_update, train_rounds

TEXTS = [("a note", "rest"), ("a longer note than that", "see a doctor"), ("a", "no"), ("b", "yes, rest")]
LORA = tail_lora(1, 2)
TRAINING = TrainingSpec(learning_rate=0.01, max_prompt_tokens=40, max_completion_tokens=40)
STEP = Mechanism(
    sample_rate=1.0,
    noise_multiplier=1e-6,
    max_grad_norm=1.0,
    steps=2,
    nominal_batch=2,
    max_records_per_unit=4,
)
UNITS = {"p": (Pair(0, 1),), "q": (Pair(2, 3), Pair(1, 3))}


@pytest.fixture(scope="module")
def base(small_llama: Path) -> BaseModel:
    return load_base(small_llama)


@pytest.fixture(scope="module")
def moved(base: BaseModel) -> State:
    draw = np.random.Generator(np.random.Philox(5))
    fresh = first_state(base, LORA, 1)
    return {name: draw.normal(size=value.shape).astype(np.float32) for name, value in fresh.items()}


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few test pairs of synthetic hospitals."""
    monkeypatch.setattr(dealing, "TEST_PAIRS", 20)


def terms(parts: str = "both", **changed: object) -> RoundTerms:
    made = RoundTerms(2, parts, STEP, TRAINING, AggregationTerms())
    return RoundTerms(**{**made.__dict__, **changed})


def test_the_tail_scores_as_the_whole_model_does(base: BaseModel, moved: State) -> None:
    tail = Tail(base, LORA)
    tail.load(moved)
    ours = tail(states_of(base, 1, TEXTS, 40, 40))
    with adapted(base, LORA, ("reward",)) as model:
        model.load("reward", moved)
        model.use("reward")
        rows = encode_pairs(base, TEXTS, 40, 40)
        whole = model.rewards(rows.ids, rows.mask)
    assert sorted(tail.tensors()) == sorted(moved)
    torch.testing.assert_close(ours, whole.detach(), rtol=1e-4, atol=1e-5)


def test_a_site_trains_only_its_part_and_noise_is_in_what_it_sends(base: BaseModel) -> None:
    tail, start = Tail(base, LORA), first_state(base, LORA, 1)
    states = states_of(base, 1, TEXTS, 40, 40)
    noisy = terms(mechanism=STEP.model_copy(update={"noise_multiplier": 5.0}))

    def update(seed: int, how: RoundTerms, part: Part = Part.B) -> State:
        noise = NoiseSource.seeded(seed, "site", "round", 1)
        return site_update(tail, states, start, UNITS, how, part, noise)

    assert all(".lora_A." not in name for name in update(1, terms()))
    assert any(".lora_A." in name for name in update(1, terms(), Part.BOTH))
    one, other = (update(seed, noisy)["score.weight"] for seed in (1, 2))
    np.testing.assert_array_equal(one, update(1, noisy)["score.weight"])
    assert not np.allclose(one, other, atol=1e-3)


def test_with_its_residual_the_mean_of_factors_scores_as_the_mean_of_products(
    base: BaseModel, moved: State
) -> None:
    """On the very matrices: ``W + s mean(B) mean(A) + residual = W + s mean(B A)``."""
    tail, draw = Tail(base, LORA), np.random.Generator(np.random.Philox(9))
    updates = [
        {name: draw.normal(size=value.shape).astype(np.float32) for name, value in moved.items()}
        for _ in range(3)
    ]
    residual = Residual(tail)
    residual.take(moved, updates)
    for name, lost in residual.sums.items():
        down, up = f"{name}.lora_A.weight", f"{name}.lora_B.weight"
        exact = np.mean([(moved[up] + u[up]) @ (moved[down] + u[down]) for u in updates], axis=0)
        mean = [moved[n] + np.mean([u[n] for u in updates], axis=0) for n in (up, down)]
        np.testing.assert_allclose(2 * (mean[0] @ mean[1]) + lost, 2 * exact, atol=1e-4)
    assert product_gap(moved, updates) > 0.1
    before = {name: matrix.detach().clone() for name, matrix in tail.frozen().items()}
    with residual.applied():
        assert not all(torch.equal(before[name], matrix) for name, matrix in tail.frozen().items())
    assert all(torch.equal(before[name], matrix) for name, matrix in tail.frozen().items())


def test_rounds_learn(base: BaseModel, tmp_path: Path) -> None:
    tail, start = Tail(base, LORA), first_state(base, LORA, 1)
    states = states_of(base, 1, TEXTS, 40, 40)
    long = terms("alternate", rounds=6, mechanism=STEP.model_copy(update={"steps": 6}))
    made = train_rounds(tail, states, start, [UNITS, UNITS], long, 3, tmp_path)
    assert outcomes(tail, states, made, [pair for pairs in UNITS.values() for pair in pairs]) == [1, 1, 1]


def test_a_round_adds_the_mean_of_its_sites(base: BaseModel, tmp_path: Path) -> None:
    tail, start = Tail(base, LORA), first_state(base, LORA, 1)
    states, one = states_of(base, 1, TEXTS, 40, 40), terms("freeze_a", rounds=1)
    made = train_rounds(tail, states, start, [UNITS, UNITS], one, 3, tmp_path)
    sent = [
        site_update(
            tail, states, start, UNITS, one, Part.B, NoiseSource.seeded(3, f"site-{place}", "round-1", 1)
        )
        for place in range(2)
    ]
    for name, value in start.items():
        change = np.mean([update[name] for update in sent], axis=0) if name in sent[0] else 0.0
        np.testing.assert_allclose(made.state[name], value + change, atol=1e-6)


def test_no_site_has_a_test_prompt_and_every_prompt_is_tested_once(tmp_path: Path) -> None:
    rows = [{"prompt": f"q{n // 2}", "chosen": f"good {n}", "rejected": "bad"} for n in range(80)]
    path = tmp_path / "hh_harmless_filtered" / "pairs.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    folds = deal_real(Texts(), tmp_path, "hh_harmless_filtered", 4, sites=3, folds=4)
    for fold in folds:
        trained = [name for site in fold.sites for name in site]
        assert len(trained) == len(set(trained))
        assert not set(trained) & set(fold.groups)
        assert set(trained) | set(fold.groups) == {f"q{n}" for n in range(40)}
    assert sum(len(fold.test) for fold in folds) == 80


@pytest.mark.usefixtures("few")
def test_synthetic_patients_belong_to_one_site_and_test_prompts_are_held_out() -> None:
    texts = Texts()
    dealt = deal_synthetic(texts, 3, sites=2, patients=30)
    assert len(dealt.pooled) == sum(len(site) for site in dealt.sites)
    trained = {texts.rows[place][0] for pairs in dealt.pooled.values() for pair in pairs for place in pair}
    assert not trained & set(dealt.groups)
    again = deal_synthetic(Texts(), 3, sites=5, patients=30)
    assert again.sites[:2] == dealt.sites  # a site does not depend on how many others there are


@pytest.mark.slow
@pytest.mark.parametrize("epsilon", [3.0])
def test_the_noise_of_all_rounds_together_costs_what_is_said(epsilon: float) -> None:
    study = federated.FederatedTerms(kind="federated", seeds=(1,), source="synthetic", depth=1)
    one = federated.mechanism_of(study, epsilon, 10)
    spent = events_to_epsilon([one] * study.rounds, study.delta)
    assert epsilon - 0.01 < spent <= epsilon


def test_labels_are_turned_at_the_rate_that_hides_them() -> None:
    study = federated.FederatedTerms(kind="federated", seeds=(1,), source="synthetic", depth=1)
    variant = federated.VariantTerms(privacy=("off",), label_epsilon=4.0)
    site = {f"p{n}": (Pair(1, 2),) for n in range(4000)}
    turned = federated._labelled(site, study, variant, [1, 0])
    share = np.mean([pairs[0] == Pair(2, 1) for pairs in turned.values()])
    assert abs(share - 1 / (1 + np.e)) < 0.03
    assert federated._labelled(site, study, federated.VariantTerms(), [1, 0]) is site


def test_intervals_over_seeds_in_literal_numbers() -> None:
    found = over_seeds([0.8, 0.9, 1.0])
    assert found["mean"] == pytest.approx(0.9)
    assert found["interval"] == pytest.approx(
        [0.9 - 4.3027 * 0.1 / 3**0.5, 0.9 + 4.3027 * 0.1 / 3**0.5], abs=1e-4
    )
    assert over_seeds([0.5])["interval"] is None


def test_the_table_pairs_arms_seed_by_seed() -> None:
    runs = [
        {
            "accuracy": {
                "off": {"federated": f, "local": f - 0.1, "pooled": f},
                "epsilon 8": {"federated": 0.5 + (f - 0.5) / 2, "local": 0.5, "pooled": f},
            },
            "noise_multiplier": {"off": 1e-6, "epsilon 8": 1.0},
            "test_pairs": 9,
            "patients_a_site": [3],
            "product_gap": None,
        }
        for f in (0.8, 0.9)
    ]
    table = seed_table(runs)
    assert table["off"]["federated_minus_local"]["interval"] == pytest.approx([0.1, 0.1])
    assert table["epsilon 8"]["gain_kept"]["mean"] == pytest.approx(0.5)
    assert "gain_kept" not in table["off"]


def _study(folder: Path, model: Path, more: str = "") -> Path:
    path = folder / "federated.toml"
    path.write_text(
        f'[run]\nname = "small"\nseed = 3\nmodel = "{model}"\n[study]\nkind = "federated"\nseeds = [1, 2]\n'
        'source = "synthetic"\ndepth = 1\nr = 2\nsites = 3\npatients = 6\nrounds = 2\nsteps = 2\n'
        f'sample_rate = 0.5\nprivacy = ["off", 3.0]\n{more}[training]\nlearning_rate = 0.01\n'
        "max_prompt_tokens = 40\nmax_completion_tokens = 40\n",
        encoding="utf-8",
    )
    return path


@pytest.mark.slow
@pytest.mark.usefixtures("few")
def test_a_study_runs_without_data_and_goes_on_where_it_was(small_llama: Path, tmp_path: Path) -> None:
    more = (
        '[study.variants.median]\naggregation = { rule = "median" }\narms = ["federated"]\n'
        '[study.variants.exact]\nparts = "both"\nexact_residual = true\narms = ["federated"]\n'
        '[study.variants.labels]\nlabel_epsilon = 3.0\nprivacy = ["off"]\n'
    )
    path, out = _study(tmp_path, small_llama, more), tmp_path / "out"
    found = run.run_study(path, out)
    assert set(found["sets"]) == {"study", "median", "exact", "labels"}
    assert set(found["sets"]["study"]["epsilon 3"]) >= {"federated", "local", "local_worst", "pooled"}
    assert found["sets"]["exact"]["product_gap"]["mean"] > 0
    assert "federated_minus_local" in run.study_text(path, found)
    assert (out / run.PICTURE).read_bytes().startswith(b"\x89PNG")
    written = {unit: unit.stat().st_mtime_ns for unit in (out / "units").iterdir()}
    (out / "units" / "labels-seed-2.json").unlink()
    assert run.run_study(path, out)["sets"] == found["sets"]
    kept = {unit: unit.stat().st_mtime_ns for unit in (out / "units").iterdir()}
    assert [u.name for u in written if written[u] != kept[u]] == ["labels-seed-2.json"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[study.variants.x]\nexact_residual = true\n", "exact_residual"),
        ("[study.variants.x]\nlabel_epsilon = 3.0\n", "label_epsilon"),
        ("[study.variants.x]\npatiens = 3\n", "patiens"),
    ],
)
def test_terms_that_mean_nothing_are_refused(
    small_llama: Path, tmp_path: Path, more: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        run.load_study(_study(tmp_path, small_llama, more))


@pytest.mark.parametrize(
    "name",
    ["federated", "aggregation", "federated-hh", "federated-medquad", "federated-summaries"],
)
def test_shipped_studies_are_read(name: str) -> None:
    assert run.load_study(scenario_path(f"study-{name}")).study.kind == "federated"
