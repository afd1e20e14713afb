"""Heads that predict numbers: what they are, that they learn, and a sweep of them."""

import numpy as np
import pytest
from sklearn.base import is_regressor
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer, StandardScaler

from headstart.heads import HEADS, DataError, UnknownHeadError
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.registry.lookup import find_head
from headstart.heads.registry.presets import PRESETS, REGRESSION_PRESETS, find_preset
from headstart.heads.registry.table import REGRESSORS
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.final import fit_final, score_test
from headstart.heads.sweep.run import select, sweep

GENERATOR = np.random.default_rng(0)
X = GENERATOR.normal(size=(240, 8)).astype(np.float32)
Y = 2000.0 + 3.0 * X[:, 0] + 2.0 * X[:, 1] + 0.3 * GENERATOR.normal(size=240)
SET = FeatureSet(features=X, backbone="noise", tap="raw", key="k")
PLAN = plan_splits(Y, folds=3, stratify=False, class_names=["year"])
CHEAP = ["dummy", "ridge", "knn"]


def test_the_promised_heads_are_regressors_named_like_the_classifiers_of_their_kind():
    assert set(REGRESSORS) == {"dummy", "ridge", "knn", "boosting", "mlp"}
    assert set(REGRESSORS) <= set(HEADS)
    assert all(is_regressor(head.make({}, 0)) for head in REGRESSORS.values())


@pytest.mark.parametrize("name", sorted(set(REGRESSORS) - {"dummy"}))
def test_every_head_for_numbers_learns_and_keeps_far_offsets(name):
    model = REGRESSORS[name].make({}, 0).fit(X[:180], Y[:180])
    assert r2_score(Y[180:], model.predict(X[180:])) > 0.5


def test_the_floor_is_the_mean():
    assert REGRESSORS["dummy"].make({}, 0).fit(X, Y).predict(X[:2]) == pytest.approx([Y.mean()] * 2)


def test_ridge_predicts_what_scikit_learns_does_in_float64():
    expected = make_pipeline(StandardScaler(), Ridge(10.0)).fit(X.astype(np.float64), Y).predict(X)
    found = REGRESSORS["ridge"].make({"alpha": 10.0}, 0).fit(X, Y).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_numbers_beyond_float32_are_kept_by_ridge():
    seconds = 1.7e9 + Y
    found = REGRESSORS["ridge"].make({"alpha": 1.0}, 0).fit(X, seconds).predict(X)
    assert r2_score(seconds, found) > 0.98


def test_neighbours_predict_what_scikit_learns_do():
    expected = make_pipeline(Normalizer(), KNeighborsRegressor(7, weights="distance")).fit(X[:200], Y[:200])
    found = REGRESSORS["knn"].make({"n_neighbors": 7}, 0).fit(X[:200], Y[:200])
    np.testing.assert_allclose(found.predict(X[200:]), expected.predict(X[200:]), rtol=1e-6)


def test_boosted_trees_add_up_to_what_scikit_learns_predict():
    settings = {"max_iter": 20, "max_leaf_nodes": 15, "min_samples_leaf": 5, "max_bins": 31, "early_stopping": False}
    expected = HistGradientBoostingRegressor(**settings, random_state=0).fit(X, Y).predict(X)
    found = REGRESSORS["boosting"].make({"max_iter": 20, "validation_fraction": 0.01}, 0).fit(X, Y).predict(X)
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_the_perceptron_chooses_its_epoch_by_squared_error():
    last = REGRESSORS["mlp"].make({"hidden_sizes": (16,)}, 0).fit(X, Y)[-1]
    losses = [epoch["val_loss"] for epoch in last.history_]
    assert last.best_epoch_ == int(np.argmin(losses)) + 1
    assert {epoch["val_accuracy"] for epoch in last.history_} == {None}


@pytest.mark.parametrize("name", REGRESSION_PRESETS)
def test_every_choice_of_a_sweep_of_numbers_can_be_made(name):
    preset = find_preset(name, "regress")
    candidates = expand([SET], list(preset), preset, task="regress")
    assert "dummy" in {candidate.head for candidate in candidates}
    for candidate in candidates:
        REGRESSORS[candidate.head].make(candidate.params, 0)


