"""From the results of a sweep to a winner: fitted, scored once, compared, saved and reported."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flows.analysis import Analysis, OutOfFold, analyse, predict_out_of_fold
from flows.fit_summary import FitSummary
from flows.history import write_results
from flows.leaderboard import leaderboard_row, model_card, plain_scores
from flows.logs import record_fit
from flows.number_reporting import write_number_report
from flows.problem import Problem
from flows.reporting import write_report
from flows.rivals import compare_with_winner, describe_rival, tell_ties
from flows.run_record import keep_run
from flows.streamed_fitting import Streaming
from flows.suspects import write_suspects
from heads import HEADS
from heads.calibration import with_temperature
from heads.candidates import Candidate
from heads.errors import DataError
from heads.model_file import save_model
from heads.splits import SplitPlan
from heads.sweep import FinalScore, fit_final, score_test, select
from heads.trial import Result, training_curve


def conclude(
    problem: Problem,
    plan: SplitPlan,
    results: list[Result],
    *,
    metric: str,
    seed: int,
    out: Path,
    started: float,
    settings: Mapping[str, Any],
    few_shot: bool = False,
    calibrate: bool = False,
    streaming: Streaming | None = None,
    on_scores: Callable[[FitSummary], None] | None = None,
) -> FitSummary:
    """Fit the winner on all of train, score it once, and write tables, model and report into `out`.

    Parameters
    ----------
    problem, plan, results
        Of a sweep.
    metric, seed
        As for the sweep.
    out : Path
        An existing folder.
    started : float
        `time.monotonic` when the fit began.
    settings : mapping
        What was asked for, for the history of runs.
    few_shot : bool
        Whether to fit the winner on few images of each class too.
    calibrate : bool
        Whether the saved head's probabilities are mended by a temperature, fitted on the images that chose it.
    streaming : Streaming or None
        How features are read in blocks; then the winner is neither analysed nor calibrated.
    on_scores : callable or None
        As for `fit`.

    Raises
    ------
    DataError
        No candidate has the metric, or the winner cannot be calibrated.
    """
    winner = select(results, metric)
    scored = _score_winner(problem, plan, winner.candidate, streaming, calibrate=calibrate, seed=seed)
    if winner.history is None:  # what was fitted together with others keeps no curve
        fitted = replace(winner, history=training_curve(scored.final))
        results, winner = [fitted if one is winner else one for one in results], fitted
    leaderboard = _describe(problem, plan, results, winner, metric=metric, seed=seed)
    # The table first: whatever becomes of the model, what was tried is not lost.
    write_results(out, [row | {"per_fold": one.per_fold} for row, one in zip(leaderboard, results, strict=True)])
    test = {
        "split": plan.test_name,
        "n_images": len(plan.test),
        "n_train": len(plan.train),
        "scores": plain_scores(scored.test.scores),
    }
    own = [] if winner.candidate.head in HEADS else [winner.candidate.head]
    save_model(out / "model", scored.final, model_card(problem, winner.candidate, leaderboard[0], test), own=own)
    summary = FitSummary(
        leaderboard=leaderboard,
        winner=leaderboard[0],
        test=test,
        controls=_score_controls(problem, plan, results, winner, leaderboard, streaming, metric=metric, seed=seed),
        model=str(out / "model"),
        report=str(out / "report.html"),
        table=str(out / "leaderboard.csv"),
        class_names=problem.class_names,
        notes=[*problem.notes, *plan.notes, *tell_ties(leaderboard)],
        seed=seed,
        seconds=round(time.monotonic() - started, 3),
    )
    run, kept = keep_run(summary, problem, plan, scored.test, settings)
    record_fit(run)
    summary = replace(summary, notes=[*summary.notes, *kept])
    if on_scores:
        on_scores(summary)
    found = _look_at(problem, plan, winner.candidate, scored, streaming, few_shot=few_shot, seed=seed)
    summary = replace(summary, notes=[*summary.notes, *found.notes], suspects=write_suspects(out, problem, found))
    if problem.task == "regress":
        write_number_report(summary, problem, plan, scored.test)
    else:
        write_report(summary, problem, plan, results, winner, scored.test, found, metric=metric)
    return summary


@dataclass(frozen=True)
class _Scored:
    """The winner fitted on all of train, what it says of the test images and, if asked, of its own images."""

    final: Any
    test: FinalScore
    features: npt.NDArray[np.float32] | None = None
    out_of_fold: OutOfFold | None = None


def _score_winner(
    problem: Problem,
    plan: SplitPlan,
    candidate: Candidate,
    streaming: Streaming | None,
    *,
    calibrate: bool,
    seed: int,
) -> _Scored:
    if streaming:
        return _Scored(*streaming.score_once(problem, plan, candidate, seed))
    features = np.asarray(candidate.features, dtype=np.float32)
    final = fit_final(candidate, features, problem.y, plan, seed)
    oof = predict_out_of_fold(problem, plan, candidate, features, seed) if calibrate else None
    if calibrate:
        final = _calibrated(final, oof, candidate.head)
    test = score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)
    return _Scored(final, test, features, oof)


def _look_at(
    problem: Problem,
    plan: SplitPlan,
    candidate: Candidate,
    scored: _Scored,
    streaming: Streaming | None,
    *,
    few_shot: bool,
    seed: int,
) -> Analysis:
    if streaming:
        return Analysis(notes=streaming.notes)
    if problem.task == "regress" or scored.features is None:
        return Analysis()
    oof = scored.out_of_fold or predict_out_of_fold(problem, plan, candidate, scored.features, seed)
    return analyse(problem, plan, candidate, scored.features, oof, scored.test, few_shot=few_shot, seed=seed)


def _calibrated(final: Any, oof: OutOfFold | None, head: str) -> Any:
    if oof is None:
        raise DataError(f"{head} gives no probabilities to calibrate; leave out --calibrate, or try other heads")
    return with_temperature(final, oof.temperature)


def _describe(
    problem: Problem, plan: SplitPlan, results: Sequence[Result], winner: Result, *, metric: str, seed: int
) -> list[dict[str, Any]]:
    """Return the leaderboard, best first."""
    split = "val" if plan.selection == "val" else f"{len(plan.first_folds)}-fold CV"
    split += f" × {plan.repeats}" if plan.repeats > 1 else ""
    rivals = compare_with_winner(problem, plan, results, winner, metric=metric, seed=seed)
    return [
        leaderboard_row(problem, result, metric, split) | describe_rival(rivals.get(id(result))) for result in results
    ]


def _score_controls(
    problem: Problem,
    plan: SplitPlan,
    results: Sequence[Result],
    winner: Result,
    leaderboard: Sequence[dict[str, Any]],
    streaming: Streaming | None,
    *,
    metric: str,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the best row of every other embedding with its scores on the test images."""
    best = {id(result) for result in _best_of_other_keys(results, winner, metric)}
    return [
        row | {"scores": plain_scores(_score_once(problem, plan, result.candidate, seed, streaming).scores)}
        for row, result in zip(leaderboard, results, strict=True)
        if id(result) in best
    ]


def _score_once(
    problem: Problem, plan: SplitPlan, candidate: Candidate, seed: int, streaming: Streaming | None
) -> FinalScore:
    if streaming:
        return streaming.score_once(problem, plan, candidate, seed)[1]
    features = np.asarray(candidate.features, dtype=np.float32)
    final = fit_final(candidate, features, problem.y, plan, seed)
    return score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)


def _best_of_other_keys(results: Sequence[Result], winner: Result, metric: str) -> list[Result]:
    best: dict[tuple[str, str], Result] = {}
    for result in results:
        if not result.error and result.scores[metric]:
            best.setdefault((result.candidate.key, result.candidate.tap), result)
    return [result for result in best.values() if result is not winner]
