"""Images of a cache by what they are for: to fit on, to score, or to be told."""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import label_columns
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.options import as_list
from headstart.flows.problem import (
    Embedded,
    encode_target,
    find_covering,
    find_usual_target,
    merge_labels,
    unite_groups,
)
from headstart.flows.transfer.zero_shot.class_file import ClassVectors, listed
from headstart.flows.transfer.zero_shot.options import ZeroShotOptions
from headstart.heads.errors import DataError
from headstart.heads.splits import plan_splits

Rows = npt.NDArray[np.intp]
TEXTS = "clip"
"""Method that is fitted on no image."""


@dataclass(frozen=True)
class Sorted:
    """Images of a cache, sorted by what they are for.

    Attributes
    ----------
    paths : list of str
        Of all images that can be read.
    unread : DataFrame
        ``path`` and ``reason`` of the others.
    codes : int array of shape (n_images,)
        Class, as in the file of classes; -1 without a label.
    groups : int array of shape (n_images,)
    fit, test, told : int ndarray
        Images of seen classes to fit on; of all classes to score, which are none of these; without a label.
    seen, unseen : int ndarray
        Classes.
    embedded : list of Embedded
    target : str
        Label column; empty where there are no labels.
    notes : list of str
    """

    paths: list[str]
    unread: pd.DataFrame
    codes: Rows
    groups: npt.NDArray[np.int64]
    fit: Rows
    test: Rows
    told: Rows
    seen: Rows
    unseen: Rows
    embedded: list[Embedded]
    target: str
    notes: list[str]


def sort_images(cache: EmbeddingCache, classes: ClassVectors, options: ZeroShotOptions) -> Sorted:
    """Sort the images of a cache.

    Raises
    ------
    JobError
        It is not clear which labels are meant, or they and the classes do not fit together.
    HeadError
        A seen class has too few images.
    """
    listing, notes = read_listing(cache), list[str]()
    usable = listing.usable.reset_index(drop=True)
    if options.labels is not None:
        usable = merge_labels(Path(options.labels), usable, listing.root, notes)
    target = _target(usable, options.target, cache.path)
    codes = _codes(usable, target, classes, notes)
    unseen = _unseen(codes, classes, options)
    seen = np.setdiff1d(np.unique(codes[codes >= 0]), unseen)
    groups = unite_groups(usable["digest"], usable["group"])
    fit, test = _split(codes, usable["split"], groups, (seen, unseen), classes, options, notes)
    backbone = as_list(options.backbone) if options.backbone else None
    embedded = find_covering(cache, usable["digest"].tolist(), backbone, options.keys, notes)
    chosen = [one for one in embedded if options.tap in (None, one.tap)]
    if not chosen:
        raise JobError(f"{cache.path}: no layer {options.tap!r}; it has {listed({one.tap for one in embedded})}")
    return Sorted(
        paths=usable["path"].tolist(),
        unread=listing.quarantined[["path", "reason"]],
        codes=codes,
        groups=groups,
        fit=fit,
        test=test,
        told=np.flatnonzero(codes < 0),
        seen=seen,
        unseen=unseen,
        embedded=chosen,
        target=target,
        notes=notes,
    )


def _target(rows: pd.DataFrame, wanted: str | None, cache: Path) -> str:
    columns = [name for name in label_columns(rows) if rows[name].notna().any()]
    if wanted is not None and wanted not in columns:
        raise JobError(f"{cache}: no image has a {wanted}; the label columns are {listed(columns) or 'none'}")
    if not columns:
        return ""
    target = wanted or find_usual_target(columns)
    if target is None:
        raise JobError(f"{cache}: which of the label columns is meant? Say --target {' or --target '.join(columns)}")
    return target


