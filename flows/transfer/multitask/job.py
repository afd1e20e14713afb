"""Cache → several label columns over one shared trunk, and whether sharing helped each of them."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Unpack

import numpy as np
import numpy.typing as npt

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.results import tabulate
from headstart.flows.options import taken
from headstart.flows.output import progress_bar, run_folder
from headstart.flows.transfer.multitask.options import MultitaskKeywords, MultitaskOptions
from headstart.flows.transfer.multitask.posed import Posed, pose_columns
from headstart.flows.transfer.multitask.saved import save_trunk, write_answers
from headstart.flows.transfer.multitask.summary import MultitaskSummary
from headstart.heads.report import ScoreRow
from headstart.heads.report.transfer import ColumnRow, MultitaskPage, render_multitask
from headstart.heads.transfer.multitask import Column, Compared, History, Shared, compare_columns

TABLE, PREDICTIONS, PAGE, MODEL = "columns.csv", "predictions.csv", "multitask.html", "model"

_RULE = {
    "label": "The loss of a label is divided by what the best guess without a look costs, and all labels weigh alike.",
    "column": "The mean loss of a column is divided by what the best guess without a look costs; columns weigh alike.",
}


def multitask(
    cache: str | Path, *, options: MultitaskOptions | None = None, **named: Unpack[MultitaskKeywords]
) -> MultitaskSummary:
    """Learn several label columns over one shared trunk, and say for which of them sharing helped.

    An image counts for the columns whose label it has. Beside the shared trunk every column is learned by a network of
    its own, of the same size and trained in the same way on the same images, and by a linear head; all are scored once
    on the same test images, and differences are tested in pairs.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.
    options : MultitaskOptions, optional
        All else that is asked for, see `flows.transfer.multitask.options.MultitaskOptions`.
    **named
        Options by their names, such as ``target=["colour", "age"]``; they go before those of `options`.

    Raises
    ------
    JobError
        There are no two label columns, or it is not clear which embeddings are meant.
    HeadError
        A column has too few labels to be learned or scored.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> table = headstart.open("photos.headstart").images[["path", "label"]]
    >>> table.assign(bird=table["label"] == "owl").to_csv("birds.csv", index=False)
    >>> found = headstart.multitask("photos.headstart", labels="birds.csv", max_epochs=5, seeds=2)
    >>> [(row.column, row.n_train, row.verdict) for row in found.columns]
    [('label', 28, 'no difference'), ('bird', 28, 'no difference')]
    """
    started = time.monotonic()
    options = taken("multitask", options or MultitaskOptions(), named)
    opened = EmbeddingCache(cache)
    posed = pose_columns(opened, options)
    X = np.asarray(posed.embedded.features, dtype=np.float32)
    shared = _compare(posed, X, options)
    rows = [_row(column, one) for column, one in zip(posed.columns, shared.columns, strict=True)]
    name = opened.path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.multitask")) as place:
        summary = MultitaskSummary(
            cache=str(opened.path),
            backbone=posed.embedded.backbone,
            tap=posed.embedded.tap,
            key=posed.embedded.store.key.id,
            images=len(X),
            split=posed.test_name,
            columns=rows,
            weighting=options.weighting,
            seeds=options.seeds,
            model=str(place.folder / MODEL),
            table=str(place.folder / TABLE),
            predictions=str(place.folder / PREDICTIONS),
            page=str(place.folder / PAGE),
            notes=list(dict.fromkeys(posed.notes)),
            seconds=round(time.monotonic() - started, 3),
        )
        save_trunk(place.part / MODEL, shared.model, posed, rows, options, place.id)
        write_answers(place.part / PREDICTIONS, shared.model, posed, X)
        write_atomically(place.part / TABLE, tabulate(rows).to_csv(index=False).encode())
        write_atomically(place.part / PAGE, render_multitask(_page(summary, shared)).encode())
        return replace(summary, notes=[*summary.notes, *place.finish()])


def _compare(posed: Posed, X: npt.NDArray[np.float32], options: MultitaskOptions) -> Shared:
    training: dict[str, float | tuple[int, ...]] = {
        "hidden_sizes": tuple(options.hidden),
        "dropout": options.dropout,
        "learning_rate": options.learning_rate,
    }
    if options.max_epochs is not None:
        training |= {"max_epochs": options.max_epochs, "min_steps": 0}
    with progress_bar("training", 1 + len(posed.columns), unit="heads", show=options.progress) as advance:
        return compare_columns(
            X,
            posed.columns,
            posed.images,
            seeds=[options.seed + number for number in range(options.seeds)],
            weighting=options.weighting,
            training=training,
            on_fit=advance,
        )


def _row(column: Column, found: Compared) -> ColumnRow:
    return ColumnRow(
        column=column.name,
        task=column.task,
        classes=len(column.class_names),
        n_train=found.n_train,
        n_test=found.n_test,
        metric=column.metric,
        shared=ScoreRow.of(found.shared),
        separate=ScoreRow.of(found.separate),
        linear=ScoreRow.of(found.linear),
        head=found.head,
        params=found.params,
        difference=found.difference,
        p_adjusted=found.p_adjusted,
        verdict=found.verdict,
        against_linear=found.against_linear,
        p_linear=found.p_linear,
        seeds=found.seeds,
    )


def _page(summary: MultitaskSummary, shared: Shared) -> MultitaskPage:
    curves = {
        row.column: (
            _losses(found.curves[0], f"val_column_{found.number}"),
            _losses(found.curves[1], "val_column_0"),
        )
        for row, found in zip(summary.columns, shared.columns, strict=True)
    }
    return MultitaskPage(
        title=f"{len(summary.columns)} label columns over one trunk",
        intro=(
            f"{summary.images} images of {Path(summary.cache).name}; scores are on the {summary.split} images, which "
            f"chose nothing, and are those of {summary.seeds} networks of each kind that answer together."
        ),
        rows=summary.columns,
        curves={column: pair for column, pair in curves.items() if all(pair)},
        rule=_RULE[summary.weighting],
        notes=summary.notes,
    )


def _losses(history: History, name: str) -> list[float]:
    return [value for epoch in history if (value := epoch.get(name)) is not None]
