"""Many C at once give what scikit-learn gives for each of them."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, make_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from headstart.heads import HEADS
from headstart.heads.solvers.logistic.grid import fit_logistic, solve_logreg
from headstart.heads.solvers.logistic.steps import take_steps
from headstart.heads.solvers.sums.fold_parts import part_images

STRENGTHS = (1e-3, 1e-2, 1.0, 100.0)
PIXELS, DIGITS = load_digits(return_X_y=True)
PIXELS = PIXELS.astype(np.float32)
SCORED = np.arange(len(PIXELS)) % 3 == 0


def solve(X, y, scored, grid):
    """One fold: fit on X, predict scored."""
    rows = np.arange(len(X) + len(scored))
    every = np.concatenate([X, scored])
    codes = np.concatenate([y, np.zeros(len(scored), dtype=np.intp)])
    return solve_logreg(every, codes, int(y.max()) + 1, [(rows[: len(X)], rows[len(X) :])], [grid])[0]


def fit_all(Z, y, strengths, **options):
    """All images at once: weights (n_problems, n_classes, n_features) and intercepts, of features as they are."""
    images = part_images(Z, y, int(y.max()) + 1, [np.arange(len(Z))])
    found = fit_logistic(images, np.zeros(len(strengths), dtype=np.intp), np.array(strengths), **options)
    weights, intercepts = found[..., :-1], found[..., -1]
    intercepts = intercepts - weights @ torch.from_numpy(images.sums.centre)
    return weights.transpose(0, 1).numpy(), intercepts.T.numpy()


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
    found = solve(X[~scored], y[~scored], X[scored], grid)[STRENGTHS.index(strength)]
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
    coefs, intercepts = fit_all(Z, y, STRENGTHS)
    for number, C in enumerate(STRENGTHS):
        own = LogisticRegression(C=C, max_iter=1000).fit(Z, y)
        theirs, start = own.coef_, own.intercept_
        if classes == 2:
            theirs, start = np.concatenate([-theirs, theirs]) / 2, np.concatenate([-start, start]) / 2
        assert np.linalg.norm(coefs[number] - theirs) <= 0.02 * np.linalg.norm(theirs)
        np.testing.assert_allclose(intercepts[number], start, atol=0.02 * max(1, np.abs(start).max()))


def test_with_a_small_tolerance_it_is_the_minimum():
    X, y = made(4)
    Z = StandardScaler().fit_transform(X)
    coefs, _ = fit_all(Z, y, (0.01, 0.1), tol=1e-5)
    for found, C in zip(coefs, (0.01, 0.1), strict=True):
        exact = LogisticRegression(C=C, tol=1e-9, max_iter=10_000).fit(Z.astype(np.float64), y).coef_
        np.testing.assert_allclose(found, exact, atol=1e-3 * np.abs(exact).max())


def test_what_one_c_gives_does_not_depend_on_the_others():
    X, y = made(3)
    Z = StandardScaler().fit_transform(X)
    together, _ = fit_all(Z, y, STRENGTHS)
    for number, C in enumerate(STRENGTHS):
        alone, _ = fit_all(Z, y, [C])
        np.testing.assert_allclose(together[number], alone[0], rtol=0, atol=0.01 * np.abs(alone).max())


def test_scaling_is_fitted_on_the_images_that_are_fitted_on():
    X, y = made(3)
    moved = X[:100] * 100 + 7
    plain, shifted = (solve(X[100:], y[100:], scored, [{"C": 0.1}])[0] for scored in (X[:100], moved))
    stock = HEADS["logreg"].make({"C": 0.1}, 0).fit(X[100:], y[100:])
    np.testing.assert_allclose(plain, stock.predict_proba(X[:100]), atol=2e-3)
    np.testing.assert_allclose(shifted, stock.predict_proba(moved), atol=2e-3)


def test_a_feature_that_never_varies_is_no_obstacle():
    X, y = made(3)
    X[:, 5] = 3.0
    found = solve(X[100:], y[100:], X[:100], [{"C": 1.0}])[0]
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1.0, atol=1e-12)


FOLDS = [(np.flatnonzero(np.arange(400) % 3 != fold), np.flatnonzero(np.arange(400) % 3 == fold)) for fold in range(3)]


def test_folds_together_give_what_each_gives_alone():
    X, y = made(4)
    together = solve_logreg(X, y, 4, FOLDS, [[{"C": 0.1}, {"C": 10.0}], [{"C": 1.0}], [{"C": 0.1}]])
    for (fitted, scored), found, grid in zip(FOLDS, together, ((0.1, 10.0), (1.0,), (0.1,)), strict=True):
        for probability, C in zip(found, grid, strict=True):
            stock = HEADS["logreg"].make({"C": C}, 0).fit(X[fitted], y[fitted])
            np.testing.assert_allclose(probability, stock.predict_proba(X[scored]), atol=2e-3)


def test_fits_of_too_many_weights_take_turns(monkeypatch):
    X, y = made(3)
    Z = StandardScaler().fit_transform(X)
    strengths, sizes = STRENGTHS[:3], []
    together = fit_all(Z, y, strengths)

    def take(images, scaling, *limits, **further):
        sizes.append(scaling.n_problems)
        return take_steps(images, scaling, *limits, **further)

    monkeypatch.setattr("headstart.heads.solvers.logistic.grid.take_steps", take)
    monkeypatch.setattr("headstart.heads.solvers.logistic.grid._WEIGHTS_AT_ONCE", 2 * 3 * (Z.shape[1] + 1))
    for found, expected in zip(fit_all(Z, y, strengths), together, strict=True):
        np.testing.assert_allclose(found, expected, atol=2e-3)
    assert sizes == [2, 1]


def test_a_feature_that_varies_in_the_scored_images_alone_has_no_say():
    X, y = made(3)
    X[:, 5] = 0.0
    X[FOLDS[0][1][:5], 5] = 1.3
    X[:, 6] += 1000.0
    found = solve_logreg(X, y, 3, FOLDS, [[{"C": 1.0}]] * 3)
    for (fitted, scored), (probability,) in zip(FOLDS, found, strict=True):
        stock = HEADS["logreg"].make({"C": 1.0}, 0).fit(X[fitted], y[fitted])
        np.testing.assert_allclose(probability, stock.predict_proba(X[scored]), atol=2e-3)


def test_a_class_that_a_fold_is_not_fitted_on_has_no_probability_there():
    X, y = made(3)
    y = np.where(np.isin(np.arange(400), FOLDS[0][1]), y, y % 2)  # class 2 is scored in the first fold alone
    found = solve_logreg(X, y, 3, FOLDS, [[{"C": 1.0}]] * 3)
    fitted, scored = FOLDS[0]
    stock = HEADS["logreg"].make({"C": 1.0}, 0).fit(X[fitted], y[fitted])
    np.testing.assert_array_equal(found[0][0][:, 2], 0.0)
    np.testing.assert_allclose(found[0][0][:, :2], stock.predict_proba(X[scored]), atol=2e-3)
    fitted, scored = FOLDS[1]
    stock = HEADS["logreg"].make({"C": 1.0}, 0).fit(X[fitted], y[fitted])
    np.testing.assert_allclose(found[1][0], stock.predict_proba(X[scored]), atol=2e-3)


@pytest.mark.parametrize("at_once", [1, 2**22], ids=["one by one", "at once"])
def test_too_few_steps_are_told(at_once, monkeypatch):
    monkeypatch.setattr("headstart.heads.solvers.logistic.grid._WEIGHTS_AT_ONCE", at_once)
    X, y = made(3)
    Z = StandardScaler().fit_transform(X)
    with pytest.warns(ConvergenceWarning, match="lbfgs failed to converge in 12 steps for 2 of 3 fits"):
        fit_all(Z, y, (0.001, 1.0, 10.0), max_iter=12)
