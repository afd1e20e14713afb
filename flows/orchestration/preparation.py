"""Steps of every flow before its first task: settle the paths, ask whether they are allowed, and wait for its turn."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import is_url
from headstart.extractors.spec import is_file_argument
from headstart.flows.errors import JobError
from headstart.flows.experiment import Experiment, anchor_values, check_allowed
from headstart.flows.extraction import cache_at
from headstart.flows.orchestration.cache_queue import turn_of

BASE = "HEADSTART_BASE"
# The cache is the result, so flows keep none; but Prefect stores the exception that ended a flow whatever it is told,
# and would pickle it.
NO_PICKLE = "json"


@contextmanager
def experiment_at_work(experiment: Experiment, *, create: bool = True, show: bool = False) -> Iterator[Experiment]:
    """Be the only run of the experiment's cache; yields the experiment with absolute paths. To be entered in a flow.

    It cannot be entered twice: a flow that calls another one leaves this to the other.

    Parameters
    ----------
    experiment : Experiment
    create : bool
        Make the cache where it is missing; otherwise that is an error.
    show : bool
        Say on standard error, too, that another run is waited for.

    Raises
    ------
    JobError
        A path is relative to nothing, or not allowed.
    CacheError
        There is no cache, or its folder is something else, or cannot be written.
    """
    settled = settle_paths(experiment)
    check_allowed(settled)
    with ExitStack() as stack:  # the cache comes before the lock's file makes the folder look like something else
        stack.enter_context(cache_at(settled.cache)) if create else EmbeddingCache(settled.cache)
        stack.enter_context(turn_of(settled.cache, show=show))
        yield settled


def settle_paths(experiment: Experiment) -> Experiment:
    """Make relative paths of an experiment absolute: those typed into Prefect's UI or into ``prefect.yaml``.

    An experiment file is beside its paths, and `flows.experiment.read_experiment` makes them absolute. A parameter lies
    nowhere: its paths start from the folder that the environment variable ``HEADSTART_BASE`` of the worker names.

    Raises
    ------
    JobError
        There are relative paths, and no such folder.
    """
    relative = [f"{field} {path!r}" for field, path in _paths(experiment) if not Path(path).expanduser().is_absolute()]
    base = os.environ.get(BASE, "")
    if relative and not Path(base).is_absolute():
        raise JobError(
            f"experiment {experiment.name!r}: {', '.join(relative)}: relative to what? Give absolute paths, or set "
            f"{BASE} to an absolute folder in the environment of the worker or server that runs it"
        )
    return Experiment(**anchor_values(experiment.model_dump(mode="json"), Path(base)))


def _paths(experiment: Experiment) -> list[tuple[str, str]]:
    paths = [("images", experiment.images), ("cache", str(experiment.cache)), ("out", str(experiment.out))]
    paths += [("weights", table.weights) for table in experiment.extract if is_file_argument(table.weights)]
    labels = [table.options.labels for table in experiment.fit]
    labels += [table.options.labels for table in experiment.finetune]
    paths += [("labels", str(one)) for one in labels if one is not None]
    paths += [("roots", root) for root in experiment.security.roots or []]
    return [(field, path) for field, path in paths if not is_url(path)]
