"""Heads fitted in few passes over blocks of rows, against the same heads fitted in memory on the same folds."""

from dataclasses import replace

import numpy as np
import pytest
from support.streaming_example import GRIDS, N_FEATURES, PLAN, OnlyRows, X, Y, candidates, embeddings

from headstart.heads.errors import DataError
from headstart.heads.registry.candidates import streamed_heads
from headstart.heads.solvers.sums import Stream
from headstart.heads.splits import plan_splits
from headstart.heads.sweep.final import fit_final, score_test
from headstart.heads.sweep.run import Running, sweep

BLOCK = 4 * N_FEATURES * 100  # a hundred rows
SAMPLE = 4 * N_FEATURES * 300
NO_BOUND = 10**9


SMALL = {"block_bytes": BLOCK, "sample_bytes": SAMPLE}


def sweep_streamed(some, y, plan, *, on_result=None, finished=(), **sizes):
    streamed = [replace(one, features=Stream(features=one.features, **sizes)) for one in some]
    return sweep(streamed, y, plan, running=Running(on_result=on_result, finished=finished))


def by_params(results):
    return {(one.candidate.head, str(one.candidate.params)): one for one in results}


@pytest.fixture(scope="module")
def in_memory():
    return by_params(sweep(candidates(X, *GRIDS), Y, PLAN, running=Running(workers=1)))


@pytest.fixture(scope="module")
def streamed():
    found = sweep_streamed(candidates(OnlyRows(X, 300), *GRIDS), Y, PLAN, **SMALL)
    return by_params(found)


@pytest.mark.parametrize("head", GRIDS)
def test_a_streamed_head_scores_as_in_memory(head, streamed, in_memory):
    for name in (name for name in in_memory if name[0] == head):
        ours, theirs = streamed[name], in_memory[name]
        assert ours.error is None
        for metric in ("accuracy", "balanced_accuracy", "macro_f1"):
            assert ours.scores[metric].value == pytest.approx(theirs.scores[metric].value, abs=0.002)
        assert ours.scores["log_loss"].value == pytest.approx(theirs.scores["log_loss"].value, abs=0.01)
        for fold, other in zip(ours.per_fold, theirs.per_fold, strict=True):
            assert fold["accuracy"] == pytest.approx(other["accuracy"], abs=0.004)  # two images of a fold


@pytest.mark.parametrize("head", ["ridge", "centroid", "dummy"])
def test_an_exact_head_names_the_very_classes_that_it_names_in_memory(head, streamed, in_memory):
    for name in (name for name in in_memory if name[0] == head):
        assert np.array_equal(streamed[name].predictions.classes, in_memory[name].predictions.classes)


@pytest.mark.parametrize("head", GRIDS)
def test_intervals_are_those_in_memory_but_for_the_bootstraps_chance(head, streamed, in_memory):
    for name in (name for name in in_memory if name[0] == head):
        ranked = [metric for metric, score in streamed[name].scores.items() if score is None]
        assert ranked == ["roc_auc", "average_precision", "top5"], "they need every probability at once"
        for metric in set(streamed[name].scores) - set(ranked):
            ours, theirs = streamed[name].scores[metric], in_memory[name].scores[metric]
            width = theirs.high - theirs.low
            assert ours.high - ours.low == pytest.approx(width, rel=0.1, abs=0.002)


def test_the_best_comes_first_as_in_memory(streamed, in_memory):
    assert next(iter(streamed)) == next(iter(in_memory))


@pytest.mark.parametrize("n_rows", [7, 5000])
def test_the_size_of_blocks_changes_no_prediction(n_rows):
    some = ["ridge", "centroid"]
    one, other = (
        by_params(sweep_streamed(candidates(X, *some), Y, PLAN, block_bytes=4 * N_FEATURES * rows))
        for rows in (n_rows, 100)
    )
    for name, result in one.items():
        assert np.array_equal(result.predictions.classes, other[name].predictions.classes)
        np.testing.assert_allclose(result.predictions.probability, other[name].predictions.probability, atol=1e-5)


@pytest.mark.parametrize("head", GRIDS)
def test_with_everything_in_the_sample_probabilities_are_those_in_memory(head, in_memory):
    found = by_params(sweep_streamed(candidates(X, head), Y, PLAN, block_bytes=BLOCK, sample_bytes=NO_BOUND))
    for name, result in found.items():
        theirs = in_memory[name].predictions.probability
        np.testing.assert_allclose(result.predictions.probability, theirs, atol=2e-3 if head == "logreg" else 2e-5)


@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("head", ["ridge", "logreg", "centroid", "dummy"])
def test_the_winner_is_the_stock_estimator_with_all_that_fit_sets(head, n_classes):
    features, y = embeddings(n_classes)
    plan = plan_splits(y, folds=3)
    candidate = candidates(features, head)[-1]
    ours = fit_final(candidate, Stream(features=features, **SMALL), y, plan)
    theirs = fit_final(candidate, features, y, plan)
    assert type(ours) is type(theirs)
    pairs = zip(ours, theirs, strict=True) if hasattr(theirs, "steps") else [(ours, theirs)]
    for one, other in pairs:
        assert type(one) is type(other)
        assert one.get_params() == other.get_params()
        assert vars(one).keys() == vars(other).keys()
        for name, value in vars(other).items():
            assert np.shape(vars(one)[name]) == np.shape(value), name
    rows = features[plan.test].astype(np.float32)
    assert np.mean(ours.predict(rows) == theirs.predict(rows)) >= 0.995
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows), atol=0.05)


