"""From a cache to arrays: which images, which classes, which groups, and which embeddings cover them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from headstart.extractors.cache import EmbeddingCache, number_digests
from headstart.extractors.images import ImageRoot, label_columns
from headstart.extractors.listing import UsableImages, read_usable
from headstart.flows.errors import JobError
from headstart.flows.fit_summary import Understood
from headstart.flows.problem.embedded import Embedded, find_covering
from headstart.flows.problem.label_columns import choose_targets, encode_target, merge_labels, note_conflicts
from headstart.flows.problem.remarks import note_remarks
from headstart.flows.problem.understood import count_splits, describe_target
from headstart.flows.problem.views import add_views


@dataclass(frozen=True)
class SetAside:
    """Labelled image of a class that is too rare to be fitted."""

    path: str
    label: str
    split: str | None


@dataclass(frozen=True)
class Problem:
    """Problem to be learned, as arrays over the labelled images of a cache.

    Attributes
    ----------
    name, target : str
        The cache's name, and the label column.
    class_names : list of str
        Sorted; `y` indexes it. None where numbers are to be predicted.
    y : array (n_images,)
        Classes as int64, or numbers as float64.
    split : object array (n_images,) or None
        ``train``, ``val``, ``test`` or None for each image; None if no image has a split.
    groups : int array (n_images,)
        Images that must stay on one side of every split: of one group, or copies of each other.
    images : UsableImages
        Their digests, and where they lie.
    root : Path or RemoteRoot
        Folder or address that their paths are relative to.
    embedded : list of Embedded
        Every tap of every key that covers all images.
    notes : list of str
        What was left out, and why.
    understood : Understood
        What all this was taken from, for people.
    task : {"classify", "regress"}
        Whether `y` holds classes or numbers.
    set_aside : list of SetAside
        Images of classes that are too rare.
    """

    name: str
    target: str
    class_names: list[str]
    y: npt.NDArray[Any]
    split: npt.NDArray[Any] | None
    groups: npt.NDArray[np.int64]
    images: UsableImages
    root: ImageRoot
    embedded: list[Embedded]
    notes: list[str]
    understood: Understood
    task: str = "classify"
    set_aside: list[SetAside] = field(default_factory=list)

    @property
    def cache(self) -> Path:
        """The cache's folder."""
        return self.embedded[0].store.path.parent.parent  # CACHE/embeddings/<key>

    @property
    def n_views(self) -> int:
        """Rows of features that each image has, of which the first is the plain one's."""
        return 1 + len(self.embedded[0].views)

    def find(self, key: str, tap: str) -> Embedded:
        """Return the embedding with this key id and tap."""
        return next(embedded for embedded in self.embedded if (embedded.store.key.id, embedded.tap) == (key, tap))


@dataclass(frozen=True)
class Labelled:
    """The images of a cache that have a label in one of some columns, and the embeddings that cover them.

    Attributes
    ----------
    name : str
        The cache's name.
    columns : list of str
        The label columns.
    n_listed : int
        Images of the cache that can be read, with and without labels.
    rows : DataFrame
        ``split``, ``group`` and the label columns of the labelled images.
    images : UsableImages
        Their digests, and where they lie.
    root : Path or RemoteRoot
        Folder or address that their paths are relative to.
    embedded : list of Embedded
        Every tap of every key that covers all of them.
    notes : list of str
        What was left out, and why.
    not_listed : int
        Images that a limit left out of the listing.
    """

    name: str
    columns: list[str]
    n_listed: int
    rows: pd.DataFrame
    images: UsableImages
    root: ImageRoot
    embedded: list[Embedded]
    notes: list[str]
    not_listed: int = 0


def gather_labelled(
    cache: EmbeddingCache,
    *,
    labels: Path | None = None,
    targets: Sequence[str] | None = None,
    backbone: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    maps: bool = False,
    views: bool = False,
) -> Labelled:
    """Read a cache's labels once, for one column or several, and find the embeddings of the labelled images.

    Parameters
    ----------
    cache : EmbeddingCache
        With a listing and at least one key that covers it.
    labels : Path, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
    targets : sequence of str, optional
        Label columns, or ``all``; by default the only one, or ``label``.
    backbone : sequence of str, optional
        Use only these, with or without their source.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.
    maps : bool
        Take maps, which a tail is trained on, in place of features.
    views : bool
        Take the augmented views of each image beside it.

    Raises
    ------
    JobError
        Labels are absent or do not fit the images, no key covers the images, or there are no views of them.
    """
    listing = read_usable(cache)
    notes: list[str] = []
    if listing.left_out:
        whole = len(listing.images) + listing.left_out
        notes.append(
            f"{cache.path} lists {len(listing.images)} of {whole} images, because they were extracted with --limit: "
            "extract without it to fit on all"
        )
    rows = listing.labels
    if labels is not None:
        rows = merge_labels(labels, rows.assign(path=listing.paths), listing.root, notes).drop(columns="path")
    columns = choose_targets(rows, targets, cache.path)
    labelled = rows[columns].notna().any(axis=1).to_numpy()
    images = listing.images.keep(labelled)
    embedded = find_covering(cache, images.digest, backbone, keys, notes, maps=maps)
    return Labelled(
        name=cache.path.resolve().name.removesuffix(".headstart"),
        columns=columns,
        n_listed=len(rows),
        rows=rows if labelled.all() else rows[labelled],
        images=images,
        root=listing.root,
        embedded=add_views(cache, embedded, images.digest, notes) if views else embedded,
        notes=notes,
        not_listed=listing.left_out,
    )


