"""Every candidate of a problem through every fold, with progress, and with what an interrupted sweep left."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.text import Text

from headstart.extractors.errors import CacheError
from headstart.extractors.memory import give_back_freed_memory
from headstart.flows.errors import JobError
from headstart.flows.fitting.choices import Choices
from headstart.flows.fitting.streamed import Streaming
from headstart.flows.fitting.unfinished import KeptResults
from headstart.flows.output import Console, record_candidate, show_notes
from headstart.flows.problem import Problem
from headstart.heads.errors import DataError
from headstart.heads.registry import Candidate
from headstart.heads.report import params_text, score_text
from headstart.heads.splits import SplitPlan
from headstart.heads.sweep import Result, Running, select
from headstart.heads.sweep import sweep as run_sweep


def sweep_problem(
    problem: Problem,
    candidates: Sequence[Candidate],
    plan: SplitPlan,
    choices: Choices,
    *,
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
    finished, metric, options = kept.find(candidates), choices.metric, choices.options
    with sweep_bar(candidates, metric, finished, show=options.progress, stage=stage) as advance:

        def receive(result: Result) -> None:
            kept.keep(result)
            record_candidate(result, metric, stage)
            advance(result)

        with _errors_explained(problem, plan.views.n, options.dask):
            if streaming:
                give_back_freed_memory()  # of posing the problem and planning splits, which took more than they left
            return run_sweep(
                candidates,
                problem.y,
                plan,
                metric=metric,
                groups=problem.groups,
                seed=options.seed,
                running=Running(dask=options.dask, workers=options.workers, on_result=receive, finished=finished),
            )


@contextmanager
def _errors_explained(problem: Problem, n_views: int, dask: str) -> Iterator[None]:
    """Say of an error which scheduler, or which images, it is about."""
    try:
        yield
    except OSError as error:
        if "://" not in dask or isinstance(error, CacheError):  # it is the results folder that cannot be written
            raise
        raise JobError(f"no Dask scheduler answers at {dask} ({error}); start one, or use --dask threads") from error
    except DataError as error:
        if not error.rows:
            raise
        images = sorted({row // n_views for row in error.rows})
        first = ", ".join(problem.images.paths(images[:3]))
        raise JobError(f"{error} (images: {first}{', …' if len(images) > 3 else ''})") from error


class _Best(ProgressColumn):
    """The best candidate so far and, until there is one, what is fitted; cut off where the screen ends."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["best"], no_wrap=True, overflow="ellipsis")


@contextmanager
def sweep_bar(
    candidates: Sequence[Candidate], metric: str, finished: Sequence[Result], *, show: bool, stage: str = ""
) -> Iterator[Callable[[Result], None]]:
    """Show a bar with the time and the best score so far; yields a function that is called with each result.

    Parameters
    ----------
    candidates : sequence of Candidate
        Those of `finished` included.
    metric : str
        What orders the results.
    finished : sequence of Result
        Of an earlier sweep that was interrupted.
    show : bool
    stage : str
        Which of several sweeps it is, such as ``outer fold 2 of 5``.
    """
    if not show:
        yield lambda _: None
        return
    if finished:
        note = f"{len(finished)} of {len(candidates)} candidates were fitted before the interruption"
        show_notes([f"{stage}: {note}" if stage else note])
    counted = TextColumn("{task.completed}/{task.total} candidates")
    columns = [TextColumn(stage or "fitting"), BarColumn(12), counted, TimeElapsedColumn(), _Best()]
    with Progress(*columns, console=Console(stderr=True)) as bars:
        best = _better(finished, metric)
        first = _text(best, metric) or f"· {', '.join(dict.fromkeys(one.head for one in candidates))}"
        task = bars.add_task("", total=len(candidates), completed=len(finished), best=first)

        def advance(result: Result) -> None:
            nonlocal best
            best = _better([result] if best is None else [best, result], metric)
            bars.update(task, advance=1, best=_text(best, metric))

        yield advance


def _better(results: Sequence[Result], metric: str) -> Result | None:
    """Return the best one; none where no result has the metric."""
    try:
        return select(results, metric)
    except DataError:
        return None


def _text(best: Result | None, metric: str) -> str:
    if best is None or (score := best.scores[metric]) is None:
        return ""
    params = params_text(best.candidate.params).replace(" = ", "=")
    return f"· best {score_text(metric, score.value)} {best.candidate.head} {params}"
