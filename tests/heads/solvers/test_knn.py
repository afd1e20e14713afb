"""One search for every k against one search each; and what the head says of copies and of metrics."""

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer
from support.path_example import problem

from headstart.heads import DataError
from headstart.heads.estimators.neighbors import make_knn
from headstart.heads.solvers import knn as knn_path
from headstart.heads.solvers.knn import find_nearest, solve_knn

KS = (1, 2, 5, 20)
GRID = [{"n_neighbors": k, "metric": metric} for k in KS for metric in ("cosine", "euclidean")]


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("shape", [(400, 20), (60, 200), (12, 6)], ids=["tall", "wide", "fewer than k"])
def test_every_k_has_the_probabilities_of_the_stock_head(shape, n_classes):
    features, codes, scored, _ = problem(*shape, n_classes)
    for found, params in zip(solve_knn(features, codes, scored, GRID, 0), GRID, strict=True):
        np.testing.assert_allclose(found, make_knn(params, 0).fit(features, codes).predict_proba(scored), atol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_every_k_has_the_probabilities_of_scikit_learns_neighbours(metric):
    features, codes, scored, _ = problem(400, 20, 3)
    found = solve_knn(features, codes, scored, [{"n_neighbors": k, "metric": metric} for k in KS], 0)
    for shares, k in zip(found, KS, strict=True):
        steps = [Normalizer()] if metric == "cosine" else []
        theirs = make_pipeline(*steps, KNeighborsClassifier(k, weights="distance")).fit(features, codes)
        np.testing.assert_allclose(shares, theirs.predict_proba(scored), atol=1e-5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_copies_alone_vote_in_the_path_and_in_the_head(metric):
    generator = np.random.default_rng(0)
    features, codes = generator.normal(size=(300, 64)).astype(np.float32), np.tile([0, 1, 2], 100)
    features[50:52] = features[10]  # of classes 2 and 0, and 1
    features[80] = features[10] * (3 if metric == "cosine" else 1)  # of class 2
    params, scored = {"n_neighbors": 9, "metric": metric}, features[[10]]
    expected = [[0.25, 0.25, 0.5]]
    np.testing.assert_array_equal(solve_knn(features, codes, scored, [params], 0)[0], expected)
    np.testing.assert_array_equal(make_knn(params, 0).fit(features, codes).predict_proba(scored), expected)


def test_a_distance_of_a_thousandth_is_no_copy():
    features, codes = np.random.default_rng(0).normal(size=(50, 64)).astype(np.float32), np.arange(50).clip(max=1)
    scored = features[[0]] * np.float32(1.001)
    params = {"n_neighbors": 2, "metric": "euclidean"}  # the image itself, alone of its class, and another
    (found,) = solve_knn(features, codes, scored, [params], 0)
    np.testing.assert_allclose(found, make_knn(params, 0).fit(features, codes).predict_proba(scored), rtol=1e-4)
    assert 0.0 < found.min() < 0.01


def test_near_copies_that_float32_products_cannot_tell_apart_are_told_apart():
    generator = np.random.default_rng(0)
    place = 100 * generator.normal(size=(1, 32))
    # A crowd, 14 000 times as far from 0 as from each other: the squared distances of products are off by more than 1.
    features = (place + 0.01 * generator.normal(size=(400, 32))).astype(np.float32)
    scored = (place + 0.01 * generator.normal(size=(30, 32))).astype(np.float32)
    distances, rows = find_nearest(features, scored, 3)
    exact = np.linalg.norm(features[None].astype(np.float64) - scored[:, None], axis=2)
    assert np.array_equal(rows, np.argsort(exact, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :3], rtol=1e-6)


def test_of_equally_near_images_the_first_are_taken():
    features = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]] * 20, dtype=np.float32)
    _, rows = find_nearest(features[:8], np.zeros((1, 2), dtype=np.float32), 3)
    assert rows.tolist() == [[0, 1, 2]]


def test_blocks_do_not_change_what_is_found(monkeypatch):
    features, _, scored, _ = problem(400, 20, 3)
    expected = find_nearest(features, scored, 5)
    monkeypatch.setattr(knn_path, "DISTANCES_AT_ONCE", 7 * 400)
    monkeypatch.setattr(knn_path, "DIFFERENCES_AT_ONCE", 3 * 21 * 20)
    found = find_nearest(features, scored, 5)
    assert np.array_equal(found[1], expected[1])
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6)


def test_each_metric_is_searched_once(monkeypatch):
    features, codes, scored, _ = problem(100, 10, 3)
    searched = []
    monkeypatch.setattr(knn_path, "find_nearest", lambda *given: searched.append(given[2]) or find_nearest(*given))
    solve_knn(features, codes, scored, GRID, 0)
    assert searched == [20, 20]


def test_the_defaults_are_the_heads():
    features, codes, scored, _ = problem(100, 10, 3)
    default, spelled = solve_knn(features, codes, scored, [{}, {"n_neighbors": 5, "metric": "cosine"}], 0)
    assert np.array_equal(default, spelled)


def test_nobody_asked_is_answered_with_nothing():
    features, codes, scored, _ = problem(100, 10, 3)
    assert [part.shape for part in solve_knn(features, codes, scored[:0], GRID, 0)] == [(0, 3)] * len(GRID)


@pytest.mark.parametrize("make", [make_knn, lambda params, seed: solve_knn(*problem(20, 5, 2)[:3], [params], seed)])
def test_an_unknown_metric_is_answered_with_the_known_ones(make):
    with pytest.raises(DataError, match="head 'knn': metric is 'manhattan', expected cosine or euclidean"):
        make({"metric": "manhattan"}, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_columns", [40, 36 * 32 - 1, 36 * 32, 1600 + 7])
@pytest.mark.parametrize("values", ["all differ", "many equal", "one and the same", "in the last columns"])
def test_the_least_of_a_row_are_those_of_sorting_it(dtype, n_columns, values):
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(30, n_columns)).astype(dtype)
    if values == "many equal":
        rows = np.round(rows)
    elif values == "one and the same":
        rows[:] = 1.0
    elif values == "in the last columns":
        rows[:, -5:] -= 10.0
    columns, largest = knn_path._least(rows, 36)
    least = np.sort(rows, axis=1)[:, :36]
    assert all(len(set(own)) == 36 for own in columns.tolist())
    np.testing.assert_array_equal(np.sort(np.take_along_axis(rows, columns, axis=1), axis=1), least)
    np.testing.assert_array_equal(largest, least[:, -1])
