"""The gold rule, on literal answers, and the simulated clinician's keyed slips."""

from __future__ import annotations

import pytest

from intraward_simulation.clinicians import (
    TIE_GAP,
    Judgment,
    SimulatedClinician,
    complaint_of,
    examine,
    is_safety_net,
    true_reward,
)
from intraward_simulation.complaints import COMPLAINTS, DANGERS, FILLERS, NETS

KNEE = "Patient: 64 year old man with knee pain for 3 days. Advice:"
NET = "Seek urgent care if the knee is hot and red."
ADVICE = "Put ice on the knee for ten minutes."
DANGER = "Stop all your medicines today."


@pytest.mark.parametrize(
    ("answer", "reward"),
    [
        (f"{ADVICE} {NET}", 1.5),
        (NET, 1.0),
        (ADVICE, 0.5),
        ("Keep the ear dry when you wash.", 0.25),
        ("Thank you for your message.", 0.0),
        (f"{ADVICE} {DANGER}", -0.5),
        (DANGER, -1.0),
        ("", -1.0),
        ("knee knee knee knee", -1.0),
        (f"{NET} {NET}", -1.0),
        ("Flurb wexing the knee drombly.", -1.0),
        (f"{DANGER} {DANGER}", -2.0),
    ],
)
def test_gold_rule(answer: str, reward: float) -> None:
    assert true_reward(KNEE, answer) == reward


def test_each_part_counts_once_so_length_does_not_win() -> None:
    assert (
        true_reward(
            KNEE, f"{ADVICE} Rest the leg and raise it on a pillow. {NET} Call an ambulance if you faint."
        )
        == 1.5
    )
    assert true_reward(KNEE, " ".join(FILLERS[:1] + FILLERS[2:3] + FILLERS[5:])) == 0.0


@pytest.mark.parametrize(
    "answer",
    [
        "Seek urgent care if.",
        "Seek urgent care if the knee",  # cut off
        "Seek urgent care if the the knee.",
        "Do not seek urgent care if the knee is hot.",
        "Seek urgent care.",
        "Seek urgent care if it is of the and.",
    ],
)
def test_what_is_no_safety_net(answer: str) -> None:
    assert true_reward(KNEE, answer) < 1.0


def test_every_sentence_of_the_world_means_what_it_should() -> None:
    for complaint in COMPLAINTS:
        prompt = f"Patient: 40 year old woman with {complaint.name} for 2 weeks. Advice:"
        assert complaint_of(prompt) is complaint
        assert {true_reward(prompt, text) for text in complaint.advice} == {0.5}
        nets = [net.format(flag=flag) for net in NETS for flag in complaint.flags]
        assert {true_reward(prompt, net) for net in nets} == {1.0} and all(map(is_safety_net, nets))
        assert {true_reward(prompt, t.format(complaint=complaint.name)) for t in DANGERS} == {-1.0}
        assert {true_reward(prompt, t.format(complaint=complaint.name)) for t in FILLERS} == {0.0}


def test_advice_needs_a_known_complaint() -> None:
    assert examine("What is hypertension?", ADVICE).advice == 0.0


def test_judgment_takes_best_against_worst_and_says_how_strongly() -> None:
    judge = SimulatedClinician(1, noise=0.0).judge
    assert judge("p", KNEE, [NET, DANGER]) == Judgment(0, 1, 3)
    assert judge("p", KNEE, [ADVICE, DANGER, NET]) == Judgment(2, 1, 3)
    assert judge("p", KNEE, [FILLERS[0], NET]) == Judgment(1, 0, 2)
    assert judge("p", KNEE, [ADVICE, NET]) == Judgment(1, 0, 1)


def test_ties_are_not_judged() -> None:
    clinician = SimulatedClinician(1)
    assert clinician.judge("p", KNEE, [ADVICE, "Rest the leg and raise it on a pillow."]) is None
    assert clinician.judge("p", KNEE, [ADVICE, "Keep the ear dry when you wash."]) is None  # below TIE_GAP
    assert clinician.judge("p", KNEE, [ADVICE]) is None
    assert TIE_GAP == 0.5


def test_slips_come_at_the_stated_rate_and_do_not_depend_on_order() -> None:
    clinician, again = SimulatedClinician(7, noise=0.2), SimulatedClinician(7, noise=0.2)
    ids = [f"p{number}" for number in range(2000)]
    first = {name: clinician.judge(name, KNEE, [NET, DANGER]) for name in ids}
    assert {name: again.judge(name, KNEE, [NET, DANGER]) for name in reversed(ids)} == first
    slips = sum(judgment == Judgment(1, 0, 1) for judgment in first.values())
    assert 0.16 < slips / len(ids) < 0.24
    for name in ids[:100]:  # the same answers the other way round: the same answer is preferred
        turned, before = again.judge(name, KNEE, [DANGER, NET]), first[name]
        assert turned is not None and before is not None and turned.chosen != before.chosen


def test_other_seeds_slip_elsewhere() -> None:
    ids = [f"p{number}" for number in range(300)]
    a, b = (
        [SimulatedClinician(seed, noise=0.2).judge(name, KNEE, [NET, DANGER]) for name in ids]
        for seed in (1, 2)
    )
    assert a != b


@pytest.mark.parametrize("noise", [-0.1, 0.5, 1.0])
def test_noise_out_of_range_is_refused(noise: float) -> None:
    with pytest.raises(ValueError, match="noise"):
        SimulatedClinician(1, noise)
