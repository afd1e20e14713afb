"""Cache → clusters: which images are alike, where no labels say so, and how that agrees with labels that do."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from headstart.extractors.atomic import errors_explained, write_atomically
from headstart.extractors.cache import EmbeddingCache
from headstart.extractors.images import label_columns
from headstart.extractors.listing import read_listing
from headstart.flows.errors import JobError
from headstart.flows.exploring.cluster_page import render_clusters
from headstart.flows.exploring.cluster_summary import ClusterSummary
from headstart.flows.problem import Embedded, find_covering
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


def cluster(
    cache: str | Path,
    *,
    k: Sequence[int] = (),
    min_cluster_size: int | None = None,
    target: str | None = None,
    backbone: str | None = None,
    key: str | None = None,
    tap: str | None = None,
    map: str = "auto",  # noqa: A002 - the option's name
    seed: int = 0,
    out: str | Path | None = None,
) -> ClusterSummary:
    """Put the images of a cache into clusters by k-means and HDBSCAN, and draw them on a map.

    Parameters
    ----------
    cache : path-like
        What `extract` filled; labels are not needed.
    k : sequence of int, optional
        Numbers of clusters for k-means to try; by default from 2 to 50.
    min_cluster_size : int, optional
        Fewest images of a cluster of HDBSCAN; by default a hundredth of all.
    target : str, optional
        Label column to compare with; by default the only one, or ``label``.
    backbone, key, tap : str, optional
        Which embeddings; needed where the cache has several.
    map : {"auto", "pca", "umap"}
        ``auto`` takes UMAP where it is installed.
    seed : int
    out : path-like, optional
        Folder for the table and the page; by default ``NAME.clusters`` in the current folder.

    Raises
    ------
    JobError
        It is not clear which embeddings or labels are meant.
    HeadError
        The images cannot be clustered as asked.
    """
    started = time.monotonic()
    folder = EmbeddingCache(cache)
    rows = read_listing(folder).usable
    notes: list[str] = []
    embedded = _choose(find_covering(folder, rows["digest"].tolist(), _listed(backbone), _listed(key), notes), tap)
    column = _choose_target(rows, target)
    name = folder.path.resolve().name.removesuffix(".headstart")
    place = Path(out) if out else Path(f"{name}.clusters")
    _refuse_foreign(place)
    reduced = reduce_features(embedded.features, len(rows), seed=seed)
    tried = cluster_by_kmeans(reduced, k or KS, seed)
    dense = cluster_by_density(reduced, min_cluster_size, seed)
    if dense is None:
        notes.append(f"HDBSCAN was left out: {len(rows)} images would take it many minutes")
    chosen = [one for one in (tried[0], dense) if one is not None]
    points, method = project_on_plane(reduced, map, seed)
    if map == "auto" and method == "pca":
        notes.append("the map is PCA's: UMAP, which shows clusters more clearly, is not installed (headstart[umap])")
    summary = ClusterSummary(
        cache=str(folder.path),
        backbone=embedded.backbone,
        tap=embedded.tap,
        images=len(rows),
        methods=[_described(one, rows, column) for one in chosen],
        tried=[_described(one, rows, column) for one in tried],
        target=column,
        map=method,
        table=str(place / TABLE),
        page=str(place / PAGE),
        notes=notes,
        seconds=round(time.monotonic() - started, 3),
    )
    _write(place, summary, rows, chosen, points)
    return summary


def _listed(name: str | None) -> list[str] | None:
    return None if name is None else [name]


def _choose(found: Sequence[Embedded], tap: str | None) -> Embedded:
    left = [one for one in found if tap in (None, one.tap)]
    if not left:
        raise JobError(f"no tap {tap!r}; there are {', '.join(sorted({one.tap for one in found}))}")
    if len(left) > 1:
        known = "; ".join(f"--key {one.store.key.id} --tap {one.tap} ({one.label})" for one in left)
        raise JobError(f"which embeddings are meant? Say one of: {known}")
    return left[0]


def _choose_target(rows: pd.DataFrame, target: str | None) -> str | None:
    """Return the label column to compare with, if there is one."""
    found = [name for name in label_columns(rows) if rows[name].notna().any()]
    if target is not None and target not in found:
        raise JobError(f"no label column {target!r}; there are {', '.join(found) or 'none'}")
    if target is None and len(found) > 1 and "label" not in found:
        raise JobError(f"which of the label columns is meant? Say --target {' or --target '.join(found)}")
    return target or ("label" if "label" in found else found[0] if found else None)


def _refuse_foreign(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not (folder / TABLE).exists():
        raise JobError(f"{folder}: holds other files than clusters; name an empty or a new folder (--out DIR)")


def _described(one: Clustering, rows: pd.DataFrame, column: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "method": one.method,
        "params": one.params,
        "clusters": one.n_clusters,
        "noise": one.n_noise,
        "silhouette": one.silhouette,
        "ari": None,
        "nmi": None,
    }
    if column is None:
        return found
    known = rows[column].notna().to_numpy()
    return found | agreement(one.clusters[known], pd.factorize(rows[column][known])[0])


def _write(
    folder: Path, summary: ClusterSummary, rows: pd.DataFrame, chosen: Sequence[Clustering], points: Any
) -> None:
    columns: dict[str, Any] = {"path": rows["path"].to_numpy()}
    if summary.target:
        columns[summary.target] = rows[summary.target].to_numpy()
    columns |= {one.method: one.clusters for one in chosen} | {"x": points[:, 0], "y": points[:, 1]}
    labels = pd.factorize(rows[summary.target], sort=True) if summary.target else None
    with errors_explained(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / TABLE, pd.DataFrame(columns).to_csv(index=False, float_format="%.5g").encode())
    named = None if labels is None else (np.asarray(labels[0]), [str(name) for name in labels[1]])
    write_atomically(folder / PAGE, render_clusters(summary, chosen, points, named, rows["path"].tolist()).encode())
