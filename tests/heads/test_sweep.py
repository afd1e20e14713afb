import threading

import numpy as np
import pytest
from distributed import Client, LocalCluster
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from heads import HEADS, DataError, Head, UnknownHeadError, registry
from heads.candidates import Candidate, FeatureSet, expand
from heads.evaluate import Score, score_predictions
from heads.splits import plan_splits
from heads.sweep import fit_final, score_test, select, sweep
from heads.trial import Result

X, Y = (array[:300] for array in load_digits(return_X_y=True))
X = X.astype(np.float16)
PIXELS = FeatureSet(features=X, backbone="pixels", tap="raw", key="k")
PLAN = plan_splits(Y, folds=3)
CHEAP = ["dummy", "centroid", "knn"]


def broken(head="logreg", **params):
    return Candidate(features=X, backbone="pixels", tap="raw", key="k", head=head, params=params or {"C": -1.0})


@pytest.fixture
def temporary_head(monkeypatch):
    """Return a function that registers a head for this test."""

    def add(make):
        monkeypatch.setitem(registry._registered, "temporary", Head(name="temporary", summary=".", make=make, grid={}))
        return Candidate(features=X, backbone="pixels", tap="raw", key="k", head="temporary", params={})

    return add


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
        assert [(r.candidate.params, r.scores) for r in sweep(candidates, Y, PLAN, dask=scheduler)] == expected
    with Client(scheduler) as client:
        assert client.submit(sum, [1, 2]).result() == 3


def test_processes_give_the_same_results_and_print_nothing(capfd):
    class View:  # as the cache's: it pickles small and becomes an array where it is used
        def __array__(self, dtype=None, copy=None):
            from sklearn.datasets import load_digits  # runs in a worker process

            return load_digits().data[:300].astype(np.float16)

    source = FeatureSet(features=View(), backbone="pixels", tap="raw", key="k")
    candidates = [*expand([source], CHEAP), broken()]
    results = sweep(candidates, Y, PLAN, dask="processes", workers=1)
    expected = sweep([*expand([PIXELS], CHEAP), broken()], Y, PLAN)
    assert [(r.candidate.params, r.scores) for r in results] == [(r.candidate.params, r.scores) for r in expected]
    assert capfd.readouterr() == ("", "")


def test_results_keep_the_candidates_that_went_in():
    candidates = expand([PIXELS], CHEAP)
    results = sweep(candidates, Y, PLAN)
    assert {id(result.candidate) for result in results} == set(map(id, candidates))


def test_each_result_is_announced_once_in_the_calling_thread():
    seen = []
    results = sweep(
        expand([PIXELS], CHEAP), Y, PLAN, on_result=lambda result: seen.append((result, threading.current_thread()))
    )
    assert sorted(id(result) for result, _ in seen) == sorted(map(id, results))
    assert {thread for _, thread in seen} == {threading.current_thread()}


def test_a_candidate_that_fails_is_a_result_with_its_reason_and_comes_last():
    results = sweep([broken(), *expand([PIXELS], CHEAP)], Y, PLAN)
    assert results[-1].error.startswith("InvalidParameterError: The 'C' parameter of LogisticRegression")
    assert results[-1].scores == {}
    assert [result.error for result in results[:-1]] == [None] * 5


def test_a_result_that_is_not_finite_ranks_as_missing():
    def result(name, **values):
        scores = {metric: None if value is None else Score(value, value, value) for metric, value in values.items()}
        return Result(candidate=broken(head=name), scores=scores)

    nan, none, good = (
        result(name, accuracy=0.9, log_loss=loss) for name, loss in (("nan", np.nan), ("none", None), ("good", 3.0))
    )
    assert select([nan, none, good], "log_loss") is good
    assert select([nan, none, good], "accuracy") is good
    with pytest.raises(DataError, match="none of 2 results has a log_loss"):
        select([nan, none], "log_loss")


def test_probabilities_that_are_not_finite_are_an_error_of_that_candidate(temporary_head):
    class Unsure(DummyClassifier):
        def predict_proba(self, X):
            return np.full((len(X), 10), np.nan)

    unsure = temporary_head(lambda *_: Unsure())
    results = sweep([unsure, *expand([PIXELS], ["dummy"])], Y, PLAN)
    assert results[-1].candidate is unsure
    assert "fold 1: 80 of 80 images have probabilities that are not finite" in results[-1].error


