"""The command `adapt`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.extractors.spec import short_name
from headstart.flows.cli import Json, with_options
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.adaptation import AdaptOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.adaptation import AdaptSummary


@with_options(AdaptOptions)
def adapt(
    source: Annotated[Path, typer.Argument(help="Cache of labelled images.", show_default=False)],
    onto: Annotated[
        Path | None,
        typer.Argument(metavar="{target}", help="Cache of images to predict; none with --domain.", show_default=False),
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Fit heads on a labelled source for a target without labels, and save one."""
    from headstart.flows.transfer.adaptation import adapt as run_adapt

    summary = run_adapt(source, onto, options=AdaptOptions(**options, progress=True))
    emit_json(summary) if json else show_adaptation(summary)


CHOSEN_BY = {
    "source": "accuracy on left-out images of the source, %",
    "weighted": "accuracy on left-out images of the source, weighed as the target's, %",
}


def show_adaptation(summary: "AdaptSummary") -> None:
    """Print the methods beside their controls, 80 columns wide."""
    console = Console()
    console.print(
        f"\n[bold]{escape(summary.source)}[/] ({summary.n_source} images) → [bold]{escape(summary.target)}[/] "
        f"({summary.n_target}), {escape(short_name(summary.backbone))} · {escape(summary.tap)}:",
        highlight=False,
    )
    on_target = ["target", "95 %", "− control", "95 %"] if summary.n_labelled else []
    table = table_of("method", "source", "apart", *on_target)
    for row in summary.rows:
        name = f"[bold]{row.name}[/]" if row.name == summary.saved else row.name
        table.add_row(name, _percent(row.validation), _percent(row.apart), *_on_target(row) * bool(on_target))
    console.print(table)
    for line in _meanings(summary):
        console.print(line, highlight=False)
    show_notes(summary.notes)
    console.print(f"\n{escape(summary.conclusion)}", highlight=False)
    model = escape(nearby(str(as_latest(summary.model))))
    console.print(f"\nmodel   {model}   ← {summary.saved}", highlight=False, soft_wrap=True)
    show_files(summary.predictions, summary.page)


def _on_target(row: Any) -> list[str]:
    score, apart = row.scores["accuracy"], row.difference
    cells = [_percent(score.value), f"{100 * score.low:.0f}–{100 * score.high:.0f}"]
    if apart is None:
        return [*cells, "", ""]
    sign = {"better": "+", "worse": "-"}.get(row.verdict, "=")
    return [*cells, f"{100 * apart.value:+.1f} {sign}", f"{100 * apart.low:+.1f}…{100 * apart.high:+.1f}"]


def _meanings(summary: "AdaptSummary") -> list[str]:
    lines = [
        f"source: {CHOSEN_BY[summary.validation]}:",
        "        it chose hyper-parameters and the model; no label of the target did",
        "apart:  how often a linear classifier tells the domains apart (chance: 50 %)",
        f"weights: {summary.n_source} images of the source then count as {summary.effective_size:.0f}",
    ]
    if summary.n_labelled:
        lines.append(
            f"target: accuracy on its {summary.n_labelled} labels, looked at once, at the end; − control:\n"
            "        difference on the same images, + better, - worse, = no more than chance"
        )
    return lines


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}"
