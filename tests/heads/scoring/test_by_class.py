"""Scores and curves of each class are scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_fscore_support, roc_auc_score

from headstart.heads.scoring import curves_of_classes, score_classes, wilson
from headstart.heads.scoring.intervals import quantile


def shown(n_images=200, n_classes=4):
    generator = np.random.default_rng(0)
    y = np.resize(np.arange(n_classes), n_images)
    probability = generator.dirichlet(np.ones(n_classes), size=n_images)
    probability[np.arange(n_images), y] += 0.3
    return y, probability.round(2)


def test_scores_are_scikit_learns():
    y, probability = shown()
    predicted = probability.argmax(axis=1)
    found = score_classes(y, predicted, "abcd", probability=probability)
    ours = np.array([(one.precision, one.recall, one.f1, one.support) for one in found]).T
    assert ours == pytest.approx(np.array(precision_recall_fscore_support(y, predicted)))
    of_each = average_precision_score(np.eye(4)[y], probability, average=None)
    assert [one.average_precision for one in found] == pytest.approx(of_each)


def test_a_recall_has_wilsons_interval():
    (one, _) = score_classes(np.repeat([0, 1], 50), np.repeat([0, 1], [45, 55]), "ab")
    assert (one.low, one.high) == pytest.approx(wilson(0.9, 50, quantile()))


def test_groups_that_are_right_or_wrong_as_a_whole_count_once():
    y, predicted, groups = np.zeros(60, int), np.repeat([0, 1], [40, 20]), np.arange(60) // 5
    (grouped, _), (alone, _) = (score_classes(y, predicted, "ab", groups=given) for given in (groups, None))
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)
    (one, _) = score_classes(y, predicted, "ab", groups=np.zeros(60, int))
    assert (one.low, one.high) == (0.0, 1.0)


def test_what_a_class_cannot_have_is_none():
    _, unseen, taken = score_classes([0, 0], [0, 2], "abc")
    assert (unseen.support, unseen.precision, unseen.recall, unseen.low, unseen.f1) == (0, None, None, None, None)
    assert (taken.precision, taken.recall, taken.f1, taken.average_precision) == (0.0, None, 0.0, None)


def test_curves_run_from_nothing_to_all_images_and_hold_their_areas():
    y, probability = shown()
    for one in curves_of_classes(y, probability):
        assert (one.own[0], one.others[0]) == (0, 0)
        assert (one.own[-1], one.others[-1]) == (50, 150)
        assert np.trapezoid(one.own / 50, one.others / 150) == pytest.approx(one.roc_auc)
        assert one.roc_auc == pytest.approx(roc_auc_score(y == one.number, probability[:, one.number]))
    assert [one.number for one in curves_of_classes(np.array([0, 0, 2]), probability[:3])] == [0, 2]
