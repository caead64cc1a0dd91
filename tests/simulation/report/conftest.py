"""A realistic run for the report's tests: invented figures, every part of the tree filled.

Fixtures: ``fields`` (plain values to change), ``example`` (the realistic run), ``sparse`` (nothing
measured) and ``crowded`` (fourteen sites, long names, huge numbers, a leak).
"""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from intraward_simulation.report_data import PrivacyFacts, ReportData, SiteSpend, StageSpend

SITES = (("St Brigid", 612, 1204, 37), ("Nordlund", 455, 901, 18), ("Hospital das Clínicas", 748, 1530, 61))
CLASSES = {
    "PERSON": 7312, "DATE_TIME": 5120, "MEDICAL_RECORD_NUMBER": 2410, "PHONE_NUMBER": 1804, "LOCATION": 1633,
    "EMAIL_ADDRESS": 590, "ACCOUNT": 311, "US_SSN": 204, "AGE_OVER_89": 52, "DEVICE_SERIAL": 17,
}  # fmt: skip
ACCURACY = (0.61, 0.72, 0.79, 0.83, 0.86, 0.885, 0.9, 0.905)
TRUE = (0.41, 0.62, 0.88, 1.07, 1.22, 1.35, 1.44, 1.53)
PROXY = (-0.12, 0.31, 0.74, 1.02, 1.31, 1.5, 1.71, 1.83)
KL = (0.0, 0.8, 1.9, 2.7, 3.6, 4.4, 5.1, 5.6)


def digest(name: str) -> str:
    """A stand-in for a SHA-256."""
    return hashlib.sha256(name.encode()).hexdigest()


def site_spend(name: str, total: float = 6.4071, cap: float = 8.0) -> SiteSpend:
    """SFT and PPO on public text, a charged reward stage, and both totals."""
    return SiteSpend(
        site=name,
        stages=(
            StageSpend(stage="sft", epsilon_pld=0.0, epsilon_prv=0.0, note="public text"),
            StageSpend(stage="reward", epsilon_pld=total, epsilon_prv=total + 0.0013),
            StageSpend(stage="ppo", epsilon_pld=0.0, epsilon_prv=0.0, note="public prompts"),
        ),
        total_pld=total,
        total_prv=total + 0.0013,
        total_replace_one=total * 1.42,
        cap=cap,
        delta=1e-5,
    )


def privacy(names: tuple[str, ...]) -> PrivacyFacts:
    """Slightly different spending at each site."""
    spends = tuple(site_spend(name, 6.4071 - 0.31 * (i % 4)) for i, name in enumerate(names))
    return PrivacyFacts.of(spends, all_sites_epsilon=11.28)


def lineage() -> list[dict[str, Any]]:
    """Adapters of a short program."""
    steps = [("sft", 1)] + [("reward", i + 1) for i in range(8)] + [("ppo", i + 1) for i in range(8)]
    return [{"stage": s, "round": r, "digest": digest(f"{s}{r}")} for s, r in steps]


def over_optimisation() -> dict[str, Any]:
    """A policy that follows its reward model and at last past the truth."""
    points = [
        {"iteration": 1, "round": i, "kl": k, "proxy": p, "gold": t, "gold_std_error": 0.06}
        for i, (t, p, k) in enumerate(zip(TRUE, PROXY, KL, strict=True))
    ]
    verdict = {"iteration": 1, "outcome": "not seen", "words": "No over-optimisation seen.", "best_round": 8}
    return {"judge": "the simulation's own rule", "points": points, "verdicts": [verdict]}


