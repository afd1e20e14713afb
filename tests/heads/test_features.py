import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix, widen


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_features_become_contiguous_float32_of_the_same_values(dtype):
    X = np.arange(12).reshape(3, 4).astype(dtype)
    cast = feature_matrix(np.asfortranarray(X), 3)
    assert cast.dtype == np.float32
    assert cast.flags.c_contiguous
    assert np.array_equal(cast, X)


def test_a_float32_matrix_is_not_copied():
    X = np.ones((3, 4), dtype=np.float32)
    assert np.shares_memory(feature_matrix(X, 3), X)


def test_anything_that_numpy_turns_into_an_array_is_accepted():
    class View:
        def __array__(self, dtype=None, copy=None):
            return np.full((2, 3), 7, dtype=np.float16)

    assert feature_matrix(View(), 2).tolist() == [[7.0] * 3] * 2


def test_rows_that_are_not_finite_are_counted_and_named():
    X = np.zeros((10, 3))
    X[[2, 5], 1] = np.nan
    X[7, 0] = np.inf
    with pytest.raises(DataError, match=r"vit/pool: 3 of 10 rows .*first rows: 2, 5, 7") as caught:
        feature_matrix(X, 10, "vit/pool")
    assert caught.value.rows == (2, 5, 7)


def test_values_too_large_for_float32_are_not_finite():
    with pytest.raises(DataError) as caught:
        feature_matrix(np.array([[0.0], [1e300]]), 2)
    assert caught.value.rows == (1,)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.zeros((4, 2, 3)), r"shape \(4, 2, 3\), expected \(n_images, n_features\).*pooling"),
        (np.zeros(4), r"shape \(4,\)"),
        (np.zeros((3, 2)), "expected one row for each of the 4 labels"),
        (np.zeros((4, 0)), "at least one column"),
        (np.array([["a"]] * 4), "expected real numbers"),
    ],
)
def test_what_is_no_feature_matrix_is_refused(features, message):
    with pytest.raises(DataError, match=message):
        feature_matrix(features, 4)


def test_every_half_is_widened_exactly():
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16).reshape(256, 256)
    rows = np.random.default_rng(0).permutation(256)  # blocks with and without numbers that are not finite
    for some in (halves, halves[rows], halves[np.isfinite(halves).all(axis=1)], halves[:0], halves[::3, ::5]):
        found, expected = widen(some), some.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(found.view(np.uint32)[known], expected.view(np.uint32)[known])