@pytest.mark.parametrize("head", ["ridge", "logreg"])
def test_a_streamed_winner_scores_as_in_memory_on_the_test_images(head):
    candidate, stream = candidates(X, head)[1], Stream(features=OnlyRows(X, 300), **SMALL)
    ours = score_test(fit_final(candidate, stream, Y, PLAN), stream, Y, PLAN)
    theirs = score_test(fit_final(candidate, X, Y, PLAN), X, Y, PLAN)
    assert np.array_equal(ours.rows, theirs.rows)
    assert ours.scores["accuracy"].value == pytest.approx(theirs.scores["accuracy"].value, abs=0.003)
    np.testing.assert_allclose(ours.probability, theirs.probability, atol=0.03)


def test_ridge_reads_the_images_once_to_fit_and_once_to_score():
    features = OnlyRows(X, 300)
    sweep_streamed(candidates(features, "ridge"), Y, PLAN, **SMALL)
    assert features.n_read == 2 * len(PLAN.train) + 300  # the sample


def test_logistic_regression_passes_over_all_images_a_few_times():
    features = OnlyRows(X, 300)
    sweep_streamed(candidates(features, "logreg"), Y, PLAN, **SMALL)
    assert features.n_read < 40 * len(PLAN.train)  # from a sample of 300; of larger ones fewer


def test_a_validation_set_is_one_fold():
    split = np.where(np.arange(len(Y)) % 5 == 0, "val", np.where(np.arange(len(Y)) % 5 == 1, "test", "train"))
    plan = plan_splits(Y, split=split)
    ours, theirs = (
        run(candidates(X, "ridge", "centroid"), Y, plan, **more)
        for run, more in ((sweep_streamed, {"block_bytes": BLOCK}), (sweep, {"running": Running(workers=1)}))
    )
    for name, one in by_params(theirs).items():
        assert np.array_equal(by_params(ours)[name].predictions.classes, one.predictions.classes)


def test_a_class_that_a_fold_lacks_has_no_probability_there():
    y = np.where(np.arange(len(Y)) < 40, 4, Y)  # these forty are one group, and lie in one fold as a whole
    groups = np.where(np.arange(len(Y)) < 40, 0, np.arange(len(Y)))
    split = np.where(np.arange(len(Y)) < 40, "val", np.where(np.arange(len(Y)) % 4 == 0, "val", "train"))
    split[-100:] = "test"
    plan = plan_splits(y, split=split, groups=groups)
    both = [by_params(run(candidates(X, "ridge", "logreg", "centroid"), y, plan)) for run in (sweep_streamed, sweep)]
    absent = y[plan.folds[0][1]] == 4
    for name, ours in both[0].items():
        assert (ours.predictions.probability[absent] == 0).all()
        assert ours.scores["accuracy"].value == pytest.approx(both[1][name].scores["accuracy"].value, abs=0.002)


def test_images_that_are_not_finite_are_named():
    broken = X.copy()
    rows = [int(PLAN.train[5]), int(PLAN.train[900])]
    broken[rows, 3] = np.nan
    with pytest.raises(DataError, match="NaN or infinite") as caught:
        sweep_streamed(candidates(broken, "centroid"), Y, PLAN, **SMALL)
    assert rows[0] in caught.value.rows


def test_one_bad_choice_fails_by_itself():
    good, bad = candidates(X, "ridge")[0], replace(candidates(X, "ridge")[1], params={"alpha": -1.0})
    found = sweep_streamed([good, bad], Y, PLAN)
    assert found[0].candidate.params == good.params
    assert found[0].error is None
    assert found[1].error == "ValueError: alpha is -1.0, expected a number above 0"


def test_heads_that_need_all_features_at_once_are_refused():
    with pytest.raises(DataError, match=r"knn cannot be .* features; these can: dummy, centroid, logreg, ridge"):
        sweep_streamed(candidates(X, "knn", "ridge"), Y, PLAN)


def test_each_result_is_told_once():
    noted = []
    found = sweep_streamed(candidates(X, *GRIDS), Y, PLAN, on_result=noted.append)
    assert sorted(map(id, noted)) == sorted(map(id, found))


def test_what_was_finished_before_is_not_fitted_again():
    some = candidates(X, "ridge")
    first = sweep_streamed(some, Y, PLAN)
    features = OnlyRows(X, 0)
    again = [replace(one, features=features) for one in some]
    order = [one.params for one in some]
    done = [replace(result, candidate=again[order.index(result.candidate.params)]) for result in first]
    assert sweep_streamed(again, Y, PLAN, finished=done) == done


def test_every_streamed_head_is_registered():

    assert set(streamed_heads()) == {"centroid", "dummy", "logreg", "ridge"}
