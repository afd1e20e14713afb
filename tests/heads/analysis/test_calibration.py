"""Reliability, its error and what of that is chance, and temperatures that travel with the head."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from support.model_example import CARD

from headstart.heads import HEADS
from headstart.heads.analysis.calibration import (
    expected_calibration_error,
    fit_temperature_on_oof,
    reliability,
    temper,
    with_temperature,
)
from headstart.heads.errors import DataError
from headstart.heads.saving.model_file import load_model, save_model

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def calibrated(n_images=4000, n_classes=4, seed=0, sharpness=1.5):
    """Return classes drawn from the probabilities that are returned."""
    generator = np.random.default_rng(seed)
    probability = softmax(sharpness * generator.normal(size=(n_images, n_classes)), axis=1)
    y = (generator.random((n_images, 1)) > probability.cumsum(axis=1)).sum(axis=1)
    return y, probability


def two_classes(confidence, right):
    """Return classes and probabilities with these confidences in class 0."""
    return 1 - np.asarray(right), np.column_stack([confidence, 1 - np.asarray(confidence)])


def test_bins_hold_equally_many_images_and_their_means():
    y, probability = two_classes([0.9, 0.6, 0.8, 0.7], [1, 0, 1, 1])
    low, high = reliability(y, probability, n_bins=2)
    assert (low.confidence, low.accuracy, low.count) == (pytest.approx(0.65), 0.5, 2)
    assert (high.confidence, high.accuracy, high.count) == (pytest.approx(0.85), 1.0, 2)
    assert (high.low, high.high) == (pytest.approx(0.3424, abs=1e-4), 1.0)  # Wilson's of 2 of 2


def test_images_of_one_confidence_share_a_bin():
    y, probability = two_classes([0.6] + [1.0] * 9, [1, 0] * 5)
    assert [(bin_.confidence, bin_.count) for bin_ in reliability(y, probability, n_bins=5)] == [(0.6, 1), (1.0, 9)]


def test_intervals_of_bins_hold_the_confidence_of_a_calibrated_head():
    bins = [bin_ for seed in range(40) for bin_ in reliability(*calibrated(seed=seed))]
    assert len(bins) == 40 * 15
    assert np.mean([bin_.low <= bin_.confidence <= bin_.high for bin_ in bins]) == pytest.approx(0.95, abs=0.03)


def test_the_error_is_the_mean_gap_over_images():
    y, probability = two_classes([0.9, 0.6, 0.8, 0.7], [1, 0, 1, 1])
    found = expected_calibration_error(y, probability, n_bins=2)
    assert found.value == pytest.approx((abs(0.5 - 0.65) + abs(1.0 - 0.85)) / 2)


@pytest.mark.parametrize("n_images", [100, 1000, 10_000])
def test_the_error_of_a_calibrated_head_is_that_by_chance(n_images):
    found = [expected_calibration_error(*calibrated(n_images, seed=seed), n_resamples=50) for seed in range(30)]
    value, by_chance = (np.mean([getattr(error, name) for error in found]) for name in ("value", "by_chance"))
    assert value == pytest.approx(by_chance, rel=0.1)
    assert value == pytest.approx(0.8 * 0.47 * np.sqrt(15 / n_images), rel=0.15)  # E|normal| = 0.8 standard deviations


def test_the_error_of_a_head_that_is_too_sure_is_above_chance():
    y, probability = calibrated()
    found = expected_calibration_error(y, temper(probability, 0.5))
    assert found.value > 5 * found.by_chance


@pytest.mark.parametrize("temperature", [0.3, 1.0, 4.0])
def test_the_temperature_that_was_applied_is_found(temperature):
    y, probability = calibrated()
    assert fit_temperature_on_oof(y, temper(probability, 1 / temperature)) == pytest.approx(temperature, rel=0.05)


def test_the_temperature_is_scikit_learns():
    head = HEADS["logreg"].make({"C": 100.0}, 0).fit(X[:300], Y[:300])
    theirs = CalibratedClassifierCV(FrozenEstimator(head), method="temperature", ensemble=False).fit(X[300:], Y[300:])
    ours = fit_temperature_on_oof(Y[300:], head.predict_proba(X[300:]))
    sharpness = theirs.calibrated_classifiers_[0].calibrators[0].beta_
    assert ours == pytest.approx(1 / sharpness, rel=0.1)  # ours smooths its targets, as Platt did
    assert ours > 1.5


def test_a_class_that_a_fold_never_saw_leaves_the_temperature_finite():
    y, probability = calibrated()
    probability[:1000, 2] = 0.0
    assert 1.0 < fit_temperature_on_oof(y, probability / probability.sum(axis=1, keepdims=True)) < 100.0


@pytest.mark.parametrize("n_classes", [2, 10])
@pytest.mark.parametrize("name", ["logreg", "ridge", "centroid", "lda", "linear-torch"])
def test_a_head_takes_a_temperature_and_is_saved_with_it(tmp_path, name, n_classes):
    rows = n_classes > Y
    head = HEADS[name].make({}, 0).fit(X[rows][:200], Y[rows][:200])
    before = head.predict_proba(X[rows])
    cooler = with_temperature(head, 2.5)
    card = {**CARD, "class_names": [str(code) for code in range(n_classes)]}
    loaded, _ = load_model(save_model(tmp_path / "model", cooler, card))
    np.testing.assert_allclose(loaded.predict_proba(X[rows]), temper(before, 2.5), atol=1e-5)
    np.testing.assert_array_equal(head.predict_proba(X[rows]), before)
    assert not np.allclose(before, temper(before, 2.5), atol=1e-3)


def test_a_head_without_a_pipeline_takes_a_temperature():
    head = LogisticRegression(max_iter=1000).fit(X[:200] / 16, Y[:200])
    expected = temper(head.predict_proba(X / 16), 3.0)
    np.testing.assert_allclose(with_temperature(head, 3.0).predict_proba(X / 16), expected, atol=1e-6)


def test_neighbours_have_no_scores_to_divide():
    head = HEADS["knn"].make({}, 0).fit(X[:200], Y[:200])
    with pytest.raises(DataError, match="NearestImagesClassifier has no scores that a temperature could divide"):
        with_temperature(head, 2.0)


def test_a_temperature_of_zero_is_refused():
    with pytest.raises(DataError, match="temperature is 0, expected above 0"):
        with_temperature(LogisticRegression(), 0)


@pytest.mark.parametrize(
    ("y", "probability", "n_bins", "message"),
    [
        ([0, 1], np.ones(2), 5, r"probabilities \(2,\)"),
        ([0, 1, 1], np.full((2, 2), 0.5), 5, r"labels have shape \(3,\)"),
        ([], np.empty((0, 2)), 5, "expected .n_images,. of at least one"),
        ([0], [[np.nan, 0.5]], 5, "finite"),
        ([0], [[0.5, 0.5]], 0, "n_bins is 0"),
    ],
)
def test_what_cannot_be_binned_is_refused(y, probability, n_bins, message):
    with pytest.raises(DataError, match=message):
        reliability(np.asarray(y, dtype=int), probability, n_bins)
