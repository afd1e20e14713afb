"""Quick scores are those of fits without each image's group, made one by one."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsClassifier

from headstart.heads.errors import DataError
from headstart.heads.transfer import quick_scores
from headstart.heads.transfer.quick import PENALTIES, neighbours_of, ridge_without_own_group
from headstart.heads.transfer.spectrum import decompose

RNG = np.random.default_rng(0)
Y = np.repeat(np.arange(3), 15)
X = (RNG.normal(size=(45, 8)) + 1.2 * RNG.normal(size=(3, 8))[Y]).astype(np.float32)
GROUPS = np.arange(45)
GROUPS[[3, 4, 20]] = 3, 3, 3
GROUPS[40:44] = 40


def without_own(one: int) -> np.ndarray:
    return np.not_equal(GROUPS, GROUPS[one])


def test_ridge_says_of_each_image_what_a_fit_without_its_group_says() -> None:
    targets = np.eye(3)[Y]
    spectrum = decompose(X, centred=True)
    found = ridge_without_own_group(spectrum, targets, GROUPS)
    for penalty, predicted in zip(PENALTIES, found, strict=True):
        alpha = penalty * spectrum.squares.mean()
        for one in (0, 3, 20, 41, 44):
            fitted = Ridge(alpha=alpha).fit(X[without_own(one)] - X.mean(axis=0), targets[without_own(one)])
            close = fitted.predict((X - X.mean(axis=0))[[one]])[0]
            # alone, a fit has an intercept of its own rows, which the projection of all rows has, too
            np.testing.assert_allclose(predicted[one], close, atol=1e-5)


def test_neighbours_are_the_nearest_by_cosine_of_other_groups() -> None:
    near = neighbours_of(X, GROUPS, 4)
    for one in (0, 4, 42):
        others = np.flatnonzero(without_own(one))
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        assert near[one].tolist() == others[np.argsort(-(unit[others] @ unit[one]), kind="stable")[:4]].tolist()


def test_the_share_that_one_neighbour_tells_is_that_of_sklearn() -> None:
    alone = np.arange(45)
    right = [
        KNeighborsClassifier(1, metric="cosine").fit(X[alone != one], Y[alone != one]).predict(X[[one]])[0] == Y[one]
        for one in alone
    ]
    found = quick_scores(X, Y, alone, 3)
    assert found.knn >= np.mean(right)
    assert found.neighbours in (1, 5, 20)
    assert found.score == max(found.knn, found.ridge)
    assert found.right.mean() == pytest.approx(found.score)


def test_copies_in_one_group_do_not_tell_each_other() -> None:
    rng = np.random.default_rng(2)
    noise = np.repeat(rng.normal(size=(60, 30)), 2, axis=0)
    y = np.repeat(rng.integers(0, 2, 60), 2)
    apart = quick_scores(noise, y, np.arange(120), 2)
    together = quick_scores(noise, y, np.repeat(np.arange(60), 2), 2)
    assert apart.knn == 1.0
    assert max(together.knn, together.ridge) < 0.75


def test_numbers_have_r_squared_and_no_h_score() -> None:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(200, 5))
    y = X @ rng.normal(size=5) + 0.1 * rng.normal(size=200)
    found = quick_scores(X, y, np.arange(200), 0)
    assert found.ridge > 0.95
    assert 0.3 < found.knn < 1
    assert found.h_score is None


def test_one_group_is_refused_and_a_group_of_most_images_leaves_few_neighbours() -> None:
    with pytest.raises(DataError, match="at least two groups, found one"):
        quick_scores(X, Y, np.zeros(45, int), 3)
    near = neighbours_of(X, np.minimum(np.arange(45), 2), 20)
    assert (near[10] >= 0).sum() == 2
