import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binomtest

from headstart.heads.errors import DataError
from headstart.heads.scoring.classification import measure
from headstart.heads.scoring.linearised import Predictions, gradient, score_images
from headstart.heads.scoring.metrics import METRICS
from headstart.heads.scoring.paired import compare_paired, holm, tied_with_winner
from headstart.heads.scoring.sign_flips import N_FLIPS, flip_signs

N_TRIALS = 2000


OF_THREE = [name for name, metric in METRICS.items() if metric.fewest_classes <= 3]
OF_SUMS = [name for name, metric in METRICS.items() if metric.basis == "sums"]


def candidates(n_images, n_candidates, *, n_classes=3, n_groups=None, alike=0.7, lead=0.0, seed=0):
    """Equal candidates that agree on most images and, in groups, err together; the first leads by `lead`."""
    generator = np.random.default_rng(seed)
    y = generator.integers(n_classes, size=n_images)
    groups = None if n_groups is None else generator.integers(n_groups, size=n_images)
    shared = generator.normal(size=(n_images, n_classes)) + 1.5 * np.eye(n_classes)[y]
    found = []
    for number in range(n_candidates):
        logits = shared + generator.normal(scale=0.7, size=shared.shape)
        if groups is not None:
            logits += generator.normal(scale=alike, size=(n_groups, n_classes))[groups]
        logits += (lead if number == 0 else 0.0) * np.eye(n_classes)[y]
        probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        found.append(Predictions(classes=probability.argmax(axis=1), probability=probability))
    return y, found, groups


def from_counts(both, first_alone, second_alone, neither):
    first = np.repeat([1, 1, 0, 0], [both, first_alone, second_alone, neither])
    second = np.repeat([1, 0, 1, 0], [both, first_alone, second_alone, neither])
    return np.ones(len(first), dtype=int), Predictions(classes=first), Predictions(classes=second)


def flipped_exactly(parts):
    signs = np.array(list(itertools.product([-1, 1], repeat=len(parts))))
    return (np.abs(signs @ parts) >= abs(parts.sum()) - 1e-12).mean()


def share_called_different(metric, n_images, *, n_groups=None, alike=0.7, untold=False):
    """Share of trials where the groups are told, and, if asked for, where the same images are taken each for itself."""
    p_values = []
    for trial in range(N_TRIALS):
        y, (first, second), groups = candidates(n_images, 2, n_groups=n_groups, alike=alike, seed=trial)
        each = [groups, None] if untold else [groups]
        p_values.append([compare_paired(metric, y, first, second, groups=one, seed=trial).p_value for one in each])
    return np.mean(np.array(p_values) < 0.05, axis=0)


def test_accuracy_over_images_has_mcnemars_exact_p_value():
    y, first, second = from_counts(36, 12, 2, 0)
    found = compare_paired("accuracy", y, first, second)
    assert (found.test, found.n_images) == ("exact McNemar", 50)
    assert found.value == pytest.approx(0.2)
    assert found.p_value == pytest.approx(binomtest(2, 14).pvalue)


def test_the_interval_of_accuracy_is_newcombes():
    found = compare_paired("accuracy", *from_counts(36, 12, 2, 0))  # his paper's example, method 10
    assert (found.low, found.high) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_equal_predictions_differ_by_nothing_but_might_on_other_images():
    y, first, _ = from_counts(45, 0, 0, 5)
    found = compare_paired("accuracy", y, first, first)
    assert (found.value, found.p_value) == (0.0, 1.0)
    assert found.low < 0 < found.high


@pytest.mark.parametrize("metric", OF_THREE)
def test_the_difference_is_that_of_the_scores_and_turns_with_the_candidates(metric):
    y, (first, second), _ = candidates(200, 2)
    scores = [measure(y, side.probability, side.classes, 3)[metric] for side in (first, second)]
    there, back = compare_paired(metric, y, first, second), compare_paired(metric, y, second, first)
    assert there.value == pytest.approx(scores[0] - scores[1])
    assert (there.value, there.low, there.high) == pytest.approx((-back.value, -back.high, -back.low))
    assert there.p_value == back.p_value


