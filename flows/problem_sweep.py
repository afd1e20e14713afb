"""Every candidate of a problem through every fold, with progress, and with what an interrupted sweep left."""

from collections.abc import Sequence

from headstart.extractors.errors import CacheError
from headstart.flows.errors import JobError
from headstart.flows.kept_results import KeptResults
from headstart.flows.output.logs import record_candidate
from headstart.flows.problem.problem import Problem
from headstart.flows.streamed_fitting import Streaming
from headstart.flows.sweep_progress import sweep_bar
from headstart.heads.errors import DataError
from headstart.heads.registry.candidates import Candidate
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep.run import sweep as run_sweep
from headstart.heads.sweep.trial import Result


def sweep_problem(
    problem: Problem,
    candidates: Sequence[Candidate],
    plan: SplitPlan,
    *,
    metric: str,
    seed: int,
    dask: str,
    workers: int | None,
    progress: bool,
    kept: KeptResults,
    streaming: Streaming | None = None,
    stage: str = "",
) -> list[Result]:
    """Try every candidate in every fold; best first.

    What `kept` has of an interrupted sweep is not fitted again, and each new result is added to it. Of several sweeps,
    `stage` says which it is.

    Raises
    ------
    DataError
        Features are not finite; the message names the images.
    """
    finished = kept.find(candidates)
    with sweep_bar(len(candidates), metric, finished, show=progress, stage=stage) as advance:

        def receive(result: Result) -> None:
            kept.keep(result)
            record_candidate(result, metric, stage)
            advance(result)

        try:
            if streaming:
                return streaming.sweep(problem, plan, metric=metric, seed=seed, on_result=receive, finished=finished)
            return run_sweep(
                candidates,
                problem.y,
                plan,
                metric=metric,
                groups=problem.groups,
                seed=seed,
                dask=dask,
                workers=workers,
                on_result=receive,
                finished=finished,
            )
        except OSError as error:
            if "://" not in dask or isinstance(error, CacheError):  # it is the results folder that cannot be written
                raise
            raise JobError(
                f"no Dask scheduler answers at {dask} ({error}); start one, or use --dask threads"
            ) from error
        except DataError as error:
            if not error.rows:
                raise
            first = ", ".join(problem.images.paths(error.rows[:3]))
            raise JobError(f"{error} (images: {first}{', …' if len(error.rows) > 3 else ''})") from error
