"""Closed forms against brute force: ridge, nearest mean, temperature."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import NearestCentroid

from headstart.heads.estimators.centroid import NearestMeanClassifier
from headstart.heads.estimators.lda import ShrunkDiscriminantClassifier
from headstart.heads.estimators.ridge import RidgeSoftmaxClassifier
from headstart.heads.estimators.softmax import fit_temperature


def problem(n_images, n_features, n_classes):
    X, y = make_blobs(n_samples=n_images, centers=n_classes, n_features=n_features, cluster_std=6.0, random_state=1)
    return X, y


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize(("n_images", "n_features"), [(60, 5), (30, 50)], ids=["tall", "wide"])
def test_ridge_has_the_weights_of_scikit_learns_ridge_classifier(n_images, n_features, n_classes):
    X, y = problem(n_images, n_features, n_classes)
    ours, theirs = RidgeSoftmaxClassifier(alpha=3.0).fit(X, y), RidgeClassifier(alpha=3.0).fit(X, y)
    expected = np.atleast_2d(theirs.coef_)  # for two classes scikit-learn keeps the second one's weights alone
    np.testing.assert_allclose(ours.coef_.T[-len(expected) :], expected, atol=1e-9)
    np.testing.assert_allclose(ours.intercept_[-len(expected) :], theirs.intercept_, atol=1e-9)


@pytest.mark.parametrize(("n_images", "n_features"), [(40, 5), (20, 30)], ids=["tall", "wide"])
def test_ridge_calibrates_on_what_refitting_without_each_image_gives(n_images, n_features, monkeypatch):
    X, y = problem(n_images, n_features, 3)
    seen = []
    monkeypatch.setattr(
        "headstart.heads.estimators.ridge.fit_temperature", lambda scores, *_: seen.append(scores) or 1.0
    )
    RidgeSoftmaxClassifier(alpha=2.0).fit(X, y)
    left_out = [
        RidgeSoftmaxClassifier(alpha=2.0).fit(np.delete(X, row, axis=0), np.delete(y, row))._scores(X[row])
        for row in range(n_images)
    ]
    np.testing.assert_allclose(seen[0], left_out, atol=1e-8)


def test_ridge_calibrates_many_images_on_some_of_all_places_and_nearly_as_well(monkeypatch):
    X, y = problem(3000, 20, 3)
    of_all = RidgeSoftmaxClassifier(alpha=2.0).fit(X, y).temperature_
    monkeypatch.setattr("headstart.heads.estimators.ridge.MOST_LEFT_OUT", 500)
    seen = []
    fit_some = fit_temperature
    monkeypatch.setattr(
        "headstart.heads.estimators.ridge.fit_temperature",
        lambda scores, codes, n: seen.append(codes) or fit_some(scores, codes, n),
    )
    assert RidgeSoftmaxClassifier(alpha=2.0).fit(X, y).temperature_ == pytest.approx(of_all, rel=0.1)
    assert len(seen[0]) == 500
    assert np.bincount(seen[0]) == pytest.approx(np.bincount(y) / 6, rel=0.2)


def test_ridge_is_not_sure_of_noise():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(100, 90)), generator.integers(2, size=100)
    model = RidgeSoftmaxClassifier(alpha=0.1).fit(X, y)
    assert model.score(X, y) == 1.0
    assert model.predict_proba(generator.normal(size=(200, 90))).max(axis=1).mean() < 0.6


def test_ridge_refuses_a_penalty_of_zero():
    with pytest.raises(ValueError, match="alpha is 0, expected a number above 0"):
        RidgeSoftmaxClassifier(alpha=0).fit(np.eye(4), [0, 0, 1, 1])


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shrinkage", [0.1, 0.9, 1.0])
@pytest.mark.parametrize(("n_images", "n_features"), [(60, 5), (30, 50)], ids=["tall", "wide"])
def test_discriminant_analysis_is_scikit_learns(n_images, n_features, shrinkage, n_classes):
    X, y = problem(n_images, n_features, n_classes)
    ours = ShrunkDiscriminantClassifier(shrinkage).fit(X, y)
    theirs = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage).fit(X, y)
    coef, intercept = ours.coef_.T, ours.intercept_
    if n_classes == 2:  # scikit-learn keeps the second class's score over the first's alone
        coef, intercept = coef[1:] - coef[:1], intercept[1:] - intercept[:1]
    np.testing.assert_allclose(coef, theirs.coef_, atol=1e-9)
    np.testing.assert_allclose(intercept, theirs.intercept_, atol=1e-8)
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-9)


def test_discriminant_analysis_of_one_image_a_class_is_the_nearer_one():
    model = ShrunkDiscriminantClassifier().fit(np.array([[0.0, 0.0], [1.0, 1.0]]), ["a", "b"])
    assert model.predict([[0.9, 0.8], [0.1, 0.3]]).tolist() == ["b", "a"]


@pytest.mark.parametrize("shrinkage", [0, 1.5])
def test_discriminant_analysis_refuses_a_shrinkage_out_of_range(shrinkage):
    with pytest.raises(ValueError, match=f"shrinkage is {shrinkage}, expected above 0 and at most 1"):
        ShrunkDiscriminantClassifier(shrinkage).fit(np.eye(4), [0, 0, 1, 1])


def test_nearest_mean_has_the_labels_of_scikit_learns_nearest_centroid():
    X, y = problem(90, 4, 3)
    assert np.array_equal(NearestMeanClassifier().fit(X, y).predict(X), NearestCentroid().fit(X, y).predict(X))


def test_nearest_mean_calibrates_on_what_refitting_without_each_image_gives(monkeypatch):
    X, y = problem(24, 4, 3)
    seen = []
    monkeypatch.setattr(
        "headstart.heads.estimators.centroid.fit_temperature", lambda scores, _: seen.append(scores) or 1.0
    )
    NearestMeanClassifier().fit(X, y)
    left_out = [
        NearestMeanClassifier().fit(np.delete(X, row, axis=0), np.delete(y, row))._scores(X[[row]])[0]
        for row in range(len(X))
    ]
    np.testing.assert_allclose(seen[0], left_out, rtol=1e-8)


def test_nearest_mean_works_with_one_image_a_class():
    model = NearestMeanClassifier().fit(np.array([[0.0, 0.0], [1.0, 1.0]]), ["a", "b"])
    assert model.predict([[0.9, 0.8]]).tolist() == ["b"]
    assert model.temperature_ == 1.0


@pytest.mark.parametrize("true_temperature", [0.2, 1.0, 30.0])
def test_the_temperature_of_well_specified_scores_is_found(true_temperature):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 3))
    codes = (np.cumsum(np.exp(log_softmax(logits, axis=1)), axis=1) < generator.random((20_000, 1))).sum(axis=1)
    assert fit_temperature(logits * true_temperature, codes) == pytest.approx(true_temperature, rel=0.05)


def test_perfect_scores_give_a_finite_temperature():
    scores, codes = np.repeat(np.eye(2), 5, axis=0), np.repeat([0, 1], 5)
    assert 0.05 < fit_temperature(scores, codes) < 1.0


@pytest.mark.parametrize("scores", [np.zeros((0, 3)), np.ones((4, 3))], ids=["none", "no spread"])
def test_scores_that_say_nothing_leave_the_temperature_at_one(scores):
    assert fit_temperature(scores, np.zeros(len(scores), dtype=np.intp)) == 1.0
