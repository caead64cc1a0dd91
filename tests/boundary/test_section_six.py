"""The privacy mechanism sentence by sentence: which test fails when a sentence is broken.

Section 6 of the design is the specification of privacy. An auditor who doubts a sentence finds its tests
here; a test that is renamed or removed is missed here.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from intraward_shared.ledger_entry import LedgerEntry
from intraward_shared.protocol import Mechanism, RoundPlan, UpdateHeader

TESTS = Path(__file__).parents[1]

SENSITIVITY = "client/training/test_sensitivity.py"
SHAPES = "client/training/test_engine_shapes.py"
NEIGHBOURS = "client/training/test_neighbours.py"
COUPLINGS = "client/training/test_couplings.py"
NOISE = "client/privacy/test_noise.py"
SAMPLER = "client/privacy/test_sampler.py"
GATE = "shared/test_gate.py"
BUDGET = "client/test_budget.py"
LEDGER = "shared/ledger/test_ledger.py"
HEAD = "shared/ledger/test_second_head.py"
CRASH = "shared/ledger/test_ledger_crash.py"
CHAIN = "shared/ledger/test_ledger_chain.py"
RECEIPTS = "shared/ledger/test_ledger_receipts.py"
WARD = "client/test_ward.py"
LINEAGE = "client/test_lineage.py"
SLOT = "client/test_slot.py"
VAULT = "client/store/test_vault_store.py"

SENTENCES: dict[str, tuple[str, ...]] = {
    # unit and table
    "the unit is the patient, adjacency add/remove over the frozen table": (
        f"{NEIGHBOURS}::test_a_thousand_neighbours",
        "client/store/test_frozen.py::test_what_comes_later_is_in_no_attempt_of_the_plan",
        "client/store/test_frozen.py::test_nothing_is_trained_on_a_table_that_was_not_fixed",
    ),
    "a row is a function of its own patient, public data and released adapters": (
        "client/store/test_removed_patient.py::test_everybody_else_is_as_before",
    ),
    "a row that names two patients is refused": (
        f"{VAULT}::test_tables_are_ordered_split_by_patient_and_refuse_shared_rows",
    ),
    "prompts from hospital text are private": (
        "client/training/test_train.py::test_inputs_that_do_not_fit_are_refused",
    ),
    "another unit or adjacency is refused; plans carry no delta": (
        "client/test_plancheck.py::test_each_rule_refuses",
        "shared/test_protocol.py::test_impossible_mechanisms_are_refused",
        "boundary/test_section_six.py::test_plans_carry_no_delta",
    ),
    # step
    "Poisson sampling over patients at the plan's rate, cryptographic": (
        f"{SAMPLER}::test_inclusion_frequency_is_the_rate",
        f"{SAMPLER}::test_batch_size_varies_as_independent_draws_do",
        f"{SAMPLER}::test_any_two_patients_are_drawn_independently",
        f"{SAMPLER}::test_removing_a_patient_changes_nobody_elses_draw",
    ),
    "at most k records of a patient": (
        f"{SAMPLER}::test_at_most_k_records_of_a_patient_each_equally_often",
        f"{SAMPLER}::test_a_patient_with_ten_thousand_records_counts_as_any_other",
    ),
    "per-record gradients by hooks, averaged per patient, clipped once over all that trains together": (
        f"{SENSITIVITY}::test_clipped_sum_is_that_of_single_backward_passes",
        "client/training/test_site_heads.py"
        "::test_a_patient_moves_its_own_sites_row_only_and_all_tensors_together_by_the_bound",
        "client/training/test_site_heads.py"
        "::test_every_row_that_leaves_is_noised_and_the_bound_of_admission_holds",
        f"{SHAPES}::test_several_criteria_share_one_clip_with_the_body",
        f"{SHAPES}::test_the_bound_holds_in_bfloat16",
    ),
    "non-finite rows are zero": (
        f"{SHAPES}::test_a_bad_row_is_zero_and_flagged_and_leaves_its_patients_other_rows",
        f"{SENSITIVITY}::test_weights_beyond_all_bounds_make_a_finite_sum",
    ),
    "sum in fp64 plus noise, rounded once to a grid": (
        f"{SENSITIVITY}::test_noise_has_its_deviation_and_empty_batches_get_it",
        "simulation/attacks/test_gauge.py::test_the_engine_releases_what_it_claims",
        "simulation/attacks/test_gauge.py::test_the_gauge_fails_at_nine_tenths_of_the_noise",
    ),
    "empty batches add noise and count": (f"{SENSITIVITY}::test_empty_batches_step_and_draw_new_noise",),
    "padding and micro-batches follow the plan": (
        f"{SHAPES}::test_every_pass_has_the_plans_shape_and_the_plans_number_is_the_least",
        f"{SHAPES}::test_private_rollouts_come_in_whole_micro_batches",
        f"{SHAPES}::test_a_filler_adds_nothing_whatever_its_gradient",
    ),
    "a pair, a ranking or the rollouts of a prompt is one record": (
        f"{SHAPES}::test_a_ranking_of_two_is_a_pair",
        f"{SHAPES}::test_a_ranking_is_the_mean_of_its_pairs_with_ties_won_half",
    ),
    # what couples
    "nothing couples patients": (
        f"{COUPLINGS}::test_a_records_loss_is_the_same_alone_and_among_others",
        f"{COUPLINGS}::test_a_rollout_and_its_loss_are_the_same_alone_and_among_others",
        f"{COUPLINGS}::test_a_private_round_makes_the_plans_steps_whatever_the_data_and_one_pass_over_each",
        f"{COUPLINGS}::test_nobodys_rollout_changes_when_the_longest_prompt_leaves",
        f"{COUPLINGS}::test_a_model_that_routes_to_experts_is_not_loaded",
    ),
    "splits are by keyed hash of the patient": (
        f"{VAULT}::test_tables_are_ordered_split_by_patient_and_refuse_shared_rows",
        "client/store/test_removed_patient.py::test_everybody_else_is_as_before",
    ),
    # noise
    "cryptographic, 53-bit uniforms": (
        f"{NOISE}::test_gaussian_matches_the_normal_distribution",
        f"{NOISE}::test_tail_reaches_beyond_eight_standard_deviations",
        f"{NOISE}::test_fresh_never_repeats_whatever_the_global_seed",
    ),
    "key from entropy, ledger entry, attempt, step and tensor; a buffer is consumed once": (
        f"{NOISE}::test_names_steps_and_attempts_give_different_values",
        f"{NOISE}::test_each_name_is_drawn_once",
    ),
    "fork, snapshot or a dead generator never repeat noise or send none": (
        f"{NOISE}::test_a_fork_draws_nothing_and_the_parent_goes_on",
        f"{NOISE}::test_a_restored_snapshot_draws_other_noise",
        f"{NOISE}::test_a_failing_generator_stops_the_step_and_never_gives_zeros",
    ),
    # budget gate
    "the whole schedule by PRV and PLD, or plans one by one by a fixed-order filter": (
        f"{GATE}::test_our_gate_admits_none_of_them_and_holds_for_the_loudest_that_it_admits",
        f"{GATE}::test_a_gate_that_checks_each_plan_by_itself_is_passed_by_choosing",
        f"{BUDGET}::test_plans_one_by_one_stop_where_the_fixed_order_filter_stops",
        f"{BUDGET}::test_a_schedule_is_gated_as_a_whole_and_charged_once",
    ),
    "skipped slots stay charged": (
        f"{LEDGER}::test_a_schedule_is_charged_once_as_a_whole_and_its_slots_draw_for_nothing",
    ),
    "the GDP accountant is banned": (f"{BUDGET}::test_there_is_no_way_to_ask_for_the_gdp_accountant",),
    "delta is a constant of the site, for a declared number of patients": (
        "client/test_plancheck.py::test_delta_must_fit_the_declared_patients",
        f"{BUDGET}::test_the_policy_file_cannot_loosen_what_the_ledger_records",
    ),
    # spending
    "RESERVE, read, train, persist, RELEASE, each on disk before the next": (
        f"{WARD}::test_a_round_is_charged_sealed_and_sent_again_byte_for_byte",
        f"{WARD}::test_death_between_seal_and_release_sends_the_very_bytes",
        f"{CRASH}::test_every_prefix_of_an_appended_line_reopens_right",
        "client/test_ward_killed.py::test_killed_at_60_random_moments_it_never_spends_less_than_it_released",
    ),
    "retry only after the process died, charged, at most three attempts": (
        f"{WARD}::test_death_while_training_is_retried_once_more_and_charged",
        f"{LEDGER}::test_a_dead_attempt_may_be_made_again_at_its_price_at_most_three_times",
        f"{LEDGER}::test_an_attempt_given_up_while_its_process_lived_is_final",
    ),
    "a second plan for the same round is refused": (
        f"{LEDGER}::test_another_plan_for_the_same_round_is_refused",
    ),
    "over budget nothing is read": (f"{WARD}::test_a_spent_budget_reads_nothing",),
    "rollback is detected": (
        f"{HEAD}::test_every_shorter_ledger_is_refused_and_the_whole_one_opens",
        f"{CHAIN}::test_a_restored_backup_is_refused_against_a_receipt",
        f"{RECEIPTS}::test_every_truncation_is_seen_by_the_last_receipt",
        f"{CHAIN}::test_every_flipped_bit_is_refused_by_reader_and_writer",
    ),
    # what else could speak
    "sites of every size answer alike, at the slot's time": (
        "client/test_alike.py::test_sites_of_every_size_answer_alike",
        f"{SLOT}::test_an_early_answer_waits_for_its_slot_and_so_does_the_same_one_again",
        f"{SLOT}::test_late_training_is_given_up_charged_and_leaves_when_the_plan_expires",
        f"{SLOT}::test_very_late_answers_leave_on_the_grid_of_slots",
        f"{SLOT}::test_while_an_answer_waits_nothing_else_is_answered",
        f"{SLOT}::test_a_plan_that_comes_after_its_slot_is_not_begun_and_not_charged",
        "client/test_label_answer.py::test_the_answer_is_the_same_when_generation_fails",
    ),
    "after a row was read the only code is ABORTED": (
        f"{WARD}::test_an_exception_in_training_is_one_word_outside_and_final",
        f"{SLOT}::test_a_failure_after_rows_were_read_waits_as_well",
    ),
    # free stages
    "free only if everything that goes in is public or released, without a handle to the vault": (
        f"{LINEAGE}::test_ppo_on_public_prompts_runs_with_the_vault_unmounted",
        f"{LINEAGE}::test_a_private_or_foreign_ancestor_two_steps_back_refuses",
        f"{LINEAGE}::test_what_an_adapter_says_of_this_site_must_stand_in_its_ledger_released",
    ),
    "the reward model is a released adapter with a receipt": (
        f"{LINEAGE}::test_a_reward_model_that_no_round_released_is_refused",
    ),
    "what was chosen after results is not stated as if it had been fixed": (
        "shared/ledger/test_certificates.py"
        "::test_what_was_chosen_after_results_is_never_stated_as_if_it_had_been_fixed",
    ),
    # people's text, forgetting, meaning
    "free text from people passes the de-identifier": (f"{VAULT}::test_imported_rows_pass_the_deidentifier",),
    "forgetting destroys the key, rotates and covers every table": (
        f"{VAULT}::test_forget_leaves_no_row_and_an_old_backup_is_dead",
        "client/store/test_frozen.py::test_what_is_forgotten_leaves_the_table",
    ),
    "epsilon per patient within one hospital, with adjacency and the replace-one figure": (
        "shared/ledger/test_certificates.py::test_a_patient_of_three_hospitals_has_the_events_of_three",
        "shared/ledger/test_audit.py::test_recompute_prints_epsilon_with_its_meaning",
    ),
}


def functions(path: Path) -> set[str]:
    """Names of the test functions of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_the_sentence_has_its_tests(sentence: str) -> None:
    for test in SENTENCES[sentence]:
        file, _, name = test.partition("::")
        assert (TESTS / file).is_file(), test
        assert name in functions(TESTS / file), test


def test_plans_carry_no_delta() -> None:
    for model in (RoundPlan, Mechanism):
        assert not {name for name in model.model_fields if "delta" in name or "epsilon" in name}


def test_nothing_that_is_written_or_sent_has_a_place_for_a_count_of_patients() -> None:
    for model in (LedgerEntry, UpdateHeader):
        words = {word for name in model.model_fields for word in name.split("_")}
        assert not words & {"patient", "patients", "count", "num", "n", "rows", "size", "metric", "metrics"}
