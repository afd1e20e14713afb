"""Planted label errors and outliers are found, and how many of what is listed they are."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from headstart.heads import HEADS
from headstart.heads.analysis.calibration import fit_temperature_on_oof, temper
from headstart.heads.analysis.suspects import find_outliers, find_suspects
from headstart.heads.errors import DataError

X, Y = load_digits(return_X_y=True)
X = X.astype(np.float32)


def flipped(share, seed):
    """Return the digits' labels with a share of them wrong, and which."""
    generator = np.random.default_rng(seed)
    wrong = np.zeros(len(Y), dtype=bool)
    wrong[generator.choice(len(Y), round(share * len(Y)), replace=False)] = True
    given = np.where(wrong, (Y + generator.integers(1, 10, len(Y))) % 10, Y)
    return given, wrong


def out_of_fold(head, params, y):
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return cross_val_predict(HEADS[head].make(params, 0), X, y, cv=folds, method="predict_proba")


@pytest.mark.parametrize(
    ("head", "params", "tempered", "precision", "recall"),
    [
        ("logreg", {"C": 0.01}, True, 0.94, 0.8),
        ("lda", {"shrinkage": 0.5}, True, 0.9, 0.8),
        ("ridge", {"alpha": 100.0}, False, 0.9, 0.8),
        ("knn", {}, False, 0.94, 0.74),
    ],
)
def test_planted_label_errors_are_found_with_their_true_classes(head, params, tempered, precision, recall):
    given, wrong = flipped(0.05, seed=0)
    probability = out_of_fold(head, params, given)
    if tempered:
        probability = temper(probability, fit_temperature_on_oof(given, probability))
    found = find_suspects(given, probability)
    rows = np.array([suspect.row for suspect in found])
    hits = wrong[rows]
    assert hits.mean() >= precision
    assert hits.sum() / wrong.sum() >= recall
    assert np.mean([suspect.suggested == Y[suspect.row] for suspect in found if wrong[suspect.row]]) > 0.95
    assert [suspect.given for suspect in found] == given[rows].tolist()


def test_the_worst_come_first():
    y = np.array([0] * 10 + [1] * 10)
    probability = np.where(y[:, None] == [0, 1], 0.9, 0.1)
    probability[[3, 12, 17]] = [[0.2, 0.8], [0.95, 0.05], [0.7, 0.3]]
    found = [(suspect.row, suspect.given, suspect.suggested) for suspect in find_suspects(y, probability)]
    assert found == [(12, 1, 0), (3, 0, 1)]  # 0.7 is not as sure of class 0 as images of that class are


def test_the_score_is_the_margin_between_both_classes():
    y = np.array([0] * 10 + [1] * 10)
    probability = np.where(y[:, None] == [0, 1], 0.8, 0.2)
    probability[3] = [0.1, 0.9]
    assert find_suspects(y, probability)[0].score == pytest.approx(-0.8)


def test_labels_that_all_agree_have_no_suspects():
    assert find_suspects(Y, np.eye(10)[Y] * 0.9 + 0.01) == []


def test_a_head_that_is_undecided_accuses_no_one():
    assert find_suspects(np.repeat([0, 1], 5), np.full((10, 2), 0.5)) == []


def test_a_class_without_images_is_no_obstacle():
    y = np.array([0] * 10 + [2] * 10)
    probability = np.where(y[:, None] == [0, 1, 2], 0.8, 0.1)
    probability[3] = [0.1, 0.0, 0.9]
    assert [(suspect.row, suspect.suggested) for suspect in find_suspects(y, probability)] == [(3, 2)]


@pytest.mark.parametrize(
    ("y", "probability", "message"),
    [
        ([0, 1], np.ones(2), r"probabilities \(2,\)"),
        ([], np.empty((0, 2)), "of at least one"),
        ([0, 2], np.full((2, 2), 0.5), "whole numbers from 0 to 1"),
        ([1, 1], np.full((2, 2), 0.5), "a single class"),
        ([0, 1], np.full((2, 2), np.nan), "not between 0 and 1"),
        ([0, 1], np.full((2, 2), -1.0), "not between 0 and 1"),
    ],
)
def test_what_cannot_be_judged_is_refused(y, probability, message):
    with pytest.raises(DataError, match=message):
        find_suspects(np.asarray(y, dtype=int), probability)


def test_planted_outliers_come_first():
    generator = np.random.default_rng(0)
    noise = generator.permuted(X[:5], axis=1)  # the same ink, in no order
    found = find_outliers(np.concatenate([X, noise]), most=20)
    assert {outlier.row for outlier in found[:5]} == {1797, 1798, 1799, 1800, 1801}
    assert [outlier.score for outlier in found] == sorted((outlier.score for outlier in found), reverse=True)
    assert len(found) == 20


def test_the_score_is_the_mean_distance_by_the_median_one():
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [-1, 0.5]], dtype=np.float64)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    distance = np.sort(1 - unit @ unit.T, axis=1)[:, 1:3].mean(axis=1)
    found = find_outliers(vectors, most=4, n_neighbors=2)
    assert found[0].row == 3
    assert [outlier.score for outlier in found] == pytest.approx(
        sorted(distance / np.median(distance), reverse=True), rel=1e-3
    )


def test_copies_of_one_image_leave_a_finite_score():
    found = find_outliers(np.concatenate([np.ones((8, 2)), [[1.0, -1.0]]]), most=2)
    assert (found[0].row, np.isfinite(found[0].score)) == (8, True)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (np.ones((1, 2)), {}, "1 images, most 20"),
        (np.ones((3, 2)), {"most": 0}, "most 0"),
        (np.ones((3, 2)), {"n_neighbors": 0}, "n_neighbors 0"),
        (np.full((3, 2), np.nan), {}, "3 of 3 rows hold NaN"),
    ],
)
def test_features_without_neighbours_are_refused(features, options, message):
    with pytest.raises(DataError, match=message):
        find_outliers(features, **options)
