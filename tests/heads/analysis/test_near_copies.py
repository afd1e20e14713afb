"""Pairs across sides: against the whole matrix of cosines, and how they are kept few."""

import numpy as np
import pytest

from headstart.heads.analysis import near_copies as module
from headstart.heads.analysis.near_copies import find_near_copies, sides_of
from headstart.heads.errors import DataError
from headstart.heads.splits import plan_splits


def features(n_images=60, n_features=4, seed=0):
    return np.random.default_rng(seed).normal(size=(n_images, n_features)).astype(np.float32)


def by_the_whole_matrix(X, sides, threshold):
    unit = X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    cosine = unit @ unit.T
    pairs = [
        (i, j) for i in range(len(X)) for j in range(len(X)) if 0 <= sides[i] < sides[j] and cosine[i, j] >= threshold
    ]
    return sorted(pairs, key=lambda pair: -cosine[pair]), cosine


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(module, "_COLUMNS_AT_ONCE", 11)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_pair_across_sides_is_found_block_by_block(small_blocks, dtype):
    X, sides = features().astype(dtype), np.arange(60) % 4 - 1
    expected, cosine = by_the_whole_matrix(X, sides, 0.8)
    found = find_near_copies(X, sides, threshold=0.8)
    assert len(expected) > 20
    assert [tuple(pair) for pair in found.rows.tolist()] == expected
    np.testing.assert_allclose(found.cosine, [cosine[pair] for pair in expected], atol=1e-6)


def test_only_the_nearest_are_kept_and_all_are_counted(small_blocks):
    X, sides = features(), np.arange(60) % 2
    expected, _ = by_the_whole_matrix(X, sides, 0.5)
    found = find_near_copies(X, sides, threshold=0.5, most=5)
    assert [tuple(pair) for pair in found.rows.tolist()] == expected[:5]
    assert found.n_found == len(expected)


def test_of_equal_pairs_the_first_rows_come_first(small_blocks):
    found = find_near_copies(np.ones((40, 3), dtype=np.float32), np.arange(40) // 20, most=3)
    assert found.rows.tolist() == [[0, 20], [0, 21], [0, 22]]
    assert found.n_found == 400


def test_copies_on_one_side_are_no_pair():
    assert find_near_copies(np.ones((4, 3)), np.zeros(4, dtype=int)).n_found == 0


def test_a_scaled_copy_has_cosine_one_and_a_row_of_zeros_is_like_no_other():
    X = np.array([[1.0, 2.0], [1000.0, 2000.0], [0.0, 0.0], [0.0, 0.0]])
    found = find_near_copies(X, np.array([0, 1, 0, 1]))
    assert (found.rows.tolist(), found.n_found) == ([[0, 1]], 1)
    assert found.cosine[0] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("split", "expected"),
    [
        (["train"] * 4 + ["val"] * 2 + ["test"] * 2, [0, 0, 0, 0, 1, 1, 2, 2]),
        (["train"] * 6 + ["test"] * 2, [0, 0, 0, 0, 0, 0, 2, 2]),
    ],
    ids=["val chooses", "folds choose"],
)
def test_sides_are_those_of_the_plan(split, expected):
    plan = plan_splits(np.arange(8) % 2, split=split, folds=2)
    assert sides_of(plan, 8).tolist() == expected


def test_images_that_the_plan_drops_are_on_no_side():
    split = ["train"] * 4 + ["val"] * 2 + ["test"] * 2
    plan = plan_splits(np.arange(8) % 2, split=split, groups=[0, 1, 2, 3, 4, 5, 0, 6])
    assert sides_of(plan, 8).tolist() == [-1, 0, 0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("X", "sides", "options", "message"),
    [
        (np.ones(3), np.zeros(3, dtype=int), {}, r"features have shape \(3,\)"),
        (np.ones((3, 2)), np.zeros(2, dtype=int), {}, r"sides shape \(2,\)"),
        (np.ones((3, 2)), np.zeros(3), {}, "dtype float64; expected"),
        (np.ones((3, 2)), np.zeros(3, dtype=int), {"threshold": 0.0}, "threshold is 0.0"),
        (np.ones((3, 2)), np.zeros(3, dtype=int), {"most": 0}, "most 0"),
    ],
)
def test_what_cannot_be_compared_is_refused(X, sides, options, message):
    with pytest.raises(DataError, match=message):
        find_near_copies(X, sides, **options)


def test_rows_that_are_not_finite_are_named():
    X = features()
    X[[3, 9], 1] = np.nan
    with pytest.raises(DataError, match=r"2 of 60 rows hold NaN or infinite values \(first row: 3\)") as caught:
        find_near_copies(X, np.arange(60) % 2)
    assert caught.value.rows == (3, 9)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_of_a_whole_set_every_pair_is_found_once(monkeypatch, dtype) -> None:
    monkeypatch.setattr(module, "_ROWS_AT_ONCE", 7)
    monkeypatch.setattr(module, "_COLUMNS_AT_ONCE", 10)
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(dtype)
    found = module.find_alike(X, threshold=0.9, most=1000)
    unit = X.astype(float) / np.linalg.norm(X.astype(float), axis=1, keepdims=True)
    expected = np.argwhere(np.triu(unit @ unit.T >= 0.9, k=1))
    assert sorted(map(tuple, found.rows)) == sorted(map(tuple, expected))
    assert found.n_found == len(expected)
    assert (np.diff(found.cosine) <= 0).all()
    assert len(module.find_alike(X, threshold=0.9, most=4).rows) == 4
