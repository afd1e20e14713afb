"""LogME is the evidence of scikit-learn's Bayesian ridge, also where images are fewer than columns."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import BayesianRidge

from headstart.heads.transfer import log_evidence
from headstart.heads.transfer.spectrum import decompose


def of_sklearn(X: np.ndarray, targets: np.ndarray) -> float:
    flat = {"alpha_1": 0, "alpha_2": 0, "lambda_1": 0, "lambda_2": 0}
    model = BayesianRidge(fit_intercept=False, compute_score=True, tol=1e-10, max_iter=1000, **flat)
    return float(np.mean([model.fit(X, y).scores_[-1] for y in targets.T]) / len(X))


def test_it_has_the_value_that_is_known_of_the_digits() -> None:
    X, y = load_digits(return_X_y=True)
    assert log_evidence(X / 16, np.eye(10)[y]) == pytest.approx(0.2702776, abs=5e-8)


@pytest.mark.parametrize(("n", "d"), [(200, 20), (30, 100), (50, 50)])
def test_it_is_that_of_bayesian_ridge_also_of_few_images(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    X, y = rng.normal(size=(n, d)), rng.integers(0, 3, n)
    noisy = X[:, :3] + rng.normal(size=(n, 3))
    for targets in (np.eye(3)[y], noisy):
        assert log_evidence(X, targets) == pytest.approx(of_sklearn(X, targets), abs=1e-6)


def test_columns_that_say_nothing_cost_nothing_but_their_own() -> None:
    X, y = load_digits(return_X_y=True)
    with_constant = np.hstack([X / 16, np.zeros((len(X), 5))])
    assert log_evidence(with_constant, np.eye(10)[y]) == pytest.approx(log_evidence(X / 16, np.eye(10)[y]), abs=1e-9)


def test_what_features_tell_exactly_has_an_evidence_that_is_finite_and_higher_than_with_noise() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 10))
    exact = X @ rng.normal(size=(10, 1))
    spectrum = decompose(X, centred=True)
    exactly = log_evidence(spectrum, exact - exact.mean())
    assert np.isfinite(exactly)
    noisy = exact + rng.normal(size=exact.shape)
    assert exactly > log_evidence(spectrum, noisy - noisy.mean()) + 1


def test_an_intercept_takes_one_image_of_the_count() -> None:
    """Of fewer images than columns, centred labels lie in the features: they must not look as told exactly."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(40, 200)), rng.integers(0, 2, 40)
    targets = np.eye(2)[y] - np.eye(2)[y].mean(axis=0)
    noise = log_evidence(decompose(X, centred=True), targets)
    X[:, 0] = 20 * targets[:, 0]
    assert np.isfinite(noise)
    assert log_evidence(decompose(X, centred=True), targets) > noise