@pytest.mark.parametrize("metric", OF_SUMS)
def test_a_gradient_is_the_slope_of_its_metric(metric):
    y, (one, _), _ = candidates(100, 2)
    scored = score_images(metric, y, one, 3)
    slopes, step = gradient(metric, scored.sums), 1e-5
    for place in range(len(slopes)):
        moved = [scored.sums + sign * step * (np.arange(len(slopes)) == place) for sign in (1, -1)]
        up, down = (replace(scored, sums=sums) for sums in moved)
        assert slopes[place] == pytest.approx((up.value(metric) - down.value(metric)) / (2 * step), abs=1e-8)
    assert scored.parts(slopes).sum() == pytest.approx(0, abs=1e-12)


def test_flips_of_few_units_agree_with_all_possible_ones():
    parts = np.random.default_rng(1).normal(0.3, 1, size=(9, 6))
    expected = [flipped_exactly(column) for column in parts.T]
    assert flip_signs(parts, 0) == pytest.approx(expected, abs=4 * np.sqrt(0.25 / N_FLIPS))


@pytest.mark.parametrize(("n_units", "expected"), [(0, 1.0), (1, 1.0), (4, 2**-3), (5, 2**-4)])
def test_no_p_value_is_smaller_than_so_few_units_allow(n_units, expected):
    (p_value,) = flip_signs(np.concatenate([np.ones((n_units, 1)), np.zeros((3, 1))]), 0)
    assert p_value == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize("n_units", [10, 11])  # where a random share is too rough, and the normal tail too small
def test_where_flips_are_too_few_to_count_the_rarest_sum_is_no_rarer_than_it_is(n_units):
    assert flip_signs(np.ones((n_units, 1)), 0) == pytest.approx([2.0 ** (1 - n_units)])


