"""Few-shot curves: what is drawn, and whether the intervals cover what new draws on new images reach."""

from functools import partial
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectKBest
from sklearn.neighbors import NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from support.sweep_example import PIXELS, X, Y
from threadpoolctl import threadpool_info

from headstart.heads import HEADS
from headstart.heads.analysis.few_shot import few_shot_curve
from headstart.heads.analysis.few_shot_fits import Learner
from headstart.heads.errors import DataError
from headstart.heads.registry.candidates import Candidate
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.trial import Task, run_trial

PLAN = plan_splits(Y, folds=3)
N_CLASSES, N_FEATURES = 3, 4


class Means:
    """Nearest class mean without any checks: coverage takes thousands of fits."""

    def fit(self, X, y):
        self.means = np.stack([X[y == code].mean(axis=0) for code in range(y.max() + 1)])
        return self

    def predict(self, X):
        return ((X[:, None] - self.means) ** 2).sum(axis=2).argmin(axis=1)


MEANS = Learner(make=lambda _: Means())


class Rescaled:
    """Logistic regression whose columns are standardised on the few images alone: no pipeline lets it do better."""

    def fit(self, X, y):
        self.model = HEADS["logreg"].make({}, 0).fit(X, y)
        return self

    def predict(self, X):
        return self.model.predict(X)


class Remembering(Means):
    """Keeps the rows it was fitted on, which the first feature numbers."""

    seen: ClassVar[list] = []

    def fit(self, X, y):
        self.seen.append(X[:, 0].astype(int))
        return super().fit(X, y)


def learner(name, params=None):
    return Learner(make=partial(HEADS[name].make, params or {}))


def remembered(y, plan, **options):
    """Return the points, and what was fitted on: fold after fold, draw after draw, size after size."""
    Remembering.seen.clear()
    rows = np.arange(len(y), dtype=np.float32)[:, None]
    points = few_shot_curve(Learner(make=lambda _: Remembering()), rows, y, plan, **options)
    return points, list(Remembering.seen)


def images(generator, n_each):
    """Return Gaussian classes around the corners of a simplex."""
    y = np.repeat(np.arange(N_CLASSES), n_each)
    return (generator.normal(size=(len(y), N_FEATURES)) + 1.2 * np.eye(N_CLASSES, N_FEATURES)[y]).astype(np.float32), y


def expected_accuracy(size, n_sets=500):
    generator = np.random.default_rng(99)
    right = []
    for _ in range(n_sets):
        (X, y), (X_new, y_new) = images(generator, size), images(generator, 200)
        right.append((Means().fit(X, y).predict(X_new) == y_new).mean())
    return np.mean(right)


def given_val(n_train, n_val):
    split = np.tile(["train"] * n_train + ["val"] * n_val + ["test"], N_CLASSES)
    return n_train + n_val + 1, lambda y, seed: plan_splits(y, split=split)  # noqa: ARG005 - as for folds


def folds_of(n_train):
    split = np.tile(["train"] * n_train + ["test"], N_CLASSES)
    return n_train + 1, lambda y, seed: plan_splits(y, split=split, folds=4, seed=seed)


@pytest.mark.parametrize(
    "case", [given_val(30, 30), given_val(30, 300), folds_of(40)], ids=["val", "large val", "folds"]
)
def test_intervals_cover_the_accuracy_of_new_draws_on_new_images(case):
    n_each, plan = case
    sizes, n_runs = (1, 5, 20), 200
    truth = [expected_accuracy(size) for size in sizes]
    covered = np.zeros(len(sizes))
    for seed in range(n_runs):
        X, y = images(np.random.default_rng(seed), n_each)
        points = few_shot_curve(MEANS, X, y, plan(y, seed), sizes=sizes, draws=8, seed=seed)
        covered += [point.low <= true <= point.high for point, true in zip(points, truth, strict=True)]
    shares = covered / n_runs
    assert (shares >= 0.92).all(), shares
    assert shares[-1] <= 0.99, shares


