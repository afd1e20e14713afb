"""Scores of predicted numbers are scikit-learn's, and their intervals hold what they promise."""

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from headstart.heads.errors import DataError
from headstart.heads.scoring.regression import measure_numbers, score_numbers

OFFSETS = [0.0, 1e6]


def draw(n_images, seed, offset=0.0, noise=0.5):
    generator = np.random.default_rng(seed)
    predicted = generator.normal(size=n_images)
    return offset + predicted + noise * generator.normal(size=n_images), offset + predicted


@pytest.mark.parametrize("offset", OFFSETS)
def test_values_are_scikit_learns(offset):
    true, predicted = draw(80, 0, offset)
    found = measure_numbers(true, predicted)
    assert found["r2"] == pytest.approx(r2_score(true, predicted))
    assert found["mae"] == pytest.approx(mean_absolute_error(true, predicted))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(true, predicted))


def test_scores_have_the_same_values_and_hold_them_in_their_intervals():
    true, predicted = draw(80, 0)
    for name, score in score_numbers(true, predicted).items():
        assert score.value == measure_numbers(true, predicted)[name]
        assert score.low < score.value < score.high


def test_numbers_that_do_not_vary_have_no_r2_but_errors():
    found = score_numbers([3.1] * 6, [3.1, 3.1, 3.1, 3.1, 3.1, 4.1])
    assert found["r2"] is None
    assert found["mae"].value == pytest.approx(1 / 6)


def test_exact_predictions_have_an_r2_of_one_without_width():
    true, _ = draw(30, 0)
    score = score_numbers(true, true)["r2"]
    assert (score.low, score.value, score.high) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("n_images", [25, 150])
@pytest.mark.parametrize("metric", ["r2", "mae", "rmse"])
def test_intervals_hold_the_truth_in_about_95_of_100_sets(metric, n_images):
    truth = {"r2": 1 - 0.25 / 1.25, "mae": 0.5 * math.sqrt(2 / math.pi), "rmse": 0.5}[metric]
    sets = [score_numbers(*draw(n_images, seed), seed=seed, n_resamples=400)[metric] for seed in range(300)]
    held = np.mean([score.low <= truth <= score.high for score in sets])
    # Three standard errors below 95 % are 91 %; few images and a skewed metric cost some more.
    assert held >= (0.86 if n_images == 25 else 0.91)
    assert held < 0.995


def test_whole_groups_widen_the_intervals():
    generator = np.random.default_rng(3)
    groups = np.repeat(np.arange(20), 10)
    true = generator.normal(size=200)
    predicted = true + generator.normal(size=20)[groups]  # all images of a group err alike
    alone, together = score_numbers(true, predicted), score_numbers(true, predicted, groups=groups)
    for name in alone:
        assert together[name].high - together[name].low > 1.5 * (alone[name].high - alone[name].low)


def test_a_single_group_leaves_all_that_is_possible():
    found = score_numbers(*draw(10, 0), groups=np.zeros(10))
    assert (found["r2"].low, found["r2"].high) == (-math.inf, 1.0)
    assert (found["mae"].low, found["mae"].high) == (0.0, math.inf)


@pytest.mark.parametrize(
    ("true", "predicted", "options", "message"),
    [
        ([], [], {}, r"numbers have shape \(0,\)"),
        ([1.0], [1.0, 2.0], {}, r"predictions \(2,\)"),
        ([1.0, 2.0], [1.0, math.nan], {}, "1 predictions and 0 numbers of 2 images are not finite"),
        ([1.0, 2.0], [1.0, 2.0], {"groups": [0]}, "1 groups were given for 2 images"),
    ],
)
def test_what_cannot_be_scored_is_told(true, predicted, options, message):
    with pytest.raises(DataError, match=message):
        score_numbers(np.array(true), np.array(predicted), **options)
