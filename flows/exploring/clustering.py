"""Cache → clusters: which images are alike, where no labels say so, and how that agrees with labels that do."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Unpack

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.atomic import write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import ImageRoot, image_sources, label_columns
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.exploring.cluster_page import render_clusters
from headstart.flows.exploring.cluster_summary import ClusteringRow, ClusterSummary
from headstart.flows.exploring.clusters import LayerRow, Naming, choose_layer
from headstart.flows.exploring.options import ClusterKeywords, ClusterOptions
from headstart.flows.options import taken
from headstart.flows.output import phases, run_folder
from headstart.flows.problem import Embedded, find_covering, merge_labels, only_embedding, unite_groups
from headstart.flows.reporting import read_thumbnails
from headstart.heads.analysis import (
    KS,
    Clustering,
    agreement,
    cluster_by_density,
    cluster_by_kmeans,
    project_on_plane,
    reduce_features,
)

TABLE, PAGE = "clusters.csv", "clusters.html"
_THUMBNAIL = 128  # pixels


def cluster(
    cache: str | Path, *, options: ClusterOptions | None = None, **named: Unpack[ClusterKeywords]
) -> ClusterSummary:
    """Put the images of a cache into clusters by k-means and HDBSCAN, and draw them on a map.

    Parameters
    ----------
    cache : path-like
        What `extract` filled; labels are not needed.
    options : ClusterOptions, optional
        All else that is asked for, see `flows.exploring.options.ClusterOptions`.
    **named
        Options by their names, such as ``k=[5, 10]``; they go before those of `options`.

    Raises
    ------
    JobError
        It is not clear which embeddings or labels are meant.
    HeadError
        The images cannot be clustered as asked.
    TypeError
        There is no option of that name.

    Examples
    --------
    >>> found = headstart.cluster("photos.headstart", k=[2, 3])
    >>> found.methods[0].method, found.methods[0].clusters
    ('kmeans', 3)
    """
    started = time.monotonic()
    options = taken("cluster", options or ClusterOptions(), named)
    folder = EmbeddingCache(cache)
    rows = read_listing(folder).usable
    notes: list[str] = []
    if options.labels:
        rows = merge_labels(Path(options.labels), rows, read_listing(folder).root, notes)
    column = _choose_target(rows, options.target)
    groups = unite_groups(rows["digest"], rows["group"])
    embedded, layers = _choose_embedded(folder, rows, groups, options, notes)
    name = folder.path.resolve().name.removesuffix(".headstart")
    with run_folder(Path(options.out) if options.out else Path(f"{name}.clusters")) as place:
        found = _find(embedded.features, len(rows), options, notes)
        naming = Naming(_numbered(rows[column]), groups) if options.labels and column else None
        if naming:
            notes.append(naming.left_out(found.chosen[0], found.features))
        summary = ClusterSummary(
            cache=str(folder.path),
            backbone=embedded.backbone,
            tap=embedded.tap,
            images=len(rows),
            methods=[_described(one, rows, column) for one in found.chosen],
            tried=[_described(one, rows, column) for one in found.tried],
            layers=layers,
            names=naming.rows(found.chosen) if naming else [],
            target=column,
            map=found.method,
            table=str(place.folder / TABLE),
            page=str(place.folder / PAGE),
            notes=notes,
            seconds=round(time.monotonic() - started, 3),
        )
        names = naming.columns(found.chosen) if naming else {}
        _write(place.part, summary, rows, (found, names), partial(_show, rows, read_listing(folder).root, embedded))
        notes += place.finish()
    return summary


class _Found(NamedTuple):
    """Clusterings that are shown, all that k-means tried, of which features, and each image's place on the map."""

    chosen: list[Clustering]
    tried: list[Clustering]
    features: Any
    points: Any
    method: str


