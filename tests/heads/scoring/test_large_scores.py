"""Scores of many predictions against the bootstrap's."""

import numpy as np
import pytest

from headstart.heads.scoring.classification import measure, score_predictions
from headstart.heads.scoring.linearised import LargeScores, Predictions
from headstart.heads.scoring.metrics import METRICS

N_IMAGES, N_CLASSES = 3000, 4


def shown(right=0.8, seed=0):
    """Return true classes, probabilities and the classes that follow."""
    generator = np.random.default_rng(seed)
    y = generator.choice(N_CLASSES, N_IMAGES, p=(0.1, 0.2, 0.3, 0.4))
    scores = generator.normal(size=(N_IMAGES, N_CLASSES))
    scores[np.arange(N_IMAGES), y] += 3.0 * right
    probability = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return y, probability, probability.argmax(axis=1)


def predictions(y, probability, classes):
    return Predictions(classes=classes, probability=probability[np.arange(len(y)), y])


@pytest.mark.parametrize("groups", [None, np.arange(N_IMAGES) // 5], ids=["images", "groups"])
@pytest.mark.parametrize("metric", [name for name in METRICS if name != "top5"])
def test_values_and_intervals_are_the_bootstraps(metric, groups):
    y, probability, classes = shown()
    ours = LargeScores(y, N_CLASSES, groups).scores(Predictions(classes=classes, probability=probability))[metric]
    theirs = score_predictions(y, probability, classes, N_CLASSES, groups=groups)[metric]
    assert ours.value == pytest.approx(theirs.value, abs=1e-12)
    assert ours.low == pytest.approx(theirs.low, abs=0.06 * (theirs.high - theirs.low))
    assert ours.high == pytest.approx(theirs.high, abs=0.06 * (theirs.high - theirs.low))


def test_groups_of_one_image_are_no_groups():
    y, probability, classes = shown()
    named = predictions(y, probability, classes)
    shuffled = np.random.default_rng(1).permutation(N_IMAGES)
    assert LargeScores(y, N_CLASSES, shuffled).scores(named) == LargeScores(y, N_CLASSES).scores(named)


def test_the_values_of_some_images_are_theirs_alone():
    y, probability, classes = shown()
    some = slice(100, 250)
    found = LargeScores(y, N_CLASSES).values(Predictions(classes=classes, probability=probability), some)
    assert found == pytest.approx(measure(y[some], probability[some], classes[some], N_CLASSES))


def test_without_probabilities_there_is_no_log_loss():
    y, _, classes = shown()
    scores = LargeScores(y, N_CLASSES)
    assert scores.scores(Predictions(classes=classes))["log_loss"] is None
    assert scores.values(Predictions(classes=classes), slice(0, 9))["log_loss"] is None


def test_where_all_images_are_right_the_interval_still_has_a_width():
    y, _, _ = shown()
    found = LargeScores(y, N_CLASSES).scores(Predictions(classes=y))
    assert found["accuracy"].high == 1.0
    assert found["accuracy"].low == pytest.approx(1 - 3.84 / N_IMAGES, abs=1e-5)