def test_images_that_copies_follow_widen_the_interval():
    X, y = images(np.random.default_rng(0), 61)
    plan = given_val(30, 30)[1](y, 0)
    X[plan.folds[0][1]] = np.repeat(X[plan.folds[0][1]][::3], 3, axis=0)
    groups = np.arange(len(y))
    groups[plan.folds[0][1]] = np.repeat(groups[plan.folds[0][1]][::3], 3)
    alone, together = (few_shot_curve(MEANS, X, y, plan, sizes=(None,), groups=given)[0] for given in (None, groups))
    assert alone.accuracy == together.accuracy
    assert together.high - together.low > 1.5 * (alone.high - alone.low)


def test_draws_are_balanced_nested_and_from_the_rows_that_a_fold_fits_on():
    _, seen = remembered(Y, PLAN, sizes=(1, 3), draws=2)
    fits = [set(fit.tolist()) for fit, _ in PLAN.folds for _ in range(2)]
    for small, large, fit in zip(seen[::2], seen[1::2], fits, strict=True):
        assert np.bincount(Y[small]).tolist() == [1] * 10
        assert np.bincount(Y[large]).tolist() == [3] * 10
        assert set(small) < set(large) <= fit


def test_draws_differ_between_each_other_and_folds_and_are_the_same_again():
    first, again = (remembered(Y, PLAN, sizes=(1,), draws=2)[1] for _ in range(2))
    assert len({tuple(rows) for rows in first}) == 6
    assert [rows.tolist() for rows in first] == [rows.tolist() for rows in again]


def test_a_group_is_used_up_before_the_next_is_begun():
    y = np.tile([0, 1], 40)
    groups = np.arange(80) // 10  # 5 images of each class in each group
    plan = plan_splits(y, split=["train"] * 60 + ["val"] * 10 + ["test"] * 10)
    _, seen = remembered(y, plan, sizes=(5, 7, 10), groups=groups, draws=3)
    assert [len(np.unique(groups[rows])) for rows in seen] == [1, 2, 2] * 3


def test_the_last_point_is_the_heads_own_score_in_a_sweep():
    candidate = Candidate(features=X, backbone="pixels", tap="raw", key="k", head="logreg", params={"C": 0.01})
    task = Task(y=Y, n_classes=10, plan=PLAN, groups=None, seed=0)
    expected = run_trial(candidate, HEADS["logreg"], X, task).scores["accuracy"]
    point = few_shot_curve(learner("logreg", {"C": 0.01}), X, Y, PLAN, sizes=(None,))[0]
    assert (point.images_per_class, point.n_train, point.per_draw) == (None, 160, (point.accuracy,))
    assert point.accuracy == pytest.approx(expected.value)
    assert (point.low, point.high) == pytest.approx((expected.low, expected.high), abs=2e-3)


def test_each_draw_makes_its_head_with_a_seed_of_its_own_and_all_images_with_the_first():
    seeds = []
    few_shot_curve(
        Learner(make=lambda seed: seeds.append(seed) or Means()), X, Y, PLAN, sizes=(1, None), draws=2, seed=7
    )
    assert seeds == [7, 7, 8] * 3  # the first of each fold tells the steps, and sees all images


def test_short_classes_give_all_they_have_and_are_counted():
    y = np.repeat([0, 1, 2, 0, 1, 2, 0, 1, 2], [4, 9, 20, 5, 5, 5, 1, 1, 1])
    plan = plan_splits(y, split=["train"] * 33 + ["val"] * 15 + ["test"] * 3)
    points, _ = remembered(y, plan, sizes=(4, 5, 10, 20, 50, None), draws=2)
    found = [(point.images_per_class, point.n_train, point.n_short) for point in points]
    assert found == [(4, 12, 0), (5, 14, 1), (10, 23, 2), (None, 33, 0)]


def test_sizes_that_no_class_reaches_are_left_for_all_there_are():
    points, _ = remembered(Y, PLAN, sizes=(1, 1000), draws=2)
    assert [point.images_per_class for point in points] == [1, None]