def _find(features: Any, n_images: int, options: ClusterOptions, notes: list[str]) -> _Found:
    """Cluster features by each method; what was left out is added to the notes."""
    seed = options.seed
    with phases("reducing the features", show=options.progress) as begin:
        reduced = reduce_features(features, n_images, seed=seed)
        begin("k-means")
        tried = cluster_by_kmeans(reduced, options.k or KS, seed)
        begin("HDBSCAN")
        dense = cluster_by_density(reduced, options.min_cluster_size, seed)
        if dense is None:
            notes.append(f"HDBSCAN was left out: {n_images} images would take it many minutes")
        begin("drawing the map")
        points, method = project_on_plane(reduced, options.map, seed)
    if options.map == "auto" and method == "pca":
        notes.append("the map is PCA's: UMAP, which shows clusters more clearly, is not installed (headstart[umap])")
    return _Found([one for one in (tried[0], dense) if one is not None], tried, reduced, points, method)


def _choose_embedded(
    folder: EmbeddingCache,
    rows: pd.DataFrame,
    groups: npt.NDArray[np.int64],
    options: ClusterOptions,
    notes: list[str],
) -> tuple[Embedded, list[LayerRow]]:
    """Return the embedding to cluster, the named one or else the most stable; and then all in this order."""
    covering = find_covering(folder, rows["digest"].tolist(), _listed(options.backbone), _listed(options.key), notes)
    left = [one for one in covering if options.tap in (None, one.tap)]
    if len(left) < 2:
        return only_embedding(covering, options.tap, folder.path, lambda one: one.label), []
    return choose_layer(left, groups, notes, seed=options.seed, progress=options.progress)


def _numbered(column: "pd.Series[Any]") -> tuple[npt.NDArray[Any], list[str]]:
    """Return the number of each image's label, -1 for none, and the labels' names."""
    numbers, names = pd.factorize(column, sort=True)
    return np.asarray(numbers), [str(name) for name in names]


def _listed(name: str | None) -> list[str] | None:
    return None if name is None else [name]


def _choose_target(rows: pd.DataFrame, target: str | None) -> str | None:
    """Return the label column to compare with, if there is one."""
    found = [name for name in label_columns(rows) if rows[name].notna().any()]
    if target is not None and target not in found:
        raise JobError(f"no label column {target!r}; there are {', '.join(found) or 'none'}")
    if target is None and len(found) > 1 and "label" not in found:
        raise JobError(f"which of the label columns is meant? Say --target {' or --target '.join(found)}")
    return target or ("label" if "label" in found else found[0] if found else None)


def _described(one: Clustering, rows: pd.DataFrame, column: str | None) -> ClusteringRow:
    row = ClusteringRow(one.method, one.params, one.n_clusters, one.n_noise, one.silhouette)
    if column is None:
        return row
    known = rows[column].notna().to_numpy()
    ari, nmi = agreement(one.clusters[known], pd.factorize(rows[column][known])[0])
    return replace(row, ari=ari, nmi=nmi)


def _show(rows: pd.DataFrame, root: ImageRoot, embedded: Embedded, at: Any) -> list[tuple[str, bytes | None]]:
    """Return path and picture of images, by their numbers in the listing."""
    some = rows.iloc[at]
    pictures = read_thumbnails(root, image_sources(some), _THUMBNAIL, embedded.store.key.range)
    return list(zip(some["path"].tolist(), pictures, strict=True))


def _write(
    folder: Path,
    summary: ClusterSummary,
    rows: pd.DataFrame,
    given: tuple[_Found, dict[str, list[str | None]]],
    show: Callable[[Any], Sequence[tuple[str, bytes | None]]],
) -> None:
    found, names = given
    chosen, points = found.chosen, found.points
    columns: dict[str, npt.NDArray[Any] | list[str | None]] = {"path": rows["path"].to_numpy()}
    if summary.target:
        columns[summary.target] = rows[summary.target].to_numpy()
    columns |= {one.method: one.clusters for one in chosen} | names | {"x": points[:, 0], "y": points[:, 1]}
    named = _numbered(rows[summary.target]) if summary.target else None
    write_atomically(folder / TABLE, pd.DataFrame(columns).to_csv(index=False, float_format="%.5g").encode())
    page = render_clusters(summary, chosen, found.features, points, rows, named, show)
    write_atomically(folder / PAGE, page.encode())
