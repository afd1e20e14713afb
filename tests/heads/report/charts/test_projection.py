import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.report.charts.projection import project, uses_tsne

RNG = np.random.default_rng(0)
BLOBS = np.repeat(20 * np.eye(3, 60), 20, axis=0) + RNG.normal(size=(60, 60))


def test_clusters_stay_apart():
    points = project(BLOBS)

    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag(np.full(60, np.inf))
    assert (distances.argmin(axis=1) // 20 == np.arange(60) // 20).all()


def test_the_same_embedding_and_seed_give_the_same_points_bit_for_bit():
    np.testing.assert_array_equal(project(BLOBS, seed=3), project(BLOBS.copy(), seed=3))


def test_few_images_are_shown_by_their_principal_components():
    spread = np.array([[3.0, 0, 0, 0], [-3, 0, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0]]) + 7

    np.testing.assert_allclose(np.abs(project(spread)), [[3, 0], [3, 0], [0, 1], [0, 1]], atol=1e-12)


@pytest.mark.parametrize(
    ("n_images", "n_features", "expected"),
    [(9, 100, False), (10, 100, True), (10, 3, True), (1000, 2, False), (1, 1, False)],
)
def test_tsne_needs_ten_images_and_three_features(n_images, n_features, expected):
    assert uses_tsne(np.zeros((n_images, n_features))) is expected


@pytest.mark.parametrize("shape", [(1, 1), (1, 8), (30, 1), (9, 2), (10, 3), (11, 200)])
def test_any_shape_gives_finite_points_on_a_plane(shape):
    points = project(RNG.normal(size=shape).astype(np.float32))

    assert points.shape == (shape[0], 2)
    assert np.isfinite(points).all()


def test_one_feature_lies_on_a_line():
    assert (project(np.arange(12.0)[:, None])[:, 1] == 0).all()


def test_identical_images_fall_on_one_point():
    assert (project(np.full((40, 16), 0.5)) == 0).all()


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (4,), (2, 3, 4)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(DataError, match=r"expected \(n_images, n_features\)"):
        project(np.zeros(shape))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_with_their_row(value):
    broken = np.zeros((5, 3))
    broken[[2, 4], 1] = value

    with pytest.raises(DataError, match="2 of 5 rows hold NaN or infinity, first row 2"):
        project(broken)