def pose_column(labelled: Labelled, column: str, *, task: str | None = None) -> Problem:
    """Return the problem of learning one label column; images without a label there are left out of it alone.

    Parameters
    ----------
    labelled : Labelled
    column : str
        One of its columns.
    task : {"classify", "regress"}, optional
        By default as `flows.problem.label_columns.encode_target` decides.

    Raises
    ------
    JobError
        The labels do not fit the task.
    """
    has_label = labelled.rows[column].notna().to_numpy()
    understood = Understood(
        images=int(has_label.sum()),
        column=column,
        other_columns=[name for name in label_columns(labelled.rows) if name != column],
        without_label=labelled.n_listed - int(has_label.sum()),
        not_listed=labelled.not_listed,
    )
    rows, embedded, notes = labelled.rows, labelled.embedded, list(labelled.notes)
    images = labelled.images.keep(has_label)
    if not has_label.all():  # of millions of images, a copy only where some are left out
        rows, embedded = rows[has_label], [one.take(has_label) for one in embedded]
    if len(rows) < labelled.n_listed:
        missing = labelled.n_listed - len(rows)
        notes.append(f"{missing} of {labelled.n_listed} images have no {column} and are left out")
    target = encode_target(rows[column], column, task)
    contents = number_digests(images.digest)
    note_conflicts(rows[column], contents, images, notes)
    note_remarks(embedded, images, notes)
    return Problem(
        name=labelled.name,
        target=column,
        class_names=target.class_names,
        y=target.y,
        split=rows["split"].to_numpy() if rows["split"].notna().any() else None,
        groups=unite_groups(contents, rows["group"]),
        images=images,
        root=labelled.root,
        embedded=embedded,
        notes=[*notes, *target.notes],
        understood=describe_target(target, replace(understood, splits=count_splits(rows["split"]))),
        task=target.task,
    )


def pose_problem(
    cache: EmbeddingCache,
    *,
    labels: Path | None = None,
    target: str | None = None,
    task: str | None = None,
    backbone: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    maps: bool = False,
    views: bool = False,
) -> Problem:
    """Gather what heads need from a cache, for one label column.

    Parameters and errors are those of `gather_labelled` and `pose_column`.
    """
    targets = None if target is None else [target]
    labelled = gather_labelled(
        cache, labels=labels, targets=targets, backbone=backbone, keys=keys, maps=maps, views=views
    )
    if len(labelled.columns) > 1:
        raise JobError(f"{cache.path}: one label column is fitted here; name it: {', '.join(labelled.columns)}")
    return pose_column(labelled, labelled.columns[0], task=task)


def unite_groups(contents: "npt.NDArray[Any] | pd.Series[Any]", groups: "pd.Series[Any]") -> npt.NDArray[np.int64]:
    """Give the images of one group, and copies of one image, one number, along whole chains.

    Parameters
    ----------
    contents : array or Series (n_images,)
        What copies of an image have in common: its digest, or a number.
    groups : Series (n_images,)
        Group, or None, of each image.

    Returns
    -------
    int64 array (n_images,)
        Numbers from 0 on, in the order in which they first appear.
    """
    content = pd.factorize(contents)[0]
    named = groups.notna().to_numpy()
    if not named.any():
        return np.asarray(content, dtype=np.int64)
    names = pd.factorize(groups[named])[0]
    # Contents and group names are the nodes of a graph; what hangs together is one group.
    n_contents = int(content.max()) + 1
    n_nodes = n_contents + int(names.max()) + 1
    graph = coo_array((np.ones(len(names)), (content[named], n_contents + names)), shape=(n_nodes, n_nodes))
    part = connected_components(graph, directed=False)[1]
    return np.asarray(pd.factorize(part[content])[0], dtype=np.int64)