@pytest.mark.parametrize("name", ["centroid", "knn", "lda", "linear-svm", "linear-torch", "logreg", "mlp", "ridge"])
def test_heads_learn_from_one_image_a_class_and_more_from_ten(name):
    fewer_steps = {"min_steps": 80} if name in ("linear-torch", "mlp") else {}
    few, more = few_shot_curve(learner(name, fewer_steps), PIXELS.features, Y, PLAN, sizes=(1, 10), draws=2)
    assert 0.25 < few.accuracy < more.accuracy
    assert few.low < few.accuracy < few.high


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"draws": 1}, "draws is 1, expected at least 2"),
        ({"sizes": ()}, r"sizes are \(\)"),
        ({"sizes": (0, None)}, r"sizes are \(0, None\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(DataError, match=message):
        few_shot_curve(MEANS, X, Y, PLAN, **options)


def test_a_head_that_needs_more_images_is_named_with_the_size():
    with pytest.raises(DataError, match=r"1 images a class cannot be fitted .*; ask for more images"):
        few_shot_curve(learner("logreg", {"C": -1.0}), X, Y, PLAN, sizes=(1,))


def test_columns_are_scaled_by_all_images_that_are_known_without_labels():
    class Seen(Means, BaseEstimator):
        rows = ()

        def fit(self, X, y):
            Seen.rows = (*Seen.rows, X)
            return super().fit(X, y)

    few_shot_curve(
        Learner(make=lambda _: make_pipeline(StandardScaler(), Seen())), X, Y, PLAN, sizes=(1, None), draws=2
    )
    for number, (fit, _) in enumerate(PLAN.folds):
        whole = StandardScaler().fit(X[fit].astype(np.float32)).transform(X.astype(np.float32))
        first, all_of_them, again = Seen.rows[3 * number : 3 * number + 3]
        for few in (first, again):
            assert len(few) == 10
            assert all(np.isclose(row, whole).all(axis=1).any() for row in few)
        np.testing.assert_allclose(all_of_them, whole[fit], rtol=1e-6)


def test_one_image_a_class_is_no_worse_for_columns_that_few_images_leave_unsettled():
    # Columns of very different sizes, which one image of each class cannot tell.
    uneven = PIXELS.features * np.geomspace(1e-3, 1e3, PIXELS.features.shape[1])
    curves = {
        name: few_shot_curve(learner(name), uneven, Y, PLAN, sizes=(1,), draws=4)[0].accuracy
        for name in ("logreg", "ridge")
    }
    bare = few_shot_curve(Learner(make=lambda _: Rescaled()), uneven, Y, PLAN, sizes=(1,), draws=4)[0].accuracy
    assert min(curves.values()) > bare + 0.01


def test_a_step_that_needs_labels_sees_those_of_the_drawn_images_alone():
    seen = []

    class Choose(SelectKBest):
        def fit(self, X, y):
            seen.append(len(y))
            return super().fit(X, y)

    def make(_seed):
        choose = Choose(lambda features, _labels: features.max(axis=0), k=5)
        return make_pipeline(StandardScaler(), choose, StandardScaler(), NearestCentroid())

    few_shot_curve(Learner(make=make), X, Y, PLAN, sizes=(3,), draws=2)
    assert seen[:6] == [30] * 6


def test_what_is_known_of_a_head_on_all_images_is_not_fitted_again():
    made, n_scored = [], sum(len(score) for _, score in PLAN.folds)
    right = np.arange(n_scored) % 3 > 0
    known = Learner(make=lambda seed: made.append(seed) or Means(), right=right)
    last = few_shot_curve(known, X, Y, PLAN, sizes=(1, None), draws=2)[-1]
    assert (last.images_per_class, last.accuracy) == (None, pytest.approx(right.mean()))
    assert made == [0, 0, 1] * 3


def test_small_fits_have_one_thread_of_blas_each():
    seen = []

    class Threads(Means):
        def fit(self, X, y):
            seen.extend(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
            return super().fit(X, y)

    few_shot_curve(Learner(make=lambda _: Threads()), X, Y, PLAN, sizes=(1,), draws=2)
    assert set(seen) == {1}
