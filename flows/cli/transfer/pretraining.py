"""The command `pretrain`."""

from typing import TYPE_CHECKING, Any

from headstart.flows.cli import ImagesArgument, Json, with_options
from headstart.flows.output import Console, as_latest, emit_json, escape, nearby, show_files, show_notes, table_of
from headstart.flows.transfer.pretraining import PretrainOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headstart.flows.transfer.pretraining import PretrainSummary
    from headstart.heads.report.transfer import ComparedRow
    from headstart.heads.transfer.pretraining import Measured


@with_options(PretrainOptions)
def pretrain(images: ImagesArgument, json: Json = False, **options: Any) -> None:
    """Let a network learn from images without labels, and compare it with random weights and raw pixels."""
    from headstart.flows.transfer.pretraining import pretrain as run_pretrain

    summary = run_pretrain(images, options=PretrainOptions(**options, progress=True))
    emit_json(summary) if json else show_pretraining(summary)


def show_pretraining(found: "PretrainSummary") -> None:
    """Print what was learned and what it is worth, 80 columns wide."""
    console = Console()
    resumed = f", gone on with behind {found.resumed} steps of before" if found.resumed else ""
    turns = (
        f"; {100 * found.accuracy:.1f} % of the turns are told, by chance 25 %" if found.accuracy is not None else ""
    )
    console.print(
        f"\n[bold]{escape(found.backbone)}[/] learned {found.task} from {found.learned_from} images{resumed}:\n"
        f"loss {found.loss:.3f} on {found.held_out} others, {found.trivial:.3f} without a look{turns}",
        highlight=False,
    )
    if found.rows:
        _show_rows(console, found.rows)
    console.print(escape(found.verdict), highlight=False)
    show_notes(found.notes)
    show_files(found.curve, found.page)
    console.print(f"weights {escape(nearby(str(as_latest(found.weights))))}", highlight=False, soft_wrap=True)
    console.print(f"\n{escape(found.command)}", highlight=False, soft_wrap=True)


def _show_rows(console: Console, rows: "Sequence[ComparedRow]") -> None:
    """Print a line a layer beside random weights, and the last one beside raw pixels, too."""
    random = {row.tap: row.accuracy for row in rows if row.weights == "random"}
    (pixels,) = (row.accuracy for row in rows if row.weights == "raw pixels")
    table = table_of("layer", "pre-trained", "control", "difference, 95 %")
    for row in rows:
        if row.over_random is not None:
            table.add_row(*_cells(row.tap, row.accuracy, random[row.tap], row.over_random))
    last = [row for row in rows if row.weights == "pre-trained"][-1]
    if last.over_pixels is not None:
        table.add_row(*_cells("the same, raw pixels", last.accuracy, pixels, last.over_pixels))
    console.print(table)


def _cells(name: str, accuracy: "Measured", control: "Measured", over: "Measured") -> list[str]:
    ahead = f"{100 * over.value:+.1f} [{100 * over.low:.1f}, {100 * over.high:.1f}]"
    return [escape(name), *(f"{100 * one.value:.1f} %" for one in (accuracy, control)), escape(ahead)]
