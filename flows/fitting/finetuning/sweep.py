"""Sweep over layers and rates: tails through the folds that compare all heads, the worse half dropped on the way."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headstart.flows.fitting.finetuning.kept import digest_of
from headstart.flows.fitting.finetuning.trainer import HEAD, Choice, TailTrainer
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
    for _ in plan.folds:
        for one in running:
            one.go_on()
            advance(1)
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
        """Train in the next fold; one that cannot be trained has the reason in its result, and no fold."""
        parts, begun = list(self._predicted.parts), time.perf_counter()
        fit_rows, score_rows = self._plan.folds[len(parts)]
        trainer, problem = self._trainer, self._trainer.problem
        identity = digest_of(
            trainer.identity(self.choice, fit_rows), problem.y[fit_rows], score_rows, trainer.params_of(self.choice)
        )
        probability = trainer.kept.find(identity)
        if probability is None:
            try:
                head = trainer.fit(self.choice, fit_rows)
            except DataError as error:
                self.result = Result(candidate=self._predicted.candidate, error=str(error))
                return
            probability = trainer.predict(head, self.choice, score_rows)
            trainer.kept.keep(identity, probability)
        parts.append((probability.argmax(axis=1), probability))
        seconds = self._predicted.fit_seconds + time.perf_counter() - begun
        self._predicted = replace(self._predicted, parts=parts, fit_seconds=seconds)
        task = Task(
            y=problem.y,
            n_classes=len(problem.class_names),
            plan=replace(self._plan, folds=self._plan.folds[: len(parts)]),
            groups=problem.groups,
            seed=trainer.options.seed,
        )
        self.result = score_folds([self._predicted], task)[0]


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
