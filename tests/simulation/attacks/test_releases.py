"""Membership, inversion and canaries on what egress sealed: they work without noise, and fail with it."""

from __future__ import annotations

from typing import Any

import pytest

from intraward_client import egress
from intraward_shared import protocol
from intraward_shared.errors import SignatureError
from intraward_simulation.attacks import canary, inversion, membership, release
from intraward_simulation.attacks.bounds import auc
from intraward_simulation.attacks.claims import calibrated
from intraward_simulation.attacks.release import NO_NOISE, without_privacy


def test_a_few_steps_give_members_away_without_privacy_and_not_with_it() -> None:
    few = membership.SHAPE.model_copy(update={"steps": 30})
    assert auc(*membership.membership_scores(without_privacy(few), 1)) > 0.9
    assert auc(*membership.membership_scores(calibrated(few, 8.0, membership.DELTA), 1)) <= 0.75


def test_every_word_of_a_note_is_read_off_one_update_without_noise_and_none_with_it() -> None:
    """Clipping is on in both: it is the noise that protects."""
    assert inversion.tokens_recovered(inversion._noised(inversion.HARMFUL, NO_NOISE), 7) == 1.0
    assert inversion.tokens_recovered(calibrated(inversion.HARMFUL, 8.0, inversion.DELTA), 7) <= 0.05


def test_the_attacker_reads_the_sealed_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped byte on the way and there is no attack: nothing is taken from beside the seal."""
    sealed = egress.seal

    def flipped(*arguments: Any) -> bytes:
        data = sealed(*arguments)
        return data[:-80] + bytes([data[-80] ^ 1]) + data[-79:]

    monkeypatch.setattr(release, "seal", flipped)
    with pytest.raises(SignatureError):
        inversion.tokens_recovered(inversion.HARMFUL, 7)


def test_what_is_attacked_is_stamped_as_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    headers = []

    def opened(data: bytes, public: str) -> tuple[protocol.UpdateHeader, bytes]:
        header, tensors = protocol.open_update(data, public)
        headers.append(header)
        return header, tensors

    monkeypatch.setattr(release, "open_update", opened)
    inversion.tokens_recovered(inversion.HARMFUL, 7)
    assert {header.simulated for header in headers} == {True}


def test_secrets_are_exposed_after_some_steps_without_privacy_and_less_with_it() -> None:
    few = canary.SHAPE.model_copy(update={"steps": 40})
    off = canary.secrets_told(without_privacy(few), 1, 64)
    on = canary.secrets_told(calibrated(few, 8.0, canary.DELTA), 1, 64)
    assert off["exposure_mean_bits"] > 3.0 > on["exposure_mean_bits"]
    assert on["secrets_generated"] == 0.0


@pytest.mark.exhaustive
def test_membership_over_three_seeds() -> None:
    """The reach row: AUC >= 0.90 with privacy off, <= 0.75 at epsilon 8; and TPR <= e^eps FPR + delta."""
    result = membership.run_membership()
    found = {(f.seed, f.privacy): f.value for f in result.figures if f.name == "auc"}
    assert result.passed and result.seeds == (1, 2, 3) and len(found) == 6
    assert all(found[seed, "off"] >= 0.90 and found[seed, "on"] <= 0.75 for seed in result.seeds)


@pytest.mark.exhaustive
def test_the_bound_on_rates_has_force_against_a_claim_of_2() -> None:
    """With privacy off the rates refute epsilon 2; with it they do not. At 8 nothing could be refuted."""
    result = membership.run_membership((2.0,), (1,))
    refuted = {f.privacy: f.value for f in result.figures if f.name == "rates_epsilon"}
    assert result.passed and refuted["on"] <= 2.0 < refuted["off"]


@pytest.mark.exhaustive
def test_inversion_over_three_seeds_of_five_notes() -> None:
    """The reach row: token recovery >= 0.80 with privacy off, <= 0.05 on."""
    result = inversion.run_inversion()
    found = [(f.privacy, f.value) for f in result.figures if f.name == "tokens_recovered"]
    assert result.passed and len(found) == 6
    assert all(value >= 0.80 if privacy == "off" else value <= 0.05 for privacy, value in found)


@pytest.mark.exhaustive
def test_planted_secrets_come_out_of_generated_text_without_privacy_and_not_with_it() -> None:
    """The reach row: > 0 with privacy off, 0 on; 64 secrets, exposure among 1,024 candidates."""
    result = canary.run_canary()
    found = {(f.privacy, f.name): f.value for f in result.figures}
    assert result.passed
    assert found["off", "secrets_generated"] > 0 == found["on", "secrets_generated"]
    assert found["off", "exposure_mean_bits"] > 9.0 > 4.0 > found["on", "exposure_mean_bits"]
