"""Several rows an image: all are on its side of every split, also of one inside a head, and scores are of images."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from headstart.heads import HEADS
from headstart.heads.analysis import Learner, few_shot_curve
from headstart.heads.errors import DataError
from headstart.heads.estimators import NearestMeanClassifier, RidgeSoftmaxClassifier, fit_temperature
from headstart.heads.estimators.naive_bayes import GaussianBayesClassifier
from headstart.heads.neural.training import hold_out
from headstart.heads.registry import REGRESSORS, FeatureSet, expand, tell_of_views
from headstart.heads.splits import plan_splits
from headstart.heads.sweep import fit_final, score_test, sweep
from headstart.heads.sweep.trial import Task, run_trial
from headstart.heads.views import Views

N, K = 120, 3
DIGITS, Y = (array[:N] for array in load_digits(return_X_y=True))
Y = Y % 3
GROUPS = np.arange(N) // 2
_NOISE = np.random.default_rng(0).normal(0, 2.0, (N, K, DIGITS.shape[1]))
_NOISE[:, 0] = 0
ROWS = (DIGITS[:, None] + _NOISE).reshape(N * K, -1).astype(np.float32)
"""Image i has rows 3 i to 3 i + 2, the first of which is plain."""

WIDE = np.random.default_rng(3).normal(0, 1, (DIGITS.shape[1], 400)).astype(np.float32)
"""Of rows that it turns into more features than there are rows, products are taken the other way round."""

SMALL = {"mlp": {"hidden_sizes": [(8,)], "dropout": [0.0, 0.5]}, "knn": {"n_neighbors": [1, 5]}}
FITTED = [name for name, head in HEADS.items() if head.views != "none" and name != "dummy"]


def plan(*, average: bool = False, **given):
    return replace(plan_splits(Y, folds=3, groups=GROUPS, **given), views=Views(K, average))


def candidates(name: str, features=ROWS):
    source = FeatureSet(features=features, backbone="pixels", tap="raw", key="k")
    return tell_of_views(expand([source], [name], SMALL), K)[0]


def test_rows_of_an_image_follow_each_other():
    views = Views(3)
    assert views.to_fit(np.array([4, 1])).tolist() == [12, 13, 14, 3, 4, 5]
    assert views.labels(np.array([7, 9])).tolist() == [7, 7, 7, 9, 9, 9]
    assert views.to_score(np.array([4, 1])).tolist() == [12, 3]
    assert replace(views, average=True).to_score(np.array([4, 1])).tolist() == [12, 13, 14, 3, 4, 5]
    assert np.array_equal(views.plain(ROWS), DIGITS.astype(np.float32))


def test_a_mean_over_views_decides_or_a_vote_where_there_is_none():
    views = Views(3, average=True)
    probability = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.6, 0.4], [0.6, 0.4], [0.1, 0.9]])
    classes, mean = views.joined(probability.argmax(axis=1), probability)
    np.testing.assert_allclose(mean, [[7 / 15, 8 / 15], [13 / 30, 17 / 30]])
    assert classes.tolist() == [1, 1]
    voted, none = views.joined(np.array([0, 2, 2, 1, 0, 2]), None)
    assert (voted.tolist(), none) == ([2, 1], None)
    assert views.mean(np.array([1.0, 2.0, 6.0])).tolist() == [3.0]


@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("name", FITTED)
def test_a_sweep_fits_all_views_of_the_images_of_a_fold_and_scores_images(name: str, average: bool):
    planned = plan(average=average)
    (first, *_) = results = sweep(candidates(name), Y, planned, groups=GROUPS)
    assert [result.error for result in results if result.error] == []
    assert len(first.predictions.classes) == len(planned.train)
    head = HEADS[name]
    for number, (fitted, scored) in enumerate(planned.folds):
        rows = np.concatenate([ROWS[image * K : image * K + K] for image in fitted])
        model = head.make(first.candidate.params, 0).fit(rows, np.repeat(Y[fitted], K))
        by_view = [model.predict(ROWS[scored * K + view]) for view in range(K)]
        expected = by_view[0]
        if average and hasattr(model, "predict_proba"):
            expected = sum(model.predict_proba(ROWS[scored * K + view]) for view in range(K)).argmax(axis=1)
        if average and not hasattr(model, "predict_proba"):
            continue
        agree = (expected == Y[scored]).mean()
        assert first.per_fold[number]["accuracy"] == pytest.approx(agree, abs=0.03)  # one of 40, by rounding


@pytest.mark.parametrize(
    ("name", "features"), [*((name, ROWS) for name in FITTED if HEADS[name].solver), ("ridge", ROWS @ WIDE)]
)
def test_a_grid_at_once_gives_each_what_it_gets_alone(name: str, features: np.ndarray):
    task = Task(y=Y, n_classes=3, plan=plan(average=True), groups=GROUPS, seed=0)
    for found in sweep(candidates(name, features), Y, task.plan, groups=GROUPS):
        alone = run_trial(found.candidate, HEADS[name], features, task)
        assert found.scores["accuracy"].value == pytest.approx(alone.scores["accuracy"].value, abs=0.01)
        assert found.scores["log_loss"].value == pytest.approx(alone.scores["log_loss"].value, rel=2e-3)


def test_the_winner_is_fitted_on_all_views_of_train_and_scored_once_an_image():
    for average in (False, True):
        planned, (candidate,) = plan(average=average), candidates("centroid")
        final = fit_final(candidate, ROWS, Y, planned)
        expected = HEADS["centroid"].make({"views": K}, 0)
        expected.fit(ROWS[planned.views.to_fit(planned.train)], np.repeat(Y[planned.train], K))
        np.testing.assert_array_equal(final[-1].means_, expected[-1].means_)
        found = score_test(final, ROWS, Y, planned)
        shown = [final.predict_proba(ROWS[planned.test * K + view]) for view in range(K)]
        wanted = np.mean(shown, axis=0) if average else shown[0]
        np.testing.assert_allclose(found.probability, wanted, atol=1e-12)
        assert len(found.predictions) == len(planned.test)


def test_what_a_row_says_of_its_neighbour_never_helps_across_a_split():
    """Rows that say nothing but which image they are of: one nearest neighbour finds another view, if it is there."""
    names = np.random.default_rng(1).normal(0, 1, (N, 40)).repeat(K, axis=0).astype(np.float32)
    y = np.random.default_rng(2).integers(0, 2, N)
    source = FeatureSet(features=names, backbone="names", tap="raw", key="k")
    both_ways = replace(plan_splits(y, folds=4), views=Views(K))
    torn = KNeighborsClassifier(1).fit(names[1::K], y).score(names[::K], y)
    for planned in (both_ways, replace(both_ways, views=Views(K, average=True))):
        (result,) = sweep(expand([source], ["knn"], {"knn": {"n_neighbors": [1]}}), y, planned)
        assert result.scores["accuracy"].value < 0.65
    assert torn == 1.0


def test_few_shots_draw_images_and_fit_on_all_their_views():
    seen = []

    class Told(KNeighborsClassifier):
        def fit(self, X, y):
            seen.append((len(X), sorted({tuple(row) for row in X.tolist()})))
            return super().fit(X, y)

    planned = plan()
    points = few_shot_curve(Learner(make=lambda _: Told(1)), ROWS, Y, planned, sizes=(1, 2), draws=2, groups=GROUPS)
    assert [point.n_train for point in points[:2]] == [3, 6]
    assert {n_rows for n_rows, _ in seen} >= {3 * K, 6 * K}
    image_of = {tuple(row): number // K for number, row in enumerate(ROWS.tolist())}
    for _, rows in seen:
        images = [image_of[row] for row in rows]
        assert {images.count(image) for image in images} == {K}


@pytest.mark.parametrize("n_features", [6, 64])
@pytest.mark.parametrize("name", ["ridge", "centroid"])
def test_temperatures_are_fitted_on_scores_of_fits_without_any_view_of_the_image(name: str, n_features: int):
    X = StandardScaler().fit_transform(ROWS[: 20 * K, :n_features]).astype(np.float64)
    y = np.repeat(Y[:20], K)
    make = (lambda: RidgeSoftmaxClassifier(2.0)) if name == "ridge" else NearestMeanClassifier
    without = []
    for image in range(20):
        own = np.arange(len(X)) // K == image
        model = make().fit(X[~own], y[~own])
        without.append(model._scores(X[own]))
    told = make().set_params(views=K).fit(X, y)
    expected = fit_temperature(np.concatenate(without), y, len(y) if name == "ridge" else None)
    assert told.temperature_ == pytest.approx(expected, rel=1e-6)
    assert told.temperature_ > make().fit(X, y).temperature_  # another view of an image makes a head too sure of it


def test_naive_bayes_left_out_scores_are_those_of_fits_without_any_view_of_the_image():
    X, y = ROWS[: 20 * K, [20, 30, 42]].astype(np.float64), np.repeat(Y[:20], K)
    model = GaussianBayesClassifier(0.1, views=K).fit(X, y)
    smoothing = 0.1 * X.var(axis=0).max()
    found = model._left_out_together(X, y, np.bincount(y), smoothing)
    for row in range(len(X)):
        rest = np.flatnonzero((np.arange(len(X)) // K != row // K) & (y == y[row]))
        variance = X[rest].var(axis=0) + smoothing
        density = -0.5 * (np.log(2 * np.pi * variance) + (X[row] - X[rest].mean(axis=0)) ** 2 / variance).sum()
        assert found[row, y[row]] == pytest.approx(model.log_priors_[y[row]] + density, rel=1e-9)
    assert model.temperature_ > GaussianBayesClassifier(0.1).fit(X, y).temperature_


@pytest.mark.parametrize("targets", [Y.repeat(K), np.linspace(0, 1, N, dtype=np.float32).repeat(K)])
def test_images_that_choose_the_epoch_are_held_out_with_all_their_views(targets):
    fitted, chosen = hold_out(targets, 0.1, 0, K)
    assert not set(fitted // K) & set(chosen // K)
    assert (len(fitted), len(chosen)) == (108 * K, 12)
    assert not (chosen % K).any()
    assert np.array_equal(hold_out(targets, 0.1, 0, 1)[0], hold_out(targets, 0.1, 0)[0])


def test_heads_that_set_images_aside_are_told_or_left_out():
    source = FeatureSet(features=ROWS, backbone="pixels", tap="raw", key="k")
    found, (note,) = tell_of_views(expand([source], ["logreg", "centroid", "boosting"]), K)
    assert {one.head: one.params.get("views") for one in found} == {"logreg": None, "centroid": K}
    assert (
        note == "boosting would set views of one image aside from each other, and cannot be fitted on views: left out"
    )
    with pytest.raises(DataError, match=r"boosting would set .* name another head, such as logreg"):
        tell_of_views(expand([source], ["boosting"]), K)
    assert tell_of_views(expand([source], ["boosting"]), 1)[1] == []


@pytest.mark.parametrize("head", [*HEADS.values(), *REGRESSORS.values()], ids=lambda head: f"{head.task} {head.name}")
def test_every_head_that_is_told_has_a_parameter_for_it_and_no_other(head):
    model = head.make({}, 0)
    step = model[-1] if hasattr(model, "steps") else model
    assert ("views" in step.get_params()) == (head.views == "told")


@pytest.mark.parametrize("name", ["ridge", "centroid", "naive-bayes", "mlp", "linear-torch"])
def test_rows_that_are_no_whole_images_are_refused(name: str):
    with pytest.raises(ValueError, match="20 rows are no images of views=3 rows each"):
        HEADS[name].make({"views": 3}, 0).fit(ROWS[:20], Y.repeat(K)[:20])
