"""What defines each objective, taken out: the test that holds it has to notice."""

from __future__ import annotations

from tests.guards.guard import Guard

HERE = "streamae/training/objectives"
TESTS = "tests/training/objectives"

OBJECTIVES = (
    Guard(
        "objective undercomplete: a code that is no smaller than the window",
        f"{HERE}/undercomplete.py",
        {"if code >= cells:": "if False:"},
        (f"{TESTS}/test_undercomplete.py::test_a_code_no_smaller_than_the_window_is_refused",),
    ),
    Guard(
        "objective undercomplete: a network that can do no more than PCA",
        "streamae/training/autoencoders/tokens.py",
        {'"gelu": nn.GELU,': '"gelu": nn.Identity,'},
        (f"{TESTS}/test_undercomplete.py::test_what_is_not_linear_is_rebuilt_better_than_pca_can[dense]",),
    ),
    Guard(
        "objective sparse: a code of which all units act",
        f"{HERE}/sparse.py",
        {"batch.error(expected) + self._weight * self.penalty(code)": "batch.error(expected)"},
        (
            f"{TESTS}/test_sparse.py::test_by_divergence_the_mean_activation_of_units_reaches_the_target",
            f"{TESTS}/test_sparse.py::test_by_l1_most_units_are_at_rest",
        ),
    ),
    Guard(
        "objective sparse: half of the divergence",
        f"{HERE}/sparse.py",
        {"return (on + off).sum()": "return on.sum()"},
        (f"{TESTS}/test_sparse.py::test_the_divergence_is_that_of_coins",),
    ),
    Guard(
        "objective contractive: a code that moves as it likes",
        f"{HERE}/contractive.py",
        {"batch.error(expected) + self._weight * squared_jacobian(code, rows).mean()": "batch.error(expected)"},
        (f"{TESTS}/test_contractive.py::test_a_code_moves_less_with_noise_and_still_rebuilds",),
    ),
    Guard(
        "objective contractive: a penalty that has no gradient of its own",
        f"{HERE}/contractive.py",
        {"create_graph=True": "retain_graph=True"},
        (
            f"{TESTS}/test_contractive.py::test_training_can_make_the_norm_smaller",
            f"{TESTS}/test_contractive.py::test_a_code_moves_less_with_noise_and_still_rebuilds",
        ),
    ),
    Guard(
        "objective contractive: a norm of one number of the code only",
        f"{HERE}/contractive.py",
        {"code.unbind(dim=1))": "code[:, :1].unbind(dim=1))"},
        (f"{TESTS}/test_contractive.py::test_the_norm_is_that_of_the_encoders_jacobian",),
    ),
    Guard(
        "objective denoising: windows that are not corrupted",
        f"{HERE}/denoising.py",
        {"if batch.held_out else self.corrupt(batch)": "if True else self.corrupt(batch)"},
        (
            f"{TESTS}/test_denoising.py::test_noise_that_it_has_not_seen_is_taken_away",
            f"{TESTS}/test_denoising.py::test_what_was_silenced_is_filled_in",
        ),
    ),
    Guard(
        "objective variational: no divergence from the prior",
        f"{HERE}/variational.py",
        {"else likelihood / 2) + rest": "else likelihood / 2)"},
        (
            f"{TESTS}/test_variational.py::test_the_divergence_holds_the_code_near_the_prior",
            f"{TESTS}/test_variational.py::test_the_weight_of_the_divergence_rises_from_nothing",
        ),
    ),
    Guard(
        "objective variational: a code without spread",
        f"{HERE}/variational.py",
        {"mean if batch.held_out else mean + (log / 2).exp() * torch.randn_like(mean)": "mean"},
        (f"{TESTS}/test_variational.py::test_training_goes_by_way_of_a_sample",),
    ),
    Guard(
        "objective variational: no warm-up",
        f"{HERE}/variational.py",
        {"warm = min(batch.progress / self._warm_up, 1.0) if self._warm_up else 1.0": "warm = 1.0"},
        (f"{TESTS}/test_variational.py::test_the_weight_of_the_divergence_rises_from_nothing",),
    ),
    Guard(
        "objective variational: no free bits",
        f"{HERE}/variational.py",
        {".clamp_min(self._free)": ""},
        (f"{TESTS}/test_variational.py::test_the_divergence_is_that_of_normal_distributions",),
    ),
    Guard(
        "objective variational: an error that does not weigh what it is out of",
        f"{HERE}/variational.py",
        {"likelihood = error.clamp_min(SMALLEST).log()": "likelihood = error"},
        (f"{TESTS}/test_variational.py::test_what_is_rebuilt_counts_by_the_share_of_its_error_that_is_gained",),
    ),
    Guard(
        "objective conditional: a decoder that does not know the condition",
        "streamae/training/autoencoders/network.py",
        {"states = states + self.take_context(": "states = states + 0 * self.take_context("},
        (f"{TESTS}/test_conditional.py::test_generated_windows_obey_the_condition",),
    ),
    Guard(
        "objective conditional: a calendar that stands still",
        "streamae/detection/derived.py",
        {'np.sin(angle) if part == "sin" else np.cos(angle)': "0 * angle"},
        ("tests/uses/test_conditions.py::test_hours_and_weekends_are_obeyed",),
    ),
    Guard(
        "objective conditional: modes that are a number and no more",
        "streamae/detection/derived.py",
        {"np.where(np.isnan(own), np.nan, own == float(one[1]))": "0 * own"},
        ("tests/uses/test_conditions.py::test_modes_are_obeyed_and_have_no_order",),
    ),
    Guard(
        "objective adversarial: nobody to fool",
        f"{HERE}/adversarial.py",
        {" + self._weight * cross_entropy(fooled, torch.ones_like(fooled))": ""},
        (
            f"{TESTS}/test_adversarial.py::test_with_every_seed_the_code_is_near_the_prior_and_rebuilds",
            f"{TESTS}/test_adversarial.py::test_few_codes_cannot_be_told_from_the_prior",
        ),
    ),
    Guard(
        "objective adversarial: a discriminator that does not learn",
        f"{HERE}/adversarial.py",
        {"        self._optimizer.step()\n": ""},
        (f"{TESTS}/test_adversarial.py::test_few_codes_cannot_be_told_from_the_prior",),
    ),
    Guard(
        "objective masked: a loss of all there is",
        f"{HERE}/masked.py",
        {"network(rows, seen)[0], ~seen)": "network(rows, seen)[0])"},
        (f"{TESTS}/test_masked.py::test_the_loss_is_that_of_what_is_hidden_alone",),
    ),
    Guard(
        "objective masked: nothing is hidden",
        f"{HERE}/masked.py",
        {"left = batch.observed & ~self.hide(batch.windows, by)": "left = batch.observed"},
        (f"{TESTS}/test_masked.py::test_what_is_hidden_is_filled_better_than_by_a_network_that_never_missed_anything",),
    ),
    Guard(
        "objective masked: a network that is not told what it does not see",
        f"{HERE}/masked.py",
        {"told = True": "told = False"},
        (f"{TESTS}/test_masked.py::test_a_network_is_told_what_it_does_not_see",),
    ),
)
