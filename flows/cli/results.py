"""The commands that look back at earlier runs; `flows.cli.app` adds them to the others."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.table import Table

from headstart.flows.cli.options import Json
from headstart.flows.output import Console, emit_json, escape, nearby, show_notes, table_of
from headstart.heads.report import NO_SCORE, embedding_text, interval_text, params_text, score_text
from headstart.heads.scoring import metric_name, metric_names

if TYPE_CHECKING:
    from headstart.flows.history import RankedRun, Ranking, Run, RunComparison

    MetricName = str
else:  # typer shows, and takes, the names in the table
    MetricName = Literal[tuple(metric_names())]


MetricOption = Annotated[
    MetricName | None,
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
    from headstart.flows.history import results as rank_results

    ranking = rank_results(places, metric=metric)
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
    from headstart.flows.history import compare as run_compare

    comparison = run_compare(first, second, places=cache, metric=metric)
    emit_json(comparison) if json else show_comparison(comparison)


_MOST_ROWS = 12  # what prints by default fits a screen


def show_ranking(ranking: "Ranking") -> None:
    """Print a table for each set of test images."""
    console = Console()
    notes = list(ranking.notes)
    for table in ranking.tables:
        metric, runs = table.metric, table.runs
        console.print(
            f"\n[bold]{escape(table.name)}[/] · {escape(table.target)}: {metric_name(metric)} on "
            f"{escape(table.split)}, {_images(table.n_test)}",
            highlight=False,
        )
        shown = table_of("run (UTC)", "winner", "test", "95 %", "chosen by")
        for row in runs[:_MOST_ROWS]:
            test, selection = row.test or NO_SCORE, row.selection or NO_SCORE
            shown.add_row(
                row.id,
                escape(f"{embedding_text(row.label, row.tap)} · {row.head}"),
                score_text(metric, test.value),
                escape(interval_text(metric, test.low, test.high)),
                score_text(metric, selection.value),
            )
        console.print(shown)
        console.print(_table_of_folders(runs[:_MOST_ROWS]))
        if len(runs) > _MOST_ROWS:
            notes.append(f"{len(runs) - _MOST_ROWS} more runs on these images; --json lists them all")
    show_notes(notes)


def _table_of_folders(runs: "list[RankedRun]") -> Table:
    """Say with which parameters each won, of how many candidates, where its files are, and what a person called it."""
    table = table_of("run (UTC)", "name", "parameters", "of", "its folder is in")
    for column in table.columns[2::2]:
        column.no_wrap = False
    for row in runs:
        folder = "– it is gone" if row.folder is None else nearby(row.folder)
        if row.folder is not None and Path(row.folder).name == row.id:
            folder = nearby(str(Path(row.folder).parent))
        called = ": ".join(filter(None, (row.name, row.note)))
        own = {name: value for name, value in row.params.items() if name != "views"}
        params = " · ".join(filter(None, (params_text(own), f"{row.views} views" if row.views > 1 else "")))
        table.add_row(row.id, *map(escape, (called, params, str(row.n_candidates), folder)))
    return table


def show_comparison(comparison: "RunComparison") -> None:
    """Print both winners, what differs, and what can be said of the difference."""
    console, metric = Console(), comparison.metric
    for word, run in (("first", comparison.first), ("second", comparison.second)):
        console.print(f"[bold]{word:<6}[/] {escape(_winner(run, metric))}", highlight=False, soft_wrap=False)
    if comparison.differences:
        table = table_of("what differs", "first", "second")
        table.columns[2].no_wrap = False
        for row in comparison.differences:
            table.add_row(escape(row.what), escape(_text(row.first)), escape(_text(row.second)))
        console.print(table)
    else:
        console.print("nothing differs: the same settings, images, embedding and winner")
    show_notes(comparison.notes)
    console.print(f"[bold]{escape(comparison.verdict)}[/]", highlight=False)


def _winner(run: "Run", metric: str) -> str:
    winner, score = run.winner, run.test.scores.get(metric, NO_SCORE)
    params = f" ({params_text(winner.params)})" if winner.params else ""
    interval = interval_text(metric, score.low, score.high)
    return (
        f"{run.id} · {embedding_text(winner.label, winner.tap)} · {winner.head}{params}: "
        f"{score_text(metric, score.value)} {interval} on {_images(run.data.n_test)}"
    )


def _images(count: int) -> str:
    return "1 image" if count == 1 else f"{count} images"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
