"""The regularised H-score is its formula, and noise with many columns does not look as if it told every class."""

import numpy as np
import pytest
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_digits

from headstart.heads.transfer import h_score
from headstart.heads.transfer.separation import shrinkage
from headstart.heads.transfer.spectrum import decompose


def by_formula(X: np.ndarray, y: np.ndarray) -> float:
    centred = X - X.mean(axis=0)
    covariance, share = ledoit_wolf(centred, assume_centered=True)
    means = np.array([centred[y == one].mean(axis=0) for one in y])
    return float((1 - share) * np.trace(np.linalg.solve(covariance, np.cov(means.T, ddof=0))))


@pytest.mark.parametrize(("n", "d"), [(300, 20), (40, 100)])
def test_it_is_its_formula_with_the_shrinkage_of_sklearn(n: int, d: int) -> None:
    rng = np.random.default_rng(d)
    y = rng.integers(0, 3, n)
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 3, d) + rng.normal(size=(3, d))[y]
    spectrum = decompose(X, centred=True)
    assert shrinkage(spectrum) == pytest.approx((ledoit_wolf(X)[1], X.var(axis=0).mean()))
    assert h_score(X, y) == h_score(spectrum, y) == pytest.approx(by_formula(X, y))


def test_of_the_digits_it_lies_under_the_plain_one_by_what_is_shrunk() -> None:
    X, y = load_digits(return_X_y=True)
    assert h_score(X, y) == pytest.approx(by_formula(X, y))
    assert 0.98 * 5.917909 < h_score(X, y) < 5.917909  # the plain one's value


def test_noise_with_more_columns_than_images_scores_far_under_the_number_of_classes() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 60)
    assert h_score(rng.normal(size=(60, 500)), y) < 1  # the plain one gives 4, the number of classes less one