@pytest.mark.parametrize("n_apart", [12, 17, 40, 90, 240])
def test_flips_of_right_and_wrong_have_mcnemars_p_value_and_far_out_one_near_it_or_safe(n_apart):
    n_first = np.arange(n_apart // 2, n_apart + 1)
    parts = [np.repeat([1.0, -1.0], [count, n_apart - count]) for count in n_first]
    exact = np.array([binomtest(int(count), n_apart).pvalue for count in n_first])
    found = np.array(flip_signs(np.array(parts).T, 0))
    drawn = exact > 0.01
    assert found[drawn] == pytest.approx(exact[drawn], abs=0.04)
    assert (found[~drawn] >= 0.6 * exact[~drawn]).all()
    assert (found[~drawn] < 0.015).all()


def test_macro_f1_has_the_p_value_of_exchanging_the_two_image_by_image():
    y, (first, second), _ = candidates(150, 2, lead=0.4)
    generator, n_draws = np.random.default_rng(3), 4000
    seen = abs(compare_paired("macro_f1", y, first, second).value)
    beyond = 0
    for exchanged in generator.integers(2, size=(n_draws, 150)) == 1:
        one = np.where(exchanged, second.classes, first.classes)
        two = np.where(exchanged, first.classes, second.classes)
        scores = [measure(y, None, classes, 3)["macro_f1"] for classes in (one, two)]
        beyond += abs(scores[0] - scores[1]) >= seen - 1e-12
    assert compare_paired("macro_f1", y, first, second).p_value == pytest.approx(beyond / n_draws, abs=0.03)


@pytest.mark.parametrize(
    ("metric", "n_images", "n_groups"),
    [("accuracy", 120, None), ("macro_f1", 120, None), ("log_loss", 60, None), ("balanced_accuracy", 200, 25)],
)
def test_equal_candidates_are_called_different_in_a_twentieth_of_all_trials(metric, n_images, n_groups):
    (share,) = share_called_different(metric, n_images, n_groups=n_groups)
    assert 0.02 < share <= 0.07  # the exact test of few discordant images stays below 0.05


def test_groups_that_err_together_are_called_different_too_often_if_taken_as_images():
    told, untold = share_called_different("accuracy", 300, n_groups=20, alike=2.0, untold=True)
    assert untold > 0.09
    assert told <= 0.07


@pytest.mark.parametrize("metric", OF_THREE)
@pytest.mark.parametrize("n_groups", [None, 40])
def test_a_real_difference_is_found(metric, n_groups):
    y, (first, second), groups = candidates(600, 2, n_groups=n_groups, lead=1.0)
    found = compare_paired(metric, y, first, second, groups=groups)
    assert found.p_value < 1e-3
    assert (found.low > 0) == METRICS[metric].higher_is_better
    assert (found.high < 0) != METRICS[metric].higher_is_better


@pytest.mark.parametrize(("metric", "n_groups"), [("accuracy", None), ("macro_f1", None), ("log_loss", 40)])
def test_the_interval_holds_the_true_difference_in_19_of_20_trials(metric, n_groups):
    true = np.mean([compare_paired(metric, *_led(n_groups, 10_000 + k, 3000)[:3]).value for k in range(60)])
    held = 0
    for trial in range(600):
        y, first, second, groups = _led(n_groups, trial, 200)
        found = compare_paired(metric, y, first, second, groups=groups)
        held += found.low <= true <= found.high
    assert 0.92 <= held / 600 <= 0.98


def _led(n_groups, seed, n_images):
    y, (first, second), groups = candidates(n_images, 2, n_groups=n_groups, lead=0.5, seed=seed)
    return y, first, second, groups


def test_of_equal_candidates_none_is_called_worse_than_the_best_in_19_of_20_sweeps():
    n_worse, without_pairs = 0, 0
    for trial in range(400):
        y, found, _ = candidates(600, 10, seed=trial)
        order = sorted(range(10), key=lambda place: -np.mean(found[place].classes == y))
        runners = tied_with_winner("accuracy", y, found[order[0]], [found[place] for place in order[1:]])
        n_worse += not all(runner.tied for runner in runners)
        without_pairs += min(holm([runner.difference.p_value for runner in runners], 9)) < 0.05
    assert n_worse / 400 <= 0.07
    assert without_pairs / 400 > 0.07  # a winner compared as if it had not been picked by looking


def test_runners_up_keep_their_order_and_the_far_one_is_not_tied():
    y, (winner, near, far), _ = candidates(800, 3)
    far = Predictions(classes=np.where(np.arange(800) % 3 == 0, (y + 1) % 3, far.classes))
    tied = tied_with_winner("accuracy", y, winner, [far, near])
    assert [runner.tied for runner in tied] == [False, True]
    assert tied[0].p_adjusted == pytest.approx(3 * tied[0].difference.p_value)
    assert tied[0].difference.value == pytest.approx(np.mean(winner.classes == y) - np.mean(far.classes == y))
    assert tied_with_winner("accuracy", y, winner, []) == []


@pytest.mark.parametrize(
    ("n_tests", "expected"), [(3, [0.03, 0.06, 0.06]), (10, [0.1, 0.27, 0.32]), (100, [1.0, 1.0, 1.0])]
)
def test_holm_multiplies_the_smallest_by_all_tests_the_next_by_one_fewer(n_tests, expected):
    assert holm([0.01, 0.03, 0.04], n_tests) == pytest.approx(expected)
    assert holm([0.04, 0.01, 0.03], n_tests) == pytest.approx([expected[2], expected[0], expected[1]])


def test_the_probability_of_the_true_class_is_enough():
    y, (first, second), _ = candidates(100, 2)
    short = [
        Predictions(classes=side.classes, probability=side.probability[np.arange(100), y]) for side in (first, second)
    ]
    assert compare_paired("log_loss", y, *short) == compare_paired("log_loss", y, first, second)


def test_a_single_group_tells_nothing():
    y, (first, second), _ = candidates(100, 2, lead=1.0)
    found = compare_paired("accuracy", y, first, second, groups=np.zeros(100))
    assert (found.low, found.high, found.p_value) == (-1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"metric": "auc"}, "no metric is called 'auc'; expected one of accuracy"),
        ({"first": Predictions(classes=np.zeros(3, int))}, "labels have shape (4,), predictions (3,)"),
        ({"first": Predictions(classes=np.zeros(4, int)), "metric": "log_loss"}, "without probabilities"),
        ({"groups": [0, 1]}, "2 groups were given for 4 images"),
    ],
)
def test_what_cannot_be_compared_is_said(change, message):
    both = Predictions(classes=np.zeros(4, int), probability=np.ones((4, 1)))
    given = {"metric": "accuracy", "y": np.zeros(4, int), "first": both, "second": both} | change
    with pytest.raises(DataError) as caught:
        compare_paired(**given)
    assert message in str(caught.value)


def test_an_unknown_metric_is_refused_and_not_taken_for_a_log_loss():
    y, (first, second), _ = candidates(20, 2)
    scored = score_images("accuracy", y, first, 3)
    for ask in (
        lambda: gradient("kappa", scored.sums),
        lambda: score_images("kappa", y, first, 3),
        lambda: scored.value("kappa"),
        lambda: compare_paired("kappa", y, first, second),
        lambda: tied_with_winner("kappa", y, first, [second]),
    ):
        with pytest.raises(DataError, match=r"'kappa'.*expected one of accuracy, .*, log_loss"):
            ask()
