"""The command that fits heads; `flows.cli.app` adds it to the others."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.flows.cli.options import CacheArgument, Json, with_options
from headstart.flows.cli.scores import show_files, show_scores
from headstart.flows.options import FitOptions
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_notes, table_of
from headstart.heads.report import embedding_text, interval_text, score_text
from headstart.heads.scoring import metric_name

if TYPE_CHECKING:
    from headstart.flows.fit_summary import FitSummary
    from headstart.flows.fitting import Multilabel, SeveralFits, TargetRow


@with_options(FitOptions)
def fit(
    cache: CacheArgument,
    head: Annotated[
        list[str],
        typer.Option(
            help="One or more from 'headstart heads', with a grid in quotes: 'logreg(C=0.1,1,10)'; or module:Class.",
            show_default=False,
        ),
    ] = [],  # noqa: B006 - typer copies it
    target: Annotated[
        list[str],
        typer.Option(help="Label column; several, or all, each by itself.", show_default="the only one, or 'label'"),
    ] = [],  # noqa: B006 - typer copies it
    json: Json = False,
    **options: Any,
) -> None:
    """Fit heads on cached embeddings, choose one honestly, score it once on the test images, and save it."""
    asked = FitOptions(**options, progress=True)
    if len(target) > 1 or target == ["all"]:
        from headstart.flows.fitting import fit_targets

        several = fit_targets(cache, head, targets=target, options=asked)
        emit_json(several) if json else show_targets(several)
        return
    from headstart.flows.fitting import fit as run_fit

    asked = replace(asked, target=target[0] if target else None)
    if json:
        emit_json(run_fit(cache, head, options=asked))
        return
    noted: list[str] = []

    def show(summary: "FitSummary") -> None:
        noted.extend(summary.notes)
        show_scores(summary)

    summary = run_fit(cache, head, options=asked, on_scores=show)
    show_notes(summary.notes[len(noted) :])
    show_files(summary)


def show_targets(summary: "SeveralFits") -> None:
    """Print one line a column: what won, its score on the test images, and on how many images it was fitted."""
    console = Console()
    nested = any(fit.test.nested for fit in summary.fits.values())
    where = "in nested folds over all its images" if nested else "after the choice, on its own test images"
    console.print(f"\n{len(summary.fits)} label columns, each scored once, {where}:")
    table = table_of("target", "winner", "test", "95 %", "images")
    for row in summary.targets:
        table.add_row(*map(escape, _cells(row)))
    console.print(table)
    for row in summary.targets:
        if row.error:
            show_notes([f"{row.target} could not be fitted: {row.error}"])
    own = [(column, note) for column, fit in summary.fits.items() for note in fit.notes if note not in summary.notes]
    show_notes([*summary.notes, *(f"{column}: {note}" for column, note in own)])
    if summary.multilabel:
        _show_multilabel(console, summary.multilabel)
    console.print(f"\ntable   {escape(nearby(str(as_latest(summary.table))))}", highlight=False, soft_wrap=True)
    for fit in filter(lambda fit: fit.report, summary.fits.values()):
        console.print(f"report  {escape(nearby(str(as_latest(fit.report))))}", highlight=False, soft_wrap=True)


def _cells(row: "TargetRow") -> tuple[str, str, str, str, str]:
    if row.label is None or row.tap is None or row.metric is None:
        return row.target, "–", "failed", "", str(row.n_images)
    return (
        row.target,
        f"{embedding_text(row.label, row.tap)} · {row.head}",
        f"{score_text(row.metric, row.score)} {metric_name(row.metric)}",
        interval_text(row.metric, row.low, row.high),
        str(row.n_images),
    )


def _show_multilabel(console: Console, found: "Multilabel") -> None:
    console.print(f"{found.n_columns} columns of 0 and 1 taken together, each on its own test images:", highlight=False)
    table = table_of("target", "ones", "accuracy", "F1", "average precision")
    for column in found.columns:
        scores = [score_text("accuracy", getattr(column, name)) for name in ("accuracy", "f1", "average_precision")]
        table.add_row(escape(column.target), f"{column.n_positive} of {column.n_test}", *scores)
    means = [score_text("accuracy", getattr(found, name)) for name in ("accuracy", "macro_f1", "average_precision")]
    table.add_row("[bold]mean[/]", "", *(f"[bold]{mean}[/]" for mean in means))
    console.print(table)
