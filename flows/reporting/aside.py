"""The longest computations of a report, made aside while the model is saved and libraries that draw are loaded."""

import math
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from headstart.flows.options import FitOptions
from headstart.flows.output import Begin
from headstart.flows.problem import Problem
from headstart.flows.reporting.out_of_fold import OutOfFold, predict_out_of_fold
from headstart.heads.isolation import is_small, quiet_and_single_threaded
from headstart.heads.registry import Candidate
from headstart.heads.solvers.sums import Stream
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Threads

if TYPE_CHECKING:
    from headstart.flows.reporting.analysis import Evidence, Likeness


class Aside:
    """Places of the map's images, and the winner's predictions of its own, made in a thread.

    The map does not wait for the winner where features are small, for its fit then leaves a core to others. Meanwhile
    BLAS has one thread, which both need to be the same each time. An exception leaves at once.

    Parameters
    ----------
    problem, plan
        Of a target that names classes.
    winner : Candidate
    seed : int
    """

    def __init__(self, problem: Problem, plan: SplitPlan, winner: Candidate, seed: int) -> None:
        self._of, self._seed = (problem, plan, winner), seed
        self._meanwhile = ExitStack()
        self._threads: Threads | None = None
        self._points: Future[Any] = Future()
        self._own: Future[Any] = Future()
        self._likeness: Future[Any] | None = None

    def __enter__(self) -> Self:
        features: Any = self._of[2].features
        self._small = not isinstance(features, Stream) and is_small(4 * math.prod(features.shape))
        if self._small:
            self._begin()
        return self

    def _begin(self) -> Threads:
        if self._threads is None:
            self._meanwhile.enter_context(quiet_and_single_threaded())
            self._threads = self._meanwhile.enter_context(Threads(1))
            self._points = self._threads.submit(_place, *self._of)
        return self._threads

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meanwhile.__exit__(kind, error, trace)

    def go_on(self, evidence: "Evidence") -> None:
        """Let the winner predict its own images too, and compare these where that is sooner done by one thread.

        Unless the former is known, or the features are not held.
        """
        threads = self._begin()
        if evidence.out_of_fold is None and evidence.features is not None:
            of_winner = evidence.features, self._seed, evidence.probability
            self._own = threads.submit(predict_out_of_fold, *self._of, *of_winner)
        else:
            self._own.set_result(evidence.out_of_fold)
        if self._small and evidence.features is not None:
            self._likeness = threads.submit(_compare, *self._of[:2], evidence)

    def results(self, begin: Begin) -> tuple[npt.NDArray[np.float64], OutOfFold | None, "Likeness | None"]:
        """Wait for the places (n_shown, 2), predictions and likeness; from then on BLAS has its threads again."""
        begin("placing the images of the map")
        points = self._points.result()
        begin("predicting the winner's own images, fold by fold")
        own = self._own.result()
        likeness = None
        if self._likeness:
            begin("looking for near copies and images unlike all others")
            likeness = self._likeness.result()
        self._meanwhile.close()
        return points, own, likeness


def begin_aside(
    problem: Problem, plan: SplitPlan, winner: Candidate, options: FitOptions
) -> AbstractContextManager[Aside | None]:
    """Begin with what takes longest; with no report, or for numbers, nothing does."""
    if problem.task == "regress" or options.no_report:
        return nullcontext()
    return Aside(problem, plan, winner, options.seed)


def _place(problem: Problem, plan: SplitPlan, winner: Candidate) -> npt.NDArray[np.float64]:
    from headstart.flows.reporting.map import place_images  # noqa: PLC0415 - loads t-SNE, and the caller need not wait

    return place_images(problem, plan, winner)


def _compare(problem: Problem, plan: SplitPlan, evidence: "Evidence") -> "Likeness":
    from headstart.flows.reporting.analysis import compare_images  # noqa: PLC0415 - the caller need not wait

    return compare_images(problem, plan, evidence)
