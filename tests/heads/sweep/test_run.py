"""A sweep scores every candidate on every fold, wherever it runs, and picks the best."""

import threading

import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from support.sweep_example import CHEAP, PIXELS, PLAN, X, Y, broken

from headstart.heads import HEADS
from headstart.heads.registry.candidates import FeatureSet, expand
from headstart.heads.scoring.classification import score_predictions
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.final import fit_final, score_test
from headstart.heads.sweep.run import Running, select, sweep


def test_results_come_back_best_first():
    results = sweep(expand([PIXELS], CHEAP), Y, PLAN)
    accuracies = [result.scores["accuracy"].value for result in results]
    assert accuracies == sorted(accuracies, reverse=True)
    assert results[-1].candidate.head == "dummy"


def test_a_metric_where_lower_is_better_orders_the_other_way():
    results = sweep(expand([PIXELS], [*CHEAP, "linear-svm"], {"linear-svm": {"C": [0.01]}}), Y, PLAN, metric="log_loss")
    losses = [result.scores["log_loss"].value for result in results[:-1]]
    assert losses == sorted(losses)
    assert results[-1].candidate.head == "linear-svm"
    assert results[-1].scores["log_loss"] is None


def test_scores_are_those_of_scikit_learns_cross_validation():
    (result,) = sweep(expand([PIXELS], ["logreg"], {"logreg": {"C": [0.1]}}), Y, PLAN)
    fold_of = np.empty(len(Y), dtype=int)
    for number, (_, score_rows) in enumerate(PLAN.folds):
        fold_of[score_rows] = number
    probability = cross_val_predict(
        HEADS["logreg"].make({"C": 0.1}, 0),
        X[PLAN.train].astype(np.float32),
        Y[PLAN.train],
        cv=PredefinedSplit(fold_of[PLAN.train]),
        method="predict_proba",
    )
    expected = score_predictions(Y[PLAN.train], probability, probability.argmax(axis=1), 10)
    for name, score in expected.items():
        assert result.scores[name].value == pytest.approx(score.value, rel=1e-5)


def test_folds_have_scores_of_their_own():
    (result,) = sweep(expand([PIXELS], ["centroid"]), Y, PLAN)
    sizes = [len(score_rows) for _, score_rows in PLAN.folds]
    mean = np.average([fold["accuracy"] for fold in result.per_fold], weights=sizes)
    assert mean == pytest.approx(result.scores["accuracy"].value)
    assert len(result.per_fold) == 3


def test_test_rows_are_not_touched():
    poisoned = X.copy()
    poisoned[PLAN.test] = 0
    source = FeatureSet(features=poisoned, backbone="pixels", tap="raw", key="k")
    (clean,), (other,) = (
        sweep(expand([features], ["logreg"], {"logreg": {}}), Y, PLAN) for features in (PIXELS, source)
    )
    assert clean.scores == other.scores


def test_val_chooses_where_it_is_given():
    split = np.repeat(["train", "val", "test"], 100)
    plan = plan_splits(Y, split=split)
    (result,) = sweep(expand([PIXELS], ["centroid"]), Y, plan)
    model = HEADS["centroid"].make({}, 0).fit(X[:100].astype(np.float32), Y[:100])
    assert result.scores["accuracy"].value == model.score(X[100:200].astype(np.float32), Y[100:200])
    assert len(result.per_fold) == 1


@pytest.fixture(scope="module")
def scheduler():
    with LocalCluster(
        processes=False,
        n_workers=1,
        threads_per_worker=2,
        dashboard_address="127.0.0.1:0",
        protocol="tcp://",
        silence_logs=50,
    ) as cluster:
        yield cluster.scheduler_address


