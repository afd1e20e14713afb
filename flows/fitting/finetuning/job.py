"""Cache → fine-tuned tail: maps, linear heads to compare with, training, one score, the saved model."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Unpack

from headstart.extractors.cache import EmbeddingCache
from headstart.flows.errors import JobError
from headstart.flows.fitting import UNFINISHED_TAIL, choose, gpus_held, plan_without_rare, refuse_lone_average
from headstart.flows.fitting.finetuning.conclusion import Done, describe, write
from headstart.flows.fitting.finetuning.kept import KeptTails
from headstart.flows.fitting.finetuning.linear import LINEAR_HEADS, fit_linear_heads, linear_options
from headstart.flows.fitting.finetuning.summary import FinetuneSummary
from headstart.flows.fitting.finetuning.sweep import Compared, compare_tails, n_trainings
from headstart.flows.fitting.finetuning.trainer import Choice, TailTrainer, refuse_out_of_range
from headstart.flows.fitting.finetuning.trunk import Trunk, open_trunks
from headstart.flows.history import keep_run, log_run, tabulate_predictions
from headstart.flows.options import FinetuneKeywords, FinetuneOptions, as_list, taken
from headstart.flows.output import progress_bar, run_folder, show_line
from headstart.flows.problem import Problem, pose_problem
from headstart.heads.finetuning import TailClassifier
from headstart.heads.scoring import score_predictions
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore
from headstart.heads.views import ONE_VIEW


def finetune(
    cache: str | Path,
    from_layer: str | Sequence[str],
    *,
    options: FinetuneOptions | None = None,
    **named: Unpack[FinetuneKeywords],
) -> FinetuneSummary:
    """Train the upper layers of a network on what its lower ones put out, score them once, and save them.

    Images are split as by `fit`, and none is opened unless the cache lacks the maps. What was interrupted goes on. Of
    several layers, learning rates or decays, each combination is a candidate: the folds that compare linear heads
    choose one, or val does, and no test image.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    from_layer : str or sequence of str
        First layer that is trained, such as "layer4"; ``headstart summary`` lists those that will do.
    options : FinetuneOptions, optional
        All else that is asked for, see `flows.options.FinetuneOptions`.
    **named
        Options by their names, such as ``epochs=10``; they go before those of `options`.

    Raises
    ------
    JobError
        Labels are absent, or the backbone of the cache cannot be had.
    BackboneError
        The network cannot be trained from this layer on.
    HeadError
        The data cannot be fitted, or training diverged in its first epoch.

    Examples
    --------
    >>> maps = headstart.extract("photos", "small_cnn", weights="none", tap="features.7:map", cache="maps.headstart")
    >>> found = headstart.finetune(maps.cache, "features.8", epochs=1)
    >>> [block.name for block in found.blocks]
    ['features.8', 'features.9', 'classifier']
    """
    started = time.monotonic()
    options = taken("finetune", options or FinetuneOptions(), named)
    refuse_lone_average(options)
    refuse_out_of_range(options)
    opened, layers = EmbeddingCache(cache), as_list(from_layer)
    trunks = open_trunks(opened, layers, options)
    problem = _pose(opened, trunks, options)
    fit_options = linear_options(options)
    choices = choose(problem, list(LINEAR_HEADS), fit_options, started=started, on_scores=None)
    problem, plan, _ = plan_without_rare(problem, fit_options)
    if options.progress:
        show_line(problem.understood.text)
    with run_folder(choices.folder, [UNFINISHED_TAIL]) as place:
        rows, plain = problem.embedded[0].features.mapped(), replace(plan, views=ONE_VIEW)
        linear = fit_linear_heads(problem, plain, trunks[0].tail, rows, choices.metric, fit_options)
        trainer = TailTrainer(problem, options, plan.views, KeptTails(choices.folder / UNFINISHED_TAIL))
        with gpus_held([trainer.device], show=options.progress):
            compared = _compare(trunks, trainer, plan, choices.metric)
            head, seconds = _train(compared[0].choice, trainer, plan)
            test = _score(head, compared[0].choice, trainer, plan)
        done = Done(layers, trainer, plan, choices, linear, compared, head, test, seconds)
        summary = describe(done, place)
        run = write(done, place, summary)
        notes = place.finish(name=options.name, leftover=UNFINISHED_TAIL)
    log_run(run)
    kept = keep_run(run, tabulate_predictions(problem, done.test))
    return replace(summary, notes=[*summary.notes, *notes, *kept])


def _pose(cache: EmbeddingCache, trunks: Sequence[Trunk], options: FinetuneOptions) -> Problem:
    problem = pose_problem(
        cache,
        labels=Path(options.labels) if options.labels else None,
        target=options.target,
        keys=[trunk.store.key.id for trunk in trunks],
        maps=True,
        views=options.views,
    )
    if problem.task != "classify":
        raise JobError(f"target {problem.target!r} is a number to predict; a tail tells classes apart: 'headstart fit'")
    maps = [problem.find(trunk.store.key.id, str(trunk.tail.tap)) for trunk in trunks]
    return replace(problem, embedded=maps)


def _compare(trunks: Sequence[Trunk], trainer: TailTrainer, plan: SplitPlan, metric: str) -> list[Compared]:
    """Return the candidates, the chosen one first; a single one need not be compared with anything."""
    every = [Choice(trunk, rates) for trunk in trunks for rates in trainer.options.rates]
    if len(every) == 1:
        return [Compared(every[0])]
    total = n_trainings(len(every), len(plan.folds))
    with progress_bar("comparing", total, unit="trainings", show=trainer.options.progress) as advance:
        return compare_tails(every, trainer, plan, metric, advance)


def _train(choice: Choice, trainer: TailTrainer, plan: SplitPlan) -> tuple[TailClassifier, float]:
    begun, options = time.monotonic(), trainer.options
    with progress_bar("training", options.epochs, unit="epochs", show=options.progress) as advance:
        head = trainer.fit(choice, plan.train, on_epoch=lambda _: advance(1))
    return head, time.monotonic() - begun


def _score(head: TailClassifier, choice: Choice, trainer: TailTrainer, plan: SplitPlan) -> FinalScore:
    problem = trainer.problem
    probability = trainer.predict(head, choice, plan.test)
    predicted, true = probability.argmax(axis=1), problem.y[plan.test]
    together, n_classes = problem.groups[plan.test], len(problem.class_names)
    scores = score_predictions(true, probability, predicted, n_classes, groups=together, seed=trainer.options.seed)
    return FinalScore(rows=plan.test, predictions=predicted, probability=probability, scores=scores)