def test_numbers_have_sweeps_of_the_same_names_as_classes():
    assert list(REGRESSION_PRESETS) == list(PRESETS)


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("logreg", "'logreg' tells classes apart and predicts no numbers; heads that do: boosting, dummy, knn"),
        ("rigde", "did you mean ridge"),
        ("zzz", "known heads: boosting, dummy"),
    ],
)
def test_an_unknown_head_for_numbers_is_answered_with_names(asked, answer):
    with pytest.raises(UnknownHeadError, match=answer):
        find_head(asked, "regress")


def test_a_sweep_of_numbers_scores_as_scikit_learns_cross_validation():
    (result,) = sweep(expand([SET], ["ridge"], {"ridge": {"alpha": [1.0]}}, task="regress"), Y, PLAN, metric="r2")
    fold_of = np.empty(len(Y), dtype=int)
    for number, (_, scored) in enumerate(PLAN.folds):
        fold_of[scored] = number
    model = REGRESSORS["ridge"].make({"alpha": 1.0}, 0)
    shown = cross_val_predict(model, X[PLAN.train], Y[PLAN.train], cv=PredefinedSplit(fold_of[PLAN.train]))
    assert result.scores["r2"].value == pytest.approx(r2_score(Y[PLAN.train], shown), rel=1e-6)
    assert [set(fold) for fold in result.per_fold] == [{"r2", "mae", "rmse"}] * 3


@pytest.mark.parametrize("metric", ["r2", "mae", "rmse"])
def test_results_come_best_first_by_each_metric_and_the_floor_last(metric):
    results = sweep(expand([SET], CHEAP, task="regress"), Y, PLAN, metric=metric)
    values = [result.scores[metric].value for result in results]
    assert values == sorted(values, reverse=metric == "r2")
    assert (results[0].candidate.head, results[-1].candidate.head) == ("ridge", "dummy")
    assert select(results, metric) is results[0]


def test_the_winner_is_scored_once_on_the_test_rows():
    (candidate,) = expand([SET], ["ridge"], {"ridge": {"alpha": [1.0]}}, task="regress")
    model = fit_final(candidate, X, Y, PLAN)
    final = score_test(model, X, Y, PLAN)
    np.testing.assert_allclose(final.predictions, model.predict(X[PLAN.test]))
    assert final.scores["r2"].value == pytest.approx(r2_score(Y[PLAN.test], final.predictions))
    assert final.probability is None


def test_a_metric_of_classes_does_not_order_heads_for_numbers():
    with pytest.raises(DataError, match="the metric accuracy is for heads that classify"):
        sweep(expand([SET], CHEAP, task="regress"), Y, PLAN, metric="accuracy")


def test_plain_folds_hold_each_train_image_once_and_no_test_image():
    scored = np.concatenate([rows for _, rows in PLAN.folds])
    assert sorted(scored) == PLAN.train.tolist()
    assert not set(PLAN.test) & set(PLAN.train)
    assert {len(rows) for _, rows in PLAN.folds} == {64}


def test_groups_of_numbers_stay_on_one_side():
    groups = np.arange(240) // 6
    plan = plan_splits(Y, groups=groups, folds=4, stratify=False, class_names=["year"])
    for fitted, scored in [*plan.folds, (plan.train, plan.test)]:
        assert not set(groups[fitted]) & set(groups[scored])


def test_given_splits_of_numbers_are_kept():
    split = ["train"] * 150 + ["val"] * 40 + ["test"] * 50
    plan = plan_splits(Y, split=split, stratify=False, class_names=["year"])
    assert (plan.selection, len(plan.folds), len(plan.test)) == ("val", 1, 50)


def test_fewer_images_than_folds_name_what_is_measured():
    with pytest.raises(DataError, match="'year' has 3 images to train on, expected at least one for each of the 5"):
        plan_splits(Y[:4], folds=5, stratify=False, class_names=["year"])