def example_fields(sites: tuple[tuple[str, int, int, int], ...] = SITES) -> dict[str, Any]:
    """The tree as plain values, to change before validating."""
    names = tuple(name for name, *_ in sites)
    notes, held = sum(site[2] for site in sites), sum(site[3] for site in sites)
    return {
        "run": {
            "name": "demo", "simulated": True, "seed": 7, "rounds": 17,
            "version": "0.1.0", "finished": "2026-11-21",
            "model": {"name": "tiny-llama", "digest": digest("model"), "parameters": 341_088},
            "sites": [
                {"name": n, "patients": p, "notes": c, "released": c - q, "quarantined": q}
                for n, p, c, q in sites
            ],
        },
        "reward_model": {
            "accuracy": 0.905, "accuracy_interval": (0.878, 0.927), "length_baseline": 0.548,
            "length_baseline_interval": (0.507, 0.588), "pairs": 600,
            "length_matched": 0.871, "length_matched_interval": (0.79, 0.92), "length_matched_pairs": 120,
            "brier": 0.081, "calibration_error": 0.034,
        },
        "policy": {
            "reward_sft": 0.41, "reward_rl": 1.53, "reward_gain_interval": (1.01, 1.23), "win_rate": 0.83,
            "win_rate_interval": (0.78, 0.87), "kl": 5.6, "prompts": 256,
        },
        "privacy": privacy(names).model_dump(),
        "egress": {
            "identifiers_planted": 200, "identifiers_found": 0, "bytes_per_round": 92_416, "messages": 153,
            "bytes_out": 5_204_118, "scanned_bytes": 9_811_334, "control_found": 200,
            "places": [
                {"place": "sealed updates", "items": 51, "bytes": 4_713_216, "found": 0},
                {"place": "decoded Flower messages", "items": 153, "bytes": 4_951_002, "found": 0},
                {"place": "logs", "items": 4, "bytes": 61_204, "found": 0},
                {"place": "files outside the vault", "items": 29, "bytes": 85_912, "found": 0},
            ],
        },
        "deid": {
            "notes": notes, "released": notes - held, "quarantined": held, "by_class": dict(CLASSES),
            "by_reason": {"known_identifier": held // 2, "digit_run": held // 4, "time_out": 2},
            "identifiers_left": 0,
        },
        "ledger": {
            "verified": True, "entries": 34 * len(names),
            "sites": [{"site": n, "verified": True, "entries": 34, "head": digest(n)} for n in names],
        },
        "sft": {
            "data": "public",
            "note": "SFT ran on public text, so it cost no privacy.",
        },
        "curves": {
            "reward": [{"round": i + 1, "accuracy": a} for i, a in enumerate(ACCURACY)],
            "ppo": [
                {"round": i, "gold_reward": t, "proxy_reward": p, "kl": k}
                for i, (t, p, k) in enumerate(zip(TRUE, PROXY, KL, strict=True))
            ],
        },
        "over_optimisation": over_optimisation(),
        "samples": [
            {
                "prompt": "64 year old man with chest pain for 3 days. Advice:",
                "before": "Rest and take your tablets with food. Stop them when you feel better.",
                "after": "Rest, drink water and take your tablets with food. Call us if the pain gets worse.",
            },
            {
                "prompt": "31 year old woman with a rash for 2 weeks. Advice:",
                "before": "Use the cream twice a day.",
                "after": "Use the cream twice a day. Come back if it spreads or you have a fever.",
            },
        ],
        "evaluation": {"held_out_loss": 1.8423, "pubmedqa": {"accuracy": 0.52, "questions": 200}},
        "lineage": lineage(),
        "seconds": 171.4,
        "seconds_by_phase": {
            "hospitals": 6.1, "de-identification": 61.2, "sft": 11.0, "reward": 34.4, "ppo": 48.1,
            "audit": 10.6,
        },
    }  # fmt: skip


def example_report(**changes: Any) -> ReportData:
    """The realistic run, with whole branches replaced by ``changes``."""
    return ReportData.model_validate(example_fields() | changes)


def sparse_report() -> ReportData:
    """One site, and nothing measured but the ledger."""
    fields = example_fields((("Only", 0, 0, 0),))
    fields["run"] = fields["run"] | {"sites": [{"name": "Only"}], "simulated": False, "seed": None}
    site = SiteSpend(site="Only", cap=8.0, delta=1e-5)
    return ReportData.model_validate(
        {key: fields[key] for key in ("run", "sft", "ledger", "seconds")}
        | {"reward_model": {}, "policy": {}, "egress": {}, "deid": {}, "privacy": PrivacyFacts.of((site,))}
    )


def crowded_report() -> ReportData:
    """Fourteen sites with long names, large numbers and a leak."""
    long = "Università degli Studi Ospedale Maggiore della Carità number"
    sites = tuple((f"{long} {i}", 120_000 + i, 9_400_000 + 700_000 * i, 12_345 * i) for i in range(14))
    fields = example_fields(sites)
    fields["egress"] = fields["egress"] | {"identifiers_found": 3, "bytes_per_round": 4_812_004_213}
    fields["egress"]["places"][2]["found"] = 3
    fields["policy"] = {
        "reward_sft": -1.5,
        "reward_rl": -12_345.678,
        "reward_gain_interval": (-12_400.0, -12_300.0),
    }
    fields["curves"] = {"reward": [{"round": 1, "accuracy": 0.5}], "ppo": []}
    fields["samples"] = [{"prompt": "p" * 400, "before": "", "after": "w" * 300}]
    return ReportData.model_validate(fields)


@pytest.fixture
def fields() -> dict[str, Any]:
    """The realistic run as plain values."""
    return example_fields()


@pytest.fixture
def example() -> ReportData:
    """The realistic run."""
    return example_report()


@pytest.fixture
def sparse() -> ReportData:
    """One site, nothing measured."""
    return sparse_report()


@pytest.fixture
def crowded() -> ReportData:
    """Fourteen sites and a leak."""
    return crowded_report()
