import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    log_loss,
    matthews_corrcoef,
    roc_auc_score,
    top_k_accuracy_score,
)

from headstart.heads.errors import DataError
from headstart.heads.scoring.classification import measure, score_predictions
from headstart.heads.scoring.metrics import METRICS


def predictions(n_images=200, n_classes=4, seed=0):
    generator = np.random.default_rng(seed)
    y = generator.integers(n_classes, size=n_images)
    probability = generator.dirichlet(np.ones(n_classes), size=n_images)
    probability[np.arange(n_images), y] += 0.5
    probability /= probability.sum(axis=1, keepdims=True)
    return y, probability, probability.argmax(axis=1)


def by_scikit_learn(y, probability, predicted, n_classes):
    return {
        "accuracy": accuracy_score(y, predicted),
        "balanced_accuracy": balanced_accuracy_score(y, predicted),
        "macro_f1": f1_score(y, predicted, average="macro"),
        "mcc": matthews_corrcoef(y, predicted),
        "roc_auc": roc_auc_score(np.eye(n_classes)[y], probability, average="macro"),
        "average_precision": average_precision_score(np.eye(n_classes)[y], probability, average="macro"),
        "top5": None if n_classes < 6 else top_k_accuracy_score(y, probability, k=5, labels=range(n_classes)),
        "log_loss": log_loss(y, probability, labels=range(n_classes)),
    }


@pytest.mark.parametrize("n_classes", [2, 4, 30])
@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_scikit_learns(n_classes, seed):
    y, probability, predicted = predictions(n_classes=n_classes, seed=seed)
    expected = by_scikit_learn(y, probability, predicted, n_classes)
    assert measure(y, probability, predicted, n_classes) == pytest.approx(expected, abs=1e-12)
    scored = score_predictions(y, probability, predicted, n_classes, n_resamples=10)
    values = {name: score and score.value for name, score in scored.items()}
    assert values == pytest.approx(expected, abs=1e-12)


def test_a_class_without_true_images_counts_as_in_scikit_learn():
    y, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    values = measure(y, None, predicted, 5)
    assert values["balanced_accuracy"] == balanced_accuracy_score(y, predicted)
    assert values["macro_f1"] == f1_score(y, predicted, average="macro")


def test_a_class_that_is_only_predicted_lowers_macro_f1_as_in_scikit_learn():
    y, predicted = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    assert measure(y, None, predicted, 3)["macro_f1"] == f1_score(y, predicted, average="macro", zero_division=0)


def test_a_certain_mistake_costs_what_scikit_learn_charges():
    y, probability = np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]])
    assert measure(y, probability, [0, 0], 2)["log_loss"] == pytest.approx(log_loss(y, probability, labels=[0, 1]))


def test_without_probabilities_there_is_no_log_loss():
    y, _, predicted = predictions()
    assert score_predictions(y, None, predicted, 4)["log_loss"] is None
    assert measure(y, None, predicted, 4)["log_loss"] is None


def test_the_table_of_metrics_names_what_is_scored_and_which_way_is_better():
    y, probability, predicted = predictions()
    assert list(score_predictions(y, probability, predicted, 4)) == list(METRICS)
    assert [name for name, metric in METRICS.items() if not metric.higher_is_better] == ["log_loss"]


def test_accuracy_of_independent_images_has_wilsons_interval():
    y, predicted = np.repeat([0, 1], 50), np.repeat([0, 1, 0], [50, 40, 10])
    score = score_predictions(y, None, predicted, 2)["accuracy"]
    # k = 90 of n = 100, z = 1.96, by hand: (k + z²/2 ± z √(k (n-k) / n + z²/4)) / (n + z²)
    assert (score.value, score.low, score.high) == pytest.approx((0.9, 0.8256, 0.9448), abs=1e-4)