def test_if_all_fail_the_first_reason_is_raised():
    with pytest.raises(
        DataError, match="none of 1 candidates could be fitted; the first reason: InvalidParameterError"
    ):
        sweep([broken()], Y, PLAN)


def test_a_convergence_warning_is_collected_and_not_printed(capfd):
    (result,) = sweep(expand([PIXELS], ["logreg"], {"logreg": {"max_iter": [1]}}), Y, PLAN)
    assert result.warnings
    assert all(text.startswith("ConvergenceWarning: lbfgs failed to converge") for text in result.warnings)
    assert capfd.readouterr() == ("", "")


def test_the_final_fit_does_not_repeat_the_warning():
    (candidate,) = expand([PIXELS], ["logreg"], {"logreg": {"max_iter": [1]}})
    assert fit_final(candidate, X, Y, PLAN)[-1].n_iter_[0] == 1


def test_the_first_folds_curve_of_a_torch_head_is_kept():
    grid = {"linear-torch": {"max_epochs": [2], "min_steps": [0]}, "dummy": {}}
    results = sweep(expand([PIXELS], ["linear-torch", "dummy"], grid), Y, PLAN)
    assert [row["epoch"] for row in results[0].history] == [1, 2]
    assert results[1].history is None


def test_interrupting_cancels_the_rest_and_raises(temporary_head, tmp_path):
    def make(params, seed):
        (tmp_path / f"{params['number']}").touch()
        return HEADS["dummy"].make({}, seed)

    candidate = temporary_head(make)
    many = [
        Candidate(features=X, backbone="pixels", tap="raw", key="k", head=candidate.head, params={"number": number})
        for number in range(300)
    ]

    def interrupt(result):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(many, Y, PLAN, workers=1, on_result=interrupt)
    assert len(list(tmp_path.iterdir())) < 300


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


def test_features_that_are_not_finite_are_refused_before_anything_runs():
    bad = X.copy()
    bad[7, 3] = np.nan
    source = FeatureSet(features=bad, backbone="vit", tap="pool", key="k")
    with pytest.raises(DataError, match=r"vit/pool: 1 of 300 rows hold NaN") as caught:
        sweep(expand([PIXELS, source], ["dummy"]), Y, PLAN)
    assert caught.value.rows == (7,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dask": "thread"}, "dask is 'thread', expected 'threads', 'processes' or a scheduler's address"),
        ({"workers": 0}, "workers is 0, expected at least 1"),
        ({"metric": "f1"}, "no metric is called 'f1'; expected one of accuracy"),
    ],
)
def test_an_argument_that_is_unknown_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        sweep(expand([PIXELS], ["dummy"]), Y, PLAN, **arguments)


def test_an_unknown_head_is_refused_before_anything_runs():
    with pytest.raises(UnknownHeadError, match="'nope'"):
        sweep([broken("nope", C=1)], Y, PLAN)


def test_the_best_result_is_selected_by_the_metric_asked_for():
    results = sweep(expand([PIXELS], ["knn"]), Y, PLAN)
    assert select(results) is results[0]
    assert select(results, "log_loss").scores["log_loss"].value == min(r.scores["log_loss"].value for r in results)


def test_nothing_is_selected_by_a_metric_that_no_result_has():
    results = sweep(expand([PIXELS], ["linear-svm"], {"linear-svm": {}}), Y, PLAN)
    with pytest.raises(DataError, match="none of 1 results has a log_loss"):
        select(results, "log_loss")


def test_the_final_fit_sees_train_and_the_test_score_sees_test():
    (candidate,) = expand([PIXELS], ["logreg"], {"logreg": {"C": [0.1]}})
    final = score_test(fit_final(candidate, X, Y, PLAN), X, Y, PLAN)
    by_hand = HEADS["logreg"].make({"C": 0.1}, 0).fit(X[PLAN.train].astype(np.float32), Y[PLAN.train])
    assert np.array_equal(final.rows, PLAN.test)
    assert np.array_equal(final.predictions, by_hand.predict(X[PLAN.test].astype(np.float32)))
    assert np.array_equal(final.probability, by_hand.predict_proba(X[PLAN.test].astype(np.float32)))
    assert final.scores["accuracy"].value == (final.predictions == Y[PLAN.test]).mean()
