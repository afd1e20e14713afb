"""Candidates that predict numbers are called tied where the images cannot tell them apart."""

import numpy as np
import pytest

from headstart.heads.errors import DataError
from headstart.heads.scoring.linearised import Predictions
from headstart.heads.scoring.paired import tied_with_winner
from headstart.heads.scoring.regression import ScoredNumbers, measure_numbers

METRICS = ["r2", "mae", "rmse"]


def tied_numbers(metric, true, winner, runners_up, **options):
    first, *others = (Predictions(classes=numbers) for numbers in (winner, *runners_up))
    return tied_with_winner(metric, true, first, others, **options)


def predictions(seed, noises, n_images=150):
    generator = np.random.default_rng(seed)
    true = generator.normal(size=n_images)
    return true, [true + noise * generator.normal(size=n_images) for noise in noises]


@pytest.mark.parametrize("metric", METRICS)
def test_a_clearly_worse_runner_up_is_not_tied_and_an_equal_one_is(metric):
    true, (winner, equal, worse) = predictions(0, (0.5, 0.5, 1.0))
    first, second = tied_numbers(metric, true, winner, [equal, worse])
    assert first.tied
    assert not second.tied
    assert second.p_adjusted < 0.01


@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_that_of_the_metrics(metric):
    true, (winner, other) = predictions(1, (0.5, 0.7))
    (found,) = tied_numbers(metric, true, winner, [other])
    expected = measure_numbers(true, winner)[metric] - measure_numbers(true, other)[metric]
    assert found.difference.value == pytest.approx(expected)
    assert found.difference.low < expected < found.difference.high


@pytest.mark.parametrize("metric", METRICS)
def test_intervals_of_the_difference_hold_the_truth_in_about_95_of_100_sets(metric):
    truth = {"r2": 0.24, "mae": (0.5 - 0.7) * np.sqrt(2 / np.pi), "rmse": -0.2}[metric]
    held = []
    for seed in range(150):
        true, (winner, other) = predictions(seed, (0.5, 0.7))
        (found,) = tied_numbers(metric, true, winner, [other])
        held.append(found.difference.low <= truth <= found.difference.high)
    assert 0.88 <= np.mean(held) < 1.0


def test_equal_candidates_are_called_apart_about_as_often_as_promised():
    apart = []
    for seed in range(150):
        true, (winner, other) = predictions(seed, (0.5, 0.5), n_images=40)
        apart += [not found.tied for found in tied_numbers("mae", true, winner, [other])]
    assert np.mean(apart) <= 0.11  # 5 % and three standard errors


def test_the_same_predictions_are_tied():
    true, (winner,) = predictions(2, (0.5,))
    (found,) = tied_numbers("rmse", true, winner, [winner])
    assert found.tied
    assert found.difference.value == 0.0


def test_groups_that_err_alike_make_a_lead_less_sure():
    generator = np.random.default_rng(4)
    groups = np.repeat(np.arange(8), 20)
    true = generator.normal(size=160)
    winner = true + 0.5 * generator.normal(size=8)[groups]
    other = true + 0.8 * generator.normal(size=8)[groups]
    (alone,), (together,) = (tied_numbers("mae", true, winner, [other], groups=given) for given in (None, groups))
    assert alone.p_adjusted < together.p_adjusted


def test_a_metric_of_classes_is_refused():
    with pytest.raises(DataError, match="no metric of numbers is called 'accuracy'; expected one of r2, mae, rmse"):
        tied_numbers("accuracy", [1.0, 2.0], [1.0, 2.0], [[1.0, 2.0]])


def test_an_unknown_metric_is_refused_and_not_taken_for_squared_errors():
    with pytest.raises(DataError, match=r"'medae'.*expected one of r2, mae, rmse"):
        tied_numbers("medae", [1.0, 2.0], [1.0, 2.0], [[1.0, 2.5]])
    with pytest.raises(DataError, match=r"'medae'.*expected one of r2, mae, rmse"):
        ScoredNumbers.of([1.0, 2.0], [1.0, 2.5]).own_parts("medae")
