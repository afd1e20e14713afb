"""How a sweep gets on: how many candidates are done, and the best of them so far."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from headstart.flows.output.console import show_notes
from headstart.heads.errors import DataError
from headstart.heads.report.text import params_text, score_text
from headstart.heads.sweep.run import select
from headstart.heads.sweep.trial import Result


class _Best(ProgressColumn):
    """The best candidate so far, cut off where the screen ends."""

    def render(self, task: Task) -> Text:
        return Text(task.fields["best"], no_wrap=True, overflow="ellipsis")


@contextmanager
def sweep_bar(
    n_candidates: int, metric: str, finished: Sequence[Result], *, show: bool, stage: str = ""
) -> Iterator[Callable[[Result], None]]:
    """Show a bar with the best score so far; yields a function that is called with each result.

    Parameters
    ----------
    n_candidates : int
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
        told = f"{len(finished)} of {n_candidates} candidates were fitted before the interruption"
        show_notes([f"{stage}: {told}" if stage else told])
    counted = TextColumn("{task.completed}/{task.total} candidates")
    columns = [TextColumn(stage or "fitting"), BarColumn(12), counted, _Best()]
    with Progress(*columns, console=Console(stderr=True)) as bars:
        best = _better(finished, metric)
        task = bars.add_task("", total=n_candidates, completed=len(finished), best=_text(best, metric))

        def advance(result: Result) -> None:
            nonlocal best
            best = _better([result] if best is None else [best, result], metric)
            bars.update(task, advance=1, best=_text(best, metric))

        yield advance


def say_kept(n_kept: int, n_candidates: int, *, n_sweeps: int = 0) -> None:
    """Say what an interruption leaves of a sweep, and of so many whole ones before it."""
    found = [f"{n_kept} of {n_candidates} candidates"] if n_kept else []
    found += [f"those of {n_sweeps} whole outer {'fold' if n_sweeps == 1 else 'folds'}"] if n_sweeps else []
    goes_on = "are fitted and kept; the same command goes on from there"
    show_notes([f"{' and '.join(found)} {goes_on}" if found else "no candidate was fitted yet"])


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
