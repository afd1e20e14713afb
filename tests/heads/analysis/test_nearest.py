"""Exact nearest rows, held against the whole product, and float16 that becomes float32."""

import numpy as np
import pytest

from headstart.heads.analysis import nearest as module
from headstart.heads.analysis.nearest import as_float32, find_nearest
from headstart.heads.errors import DataError


class OnlySlices:
    """Rows as a cache on disk gives them: a few at a time, and never as a whole."""

    def __init__(self, rows):
        self._rows, self.shape = rows, rows.shape

    def __getitem__(self, some):
        assert isinstance(some, slice)
        return self._rows[some]


def plain(rows, queries, k):
    """Return the nearest rows by one float64 product."""
    unit = [X.astype(float) / np.linalg.norm(X.astype(float), axis=1, keepdims=True) for X in (rows, queries)]
    cosine = unit[1] @ unit[0].T
    first = np.argsort(-cosine, axis=1, kind="stable")[:, :k]
    return first, np.take_along_axis(cosine, first, axis=1)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_BYTES", 4 * 16 * 37)
    monkeypatch.setattr(module, "_QUERIES_AT_ONCE", 5)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_nearest_are_those_of_the_whole_product(dtype, threads):
    rng = np.random.default_rng(0)
    rows, queries = rng.normal(size=(5000, 16)).astype(dtype), rng.normal(size=(12, 16))
    found = find_nearest(OnlySlices(rows), queries, 10, threads=threads)
    expected, cosine = plain(rows, queries, 10)
    assert np.array_equal(found.rows, expected)
    assert np.allclose(found.cosine, cosine, atol=1e-6)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("threads", [1, 4])
def test_of_equal_rows_the_lower_come_first_whatever_the_threads(threads):
    rows = np.tile(np.eye(16, dtype=np.float32), (300, 1))
    found = find_nearest(rows, np.eye(16)[:3], 5, threads=threads)
    assert found.rows.tolist() == [[one + 16 * step for step in range(5)] for one in range(3)]
    assert (found.cosine == 1).all()


def test_a_query_that_is_a_row_is_not_its_own_answer_but_its_copy_is():
    rows = np.random.default_rng(0).normal(size=(50, 4))
    rows[30] = rows[7]
    found = find_nearest(rows, rows[[7, 9]], 3, leave_out=[7, -1])
    assert found.rows[0, 0] == 30
    assert 7 not in found.rows[0]
    assert found.rows[1, 0] == 9


def test_where_there_are_fewer_rows_than_asked_for_the_rest_is_empty():
    found = find_nearest(np.eye(3), np.eye(3)[:1], 5, leave_out=[0])
    assert found.rows.tolist() == [[1, 2, -1, -1, -1]]
    assert np.isneginf(found.cosine[0, 2:]).all()


def test_a_row_of_zeros_is_like_nothing():
    found = find_nearest(np.array([[0.0, 0.0], [1.0, 1.0], [-1.0, 0.0]]), [[1.0, 0.0]], 3)
    assert found.rows.tolist() == [[1, 0, 2]]
    assert found.cosine[0] == pytest.approx([np.sqrt(0.5), 0, -1])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused_and_their_row_named(dtype, value):
    rows = np.ones((600, 4), dtype)
    rows[567, 2] = value
    with pytest.raises(DataError, match=r"first row: 567\); extract these images again") as refused:
        find_nearest(rows, np.ones((1, 4)), 1)
    assert refused.value.rows == (567,)


def test_long_rows_are_no_infinite_ones():
    assert find_nearest(np.full((3, 64), 6e4, np.float16), np.ones((1, 64)), 1).cosine[0, 0] == pytest.approx(1)
    assert find_nearest(np.full((3, 64), 1e30, np.float32), np.ones((1, 64)), 1).cosine[0, 0] == pytest.approx(1)


@pytest.mark.parametrize(("queries", "k"), [(np.ones((1, 3)), 1), (np.ones(4), 1), (np.ones((1, 4)), 0)])
def test_what_does_not_fit_is_refused(queries, k):
    with pytest.raises(DataError):
        find_nearest(np.ones((5, 4)), queries, k)


def test_every_finite_float16_becomes_the_same_float32():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = every[np.isfinite(every)][None]
    assert np.array_equal(as_float32(finite), finite.astype(np.float32))
    assert np.array_equal(np.signbit(as_float32(finite)), np.signbit(finite))
    assert (np.abs(as_float32(every[~np.isfinite(every)][None])) >= 65536).all()
