"""From a cache to arrays: which images, which classes, which groups, and which embeddings cover them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from extractors.cache import EmbeddingCache, EmbeddingStore, EmbeddingView
from extractors.cache_listing import read_listing
from extractors.listing import label_columns
from extractors.manifests import read_manifest
from flows.errors import JobError

_MOST_CLASSES_OF_NUMBERS = 100  # a column of more distinct numbers measures something; it does not name classes


@dataclass(frozen=True)
class Embedded:
    """One tap of one key: the rows of the problem's images, and where they come from."""

    store: EmbeddingStore
    tap: str
    features: EmbeddingView
    label: str

    @property
    def backbone(self) -> str:
        """Canonical name of the backbone."""
        return self.store.key.backbone


@dataclass(frozen=True)
class Problem:
    """What is to be learned, as arrays over the labelled images of a cache.

    Attributes
    ----------
    name, target : str
        The cache's name, and the label column.
    class_names : list of str
        Sorted; `y` indexes it.
    y : int64 array (n_images,)
        Classes.
    split : object array (n_images,) or None
        ``train``, ``val``, ``test`` or None for each image; None if no image has a split.
    groups : int array (n_images,)
        Images that must stay on one side of every split: of one group, or copies of each other.
    images : DataFrame
        The listing's rows of these images.
    root : Path
        Folder that their paths are relative to.
    embedded : list of Embedded
        Every tap of every key that covers all images.
    notes : list of str
        What was left out, and why.
    """

    name: str
    target: str
    class_names: list[str]
    y: npt.NDArray[np.int64]
    split: npt.NDArray[Any] | None
    groups: npt.NDArray[np.int64]
    images: pd.DataFrame
    root: Path
    embedded: list[Embedded]
    notes: list[str]

    def find(self, key: str, tap: str) -> Embedded:
        """Return the embedding with this key id and tap."""
        return next(embedded for embedded in self.embedded if (embedded.store.key.id, embedded.tap) == (key, tap))


def pose_problem(
    cache: EmbeddingCache,
    *,
    labels: Path | None = None,
    target: str | None = None,
    backbone: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
) -> Problem:
    """Gather what heads need from a cache.

    Parameters
    ----------
    cache : EmbeddingCache
        With a listing and at least one key that covers it.
    labels : Path, optional
        CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
    target : str, optional
        Label column; by default the only one, or ``label``.
    backbone : sequence of str, optional
        Use only these, with or without their source.
    keys : sequence of str, optional
        Use only the embeddings with these key ids.

    Raises
    ------
    JobError
        Labels are absent or do not fit the images, or no key covers the images.
    """
    listing = read_listing(cache)
    notes: list[str] = []
    rows = listing.usable
    if labels is not None:
        rows = _with_labels_of(labels, rows, listing.root, notes)
    column = _choose_target(rows, target, cache)
    unlabelled = rows[column].isna()
    if unlabelled.any():
        notes.append(f"{int(unlabelled.sum())} of {len(rows)} images have no {column} and are left out")
        rows = rows[~unlabelled]
    class_names, y = _encode(rows[column], column)
    _note_conflicts(rows, column, notes)
    return Problem(
        name=cache.path.resolve().name.removesuffix(".headstart"),
        target=column,
        class_names=class_names,
        y=y,
        split=rows["split"].to_numpy() if rows["split"].notna().any() else None,
        groups=unite_groups(rows["digest"], rows["group"]),
        images=rows,
        root=listing.root,
        embedded=_covering(cache, rows["digest"].tolist(), backbone, keys, notes),
        notes=notes,
    )


def unite_groups(digests: "pd.Series[Any]", groups: "pd.Series[Any]") -> npt.NDArray[np.int64]:
    """Give the images of one group, and copies of one image, one number, along whole chains.

    Parameters
    ----------
    digests, groups : Series (n_images,)
        Content digest, and group or None, of each image.

    Returns
    -------
    int64 array (n_images,)
    """
    n_images = len(digests)
    image = np.arange(n_images)
    contents = pd.factorize(digests)[0]
    named = groups.notna().to_numpy()
    names = pd.factorize(groups)[0][named]
    # Images, contents and group names are the nodes of a graph; what hangs together is one group.
    ends = np.concatenate([n_images + contents, n_images + contents.max(initial=-1) + 1 + names])
    starts = np.concatenate([image, image[named]])
    n_nodes = int(ends.max(initial=n_images)) + 1
    graph = coo_array((np.ones(len(starts)), (starts, ends)), shape=(n_nodes, n_nodes))
    return np.unique(connected_components(graph, directed=False)[1][:n_images], return_inverse=True)[1].astype(np.int64)


def _with_labels_of(file: Path, rows: pd.DataFrame, root: Path, notes: list[str]) -> pd.DataFrame:
    table = read_manifest(file)
    own = label_columns(table)
    paths = table["path"].map(
        lambda path: str(Path(path).relative_to(root)) if Path(path).is_relative_to(root) else str(path)
    )
    table = table.assign(path=paths)
    known = table["path"].isin(rows["path"])
    if not known.any():
        raise JobError(
            f"{file}: none of its {len(table)} paths is among the images of {root}; write them as the listing does, "
            f"for instance {rows['path'].iloc[0]}",
        )
    if not known.all():
        notes.append(
            f"{int((~known).sum())} of {len(table)} paths in {file} are not among the images, "
            f"first {table['path'][~known].iloc[0]}"
        )
    columns = [name for name in ("split", "group") if name in table] + own
    merged = rows.drop(columns=[*label_columns(rows), *(name for name in columns if name in rows)], errors="ignore")
    return merged.merge(table[["path", *columns]], how="left", on="path", validate="1:1")


