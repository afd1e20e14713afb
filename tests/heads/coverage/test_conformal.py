"""Sets of classes: as often right as asked, by each method and by class, as `mapie` has them, and never of too few."""

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.model_selection import StratifiedShuffleSplit

from headstart.heads.coverage import conformal
from headstart.heads.coverage.conformal import (
    SET_METHODS,
    conformity,
    draws_of,
    fewest_images,
    fit_sets,
    highest_share,
    quantile_of,
)
from headstart.heads.errors import DataError


def images(n_images, n_classes=4, seed=0, sharpness=1.2):
    """Return classes, probabilities of a head that is too sure of itself, and draws."""
    generator = np.random.default_rng(seed)
    scores = sharpness * generator.normal(size=(n_images, n_classes))
    scores[:, 0] += 0.7  # a class that is easier than others
    y = (generator.random((n_images, 1)) > softmax(scores, axis=1).cumsum(axis=1)).sum(axis=1)
    return y, softmax(2.5 * scores, axis=1), generator.random(n_images)


def scored_by_loop(probability, draw, method):
    """Return the scores of one image's classes, by the definitions, class by class."""
    scores = []
    for own in probability:
        more = [one for one in probability if one > own]
        aps = sum(more) + draw * own
        scores.append({"lac": 1 - own, "aps": aps, "raps": aps + 0.1 * len(more)}[method])
    return scores


@pytest.mark.parametrize("method", SET_METHODS)
def test_scores_are_those_of_the_definitions(method):
    _, probability, draws = images(50, n_classes=6)
    by_loop = [scored_by_loop(row, draw, method) for row, draw in zip(probability, draws, strict=True)]
    np.testing.assert_allclose(conformity(probability, draws, method), by_loop, atol=1e-12)


@pytest.mark.parametrize("by_class", [False, True])
@pytest.mark.parametrize("method", SET_METHODS)
@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_coverage_of_200_splits_is_within_binomial_bounds(method, by_class, coverage):
    y, probability, draws = images(200 * 500, seed=1)
    covered = np.zeros((200, 300), dtype=bool)
    for split in range(200):
        known, new = np.split(np.arange(500 * split, 500 * (split + 1)), [200])
        sets = fit_sets(y[known], probability[known], draws[known], coverage=coverage, method=method, by_class=by_class)
        covered[split] = sets.of(probability[new], draws[new])[np.arange(300), y[new]]
    # Of 200 calibrating images the coverage of a split is itself drawn, from Beta(k, 201 - k): it varies more than
    # images do, and the mean of 200 splits less than 200 single images would.
    low, high = binom.ppf([0.0005, 0.9995], 200, coverage) / 200
    assert low <= covered.mean() <= high
    spread = np.sqrt(coverage * (1 - coverage) * (1 / 201 + 1 / 300) / 200)
    if not by_class:
        assert abs(covered.mean() - np.ceil(201 * coverage) / 201) < 4 * spread
    classes = np.concatenate([y[500 * split + 200 : 500 * (split + 1)] for split in range(200)])
    of_class = [covered.ravel()[classes == code].mean() for code in range(4)]
    assert bool(min(of_class) > coverage - 0.01) is by_class


def test_a_split_holds_what_a_beta_law_says():
    y, probability, draws = images(300 * 1100, seed=2)
    shares = []
    for split in range(300):
        rows = np.arange(1100 * split, 1100 * (split + 1))
        sets = fit_sets(y[rows[:99]], probability[rows[:99]], draws[rows[:99]], coverage=0.9)
        shares.append(sets.of(probability[rows[99:]], draws[rows[99:]])[np.arange(1001), y[rows[99:]]].mean())
    assert np.mean(shares) == pytest.approx(0.9, abs=0.006)
    assert np.std(shares) == pytest.approx(np.sqrt(0.9 * 0.1 / 101 + 0.9 * 0.1 / 1001), rel=0.15)


class Given(ClassifierMixin, BaseEstimator):
    """A classifier whose features are its probabilities."""

    classes_ = np.arange(4)

    def fit(self, X, y):  # noqa: ARG002 - scikit-learn asks for both
        return self

    def __sklearn_is_fitted__(self):
        return True

    def predict_proba(self, X):
        return np.asarray(X)

    def predict(self, X):
        return np.asarray(X).argmax(axis=1)