def test_a_scheduler_at_an_address_gives_the_same_results_and_is_left_running(scheduler):
    candidates = expand([PIXELS], CHEAP)
    expected = [(r.candidate.params, r.scores) for r in sweep(candidates, Y, PLAN)]
    for _ in range(2):
        assert [
            (r.candidate.params, r.scores) for r in sweep(candidates, Y, PLAN, running=Running(dask=scheduler))
        ] == expected
    with Client(scheduler) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_processes_give_the_same_results_and_print_nothing(capfd):
    class View:  # as the cache's: it pickles small and becomes an array where it is used
        def __array__(self, dtype=None, copy=None):

            return load_digits().data[:300].astype(np.float16)

    source = FeatureSet(features=View(), backbone="pixels", tap="raw", key="view")
    candidates = [*expand([source], CHEAP), broken()]
    results = sweep(candidates, Y, PLAN, running=Running(dask="processes", workers=1))
    expected = sweep([*expand([PIXELS], CHEAP), broken()], Y, PLAN)
    assert [(r.candidate.params, r.scores) for r in results] == [(r.candidate.params, r.scores) for r in expected]
    assert [result.probability for result in results] == [None] * len(results)  # it would travel
    assert capfd.readouterr() == ("", "")


def test_results_keep_the_candidates_that_went_in():
    candidates = expand([PIXELS], CHEAP)
    results = sweep(candidates, Y, PLAN)
    assert {id(result.candidate) for result in results} == set(map(id, candidates))


def test_each_result_is_announced_once_in_the_calling_thread():
    seen = []
    results = sweep(
        expand([PIXELS], CHEAP),
        Y,
        PLAN,
        running=Running(on_result=lambda result: seen.append((result, threading.current_thread()))),
    )
    assert sorted(id(result) for result, _ in seen) == sorted(map(id, results))
    assert {thread for _, thread in seen} == {threading.current_thread()}


def test_the_first_folds_curve_of_a_torch_head_is_kept():
    grid = {"linear-torch": {"max_epochs": [2], "min_steps": [0]}, "dummy": {}}
    results = sweep(expand([PIXELS], ["linear-torch", "dummy"], grid), Y, PLAN)
    assert [row["epoch"] for row in results[0].history] == [1, 2]
    assert results[1].history is None


def test_heads_get_float32(temporary_head, tmp_path):
    def make(params, seed):
        from sklearn.pipeline import make_pipeline  # travels to the worker with the function
        from sklearn.preprocessing import FunctionTransformer  # likewise

        def note(features):
            (tmp_path / features.dtype.name).touch()
            return features

        return make_pipeline(FunctionTransformer(note), HEADS["dummy"].make({}, seed))

    sweep([temporary_head(make)], Y, PLAN)
    assert [path.name for path in tmp_path.iterdir()] == ["float32"]


def test_a_class_that_a_fold_lacks_gets_probability_zero():
    y = np.array([0, 1] * 20 + [2])  # the only image of class 2 is in val
    plan = plan_splits(y, split=[*["train", "train", "val", "val", "test"] * 8, "val"])
    source = FeatureSet(features=X[:41], backbone="pixels", tap="raw", key="k")
    (result,) = sweep(expand([source], ["dummy"]), y, plan)
    # 16 images at one in two, and one at what the log-loss takes for zero: 36 nats
    assert result.scores["log_loss"].value == pytest.approx((16 * np.log(2) + 36.04) / 17, abs=0.01)


def test_groups_widen_the_interval():
    groups = np.arange(300) // 15
    alone, grouped = (sweep(expand([PIXELS], ["centroid"]), Y, PLAN, groups=g)[0] for g in (None, groups))
    assert alone.scores["accuracy"].value == grouped.scores["accuracy"].value
    assert alone.scores["accuracy"] != grouped.scores["accuracy"]


def test_the_best_result_is_selected_by_the_metric_asked_for():
    results = sweep(expand([PIXELS], ["knn"]), Y, PLAN)
    assert select(results) is results[0]
    assert select(results, "log_loss").scores["log_loss"].value == min(r.scores["log_loss"].value for r in results)


def test_the_final_fit_sees_train_and_the_test_score_sees_test():
    (candidate,) = expand([PIXELS], ["logreg"], {"logreg": {"C": [0.1]}})
    final = score_test(fit_final(candidate, X, Y, PLAN), X, Y, PLAN)
    by_hand = HEADS["logreg"].make({"C": 0.1}, 0).fit(X[PLAN.train].astype(np.float32), Y[PLAN.train])
    assert np.array_equal(final.rows, PLAN.test)
    assert np.array_equal(final.predictions, by_hand.predict(X[PLAN.test].astype(np.float32)))
    assert np.array_equal(final.probability, by_hand.predict_proba(X[PLAN.test].astype(np.float32)))
    assert final.scores["accuracy"].value == (final.predictions == Y[PLAN.test]).mean()
