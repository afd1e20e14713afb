"""A few labels a class: drawn class by class, copies never on both sides, and intervals that hold what they should."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from headstart.heads.errors import DataError
from headstart.heads.transfer.pretraining import draw_few, measured, right_of

Y = np.repeat([0, 1, 2], 12)
GROUPS = np.arange(36) // 2
ALL = np.ones(36, bool)


def features(spread: float, n_features: int = 60, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.normal(size=(3, n_features))[Y] + spread * generator.normal(size=(36, n_features))


def test_each_draw_has_so_many_of_each_class_and_scores_nothing_that_it_fits_on() -> None:
    draws = draw_few(Y, GROUPS, ALL, ALL, shots=3, draws=5, seed=0)
    for fit, score in zip(draws.fit, draws.score, strict=True):
        assert np.bincount(Y[fit]).tolist() == [3, 3, 3]
        assert not np.intersect1d(GROUPS[fit], GROUPS[score]).size
        assert len(score) >= 18
    assert len({tuple(fit) for fit in draws.fit}) == 5
    again = draw_few(Y, GROUPS, ALL, ALL, shots=3, draws=5, seed=0)
    assert all(np.array_equal(one, other) for one, other in zip(draws.fit, again.fit, strict=True))


def test_what_is_held_back_is_scored_and_never_drawn() -> None:
    held = np.arange(36) % 4 > 1
    draws = draw_few(Y, GROUPS, ~held, held, shots=2, draws=3, seed=1)
    assert not held[np.concatenate(draws.fit)].any()
    assert all(np.array_equal(score, np.flatnonzero(held)) for score in draws.score)


def test_answers_are_those_of_the_plain_logistic_regression() -> None:
    X, draws = features(2.0), draw_few(Y, GROUPS, ALL, ALL, shots=4, draws=4, seed=0)
    right = right_of(X, Y, draws)
    rows = X - X.mean(axis=0)
    rows /= np.sqrt((rows**2).sum(axis=1).mean())
    for number, (fit, score) in enumerate(zip(draws.fit, draws.score, strict=True)):
        plain = LogisticRegression(C=10.0, max_iter=1000).fit(rows[fit], Y[fit]).predict(rows[score]) == Y[score]
        assert np.array_equal(right[number, score], plain)
        assert np.isnan(np.delete(right[number], score)).all()
    assert 0.3 < np.nanmean(right) < 1


def test_a_difference_is_measured_on_the_same_draws_and_images() -> None:
    draws = draw_few(Y, GROUPS, ALL, ALL, shots=4, draws=8, seed=0)
    good, bad = right_of(features(0.5), Y, draws), right_of(features(9.0), Y, draws)
    ahead = measured(good - bad)
    assert ahead.value == pytest.approx(measured(good).value - measured(bad).value)
    assert 0 < ahead.low < ahead.value < ahead.high
    same = measured(good - good)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    noise = [measured(right_of(features(9.0, seed=seed), Y, draws) - bad) for seed in range(1, 11)]
    assert sum(one.low <= 0 <= one.high for one in noise) >= 9, "features that tell nothing are not ahead of others"


def test_a_class_with_too_few_images_is_told() -> None:
    with pytest.raises(DataError, match="a class has 12 images to draw 13 labels from; give a lower --shots"):
        draw_few(Y, GROUPS, ALL, ALL, shots=13, draws=2, seed=0)
    with pytest.raises(DataError, match="no image is left to score beside 12 labels a class"):
        draw_few(Y, GROUPS, ALL, ALL, shots=12, draws=2, seed=0)
