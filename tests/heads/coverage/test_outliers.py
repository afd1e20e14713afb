"""Distances to the images of a fit: by the definitions, for few and many images, with the false alarms as stated."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from headstart.heads.coverage import outliers
from headstart.heads.coverage.conformal import quantile_of
from headstart.heads.coverage.outliers import OUTLIER_METHODS, fit_outliers
from headstart.heads.errors import DataError


def drawn(n_images, n_features=12, seed=0, shift=0.0):
    """Return features of three classes with a spread that is not the same in all directions, and the classes."""
    generator = np.random.default_rng(seed)
    y = generator.integers(0, 3, n_images)
    centres = 4 * np.random.default_rng(99).normal(size=(3, n_features))
    spread = np.linspace(0.1, 3.0, n_features)
    X = centres[y] + spread * generator.normal(size=(n_images, n_features)) + shift
    return X.astype(np.float32), y


@pytest.mark.parametrize("n_images", [200, 9], ids=["more images than features", "fewer"])
def test_mahalanobis_is_the_distance_to_the_nearest_mean_by_the_shrunk_covariance(n_images):
    X, y = drawn(n_images)
    new, _ = drawn(30, seed=1)
    units, asked = normalize(X.astype(float)), normalize(new.astype(float))
    present, codes = np.unique(y, return_inverse=True)
    means = np.stack([units[y == code].mean(axis=0) for code in present])
    centred = units - means[codes]
    covariance, shrinkage = centred.T @ centred / n_images, ledoit_wolf_shrinkage(centred, assume_centered=True)
    shrunk = (1 - shrinkage) * covariance + shrinkage * np.trace(covariance) / 12 * np.eye(12)
    apart = asked[:, None] - means
    expected = np.sqrt(np.einsum("ncf,fg,ncg->nc", apart, np.linalg.inv(shrunk), apart).min(axis=1))
    np.testing.assert_allclose(fit_outliers(X, y).distance(new), expected, rtol=1e-4)


def test_knn_is_the_distance_to_the_tenth_nearest():
    X, y = drawn(100)
    new, _ = drawn(20, seed=1)
    expected = NearestNeighbors(n_neighbors=10).fit(normalize(X)).kneighbors(normalize(new))[0][:, -1]
    np.testing.assert_allclose(fit_outliers(X, y, method="knn").distance(new), expected, rtol=1e-4)
    assert fit_outliers(X[:4], y[:4], method="knn").distance(new).shape == (20,)


@pytest.mark.parametrize("method", OUTLIER_METHODS)
def test_distances_do_not_depend_on_brightness_or_on_what_else_is_asked(method):
    X, y = drawn(100)
    score = fit_outliers(X, y, method=method)
    np.testing.assert_allclose(score.distance(3 * X), score.distance(X), rtol=1e-5)
    np.testing.assert_allclose(score.distance(X[5:6]), score.distance(X)[5:6], rtol=1e-9)


@pytest.mark.parametrize("method", OUTLIER_METHODS)
def test_images_of_elsewhere_are_farther_and_the_false_alarms_are_those_stated(method):
    false_alarms = []
    for seed in range(200):
        X, y = drawn(160, seed=seed)
        score = fit_outliers(X[:80], y[:80], method=method)
        distance = score.distance(X[80:])
        threshold = quantile_of(distance[:40], 0.9)
        false_alarms.append((distance[40:] > threshold).mean())
    expected = 1 - 37 / 41  # the 37th of 40 bounds the 41st
    assert np.mean(false_alarms) == pytest.approx(expected, abs=4 * np.sqrt(expected * 0.9 * (1 / 41 + 1 / 40) / 200))
    foreign = score.distance(drawn(80, seed=0, shift=9.0)[0])
    assert roc_auc_score(np.repeat([0, 1], 80), np.concatenate([distance, foreign])) > 0.9


@pytest.mark.parametrize("method", OUTLIER_METHODS)
def test_of_very_many_images_a_draw_is_kept(method, monkeypatch):
    monkeypatch.setattr(outliers, "MOST_NUMBERS", 600)
    X, y = drawn(400)
    score = fit_outliers(X, y, method=method, seed=3)
    assert sum(rows.size for rows in score.arrays.values()) <= 600 + 3 * 12
    np.testing.assert_array_equal(score.distance(X), fit_outliers(X, y, method=method, seed=3).distance(X))
    assert (score.distance(X) != fit_outliers(X, y, method=method, seed=4).distance(X)).any()


@pytest.mark.parametrize("method", OUTLIER_METHODS)
def test_copies_of_one_image_and_empty_rows_have_finite_distances(method):
    X, y = np.tile(np.float32([1, 2, 3]), (20, 1)), np.repeat([0, 1], 10)
    score = fit_outliers(X, y, method=method)
    assert np.isfinite(score.distance(np.float32([[1, 2, 3], [0, 0, 0], [-1, 0, 0]]))).all()
    assert score.distance(np.empty((0, 3), np.float32)).shape == (0,)


def test_what_cannot_be_measured_is_refused():
    X, y = drawn(20)
    with pytest.raises(DataError, match="the method 'far'; give some, and one of mahalanobis, knn"):
        fit_outliers(X, y, method="far")
    with pytest.raises(DataError, match="features have 5 columns, expected 12"):
        fit_outliers(X, y).distance(X[:, :5])
