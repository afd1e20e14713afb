"""Sweep over layers and rates: tails through the folds that compare all heads, the worse half dropped on the way."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from headstart.flows.fitting.finetuning.kept import digest_of
from headstart.flows.fitting.finetuning.trainer import HEAD, Choice, TailTrainer
from headstart.flows.fitting.finetuning.workers import FoldOnWorker, Outcome, TailWorkers, tail_workers
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.scoring import find_metric
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import PredictedInFolds, Result, Task, rank_of, score_folds

FINALISTS = 4
"""Candidates that go through every fold, however many there are."""


@dataclass(frozen=True)
class Compared:
    """A candidate, and what it came to in the folds that it went through; None where it was alone."""

    choice: Choice
    result: Result | None = None


def compare_tails(
    choices: Sequence[Choice], trainer: TailTrainer, plan: SplitPlan, metric: str, advance: Callable[[int], None]
) -> list[Compared]:
    """Train tails in the folds of a plan, and return them best first; no test image takes part.

    After each fold the worse half of more than `FINALISTS` candidates is dropped, down to these: successive halving.
    Those dropped stand behind all that were not, with the score of the folds that they went through.

    Parameters
    ----------
    choices : sequence of Choice
    trainer : TailTrainer
    plan : SplitPlan
    metric : str
    advance : callable
        Told of each training that is done.

    Raises
    ------
    DataError
        None could be trained.
    """
    kind = find_metric(metric)
    sweeps = [_OfOne(one, trainer, plan) for one in choices]
    running = sweeps
    with _training(choices, trainer) as train:
        for _ in plan.folds:
            train(running, advance)
            sound = [one for one in running if not one.result.error]
            running = sorted(sound, key=lambda one: rank_of(one.result, kind))[: n_kept(len(running))]
    if not running:
        raise DataError(
            f"none of {len(sweeps)} candidates could be trained, the first because {sweeps[0].result.error}"
        )
    ranked = sorted(sweeps, key=lambda one: (-len(one.result.per_fold), rank_of(one.result, kind)))
    return [Compared(one.choice, one.result) for one in ranked]


def n_kept(n_candidates: int) -> int:
    """Return how many candidates go on after a fold."""
    return max(min(n_candidates, FINALISTS), math.ceil(n_candidates / 2))


def n_trainings(n_candidates: int, n_folds: int) -> int:
    """Return how many trainings a sweep takes, if none fails."""
    counts = [n_candidates]
    while len(counts) < n_folds:
        counts.append(n_kept(counts[-1]))
    return sum(counts)


class _OfOne:
    """One candidate on its way through the folds; `result` is of those so far."""

    def __init__(self, choice: Choice, trainer: TailTrainer, plan: SplitPlan) -> None:
        self.choice, self._trainer, self._plan = choice, trainer, plan
        self._predicted = PredictedInFolds(
            candidate=_candidate(choice, trainer), parts=[], fit_seconds=0.0, warnings=[]
        )
        self.result = Result(candidate=self._predicted.candidate)

    def go_on(self) -> None:
        """Train in the next fold, here; one that cannot be trained has the reason in its result, and no fold."""
        fit_rows, score_rows = self._rows
        trainer, begun = self._trainer, time.perf_counter()
        try:
            head = trainer.fit(self.choice, fit_rows)
        except DataError as error:
            self.take(Outcome(None, 0.0, str(error)))
            return
        probability = trainer.predict(head, self.choice, score_rows)
        trainer.kept.keep(self._identity, probability)
        self.take(Outcome(probability, time.perf_counter() - begun))

    def find(self) -> bool:
        """Take what an interrupted sweep has kept of the next fold, and tell whether there is anything."""
        probability = self._trainer.kept.find(self._identity)
        if probability is not None:
            self.take(Outcome(probability, 0.0))
        return probability is not None

    def elsewhere(self) -> FoldOnWorker:
        """Return the next fold for a worker."""
        return self._trainer.fold(self.choice, *self._rows)

    def back(self, outcome: Outcome) -> None:
        """Take what a worker has made of the next fold, and keep it at once: no epoch follows that would."""
        if outcome.probability is not None:
            self._trainer.kept.keep(self._identity, outcome.probability)
            self._trainer.kept.write()
        self.take(outcome)

    def take(self, outcome: Outcome) -> None:
        """Add what came of the next fold to the result."""
        probability, seconds, error = outcome
        if probability is None:
            self.result = Result(candidate=self._predicted.candidate, error=error)
            return
        parts = [*self._predicted.parts, (probability.argmax(axis=1), probability)]
        self._predicted = replace(self._predicted, parts=parts, fit_seconds=self._predicted.fit_seconds + seconds)
        problem = self._trainer.problem
        task = Task(
            y=problem.y,
            n_classes=len(problem.class_names),
            plan=replace(self._plan, folds=self._plan.folds[: len(parts)]),
            groups=problem.groups,
            seed=self._trainer.options.seed,
        )
        self.result = score_folds([self._predicted], task)[0]

    @property
    def _rows(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        return self._plan.folds[len(self._predicted.parts)]

    @property
    def _identity(self) -> str:
        """Digest of all that decides the next fold."""
        (fit_rows, score_rows), trainer = self._rows, self._trainer
        of = trainer.identity(self.choice, fit_rows), trainer.problem.y[fit_rows], score_rows
        return digest_of(*of, trainer.params_of(self.choice))


_Train = Callable[[Sequence[_OfOne], Callable[[int], None]], None]


@contextmanager
def _training(choices: Sequence[Choice], trainer: TailTrainer) -> Iterator[_Train]:
    """Give what trains several candidates in their next fold: here one after another, or at once on workers."""
    address = trainer.options.dask
    if address is None:
        yield _train_here
        return
    of_layer = {choice.trunk.layer: choice for choice in choices}
    with tail_workers(address, lambda layer: trainer.network(of_layer[layer])) as workers:
        yield partial(_train_there, workers)


def _train_here(running: Sequence[_OfOne], advance: Callable[[int], None]) -> None:
    for one in running:
        if not one.find():
            one.go_on()
        advance(1)


def _train_there(workers: TailWorkers, running: Sequence[_OfOne], advance: Callable[[int], None]) -> None:
    waiting = dict(enumerate(one for one in running if not one.find()))
    advance(len(running) - len(waiting))

    def receive(number: int, outcome: Outcome) -> None:
        waiting[number].back(outcome)
        advance(1)

    workers.train({number: one.elsewhere() for number, one in waiting.items()}, receive)


def _candidate(choice: Choice, trainer: TailTrainer) -> Candidate:
    embedded = trainer.problem.find(choice.trunk.store.key.id, choice.tap)
    return Candidate(
        features=embedded.features,
        backbone=embedded.backbone,
        tap=choice.tap,
        key=embedded.store.key.id,
        head=HEAD,
        params=trainer.named_params(choice),
    )