def test_all_right_is_not_certain():
    score = score_predictions(np.tile([0, 1], 10), None, np.tile([0, 1], 10), 2)["accuracy"]
    assert score.low == pytest.approx(0.8389, abs=1e-4)
    assert score.high == 1.0


def test_groups_of_one_image_change_nothing():
    y, probability, predicted = predictions()
    alone = score_predictions(y, probability, predicted, 4)
    assert score_predictions(y, probability, predicted, 4, groups=np.arange(200) * 3) == alone


def test_the_seed_decides_the_interval():
    y, _, predicted = predictions()
    first, again, other = (score_predictions(y, None, predicted, 4, seed=seed)["macro_f1"] for seed in (0, 0, 1))
    assert first == again != other


def test_the_bootstrap_of_the_log_loss_agrees_with_drawing_images_one_by_one():
    y, probability, predicted = predictions(n_images=120)
    generator = np.random.default_rng(5)
    drawn = [generator.integers(120, size=120) for _ in range(2000)]
    score = score_predictions(y, probability, predicted, 4, n_resamples=4000)["log_loss"]
    values = [measure(y[rows], probability[rows], predicted[rows], 4)["log_loss"] for rows in drawn]
    expected = np.percentile(values, [2.5, 97.5])
    assert [score.low, score.high] == pytest.approx(expected, abs=0.08 * (score.high - score.low))


SHARES = ["accuracy", "balanced_accuracy", "macro_f1"]


@pytest.mark.parametrize("metric", SHARES)
def test_ten_images_that_are_all_right_leave_doubt(metric):
    score = score_predictions(np.tile([0, 1], 5), None, np.tile([0, 1], 5), 2)[metric]
    # k = n = 10, by hand: n / (n + z²)
    assert (score.value, score.low, score.high) == pytest.approx((1.0, 0.7225, 1.0), abs=1e-4)


@pytest.mark.parametrize("metric", SHARES)
def test_one_pair_of_copies_does_not_make_certain(metric):
    y = np.tile([0, 1], 20)
    groups = np.arange(40)
    groups[2] = 0
    score = score_predictions(y, None, y, 2, groups=groups)[metric]
    alone = score_predictions(y, None, y, 2)[metric]
    assert 0.85 < score.low < alone.low < 0.92


def test_balanced_accuracy_of_independent_images_has_wilsons_interval_at_its_recalls_variance():
    y, predicted = np.repeat([0, 1], [20, 10]), np.repeat([0, 1, 1, 0], [16, 4, 9, 1])
    score = score_predictions(y, None, predicted, 2)["balanced_accuracy"]
    # Variance (0.8 x 0.2 / 19 + 0.9 x 0.1 / 9) / 4 = 0.004605, so 0.85 x 0.15 / 0.004605 = 27.7 images, more than
    # 4 / (1/20 + 1/10) = 26.7: of these, by hand as above.
    assert (score.value, score.low, score.high) == pytest.approx((0.85, 0.6705, 0.9401), abs=2e-3)


def test_accuracy_over_groups_has_wilsons_interval_at_the_ratio_estimators_variance():
    right, sizes = np.array([4, 2, 3, 1]), np.array([4, 4, 4, 2])
    y = np.zeros(14, dtype=int)
    predicted = np.concatenate([np.repeat([0, 1], [k, n - k]) for k, n in zip(right, sizes, strict=True)])
    score = score_predictions(y, None, predicted, 2, groups=np.repeat(np.arange(4), sizes))["accuracy"]
    p, t = 10 / 14, 3.18245  # Student's 97.5 % with three degrees of freedom
    n = p * (1 - p) / (4 / 3 * ((right - p * sizes) ** 2).sum() / 14**2)
    n = min(n, 14)
    middle, half = p + t**2 / (2 * n), t * np.sqrt(p * (1 - p) / n + t**2 / (4 * n**2))
    assert [score.low, score.high] == pytest.approx(np.array([middle - half, middle + half]) / (1 + t**2 / n), abs=1e-4)


