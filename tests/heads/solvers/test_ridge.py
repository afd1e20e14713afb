"""Every penalty at once against one after another."""

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.path_example import problem

from headstart.heads.estimators import ridge
from headstart.heads.estimators.ridge import make_ridge
from headstart.heads.solvers import ridge as ridge_path
from headstart.heads.solvers.ridge import solve_ridge

ALPHAS = (0.01, 1.0, 100.0, 10_000.0)
GRID = [{"alpha": alpha} for alpha in ALPHAS]
SHAPES = {"tall": (400, 20), "nearly square": (60, 50), "wide": (60, 200)}
FOLDS = [
    (np.flatnonzero(np.arange(400) // 7 % 3 != fold), np.flatnonzero(np.arange(400) // 7 % 3 == fold))
    for fold in range(3)
]


def solve(features, codes, scored, grid):
    """One fold: fit on features, predict scored."""
    rows = np.arange(len(features) + len(scored))
    every = np.concatenate([features, scored])
    classes = np.concatenate([codes, np.zeros(len(scored), dtype=np.intp)])
    folds = [(rows[: len(features)], rows[len(features) :])]
    return solve_ridge(every, classes, int(codes.max()) + 1, folds, [grid])[0]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_alpha_has_the_probabilities_of_the_stock_head(shape, n_classes):
    features, codes, scored, _ = problem(*SHAPES[shape], n_classes)
    for found, params in zip(solve(features, codes, scored, GRID), GRID, strict=True):
        np.testing.assert_allclose(found, make_ridge(params, 0).fit(features, codes).predict_proba(scored), atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_alpha_has_the_labels_of_scikit_learns_ridge_classifier(shape):
    features, codes, scored, _ = problem(*SHAPES[shape], 3)
    for found, alpha in zip(solve(features, codes, scored, GRID), ALPHAS, strict=True):
        theirs = make_pipeline(StandardScaler(), RidgeClassifier(alpha=alpha)).fit(features.astype(np.float64), codes)
        assert np.array_equal(found.argmax(axis=1), theirs.predict(scored.astype(np.float64)))


def test_small_penalties_hold_where_features_nearly_depend_on_each_other():
    features, codes, scored, noise = problem(2000, 64, 3)
    features, scored = (np.concatenate([part, 3 * part + 1], axis=1) for part in (features, scored))
    features[:, 64:] += 0.01 * noise[: len(features)]
    grid = [{"alpha": 0.0001}, {"alpha": 0.01}]
    for found, params in zip(solve(features, codes, scored, grid), grid, strict=True):
        expected = make_ridge(params, 0).fit(features, codes).predict_proba(scored)
        np.testing.assert_allclose(found, expected, atol=5e-4)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_feature_that_never_changes_is_ignored(shape):
    features, codes, scored, _ = problem(*SHAPES[shape], 3)
    with_constant = [np.insert(part, 5, 0.1, axis=1) for part in (features, scored)]
    found = solve(with_constant[0], codes, with_constant[1], GRID)
    np.testing.assert_allclose(found, solve(features, codes, scored, GRID), atol=2e-5)


def test_a_mean_far_above_the_spread_makes_no_difference():
    features, codes, scored, _ = problem(400, 20, 3)
    # In steps of 1/16, so that adding the offset rounds nothing off.
    features, scored = np.round(features * 16) / 16, np.round(scored * 16) / 16
    found = solve(features + np.float32(10_000), codes, scored + np.float32(10_000), GRID)
    np.testing.assert_allclose(found, solve(features, codes, scored, GRID), atol=1e-5)


def test_alphas_solved_a_few_at_a_time_are_in_the_order_of_the_grid(monkeypatch):
    features, codes, scored, _ = problem(100, 10, 3)
    grid = [{"alpha": alpha} for alpha in (100.0, 0.1, 10.0, 1000.0, 1.0)]
    expected = solve(features, codes, scored, grid)
    monkeypatch.setattr(ridge_path, "COLUMNS_AT_ONCE", 6)  # two alphas of three classes
    np.testing.assert_allclose(solve(features, codes, scored, grid), expected, atol=1e-6)
    np.testing.assert_allclose(solve(features, codes, scored, grid[1:2])[0], expected[1], atol=1e-6)


def test_the_default_alpha_is_the_heads():
    features, codes, scored, _ = problem(100, 10, 3)
    # Each by itself: of two in one product, some processors' kernels round the columns differently.
    default, one = (solve(features, codes, scored, [params]) for params in ({}, {"alpha": 1.0}))
    assert np.array_equal(default, one)


def test_the_features_are_left_as_they_were():
    features, codes, scored, _ = problem(100, 10, 3)
    before = features.copy(), scored.copy()
    solve(features, codes, scored, GRID)
    assert np.array_equal(before[0], features)
    assert np.array_equal(before[1], scored)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"alpha": 0.0}, ValueError, "alpha is 0.0, expected a number above 0"),
        ({"C": 1.0}, TypeError, "unexpected keyword argument 'C'"),
    ],
)
def test_what_the_head_refuses_is_refused(params, error, message):
    features, codes, scored, _ = problem(20, 5, 2)
    with pytest.raises(error, match=message):
        solve(features, codes, scored, [{"alpha": 1.0}, params])


@pytest.mark.parametrize("n_features", [20, 200, 300])
def test_folds_together_give_what_each_gives_alone(n_features):
    features, codes, _, _ = problem(400, n_features, 3)
    grids = [[{"alpha": 0.1}, {"alpha": 10.0}], [{"alpha": 1.0}], [{"alpha": 0.1}]]
    for (fitted, scored), found, grid in zip(FOLDS, solve_ridge(features, codes, 3, FOLDS, grids), grids, strict=True):
        for probability, params in zip(found, grid, strict=True):
            stock = make_ridge(params, 0).fit(features[fitted], codes[fitted])
            np.testing.assert_allclose(probability, stock.predict_proba(features[scored]), atol=2e-5)


@pytest.mark.parametrize("n_features", [20, 300])
def test_a_class_that_a_fold_is_not_fitted_on_has_no_probability_there(n_features):
    features, codes, _, _ = problem(400, n_features, 4)
    codes = np.where(np.isin(np.arange(len(codes)), FOLDS[0][1]), codes, 2 * (codes // 2))  # 1 and 3: first fold alone
    found = solve_ridge(features, codes, 4, FOLDS, [[{"alpha": 1.0}]] * 3)
    for (fitted, scored), (probability,), known in zip(FOLDS, found, ([0, 2], [0, 1, 2, 3], [0, 1, 2, 3]), strict=True):
        stock = make_ridge({"alpha": 1.0}, 0).fit(features[fitted], codes[fitted])
        assert stock.classes_.tolist() == known
        np.testing.assert_allclose(probability[:, known], stock.predict_proba(features[scored]), atol=2e-5)
        assert np.count_nonzero(probability.any(axis=0)) == len(known)


@pytest.mark.parametrize("shape", SHAPES)
def test_of_many_images_a_temperature_is_fitted_on_as_many_as_the_stock_head_takes(shape, monkeypatch):
    features, codes, scored, _ = problem(*SHAPES[shape], 3)
    of_all = solve(features, codes, scored, GRID)
    monkeypatch.setattr(ridge, "MOST_LEFT_OUT", 31)
    found = solve(features, codes, scored, GRID)
    assert np.abs(np.subtract(found, of_all)).max() > 1e-3
    for probability, params in zip(found, GRID, strict=True):
        expected = make_ridge(params, 0).fit(features, codes).predict_proba(scored)
        np.testing.assert_allclose(probability, expected, atol=2e-5)
