"""Likeness of a task's images to those of a source cache, as one layer sees both."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache, EmbeddingStore, number_digests
from headstart.extractors.images import label_columns
from headstart.extractors.listing import read_usable
from headstart.extractors.spec import short_name
from headstart.flows.errors import JobError
from headstart.flows.problem import Embedded, Problem, encode_target, unite_groups
from headstart.heads.transfer.likeness import Likeness, measure_likeness


def compare_with_source(
    path: Path, layer: Embedded, problem: Problem, rows: npt.NDArray[np.intp], seed: int
) -> tuple[Likeness, list[str]]:
    """Measure how like a problem's images are to a source's; one image of each group, and none that is in both.

    Raises
    ------
    JobError
        The source lacks these features.
    DataError
        There are too few images.
    """
    source, notes = EmbeddingCache(path), list[str]()
    listing = read_usable(source)
    store = _find(source, layer)
    target_digests = problem.images.digest[rows]
    shared = np.isin(_as_void(listing.images.digest), _as_void(target_digests))
    if shared.any():
        notes.append(f"{int(shared.sum())} images of the source are among the target's and count there alone")
    there = ~store.missing(listing.images.digest) & ~shared
    classes = _classes_of(listing.labels, notes, path)
    if classes is not None:
        there &= classes >= 0
    kept = np.flatnonzero(there)
    groups = unite_groups(number_digests(listing.images.digest[kept]), listing.labels["group"].iloc[kept])
    kept = kept[np.unique(groups, return_index=True)[1]]
    own = rows[np.unique(problem.groups[rows], return_index=True)[1]]
    found = measure_likeness(
        np.asarray(store.view(layer.tap, listing.images.digest[kept]), np.float32),
        np.asarray(layer.features.take(own), np.float32),
        classes=None if classes is None else classes[kept],
        seed=seed,
    )
    return found, notes


def _find(source: EmbeddingCache, layer: Embedded) -> EmbeddingStore:
    """Return the source's rows of the same network on pixels that were made in the same way."""
    wanted = layer.store.key
    for store in source.stores(plain=True):
        key = store.key
        alike = (key.backbone, key.weights, key.preprocessing)
        if alike == (wanted.backbone, wanted.weights, wanted.preprocessing) and layer.tap in key.taps:
            return store
    name, weights = short_name(layer.backbone), layer.store.about["weights_source"]
    raise JobError(
        f"{source.path}: has no {layer.tap} of {name} with weights {wanted.weights} to compare with; run 'headstart "
        f"extract IMAGES --backbone {name} --weights {weights} --tap {layer.tap} --cache {source.path}'"
    )


def _classes_of(labels: pd.DataFrame, notes: list[str], path: Path) -> npt.NDArray[Any] | None:
    """Return the class of each image of a source, -1 without one; None where it is not clear which column has them."""
    columns = label_columns(labels)
    column = "label" if "label" in columns else columns[0] if len(columns) == 1 else None
    if column is None or not labels[column].notna().any():
        notes.append(f"{path}: classes are not known, so that nothing says how far the source's own are apart")
        return None
    known = labels[column].notna().to_numpy()
    target = encode_target(labels[column][known], column, None)
    if target.task != "classify":
        notes.append(f"{path}: {column} are numbers, so that nothing says how far the source's own classes are apart")
        return None
    classes = np.full(len(labels), -1)
    classes[known] = target.y
    return classes


def _as_void(digests: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(digests).view("V32").ravel()
