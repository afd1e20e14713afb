"""Whole grids at once give each candidate the result that it gets by itself."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.sweep_example import PIXELS, PLAN, X, Y

from headstart.heads import HEADS
from headstart.heads.registry.candidates import expand
from headstart.heads.registry.head import GridSolver
from headstart.heads.scoring import resampling
from headstart.heads.solvers.logistic import grid
from headstart.heads.sweep.grid_trial import SolvedPart, pick_result, run_solver, score_group
from headstart.heads.sweep.jobs import SweepSize, submit_jobs
from headstart.heads.sweep.run import Running, sweep
from headstart.heads.sweep.trial import Task, draw_ahead, run_trial

TASK = Task(y=Y, n_classes=10, plan=PLAN, groups=None, seed=0)
PARAMS = {"logreg": {"C": 0.1}, "ridge": {"alpha": 1.0}}
FEATURES = np.ascontiguousarray(X, dtype=np.float32)


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if head.solver])
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
            assert fold["accuracy"] == pytest.approx(own["accuracy"], abs=0.002)  # not one of 80 images
        assert found.scores["accuracy"].value == pytest.approx(alone.scores["accuracy"].value, abs=0.002)
        assert found.scores["log_loss"].value == pytest.approx(alone.scores["log_loss"].value, rel=1e-3)


def test_one_that_is_wrong_costs_the_others_nothing():
    candidates = expand([PIXELS], ["logreg"], {"logreg": {"C": [0.1, -1.0, 1.0]}})
    results = {result.candidate.params["C"]: result for result in sweep(candidates, Y, PLAN)}
    assert results[-1.0].error.startswith("InvalidParameterError: The 'C' parameter of LogisticRegression")
    for C in (0.1, 1.0):
        (alone,) = sweep(expand([PIXELS], ["logreg"], {"logreg": {"C": [C]}}), Y, PLAN)
        assert results[C].scores["accuracy"] == alone.scores["accuracy"]
        assert results[C].scores["log_loss"].value == pytest.approx(alone.scores["log_loss"].value, rel=1e-5)


@pytest.mark.parametrize("name", PARAMS)
def test_classes_that_a_fold_lacks_have_probability_zero(name):
    y = np.where(np.isin(np.arange(len(Y)), PLAN.folds[0][0]) & (Y == 3), 4, Y)
    part = run_solver(HEADS[name].solver, {0: {0: PARAMS[name]}}, FEATURES, replace(TASK, y=y))
    assert part.error is None
    assert (part.probabilities[0, 0][:, 3] == 0).all()
    np.testing.assert_allclose(part.probabilities[0, 0].sum(axis=1), 1)


def test_a_failure_is_told():
    part = run_solver(HEADS["logreg"].solver, {0: {0: {"C": -1.0}}}, FEATURES, TASK)
    assert part.error == "ValueError: C is -1.0, expected a number above 0"
    assert part.probabilities == {}


def cut(n_candidates, n_workers, *, n_folds=5, n_rounds=1, most_cells=1000, most_scored=1000, own=(), **kind):
    """Return the cells of the jobs that a sweep is cut into, and all jobs: names and arguments, futures by place.

    `own` are further sizes.
    """
    path = GridSolver(place="m:f", params=frozenset({"C"}), **kind)
    size = SweepSize(
        n_folds=n_folds,
        n_rounds=n_rounds,
        n_workers=n_workers,
        most_cells=most_cells,
        most_scored=most_scored,
        **dict(own),
    )
    jobs = []

    def submit(function, *arguments):
        jobs.append((function.__name__, arguments))
        return len(jobs) - 1

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("headstart.heads.sweep.jobs.solver_of", lambda _: path)
        candidates = expand([PIXELS], ["logreg"], {"logreg": {"C": [float(C) for C in range(1, n_candidates + 1)]}})
        sources = {PIXELS.place: "features"}
        futures = submit_jobs(submit, candidates, {"logreg": HEADS["logreg"]}, sources, "task", size)
    assert sorted(candidate.params["C"] for candidate in futures.values()) == list(range(1, n_candidates + 1))
    return [arguments[1] for name, arguments in jobs if name == "run_solver"], jobs


@pytest.mark.parametrize(
    ("n_folds", "n_workers", "divisible", "expected"),
    [(5, 1, True, 5), (5, 2, True, 5), (5, 4, True, 10), (1, 4, True, 4), (1, 4, False, 1), (20, 2, True, 20)],
)
def test_a_grid_is_cut_where_workers_would_wait(n_folds, n_workers, divisible, expected):
    jobs, _ = cut(8, n_workers, n_folds=n_folds, divisible=divisible)
    assert len(jobs) == expected
    assert sorted(cells_of(jobs)) == [(fold, number) for fold in range(n_folds) for number in range(8)]


@pytest.mark.parametrize(
    ("n_folds", "n_rounds", "n_workers", "most_cells", "sizes"),
    [
        (5, 1, 2, 1000, [16, 24]),
        (5, 1, 1, 1000, [40]),
        (5, 1, 3, 1000, [8, 16, 16]),
        (5, 1, 10, 1000, [4] * 10),
        (1, 1, 16, 1000, [1] * 8),
        (5, 1, 2, 12, [8, 8, 8, 16]),
        (10, 2, 1, 1000, [40, 40]),
    ],
)
def test_folds_that_share_work_are_cut_where_they_are_fewer_than_workers_alone(
    n_folds, n_rounds, n_workers, most_cells, sizes
):
    options = {"n_folds": n_folds, "n_rounds": n_rounds, "most_cells": most_cells}
    jobs, _ = cut(8, n_workers, divisible=True, across_folds=True, **options)
    assert sorted(sum(map(len, job.values())) for job in jobs) == sizes
    assert sorted(cells_of(jobs)) == [(fold, number) for fold in range(n_folds) for number in range(8)]


@pytest.mark.parametrize(
    ("n_folds", "n_rounds", "n_workers", "most_cells", "sizes"),
    [
        (5, 1, 2, 1000, [2, 3]),
        (5, 1, 1, 1000, [5]),
        (5, 1, 8, 1000, [1] * 5),
        (5, 1, 2, 1, [2, 3]),
        (10, 2, 1, 1, [5, 5]),
    ],
)
def test_folds_that_share_work_stay_whole_where_halves_would_do_it_twice(
    n_folds, n_rounds, n_workers, most_cells, sizes
):
    options = {"n_folds": n_folds, "n_rounds": n_rounds, "most_cells": most_cells}
    jobs, _ = cut(8, n_workers, divisible=False, across_folds=True, **options)
    assert sorted(map(len, jobs)) == sizes
    assert sorted(cells_of(jobs)) == [(fold, number) for fold in range(n_folds) for number in range(8)]


def test_folds_that_share_work_get_the_workers_that_are_their_part_of_the_candidates(monkeypatch):
    path = GridSolver(place="m:f", params=frozenset({"C", "alpha"}), divisible=True, across_folds=True)
    monkeypatch.setattr("headstart.heads.sweep.jobs.solver_of", lambda _: path)
    grid = {"logreg": {"C": [0.1, 1.0, 10.0]}, "ridge": {"alpha": list(range(1, 10))}}
    candidates, solved = expand([PIXELS], ["logreg", "ridge"], grid), []

    def submit(function, *arguments):
        if function is run_solver:
            solved.append(arguments[1])
        return len(solved)

    size = SweepSize(n_folds=5, n_rounds=1, n_workers=4, most_cells=1000, most_scored=1000)
    submit_jobs(submit, candidates, HEADS, {PIXELS.place: "features"}, "task", size)
    assert [len(cells) for cells in solved] == [5, 2, 2, 1]


@pytest.mark.parametrize(
    ("n_numbers", "one_process", "threads_from", "whole"),
    [(100, True, 100, True), (99, True, 100, False), (100, False, 100, False), (100, True, 0, False)],
    ids=["large", "small", "processes", "a solver that has no use for threads"],
)
def test_a_group_that_is_alone_is_one_job_on_all_threads_where_its_products_are_large(
    n_numbers, one_process, threads_from, whole
):
    own = {"n_numbers": n_numbers, "loads_once": one_process}
    found, jobs = cut(8, 3, own=own, divisible=True, across_folds=True, threads_from=threads_from)
    solved = [arguments for name, arguments in jobs if name == "run_solver"]
    assert {arguments[-1] for arguments in solved} == {3 if whole else 1}
    assert (len(found) == 1) == whole
    assert sorted(cells_of(found)) == [(fold, number) for fold in range(5) for number in range(8)]


def test_a_job_on_all_threads_has_them_and_gives_what_jobs_of_one_give(monkeypatch):
    monkeypatch.setattr(grid, "_WORTH_A_PATH", 0)
    monkeypatch.setattr(GridSolver, "load", lambda _: solve)
    seen, results = [], {}

    def solve(*asked):
        seen.append(torch.get_num_threads())
        return grid.solve_logreg(*asked)

    rows = {name: replace(HEADS["logreg"].solver, threads_from=size) for name, size in {"one": 1, "many": 0}.items()}
    for name, solver in rows.items():
        monkeypatch.setattr("headstart.heads.sweep.jobs.solver_of", lambda _, solver=solver: solver)
        results[name] = sweep(expand([PIXELS], ["logreg"]), Y, PLAN, running=Running(workers=2))
    assert seen == [2, 1, 1]
    for one, many in zip(*map(in_order, results.values()), strict=True):
        assert one.error is None
        assert one.scores["log_loss"].value == pytest.approx(many.scores["log_loss"].value, rel=0.01)


def in_order(results):
    return sorted(results, key=lambda result: result.candidate.params["C"])


def test_sizes_from_which_a_job_has_all_threads_are_those_from_which_minima_are_searched():
    assert HEADS["logreg"].solver.threads_from == grid._WORTH_A_PATH


def cells_of(jobs):
    return [(fold, number) for job in jobs for fold, some in job.items() for number in some]


def test_a_single_candidate_goes_by_itself():
    _, jobs = cut(1, 2, divisible=True)
    assert [name for name, _ in jobs] == ["run_trial"]


@pytest.mark.parametrize(
    ("n_folds", "n_workers", "most_scored", "sizes"),
    [
        (5, 1, 1000, [8]),
        (5, 2, 1000, [4, 4]),
        (5, 3, 1000, [2] * 4),
        (5, 20, 1000, [1] * 8),
        (5, 1, 3, [2, 3, 3]),
        (1, 4, 1000, [2] * 4),
    ],
)
def test_candidates_are_scored_together_in_as_many_jobs_as_workers_or_memory_want(
    n_folds, n_workers, most_scored, sizes
):
    _, jobs = cut(8, n_workers, n_folds=n_folds, most_scored=most_scored, divisible=True)
    scored = [arguments[0] for name, arguments in jobs if name == "score_group"]
    assert sorted(map(len, scored)) == sizes
    assert sorted(number for some in scored for number in some) == list(range(8))


@pytest.mark.parametrize(("across_folds", "n_folds", "n_workers"), [(False, 5, 4), (False, 1, 3), (True, 2, 8)])
def test_candidates_are_scored_from_the_jobs_that_tried_them_and_picked_from_the_one_that_scored_them(
    across_folds, n_folds, n_workers
):
    _, jobs = cut(8, n_workers, n_folds=n_folds, divisible=True, across_folds=across_folds)
    picked = [arguments for name, arguments in jobs if name == "pick_result"]
    assert sorted(number for _, number, *_ in picked) == list(range(8))
    for place, number, candidate, *_ in picked:
        name, (some, parts, ready) = jobs[place]
        assert (name, some[number]) == ("score_group", candidate)
        assert jobs[ready] == ("draw_ahead", ("task", []))
        assert candidate.params == {"C": number + 1.0}
        holding = [at for at, (kind, own) in enumerate(jobs) if kind == "run_solver" and number in numbers_in(own[1])]
        assert parts == holding


def numbers_in(cells):
    return {number for some in cells.values() for number in some}


SOME = dict(enumerate(expand([PIXELS], ["ridge"], {"ridge": {"alpha": [0.1, 1.0, 10.0]}})))


def parts_of(probability_of, **other):
    """Return the parts of three candidates, one for each fold; of each candidate the probabilities (n_images, 10)."""
    return [
        SolvedPart(
            probabilities={(fold, number): probability_of(number)[rows] for number in SOME}, seconds=0.3, **other
        )
        for fold, (_, rows) in enumerate(PLAN.folds)
    ]


def test_what_scores_are_resampled_by_is_drawn_before_they_are_made(monkeypatch):
    drawn, draw = [], resampling._draw
    monkeypatch.setattr(resampling, "_draw", lambda *size: drawn.append(size) or draw(*size))
    rows = np.concatenate([rows for _, rows in PLAN.folds])
    for seed, groups in ((1234, None), (1235, np.arange(len(Y)) // 4)):
        task = replace(TASK, seed=seed, groups=groups)
        assert draw_ahead(task) is task
        n_units = len(rows) if groups is None else len(np.unique(groups[rows]))
        assert drawn.pop() == (n_units, seed, 1000)
        score_group(SOME, parts_of(lambda _: np.eye(10)[Y]), task)
        assert drawn == []


def test_one_whose_probabilities_are_not_finite_takes_no_other_with_it():
    sure = np.eye(10)[Y]
    results = score_group(SOME, parts_of(lambda number: sure * np.nan if number == 1 else sure), TASK)
    assert results[1].error.startswith("DataError: fold 1: 80 of 80 images have probabilities that are not finite")
    assert results[1].candidate is SOME[1]
    for number in (0, 2):
        assert results[number].candidate is SOME[number]
        assert results[number].scores["accuracy"].value == 1.0
    for number, candidate in SOME.items():
        assert pick_result(results, number, candidate, HEADS["ridge"], FEATURES, TASK) is results[number]


def test_each_has_its_share_of_the_time_and_the_warnings_of_all():
    results = score_group(SOME, parts_of(lambda _: np.eye(10)[Y], warnings=["W: slow"]), TASK)
    for result in results.values():
        assert result.fit_seconds == pytest.approx(0.1 * len(PLAN.folds))
        assert result.warnings == ["W: slow"]


def test_where_a_fit_failed_each_goes_through_the_folds_by_itself():
    parts = [*parts_of(lambda _: np.eye(10)[Y])[1:], SolvedPart(error="ValueError: no")]
    results = score_group(SOME, parts, TASK)
    assert results == {}
    found = pick_result(results, 1, SOME[1], HEADS["ridge"], FEATURES, TASK)
    alone = run_trial(SOME[1], HEADS["ridge"], FEATURES, TASK)
    assert (found.scores, found.error) == (alone.scores, None)