def coverage(draw, truth, metric, n_repeats=300, *, grouped=False):
    """Return how often the interval holds the truth over repeated experiments."""
    held = 0
    for seed in range(n_repeats):
        y, predicted, groups = draw(np.random.default_rng(seed))
        score = score_predictions(y, None, predicted, 2, groups=groups if grouped else None, n_resamples=400)[metric]
        held += score.low <= truth <= score.high
    return held / n_repeats


def independent_images(generator):
    y = np.tile([0, 1], 75)
    return y, np.where(generator.random(150) < 0.85, y, 1 - y), None


def whole_groups_right_or_wrong(generator):
    """40 groups of ten images that are easy together or hard together: right with probability 1 or 0.6."""
    easy = np.repeat(generator.random(40) < 0.5, 10)
    y = generator.integers(2, size=400)
    return y, np.where(easy | (generator.random(400) < 0.6), y, 1 - y), np.repeat(np.arange(40), 10)


def few_images(generator):
    y = np.tile([0, 1], 10)
    return y, np.where(generator.random(20) < 0.95, y, 1 - y), None


def few_groups(n_groups):
    def draw(generator):
        easy = np.repeat(generator.random(n_groups) < 0.5, 10)
        y = generator.integers(2, size=10 * n_groups)
        right = easy | (generator.random(10 * n_groups) < 0.6)
        return y, np.where(right, y, 1 - y), np.repeat(np.arange(n_groups), 10)

    return draw


@pytest.mark.parametrize("metric", SHARES)
def test_intervals_of_ten_images_a_class_hold_the_truth(metric):
    assert coverage(few_images, 0.95, metric) >= 0.9


@pytest.mark.parametrize("n_groups", [3, 5])
@pytest.mark.parametrize("metric", SHARES)
def test_intervals_over_a_few_groups_hold_the_truth(metric, n_groups):
    assert coverage(few_groups(n_groups), 0.8, metric, n_repeats=200, grouped=True) >= 0.9


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
def test_intervals_of_independent_images_hold_the_truth_95_times_in_100(metric):
    assert 0.92 <= coverage(independent_images, 0.85, metric) <= 0.98


def test_intervals_over_groups_hold_the_truth_95_times_in_100():
    assert 0.91 <= coverage(whole_groups_right_or_wrong, 0.8, "accuracy", grouped=True) <= 0.98


def test_intervals_that_ignore_groups_would_not():
    assert coverage(whole_groups_right_or_wrong, 0.8, "accuracy") < 0.88


def test_a_single_group_says_nothing():
    y, probability, predicted = predictions(n_images=20)
    scores = score_predictions(y, probability, predicted, 4, groups=np.zeros(20, dtype=int))
    assert (scores["accuracy"].low, scores["accuracy"].high) == (0.0, 1.0)
    assert (scores["log_loss"].low, scores["log_loss"].high) == pytest.approx((0.0, 36.04), abs=0.01)


@pytest.mark.parametrize("seed", range(20))
def test_an_interval_holds_its_value(seed):
    generator = np.random.default_rng(seed)
    y, predicted = generator.integers(6, size=12), generator.integers(6, size=12)
    for score in score_predictions(y, None, predicted, 6, n_resamples=50).values():
        assert score is None or score.low <= score.value <= score.high


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([], None, []), "of at least one"),
        (([0, 1], None, [0]), r"labels have shape \(2,\), predictions \(1,\)"),
        (([0, 1], [[1.0], [1.0]], [0, 1]), r"probabilities have shape \(2, 1\), expected \(2, 2\)"),
    ],
)
def test_shapes_that_do_not_agree_are_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        score_predictions(*arguments, 2)


def test_groups_of_another_length_are_refused():
    with pytest.raises(DataError, match="1 groups were given for 2 images"):
        score_predictions([0, 1], None, [0, 1], 2, groups=[0])