def _codes(rows: pd.DataFrame, target: str, classes: ClassVectors, notes: list[str]) -> Rows:
    """Return each image's class by its place in the file of classes, -1 without a label."""
    codes = np.full(len(rows), -1, dtype=np.intp)
    if not target:
        return codes
    has_label = rows[target].notna().to_numpy()
    encoded = encode_target(rows[target][has_label], target, "classify")
    notes += encoded.notes
    place = {name: number for number, name in enumerate(classes.names)}
    lacking = [name for name in encoded.class_names if name.strip() not in place]
    if lacking:
        near = get_close_matches(lacking[0], classes.names, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise JobError(
            f"{classes.where}: has no vector for {listed(lacking)}{hint}, which images are labelled with; add a "
            "row for each, or leave these labels empty (--labels FILE)"
        )
    codes[has_label] = np.array([place[name.strip()] for name in encoded.class_names], dtype=np.intp)[encoded.y]
    return codes


def _unseen(codes: Rows, classes: ClassVectors, options: ZeroShotOptions) -> Rows:
    if options.unseen is not None:
        wrong = [name for name in options.unseen if name not in classes.names]
        if wrong:
            raise JobError(f"--unseen {wrong[0]}: {classes.where} has no such class; it has {listed(classes.names)}")
        found = np.sort(np.array([classes.names.index(name) for name in set(options.unseen)], dtype=np.intp))
        return np.union1d(found, np.setdiff1d(np.arange(len(classes.names)), codes))
    if options.method is not None and list(options.method) == [TEXTS]:
        return np.arange(len(classes.names))
    unseen = np.setdiff1d(np.arange(len(classes.names)), codes)
    if not len(unseen):
        raise JobError(
            f"{classes.where}: images are labelled with every class, so none is unseen; add rows of classes without "
            "images, name some to be told unseen (--unseen CLASS …), or compare with texts alone (--method clip)"
        )
    return unseen


def _split(
    codes: Rows,
    split: "pd.Series[Any]",
    groups: npt.NDArray[np.int64],
    kinds: tuple[Rows, Rows],
    classes: ClassVectors,
    options: ZeroShotOptions,
    notes: list[str],
) -> tuple[Rows, Rows]:
    """Return the images to fit on and to score; those of one group never stand on both sides."""
    seen, unseen = kinds
    of_unseen = np.flatnonzero(np.isin(codes, unseen))
    rows = np.flatnonzero(np.isin(codes, seen))
    fit, shown = _hold_back(rows, codes, split, groups, classes, options, notes) if len(rows) else (rows, rows)
    copied = np.isin(groups[fit], groups[of_unseen])
    if copied.any():
        notes.append(f"{int(copied.sum())} images are not fitted on: images of unseen classes are of their group")
        if lost := np.setdiff1d(codes[fit], codes[fit[~copied]]).tolist():
            raise JobError(
                f"no image of {listed(classes.names[one] for one in lost)} is left to fit on: all are of one group "
                "with images of unseen classes; mend the groups, or name these classes as unseen, too (--unseen)"
            )
    return fit[~copied], np.sort(np.concatenate([shown, of_unseen]))


def _hold_back(
    rows: Rows,
    codes: Rows,
    split: "pd.Series[Any]",
    groups: npt.NDArray[np.int64],
    classes: ClassVectors,
    options: ZeroShotOptions,
    notes: list[str],
) -> tuple[Rows, Rows]:
    """Return the images of seen classes to fit on, and those that show how well these are told.

    Where they are too few to hold some of each class back, all are fitted on: vectors need few images a class.
    """
    seen, numbers = np.unique(codes[rows], return_inverse=True)
    given = split.iloc[rows].to_numpy() if split.iloc[rows].notna().any() else None
    try:
        plan = plan_splits(
            numbers,
            split=given,
            groups=groups[rows],
            class_names=[classes.names[one] for one in seen],
            folds=2,
            test_size=options.test_size,
            seed=options.seed,
        )
    except DataError as error:
        if given is not None and {"val", "test"} & set(given):
            raise
        notes.append(f"every image of a seen class is fitted on, so that none shows how well these are told ({error})")
        return rows, rows[:0]
    notes += plan.notes
    return np.delete(rows, np.concatenate([plan.test, plan.dropped])), rows[plan.test]


def features_of(embedded: Embedded, rows: Rows) -> npt.NDArray[np.float32]:
    """Return the features (n_images, n_features) of some images."""
    return np.asarray(embedded.features.take(rows), np.float32)
