"""Linear heads on what the tail's classifier takes before anything is trained: what a tail has to beat."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.extractors.network import Tail
from headstart.extractors.spec import PENULTIMATE, shared_values
from headstart.flows.fitting import weigh_candidates
from headstart.flows.options import FinetuneOptions, FitOptions
from headstart.flows.problem import Problem
from headstart.heads.finetuning import Rows, logits_of
from headstart.heads.registry import FeatureSet, expand
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import FinalScore, Result, Running, fit_final, score_test, select, sweep

LINEAR_HEADS = ("logreg", "ridge", "lda")
_AT_ONCE = 32


@dataclass(frozen=True)
class LinearHeads:
    """Linear heads on what a tail's classifier takes before it is trained.

    Attributes
    ----------
    results : list of Result
        Of every candidate, by folds inside train, best first.
    best : list of (Result, FinalScore)
        Of each head the best, fitted on all of train, and its score on the test images; the one that folds chose first.
    """

    results: list[Result]
    best: list[tuple[Result, FinalScore]]


def linear_options(options: FinetuneOptions) -> FitOptions:
    """Return options of the linear heads beside a tail: as the tail's own, and fitted here, in seconds."""
    return FitOptions(**{**shared_values(FitOptions, options), "dask": FitOptions().dask, "device": "cpu"})


def penultimate_of(tail: Tail, rows: Rows) -> npt.NDArray[np.float32]:
    """Return the penultimate features (n_images, n_features) of maps, without an image being opened."""
    features = logits_of(tail.features(), rows, np.arange(len(rows)), _AT_ONCE)
    pooled = features.mean((2, 3)) if features.ndim == 4 else features
    return np.asarray(pooled.numpy(), np.float32)


def fit_linear_heads(
    problem: Problem, plan: SplitPlan, tail: Tail, rows: Any, metric: str, options: FitOptions
) -> LinearHeads:
    """Compare linear heads by the folds of a plan, fit the best of each on train and score it on test.

    Parameters
    ----------
    problem, plan
    tail : Tail
        As pretrained.
    rows : MappedRows
        Of all images of the problem.
    metric : str
        What chooses.
    options : FitOptions
        Of these the seed, and how much classes weigh.
    """
    seed = options.seed
    features, embedded = penultimate_of(tail, rows), problem.embedded[0]
    source = FeatureSet(features=features, backbone=embedded.backbone, tap=PENULTIMATE, key=embedded.store.key.id)
    candidates, _ = weigh_candidates(expand([source], LINEAR_HEADS), problem, options)
    results = sweep(candidates, problem.y, plan, metric=metric, groups=problem.groups, seed=seed, running=Running())
    best: dict[str, Result] = {}
    for result in (select(results, metric), *results):
        if not result.error:
            best.setdefault(result.candidate.head, result)
    scored = []
    for result in best.values():
        final = fit_final(result.candidate, features, problem.y, plan, seed)
        scored.append((result, score_test(final, features, problem.y, plan, groups=problem.groups, seed=seed)))
    return LinearHeads(results, scored)
