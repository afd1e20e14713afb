"""The command `zeroshot`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headstart.flows.cli import CacheArgument, Json, with_options
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.zero_shot import ZeroShotOptions

if TYPE_CHECKING:
    from headstart.flows.transfer.zero_shot import ZeroShotSummary
    from headstart.heads.scoring import Score


@with_options(ZeroShotOptions)
def zeroshot(
    cache: CacheArgument,
    classes: Annotated[
        Path | None, typer.Option(help="A vector for each class: .csv, .npz or .safetensors.", show_default=False)
    ] = None,
    json: Json = False,
    **options: Any,
) -> None:
    """Tell classes without labelled images, by attributes or texts of every class."""
    from headstart.flows.transfer.zero_shot import zeroshot as run_zeroshot

    summary = run_zeroshot(cache, options=ZeroShotOptions(classes=classes, **options, progress=True))
    emit_json(summary) if json else show_zeroshot(summary)


def show_zeroshot(summary: "ZeroShotSummary") -> None:
    """Print methods and rivals, 80 columns wide."""
    console = Console()
    counts = ((summary.fitted, "fitted on"), (summary.scored, "scored"), (summary.told, "told"))
    console.print(
        f"\n[bold]{len(summary.unseen)} unseen classes[/] beside {len(summary.seen)} seen; images: "
        + ", ".join(f"{count} {word}" for count, word in counts if count),
        highlight=False,
    )
    table = table_of("", "held out", "among unseen", "unseen", "seen", "H")
    for row in summary.rows:
        held_out = "" if row.held_out is None else f"{100 * row.held_out:.1f}"
        cells = [_text(one) for one in (row.unseen, row.seen, row.harmonic)]
        table.add_row(escape(row.name), held_out, _with_interval(row.zero_shot), *cells)
    console.print(table)
    console.print(
        "accuracy averaged over classes, %; held out: of classes that chose;\n"
        "unseen, seen: among all classes, and H their harmonic mean",
        highlight=False,
    )
    console.print(f"\n{escape(summary.verdict)}", highlight=False)
    show_notes(summary.notes)
    show_files(summary.predictions, summary.page)
    model = escape(nearby(str(as_latest(summary.model))))
    console.print(f"model   {model}   ← headstart predict {model} IMAGES", highlight=False, soft_wrap=True)


def _text(score: "Score | None") -> str:
    return "" if score is None else f"{100 * score.value:.1f}"


def _with_interval(score: "Score | None") -> str:
    if score is None or score.low == score.high:
        return _text(score)
    return f"{_text(score)} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
