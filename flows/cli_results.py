"""The commands that look back at earlier runs; `flows.cli` adds them to the others."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from headstart.flows.cli_options import Json
from headstart.flows.output.console import emit_json
from headstart.flows.terminal_results import show_comparison, show_ranking

MetricOption = Annotated[
    Literal["accuracy", "balanced_accuracy", "macro_f1", "log_loss", "r2", "mae", "rmse"] | None,
    typer.Option(help="What to go by.", show_default="what the runs chose by"),
]


def results(
    places: Annotated[
        list[Path], typer.Argument(help="Caches, results folders, or folders of these.", show_default="here")
    ] = [Path()],  # noqa: B006 - typer copies it
    metric: MetricOption = None,
    json: Json = False,
) -> None:
    """Rank the winners of earlier runs, those on the same test images with each other."""
    from headstart.flows.history.ranking import rank_runs

    ranking = rank_runs(places, metric=metric)
    emit_json(ranking) if json else show_ranking(ranking)


def compare(
    first: Annotated[str, typer.Argument(help="A run's id (or how it begins or ends), or a results folder.")],
    second: Annotated[str, typer.Argument(help="Another one.")],
    cache: Annotated[
        list[Path], typer.Option(help="Where to look for ids.", show_default="caches and results here")
    ] = [Path()],  # noqa: B006 - typer copies it
    metric: MetricOption = None,
    json: Json = False,
) -> None:
    """Say what differs between two runs, and whether one winner is better than the other or tied with it."""
    from headstart.flows.history.comparison import compare_runs
    from headstart.flows.history.search import find_run

    comparison = compare_runs(find_run(first, cache), find_run(second, cache), metric=metric)
    emit_json(comparison) if json else show_comparison(comparison)
