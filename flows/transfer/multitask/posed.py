"""The label columns of a cache as arrays, and splits that all of them share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from headstart.extractors.cache import EmbeddingCache, number_digests
from headstart.flows.errors import JobError
from headstart.flows.options import as_list
from headstart.flows.problem import (
    Embedded,
    Labelled,
    encode_target,
    gather_labelled,
    note_conflicts,
    only_embedding,
    unite_groups,
)
from headstart.flows.transfer.multitask.options import MultitaskOptions
from headstart.heads.scoring import METRICS_OF
from headstart.heads.splits import plan_splits
from headstart.heads.transfer.multitask import Column, Images

_CHOOSE = 10
"""One part in so many of the training images chooses the epoch, for each seed another."""


@dataclass(frozen=True)
class Posed:
    """Several columns to be learned, over the images of a cache that have a label in one of them.

    Attributes
    ----------
    labelled : Labelled
    columns : list of Column
    images : Images
    test_name : str
        What the test images are.
    embedded : Embedded
    notes : list of str
    """

    labelled: Labelled
    columns: list[Column]
    images: Images
    test_name: str
    embedded: Embedded
    notes: list[str]


def pose_columns(cache: EmbeddingCache, options: MultitaskOptions) -> Posed:
    """Read the label columns and split the images.

    Raises
    ------
    JobError
        Labels are absent, a column is not there or twice spoken for, there is but one, or it is not clear which
        embeddings are meant.
    DataError
        There are too few images to split.
    """
    labelled = gather_labelled(
        cache,
        labels=Path(options.labels) if options.labels else None,
        targets=as_list(options.target),
        backbone=None if options.backbone is None else [options.backbone],
        keys=None if options.key is None else [options.key],
    )
    _refuse_names(labelled, options, cache.path)
    if not options.hidden or min(options.hidden) < 1:
        raise JobError(f"hidden is {list(options.hidden)}, expected one width or more, each at least 1: --hidden 128")
    embedded = only_embedding(
        labelled.embedded, options.tap, cache.path, lambda one: f"--key {one.store.key.id} --tap {one.tap}"
    )
    notes = list(labelled.notes)
    columns = [_column_of(labelled, name, options, notes) for name in labelled.columns]
    contents = number_digests(labelled.images.digest)
    groups = unite_groups(contents, labelled.rows["group"])
    for name in labelled.columns:
        note_conflicts(labelled.rows[name], contents, labelled.images, notes)
    images, test_name = _split(labelled, columns, groups, options, notes)
    return Posed(labelled, columns, images, test_name, embedded, notes)


def _refuse_names(labelled: Labelled, options: MultitaskOptions, cache: Path) -> None:
    columns, classify, regress = labelled.columns, as_list(options.classify), as_list(options.regress)
    if len(columns) < 2:
        raise JobError(
            f"{cache}: {columns[0]} is the only label column that is meant, and shares with none; name two or more "
            "with --target, or use 'headstart fit'"
        )
    for name in (*classify, *regress):
        if name not in columns:
            raise JobError(f"{cache}: no label column {name!r} is meant here; there are {', '.join(columns)}")
    for name in set(classify).intersection(regress):
        raise JobError(f"{name}: is to name classes and to be a number; leave it out of --classify or --regress")
    for name in {"side", *(form.format(one) for one in columns for form in ("{}_label", "probability_{}"))}:
        if name in columns:
            raise JobError(f"{name}: another column of the predictions is called so; rename the label column")


def _column_of(labelled: Labelled, name: str, options: MultitaskOptions, notes: list[str]) -> Column:
    has_label = labelled.rows[name].notna().to_numpy()
    stated = (
        "classify" if name in as_list(options.classify) else "regress" if name in as_list(options.regress) else None
    )
    try:
        target = encode_target(labelled.rows[name][has_label], name, stated)
    except JobError as error:
        raise JobError(_with_own_option(str(error), name)) from error
    notes += [_with_own_option(note, name) for note in target.notes]
    metrics = METRICS_OF[target.task]
    y = np.full(len(has_label), np.nan)
    y[has_label] = target.y
    metric = options.metric if options.metric and options.metric in metrics else next(iter(metrics))
    return Column(name=name, class_names=target.class_names, y=y, metric=metric)


def _with_own_option(text: str, name: str) -> str:
    """Write the options by which a column's task is stated here, where each has its own."""
    return text.replace("--task classify", f"--classify {name}").replace("--task regress", f"--regress {name}")


def _split(
    labelled: Labelled,
    columns: Sequence[Column],
    groups: npt.NDArray[np.int64],
    options: MultitaskOptions,
    notes: list[str],
) -> tuple[Images, str]:
    """Return the images of all columns' training and test, and what the test images are called."""
    given = labelled.rows["split"]
    held_back = given.isin(["val", "test"]).to_numpy()
    drawn = ~np.isin(groups, groups[held_back])
    kept = 1.0 if held_back.any() else 1.0 - options.test_size
    rarest = min(columns, key=lambda column: int(column.labelled.sum()))
    strata, names = _strata(rarest, groups, drawn, least=2 * _CHOOSE / kept)
    plan = plan_splits(
        strata,
        split=given.to_numpy() if given.notna().any() else None,
        groups=groups,
        class_names=names,
        stratify=len(names) > 1,
        test_size=options.test_size,
        folds=min(_CHOOSE, max(2, int(kept * len(np.unique(groups[drawn]))) // 2)),
        seed=options.seed,
    )
    notes += plan.notes
    seeds = range(options.seeds)
    images = Images(
        train=plan.train,
        test=plan.test,
        choosing=[plan.folds[seed % len(plan.folds)][1] for seed in seeds],
        groups=np.asarray(groups, dtype=np.intp),
    )
    for column in columns:
        column.refuse_unusable(images.train, images.test)
        notes += column.without_training(images.train, images.test)
    return images, plan.test_name


def _strata(
    column: Column, groups: npt.NDArray[np.int64], drawn: npt.NDArray[np.bool_], *, least: float
) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Return a stratum for each image, and their names: the column's classes, those without a label apart.

    The splits are drawn so that the column with the fewest labels has its share of each class on every side. What has
    fewer groups than `least` among the images that are `drawn` is taken together with those that have no label.
    """
    codes = np.where(column.labelled, 1 + (np.nan_to_num(column.y) if column.class_names else 0), 0).astype(np.intp)
    names = [f"no {column.name}", *(column.class_names or [column.name])]

    def n_groups(code: int) -> int:
        return len(np.unique(groups[drawn & (codes == code)]))

    codes[np.array([n_groups(code) < least for code in range(len(names))])[codes]] = 0
    if codes.any() and n_groups(0) < least:  # too few of these, too
        codes[codes == 0] = int(np.bincount(codes)[1:].argmax()) + 1
    present, numbers = np.unique(codes, return_inverse=True)
    return numbers.astype(np.intp), [names[code] for code in present]
