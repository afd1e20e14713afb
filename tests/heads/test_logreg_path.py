"""Many C at once give what scikit-learn gives for each of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from heads import HEADS
from heads.logreg_path import fit_logistic, solve_logreg

STRENGTHS = (1e-3, 1e-2, 1.0, 100.0)
PIXELS, DIGITS = load_digits(return_X_y=True)
PIXELS = PIXELS.astype(np.float32)
SCORED = np.arange(len(PIXELS)) % 3 == 0


def made(n_classes, n_images=400, n_features=60):
    X, y = make_classification(
        n_images, n_features, n_informative=20, n_classes=n_classes, n_clusters_per_class=1, random_state=n_classes
    )
    return X.astype(np.float32), y


@pytest.mark.parametrize("classes", [10, 3, 2])
@pytest.mark.parametrize("strength", STRENGTHS)
def test_probabilities_are_those_of_the_stock_head(classes, strength):
    rows = classes > DIGITS
    X, y, scored = PIXELS[rows], DIGITS[rows], SCORED[rows]
    grid = [{"C": C} for C in STRENGTHS]
    found = solve_logreg(X[~scored], y[~scored], X[scored], grid, 0)[STRENGTHS.index(strength)]
    stock = HEADS["logreg"].make({"C": strength}, 0).fit(X[~scored], y[~scored])
    expected = stock.predict_proba(X[scored])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected, atol=2e-3)
    right = y[scored]
    assert abs((found.argmax(axis=1) == right).mean() - (stock.predict(X[scored]) == right).mean()) <= 0.002


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("n_images", [400, 40], ids=["more images", "more features"])
def test_coefficients_are_those_of_scikit_learn(classes, n_images):
    X, y = made(classes, n_images)
    Z = StandardScaler().fit_transform(X)
    coefs, intercepts = fit_logistic(torch.from_numpy(Z), torch.from_numpy(y), np.array(STRENGTHS))
    for number, C in enumerate(STRENGTHS):
        own = LogisticRegression(C=C, max_iter=1000).fit(Z, y)
        theirs, start = own.coef_, own.intercept_
        if classes == 2:
            theirs, start = np.concatenate([-theirs, theirs]) / 2, np.concatenate([-start, start]) / 2
        assert np.linalg.norm(coefs[number].numpy() - theirs) <= 0.02 * np.linalg.norm(theirs)
        np.testing.assert_allclose(intercepts[number].numpy(), start, atol=0.02 * max(1, np.abs(start).max()))


def test_with_a_small_tolerance_it_is_the_minimum():
    X, y = made(4)
    Z = StandardScaler().fit_transform(X)
    coefs, _ = fit_logistic(torch.from_numpy(Z), torch.from_numpy(y), np.array([0.01, 0.1]), tol=1e-5)
    for found, C in zip(coefs.numpy(), (0.01, 0.1), strict=True):
        exact = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(Z.astype(np.float64), y).coef_
        np.testing.assert_allclose(found, exact, atol=1e-3 * np.abs(exact).max())


def test_what_one_c_gives_does_not_depend_on_the_others():
    X, y = made(3)
    Z, codes = torch.from_numpy(StandardScaler().fit_transform(X)), torch.from_numpy(y)
    together, _ = fit_logistic(Z, codes, np.array(STRENGTHS))
    for number, C in enumerate(STRENGTHS):
        alone, _ = fit_logistic(Z, codes, np.array([C]))
        np.testing.assert_allclose(together[number], alone[0], rtol=0, atol=0.01 * float(alone.abs().max()))


def test_scaling_is_fitted_on_the_images_that_are_fitted_on():
    X, y = made(3)
    moved = X[:100] * 100 + 7
    plain, shifted = (solve_logreg(X[100:], y[100:], scored, [{"C": 0.1}], 0)[0] for scored in (X[:100], moved))
    stock = HEADS["logreg"].make({"C": 0.1}, 0).fit(X[100:], y[100:])
    np.testing.assert_allclose(plain, stock.predict_proba(X[:100]), atol=2e-3)
    np.testing.assert_allclose(shifted, stock.predict_proba(moved), atol=2e-3)


def test_a_feature_that_never_varies_is_no_obstacle():
    X, y = made(3)
    X[:, 5] = 3.0
    found = solve_logreg(X[100:], y[100:], X[:100], [{"C": 1.0}], 0)[0]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


def test_too_few_steps_are_told():
    X, y = made(3)
    Z = torch.from_numpy(StandardScaler().fit_transform(X))
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge in 12 steps for 2 of 3 values of C"):
        fit_logistic(Z, torch.from_numpy(y), np.array([0.001, 1.0, 10.0]), max_iter=12)
