"""A cache opened in Python: its images and labels as a table, its embeddings as an array beside them."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import label_columns
from headstart.extractors.listing import read_listing
from headstart.extractors.results import JobResult
from headstart.extractors.spec import Tap, short_name
from headstart.flows.errors import JobError
from headstart.flows.options import as_list
from headstart.flows.problem import (
    Embedded,
    describe_images,
    find_covering,
    gather_labelled,
    only_embedding,
    pose_column,
)


class Arrays(NamedTuple):
    """Embeddings, labels and images of a cache, one row an image, in the listing's order.

    Attributes
    ----------
    X : array (n_images, n_features)
        A memory map, which is read-only, where one shard of the cache holds just these rows.
    y : array (n_images,) or None
        Names of classes, or float64 numbers; None where no image has a label.
    images : DataFrame
        ``path``, ``split``, ``group`` and the label columns.
    """

    X: npt.NDArray[Any]
    y: npt.NDArray[Any] | None
    images: pd.DataFrame


class HeldKey(TypedDict):
    """Key of embeddings that a cache holds, in parts, and the number of its rows."""

    id: str
    backbone: str
    weights: str
    taps: list[str]
    rows: int


class OpenedCache(
    JobResult,
    says="{path}: {images:n image}\n{_understood}\n{_embeddings}",
    tables=("images", "keys"),
):
    """A cache to look into.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.

    Attributes
    ----------
    path : Path
    images : DataFrame
        ``path``, ``split``, ``group`` and the label columns of the images that can be read, in the listing's order.
    keys : list of dict
        What they were embedded by: ``id``, ``backbone``, ``weights``, ``taps``, ``rows``.
    """

    def __init__(self, cache: str | Path) -> None:
        self._cache = EmbeddingCache(cache)
        self.path, self._listing = self._cache.path, read_listing(self._cache)

    @cached_property
    def images(self) -> pd.DataFrame:
        """The images that can be read."""
        rows = self._listing.usable
        return rows[["path", "split", "group", *label_columns(rows)]].reset_index(drop=True)

    @property
    def keys(self) -> list[HeldKey]:
        """The embeddings that the cache holds: id, backbone, weights, taps and rows of each."""
        return [
            {
                "id": store.key.id,
                "backbone": short_name(store.key.backbone),
                "weights": store.about["weights_name"],
                "taps": list(store.key.taps),
                "rows": store.n_rows(),
            }
            for store in self._cache.stores()
        ]

    def arrays(
        self,
        *,
        backbone: str | None = None,
        key: str | None = None,
        tap: str | None = None,
        target: str | None = None,
        labels: str | Path | None = None,
        task: str | None = None,
        split: str | Sequence[str] | None = None,
        dtype: npt.DTypeLike | None = "float32",
    ) -> Arrays:
        """Return embeddings, labels and images, of the images that a fit would take.

        Images in quarantine, and those without a label where others have one, are left out.

        Parameters
        ----------
        backbone, key, tap : str, optional
            Which embeddings; needed where the cache has several.
        target : str, optional
            Label column; by default the only one, or ``label``.
        labels : path-like, optional
            CSV or Parquet with ``path`` and label columns, in place of the listing's labels.
        task : {"classify", "regress"}, optional
            Names of classes, or numbers; by default as the column looks.
        split : str or sequence of str, optional
            Only these, such as ``train``.
        dtype : dtype, optional
            Of the embeddings; None leaves them as the cache stores them.

        Raises
        ------
        JobError
            It is not clear which embeddings or labels are meant, or no image is left.
        CacheError
            The cache is damaged.
        """
        maps = tap is not None and Tap.parse(tap).is_map
        listed, keys = as_list(backbone) if backbone else None, [key] if key else None
        if labels is None and target is None and not self._has_labels():
            rows, y = self.images, None
            digests = self._listing.usable["digest"].tolist()
            covering = find_covering(self._cache, digests, listed, keys, [], maps=maps)
        else:
            labelled = gather_labelled(
                self._cache,
                labels=Path(labels) if labels else None,
                targets=[target] if target else None,
                backbone=listed,
                keys=keys,
                maps=maps,
            )
            problem = pose_column(labelled, labelled.columns[0], task=task)
            rows = labelled.rows[labelled.rows[problem.target].notna()]
            rows = rows.assign(path=problem.images.files["path"].to_pylist())
            rows = rows[["path", *(name for name in rows if name != "path")]].reset_index(drop=True)
            y, covering = problem.y, problem.embedded
            y = np.array(problem.class_names)[y] if problem.task == "classify" else y
        embedded = only_embedding(covering, tap, self.path, lambda one: f"key={one.store.key.id!r}, tap={one.tap!r}")
        return _of_splits(rows, y, embedded, split, dtype)

    def _has_labels(self) -> bool:
        rows = self._listing.usable
        return any(rows[name].notna().any() for name in label_columns(rows))

    @property
    def _understood(self) -> str:
        return describe_images(self._listing.rows, not_listed=self._listing.left_out)[0].text

    @property
    def _embeddings(self) -> str:
        return "; ".join(f"{key['backbone']} ({', '.join(key['taps'])})" for key in self.keys) or "no embeddings"


def open(cache: str | Path) -> OpenedCache:  # noqa: A001 - as `headstart.open`, like `gzip.open`
    """Open a cache, to have its embeddings as arrays or to look at its images and keys.

    Parameters
    ----------
    cache : path-like
        What `extract` filled.

    Raises
    ------
    CacheError
        There is no cache, or its listing cannot be read.

    Examples
    --------
    >>> X, y, images = headstart.open("photos.headstart").arrays()
    >>> X.shape, sorted(set(y.tolist())), images["path"][0]
    ((36, 256), ['cat', 'dog', 'owl'], 'cat/00.png')
    """
    return OpenedCache(cache)


def _of_splits(
    rows: pd.DataFrame,
    y: npt.NDArray[Any] | None,
    embedded: Embedded,
    split: str | Sequence[str] | None,
    dtype: npt.DTypeLike | None,
) -> Arrays:
    """Gather the rows of some splits, or of all images."""
    features = embedded.features
    if split is not None:
        here = rows["split"].isin(as_list(split)).to_numpy()
        if not here.any():
            known = ", ".join(map(str, rows["split"].dropna().unique())) or "none"
            raise JobError(f"no image is of split {', '.join(as_list(split))}; the splits are: {known}")
        rows, features = rows[here].reset_index(drop=True), features.take(here)
        y = None if y is None else y[here]
    return Arrays(np.asarray(features, dtype=dtype), y, rows)
