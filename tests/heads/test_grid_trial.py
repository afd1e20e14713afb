"""Whole grids on one fold give each candidate the result that it gets by itself."""

import numpy as np
import pytest
from sweep_example import PIXELS, PLAN, X, Y

from heads import HEADS
from heads.candidates import expand
from heads.grid_paths import PATHS, GridPath
from heads.grid_trial import run_path
from heads.sweep import sweep
from heads.sweep_jobs import submit_jobs
from heads.trial import Task, run_trial

TASK = Task(y=Y, n_classes=10, plan=PLAN, groups=None, seed=0)
FEATURES = np.ascontiguousarray(X, dtype=np.float32)


@pytest.mark.parametrize("name", PATHS)
def test_results_are_those_of_one_candidate_after_another(name):
    candidates = expand([PIXELS], [name])
    together = {str(result.candidate.params): result for result in sweep(candidates, Y, PLAN)}
    assert len(together) == len(candidates) > 1
    for candidate in candidates:
        alone, found = run_trial(candidate, HEADS[name], FEATURES, TASK), together[str(candidate.params)]
        assert found.error is None
        assert found.fit_seconds > 0
        assert found.candidate is candidate
        for fold, own in zip(found.per_fold, alone.per_fold, strict=True):
            assert fold["accuracy"] == pytest.approx(own["accuracy"], abs=0.02)  # 2 of 80 images
        assert found.scores["accuracy"].value == pytest.approx(alone.scores["accuracy"].value, abs=0.009)
        assert found.scores["log_loss"].value == pytest.approx(alone.scores["log_loss"].value, rel=0.05)


def test_one_that_is_wrong_costs_the_others_nothing():
    candidates = expand([PIXELS], ["logreg"], {"logreg": {"C": [0.1, -1.0, 1.0]}})
    results = {result.candidate.params["C"]: result for result in sweep(candidates, Y, PLAN)}
    assert results[-1.0].error.startswith("InvalidParameterError: The 'C' parameter of LogisticRegression")
    for C in (0.1, 1.0):
        (alone,) = sweep(expand([PIXELS], ["logreg"], {"logreg": {"C": [C]}}), Y, PLAN)
        assert results[C].scores["accuracy"] == alone.scores["accuracy"]
        assert results[C].scores["log_loss"].value == pytest.approx(alone.scores["log_loss"].value, rel=1e-5)


def test_classes_that_a_fold_lacks_have_probability_zero():
    y = np.where(np.isin(np.arange(len(Y)), PLAN.folds[0][0]) & (Y == 3), 4, Y)
    part = run_path(
        PATHS["logreg"],
        [{"C": 0.1}],
        FEATURES,
        0,
        Task(y=y, n_classes=10, plan=PLAN, groups=None, seed=0),
    )
    assert part.error is None
    assert (part.probabilities[0][:, 3] == 0).all()
    np.testing.assert_allclose(part.probabilities[0].sum(axis=1), 1)


def test_a_failure_is_told():
    part = run_path(PATHS["logreg"], [{"C": -1.0}], FEATURES, 0, TASK)
    assert part.error == "ValueError: C is -1.0, expected a number above 0"
    assert part.probabilities == []


def count_jobs(n_candidates, n_folds, n_workers, *, divisible=True):
    path = GridPath(module="m", function="f", params=frozenset({"C"}), divisible=divisible)
    jobs = []

    def submit(function, *arguments):
        jobs.append((function.__name__, arguments))
        return len(jobs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("heads.sweep_jobs.PATHS", {"logreg": path})
        candidates = expand([PIXELS], ["logreg"], {"logreg": {"C": [float(C) for C in range(1, n_candidates + 1)]}})
        sources = {id(PIXELS.features): "features"}
        options = {"n_folds": n_folds, "n_workers": n_workers}
        futures = submit_jobs(submit, candidates, {"logreg": HEADS["logreg"]}, sources, "task", **options)
    assert sorted(candidate.params["C"] for candidate in futures.values()) == list(range(1, n_candidates + 1))
    return [arguments[1] for name, arguments in jobs if name == "run_path"], [name for name, _ in jobs]


@pytest.mark.parametrize(
    ("n_folds", "n_workers", "divisible", "expected"),
    [(5, 1, True, 5), (5, 2, True, 5), (5, 4, True, 10), (1, 4, True, 4), (1, 4, False, 1), (20, 2, True, 20)],
)
def test_a_grid_is_cut_where_workers_would_wait(n_folds, n_workers, divisible, expected):
    grids, _ = count_jobs(8, n_folds, n_workers, divisible=divisible)
    assert len(grids) == expected
    assert sum(map(len, grids)) == 8 * n_folds


def test_a_single_candidate_goes_by_itself():
    _, names = count_jobs(1, 5, 2)
    assert names == ["run_trial"]