@pytest.mark.parametrize("method", SET_METHODS)
def test_sets_are_those_of_mapie(method, monkeypatch):
    mapie = pytest.importorskip("mapie.classification")
    y, probability, _ = images(700)
    theirs = mapie.SplitConformalClassifier(
        Given(), confidence_level=0.85, conformity_score=method, prefit=True, random_state=3
    )
    theirs.conformalize(probability[:300], y[:300])
    params = {} if method == "lac" else {"include_last_label": "randomized"}
    expected = theirs.predict_set(probability[300:], conformity_score_params=params)[1][:, :, 0]
    known = np.arange(300)
    if method == "raps":  # it keeps some images to choose penalty and free ranks on; ours are fixed
        score = theirs._mapie_classifier.conformity_score_function_
        monkeypatch.setattr(conformal, "PENALTY", float(score.lambda_star))
        monkeypatch.setattr(conformal, "FREE_RANKS", int(score.k_star[0]))
        split = StratifiedShuffleSplit(n_splits=1, test_size=score.size_raps, random_state=3)
        known, _ = next(split.split(probability[:300], y[:300]))
    draws = [1 - np.random.RandomState(3).uniform(size=n_images) for n_images in (len(known), 400)]
    sets = fit_sets(y[known], probability[known], draws[0], coverage=0.85, method=method)
    if method != "lac":  # mapie's may be empty
        expected[np.arange(400), probability[300:].argmax(axis=1)] = True
    np.testing.assert_array_equal(sets.of(probability[300:], draws[1]), expected)


def test_the_quantile_is_that_of_one_image_more():
    scores = np.arange(1.0, 20.0)[::-1]
    assert quantile_of(scores, 0.9) == 18.0
    assert quantile_of(scores, 0.95) == 19.0
    assert quantile_of(scores[:9], 0.9) == 19.0  # exactly as many as it takes, whatever 0.9 is in binary


@pytest.mark.parametrize("share", [0.5, 0.8, 0.9, 0.95, 0.99])
def test_the_fewest_images_are_those_that_have_a_quantile(share):
    n_images = fewest_images(share)
    assert n_images == round(1 / (1 - share)) - 1
    quantile_of(np.arange(n_images), share)
    with pytest.raises(DataError, match=f"{n_images - 1} images .* at least {n_images}; ask for less"):
        quantile_of(np.arange(n_images - 1), share)
    assert share - 0.001 <= highest_share(n_images) <= share


def test_by_class_a_class_of_too_few_images_is_refused():
    y, probability, draws = np.repeat([0, 1], [50, 8]), np.full((58, 2), 0.5), np.zeros(58)
    fit_sets(y, probability, draws, coverage=0.9)
    with pytest.raises(DataError, match=r"8 images .* at least 9"):
        fit_sets(y, probability, draws, coverage=0.9, by_class=True)


def test_sets_of_lac_may_be_empty_and_others_are_not():
    y, probability, draws = images(2000, sharpness=5.0)
    for method in SET_METHODS:
        sizes = fit_sets(y, probability, draws, coverage=0.5, method=method).of(probability, draws).sum(axis=1)
        assert (int(sizes.min()) == 0) is (method == "lac")


def test_a_draw_follows_from_the_digest_alone_and_is_even():
    digests = np.random.default_rng(0).integers(0, 256, (5000, 32), dtype=np.uint8)
    draws = draws_of(digests)
    np.testing.assert_array_equal(draws_of(digests[7:8]), draws[7:8])
    assert np.histogram(draws, bins=10, range=(0, 1))[0].min() > 400
    assert draws.min() >= 0
    assert draws.max() < 1


@pytest.mark.parametrize(
    ("labels", "probability", "method", "match"),
    [
        (3, np.ones((4, 2)), "lac", r"labels have shape \(3,\)"),
        (4, np.full((4, 2), np.nan), "lac", "finite"),
        (4, np.ones((4, 2)), "top", "no sets are called 'top'; choose one of lac, aps, raps"),
    ],
)
def test_what_cannot_calibrate_is_refused(labels, probability, method, match):
    with pytest.raises(DataError, match=match):
        fit_sets(np.zeros(labels, int), probability, np.zeros(4), coverage=0.5, method=method)
