"""What a sweep does with a candidate that fails or warns, with an interruption, and with what it cannot use."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from support.sweep_example import CHEAP, PIXELS, PLAN, X, Y, broken

from headstart.heads import HEADS, DataError, UnknownHeadError
from headstart.heads.registry.candidates import Candidate, FeatureSet, expand
from headstart.heads.scoring.metrics import Score
from headstart.heads.sweep.final import fit_final
from headstart.heads.sweep.run import Running, order_results, select, sweep
from headstart.heads.sweep.trial import Result


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
        sweep(many, Y, PLAN, running=Running(workers=1, on_result=interrupt))
    assert len(list(tmp_path.iterdir())) < 300


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
        (
            {"running": Running(dask="thread")},
            "dask is 'thread', expected 'threads', 'processes' or a scheduler's address",
        ),
        ({"running": Running(workers=0)}, "workers is 0, expected at least 1"),
        ({"metric": "f1"}, "no metric is called 'f1'; expected one of accuracy"),
    ],
)
def test_an_argument_that_is_unknown_is_refused(arguments, message):
    with pytest.raises(DataError, match=message):
        sweep(expand([PIXELS], ["dummy"]), Y, PLAN, **arguments)


def test_an_unknown_head_is_refused_before_anything_runs():
    with pytest.raises(UnknownHeadError, match="'nope'"):
        sweep([broken("nope", C=1)], Y, PLAN)


def test_nothing_is_selected_by_a_metric_that_no_result_has():
    results = sweep(expand([PIXELS], ["linear-svm"], {"linear-svm": {}}), Y, PLAN)
    with pytest.raises(DataError, match="none of 1 results has a log_loss"):
        select(results, "log_loss")


def test_two_feature_sets_of_one_name_are_refused_and_not_taken_for_each_other():
    other = replace(PIXELS, features=X + 1)
    with pytest.raises(DataError, match="two feature sets have the key and tap"):
        sweep(expand([PIXELS, other], ["dummy"]), Y, PLAN)


def test_an_unknown_metric_is_refused_wherever_results_are_ordered():
    results = [Result(candidate=broken(), scores={"accuracy": Score(0.5, 0.4, 0.6)})]
    for ask in (select, lambda some, metric: order_results(some, [broken()], metric)):
        with pytest.raises(DataError, match="no metric is called 'auc'; expected one of accuracy"):
            ask(results, "auc")
