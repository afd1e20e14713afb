"""Metrics of ranks: their values are scikit-learn's, and what images add makes intervals and paired tests."""

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    matthews_corrcoef,
    roc_auc_score,
    top_k_accuracy_score,
)

from headstart.heads.errors import DataError
from headstart.heads.scoring import (
    METRICS,
    LargeScores,
    Predictions,
    added_by_images,
    compare_paired,
    find_metric,
    measure,
    score_predictions,
    tied_with_winner,
)

RANKED = ["roc_auc", "average_precision", "top5"]


def shown(n_images=200, n_classes=7, *, digits=None, seed=0, lead=0.3):
    """Return true classes and probabilities, with equal ones where they are rounded."""
    generator = np.random.default_rng(seed)
    y = np.resize(np.arange(n_classes), n_images)
    probability = generator.dirichlet(np.ones(n_classes), size=n_images)
    probability[np.arange(n_images), y] += lead
    probability /= probability.sum(axis=1, keepdims=True)
    return y, probability if digits is None else probability.round(digits)


def by_scikit_learn(y, probability, weights=None):
    n_classes = probability.shape[1]
    one_hot = np.eye(n_classes)[y]
    return {
        "roc_auc": roc_auc_score(one_hot, probability, average="macro", sample_weight=weights),
        "average_precision": average_precision_score(one_hot, probability, average="macro", sample_weight=weights),
        "top5": top_k_accuracy_score(y, probability, k=5, labels=np.arange(n_classes), sample_weight=weights),
    }


@pytest.mark.parametrize("digits", [None, 2, 1])
@pytest.mark.parametrize("n_classes", [6, 7, 30])
def test_values_are_scikit_learns_with_equal_probabilities_too(n_classes, digits):
    y, probability = shown(n_classes=n_classes, digits=digits)
    found = measure(y, probability, probability.argmax(axis=1), n_classes)
    expected = by_scikit_learn(y, probability)
    assert {name: found[name] for name in RANKED} == pytest.approx(expected, abs=1e-12)


def test_of_two_classes_the_area_is_that_of_either():
    y, probability = shown(n_classes=2)
    found = measure(y, probability, probability.argmax(axis=1), 2)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(y, probability[:, 1]), abs=1e-12)
    several, of_seven = shown()
    found = measure(several, of_seven, of_seven.argmax(axis=1), 7)
    assert found["roc_auc"] == pytest.approx(roc_auc_score(several, of_seven, multi_class="ovr"), abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5, 30])
def test_the_correlation_is_scikit_learns(n_classes):
    y, probability = shown(n_classes=n_classes, lead=0.1)
    predicted = probability.argmax(axis=1)
    assert measure(y, None, predicted, n_classes)["mcc"] == pytest.approx(matthews_corrcoef(y, predicted), abs=1e-12)
    assert measure(y, None, np.zeros_like(y), n_classes)["mcc"] == 0.0


@pytest.mark.parametrize("metric", RANKED)
def test_what_an_image_adds_is_how_the_metric_moves_with_its_weight(metric):
    y, probability = shown(60, 6, digits=1)
    added = added_by_images(y, probability)[metric]
    for image in (0, 7, 31):
        ends = []
        for step in (1e-4, -1e-4):
            weights = np.ones(60)
            weights[image] += step
            ends.append(by_scikit_learn(y, probability, weights)[metric])
        assert added[image] - added.mean() == pytest.approx((ends[0] - ends[1]) / 2e-4, abs=1e-6)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_five_classes_or_fewer_have_no_top5(n_classes):
    y, probability = shown(n_classes=n_classes)
    assert measure(y, probability, y, n_classes)["top5"] is None
    assert score_predictions(y, probability, y, n_classes)["top5"] is None
    side = Predictions(classes=y, probability=probability)
    with pytest.raises(DataError, match=f"top5 needs 6 classes or more, there are {n_classes}: .*; choose by another"):
        compare_paired("top5", y, side, side)


def test_classes_that_no_image_or_every_image_has_are_left_out():
    y, probability = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1, 0], [0.4, 0.6, 0], [0.5, 0.5, 0], [0.1, 0.9, 0]])
    assert measure(y, probability, y, 3)["roc_auc"] == pytest.approx(0.75)
    assert measure(np.zeros(4, int), probability, y, 3)["roc_auc"] is None


@pytest.mark.parametrize("given", [None, "of_true"])
def test_without_every_classs_probability_there_are_none(given):
    y, probability = shown()
    some = None if given is None else probability[np.arange(len(y)), y]
    found = score_predictions(y, some, probability.argmax(axis=1), 7)
    assert [found[name] for name in RANKED] == [None] * 3
    side = Predictions(classes=y, probability=some)
    with pytest.raises(DataError, match="has no roc_auc; compare it by another metric"):
        compare_paired("roc_auc", y, side, side)


