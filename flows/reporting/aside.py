"""The longest computations of a report, made aside while the model is saved and libraries that draw are loaded."""

from concurrent.futures import Future
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from headstart.flows.output import Begin
from headstart.flows.problem import Problem
from headstart.flows.reporting.analysis import Evidence
from headstart.flows.reporting.out_of_fold import OutOfFold, predict_out_of_fold
from headstart.heads.isolation import quiet_and_single_threaded
from headstart.heads.registry import Candidate
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Threads


class Aside:
    """Places of the map's images and the winner's predictions of its own, made in a thread from here on.

    Meanwhile BLAS has one thread, which both need to be the same each time, and which leaves a core to others. An
    exception leaves at once.

    Parameters
    ----------
    problem, plan
        Of a target that names classes.
    winner : Candidate
    evidence : Evidence
    seed : int
    """

    def __init__(self, problem: Problem, plan: SplitPlan, winner: Candidate, evidence: Evidence, seed: int) -> None:
        self._of = problem, plan, winner
        self._evidence, self._seed = evidence, seed
        self._meanwhile = ExitStack()
        self._points: Future[Any] = Future()
        self._own: Future[Any] | None = None

    def __enter__(self) -> Self:
        self._meanwhile.enter_context(quiet_and_single_threaded())
        threads = self._meanwhile.enter_context(Threads(1))
        self._points = threads.submit(_place, *self._of)
        if self._evidence.out_of_fold is None and self._evidence.features is not None:
            self._own = threads.submit(predict_out_of_fold, *self._of, self._evidence.features, self._seed)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._meanwhile.__exit__(kind, error, trace)

    def results(self, begin: Begin) -> tuple[npt.NDArray[np.float64], OutOfFold | None]:
        """Wait for the places (n_shown, 2) and the predictions; from then on BLAS has its threads again."""
        begin("placing the images of the map")
        points = self._points.result()
        begin("predicting the winner's own images, fold by fold")
        own = self._own.result() if self._own else self._evidence.out_of_fold
        self._meanwhile.close()
        return points, own


def _place(problem: Problem, plan: SplitPlan, winner: Candidate) -> npt.NDArray[np.float64]:
    from headstart.flows.reporting.map import place_images  # noqa: PLC0415 - loads t-SNE, and the caller need not wait

    return place_images(problem, plan, winner)
