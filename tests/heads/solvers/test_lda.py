"""Every shrinkage at once against one after another."""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.path_example import problem

from headstart.heads.estimators.lda import make_lda
from headstart.heads.solvers.lda import solve_lda

SHRINKAGES = (0.01, 0.5, 0.99, 1.0)
GRID = [{"shrinkage": shrinkage} for shrinkage in SHRINKAGES]
SHAPES = {"tall": (400, 20), "nearly square": (60, 50), "wide": (60, 200)}


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_shrinkage_has_the_probabilities_of_the_stock_head(shape, n_classes):
    features, codes, scored, _ = problem(*SHAPES[shape], n_classes)
    for found, params in zip(solve_lda(features, codes, scored, GRID, 0), GRID, strict=True):
        np.testing.assert_allclose(found, make_lda(params, 0).fit(features, codes).predict_proba(scored), atol=2e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shrinkage_has_the_probabilities_of_scikit_learns_discriminant_analysis(shape):
    features, codes, scored, _ = problem(*SHAPES[shape], 3)
    codes = np.where(np.arange(len(codes)) % 5 == 0, 0, codes)  # classes of unlike size: their priors differ
    for found, shrinkage in zip(solve_lda(features, codes, scored, GRID, 0), SHRINKAGES, strict=True):
        theirs = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=shrinkage))
        expected = theirs.fit(features.astype(np.float64), codes).predict_proba(scored.astype(np.float64))
        np.testing.assert_allclose(found, expected, atol=2e-5)


def test_one_image_a_class_is_the_nearer_one():
    features, codes = np.array([[0, 0], [1, 1]], dtype=np.float32), np.array([0, 1])
    scored = np.array([[0.9, 0.8], [0.1, 0.3]], dtype=np.float32)
    (found,) = solve_lda(features, codes, scored, GRID[:1], 0)
    assert found.argmax(axis=1).tolist() == [1, 0]
    np.testing.assert_allclose(found, make_lda(GRID[0], 0).fit(features, codes).predict_proba(scored), atol=1e-6)


def test_more_images_than_a_block_are_all_counted():
    features, codes, scored, _ = problem(2500, 8, 3)
    (found,) = solve_lda(features, codes, scored, GRID[1:2], 0)
    np.testing.assert_allclose(found, make_lda(GRID[1], 0).fit(features, codes).predict_proba(scored), atol=1e-6)


def test_the_features_are_left_as_they_were():
    features, codes, scored, _ = problem(100, 10, 3)
    before = features.copy(), scored.copy()
    solve_lda(features, codes, scored, GRID, 0)
    assert np.array_equal(before[0], features)
    assert np.array_equal(before[1], scored)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"shrinkage": 0.0}, ValueError, "shrinkage is 0.0, expected above 0 and at most 1"),
        ({"shrinkage": 1.5}, ValueError, "shrinkage is 1.5, expected above 0 and at most 1"),
        ({"alpha": 1.0}, TypeError, "unexpected keyword argument 'alpha'"),
    ],
)
def test_what_the_head_refuses_is_refused(params, error, message):
    features, codes, scored, _ = problem(20, 5, 2)
    with pytest.raises(error, match=message):
        solve_lda(features, codes, scored, [{"shrinkage": 0.5}, params], 0)