@pytest.mark.parametrize("metric", [*RANKED, "mcc"])
@pytest.mark.parametrize("grouped", [False, True])
def test_intervals_are_about_as_wide_as_a_bootstraps(metric, grouped):
    y, probability = shown(600, 8, lead=0.02)
    groups = np.arange(600) // 3 if grouped else np.arange(600)
    if grouped:  # images of a group are alike
        y, probability = np.repeat(y[:200], 3), np.repeat(probability[:200], 3, axis=0)
    score = score_predictions(y, probability, probability.argmax(axis=1), 8, groups=groups)[metric]
    generator, n_units = np.random.default_rng(1), groups.max() + 1
    members = [np.flatnonzero(groups == unit) for unit in range(n_units)]
    drawn = [np.concatenate([members[unit] for unit in generator.integers(n_units, size=n_units)]) for _ in range(200)]
    values = [measure(y[rows], probability[rows], probability[rows].argmax(axis=1), 8)[metric] for rows in drawn]
    low, high = np.percentile(values, [2.5, 97.5])
    assert score.low <= score.value <= score.high
    assert score.high - score.low == pytest.approx(high - low, rel=0.25)
    large = LargeScores(y, 8, groups).scores(Predictions(classes=probability.argmax(axis=1), probability=probability))[
        metric
    ]
    assert (large.value, large.low, large.high) == pytest.approx((score.value, score.low, score.high), abs=0.01)


def test_all_right_leaves_doubt_and_a_single_group_all_that_is_possible():
    y = np.resize(np.arange(6), 60)
    found = score_predictions(y, np.eye(6)[y], y, 6)
    assert [found[name].value for name in RANKED] == [1.0] * 3
    assert all(0.9 < found[name].low < 1.0 for name in RANKED)
    one = score_predictions(y, np.eye(6)[y], y, 6, groups=np.zeros(60, int))
    assert {(one[name].low, one[name].high) for name in RANKED} == {(0.0, 1.0)}
    assert (one["mcc"].low, one["mcc"].high) == (-1.0, 1.0)


@pytest.mark.parametrize("metric", [*RANKED, "mcc"])
def test_a_better_candidate_is_found_better_and_an_equal_one_tied(metric):
    y, good = shown(600, 8, lead=0.25)
    _, bad = shown(600, 8, lead=0.1, seed=1)
    _, like = shown(600, 8, lead=0.25, seed=2)
    sides = [Predictions(classes=one.argmax(axis=1), probability=one) for one in (good, bad, like)]
    worse, equal = tied_with_winner(metric, y, sides[0], sides[1:])
    assert worse.difference.value > 0
    assert worse.difference.low > 0
    assert not worse.tied
    assert equal.tied
    assert equal.difference.low < 0 < equal.difference.high
    turned = compare_paired(metric, y, sides[1], sides[0])
    assert turned.value == pytest.approx(-worse.difference.value)


def test_equal_candidates_are_called_different_as_seldom_as_said():
    p_values = []
    for seed in range(60):
        (y, one), (_, other) = (shown(150, 3, lead=0.2, seed=2 * seed + half) for half in (0, 1))
        sides = [Predictions(classes=each.argmax(axis=1), probability=each) for each in (one, other)]
        p_values.append(compare_paired("roc_auc", y, *sides, seed=seed).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.12
    assert np.mean(np.array(p_values) < 0.5) == pytest.approx(0.5, abs=0.2)


def test_top5_has_mcnemars_exact_test():
    y, probability = shown(100, 8)
    _, other = shown(100, 8, seed=1)
    sides = [Predictions(classes=y, probability=one) for one in (probability, other)]
    assert compare_paired("top5", y, *sides).test == "exact McNemar"
    assert compare_paired("roc_auc", y, *sides).test == "sign flips of images"


def test_what_images_add_stands_for_the_probability_of_every_class():
    y, probability = shown()
    _, other = shown(seed=1)
    whole, kept = (
        [make(one) for one in (probability, other)]
        for make in (
            lambda one: Predictions(classes=y, probability=one),
            lambda one: Predictions(classes=y, added=added_by_images(y, one)),
        )
    )
    for metric in RANKED:
        assert compare_paired(metric, y, *whole) == compare_paired(metric, y, *kept)


def test_the_rows_say_what_they_need():
    assert [name for name, metric in METRICS.items() if metric.needs_probability] == ["log_loss", *RANKED]
    assert not find_metric("mcc").needs_probability