def _note_conflicts(rows: pd.DataFrame, target: str, notes: list[str]) -> None:
    """Say which copies of one image have different labels: at least one of them is wrong."""
    conflicting = rows.groupby("digest")[target].transform("nunique") > 1
    if conflicting.any():
        first = rows["path"][conflicting].iloc[0]
        notes.append(f"{int(conflicting.sum())} images have copies with another {target}, first {first}")


def _choose_target(rows: pd.DataFrame, target: str | None, cache: EmbeddingCache) -> str:
    found = label_columns(rows)
    if not found:
        raise JobError(
            f"{cache.path}: the images have no labels; give them with --labels FILE (columns 'path' and 'label')"
        )
    if target is None:
        target = "label" if "label" in found else found[0]
        if len(found) > 1 and target != "label":
            raise JobError(
                f"{cache.path}: which of the label columns is meant? Say --target {' or --target '.join(found)}"
            )
    if target not in found:
        raise JobError(f"{cache.path}: no label column {target!r}; there are {', '.join(found)}")
    if rows[target].isna().all():
        raise JobError(
            f"{cache.path}: not one image has a {target}; "
            f"give labels with --labels FILE (columns 'path' and {target!r})"
        )
    return target


def _encode(values: "pd.Series[Any]", target: str) -> tuple[list[str], npt.NDArray[np.int64]]:
    numbers = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if numbers and (values.nunique() > _MOST_CLASSES_OF_NUMBERS or (values % 1 != 0).any()):
        raise JobError(
            f"target {target!r} holds {values.nunique()} different numbers; heads here tell classes apart: name classes"
        )
    try:
        classes, y = np.unique(values.to_numpy(), return_inverse=True)
    except TypeError as error:  # what cannot be sorted is of several kinds
        raise JobError(f"target {target!r} mixes text and numbers; give it one type") from error
    names = [str(int(value)) if numbers else str(value) for value in classes]
    if len(set(names)) < len(names):
        raise JobError(f"target {target!r} has classes that are written alike; give each class a name of its own")
    return names, y.astype(np.int64)


def _covering(
    cache: EmbeddingCache,
    digests: list[str],
    backbone: Sequence[str] | None,
    keys: Sequence[str] | None,
    notes: list[str],
) -> list[Embedded]:
    stores = [
        store
        for store in cache.stores()
        if (backbone is None or _named(store, backbone)) and (keys is None or store.key.id in keys)
    ]
    if not stores:
        known = _backbones(cache.stores())
        raise JobError(
            f"{cache.path}: no embeddings of {', '.join(keys or backbone or ['any backbone'])}; the cache has {known}"
        )
    for name in backbone or []:
        if not any(_named(store, [name]) for store in stores):
            raise JobError(f"{cache.path}: no embeddings of {name}; the cache has {_backbones(stores)}")
    complete = []
    for store in stores:
        missing = int(store.missing(digests).sum())
        if missing:
            notes.append(
                f"{store.key.id} lacks {missing} of {len(digests)} images and is left out; "
                "run 'headstart extract' again"
            )
        else:
            complete.append(store)
    for store in complete:
        for path, reason in store.damaged().items():  # a fit on damaged rows would only look like a bad backbone
            raise JobError(f"{path}: {reason}; run 'headstart verify {cache.path} --repair'")
    if not complete:
        raise JobError(
            f"{cache.path}: no key covers all {len(digests)} images; run 'headstart extract' again ({notes[-1]})"
        )
    labels = _labels(complete)
    return [
        Embedded(store, tap, store.view(tap, digests), label)
        for store, label in zip(complete, labels, strict=True)
        for tap in store.key.taps
    ]


def _backbones(stores: Sequence[EmbeddingStore]) -> str:
    return ", ".join(sorted({store.key.backbone for store in stores})) or "none"


def _named(store: EmbeddingStore, names: Sequence[str]) -> bool:
    return store.key.backbone in names or store.key.backbone.rpartition("/")[2] in names


def _labels(stores: Sequence[EmbeddingStore]) -> list[str]:
    """Name each key as shortly as sets it apart: by backbone, then by weights, precision and dtype, or by its id."""
    labels = [store.key.backbone.rpartition("/")[2] for store in stores]
    traits = [(_short_weights(store), store.key.precision, store.key.dtype) for store in stores]
    for column in zip(*traits, strict=True):
        alike = [{trait for other, trait in zip(labels, column, strict=True) if other == label} for label in labels]
        labels = [
            f"{label}, {own}" if len(all_) > 1 else label
            for label, own, all_ in zip(labels, column, alike, strict=True)
        ]
    labels = [re.sub(r", (.*)", r" (\1)", label, count=1) for label in labels]
    return [store.key.id if labels.count(label) > 1 else label for store, label in zip(stores, labels, strict=True)]


def _short_weights(store: EmbeddingStore) -> str:
    return re.sub(r"^none \((.*)\)$|\.(safetensors|pth|pt)$", r"\1", store.about["weights_name"])
