"""The page of a clustering, gathered: a map for each method and for the labels, and pictures of the clusters."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from headstart.extractors.cache import as_bytes
from headstart.flows.exploring.clusters import LayerRow, name_text
from headstart.flows.output import nearby
from headstart.flows.reporting import LabelFile, offer_labels
from headstart.heads.analysis import NOISE, Clustering
from headstart.heads.report import ClusterCard, ClusterLayer, ClusterMap, ClusterSection, render_cluster_page

if TYPE_CHECKING:
    from headstart.flows.exploring.cluster_summary import ClusteringRow, ClusterSummary

_MOST_POINTS = 10_000
_MOST_PICTURED = 1000  # of the points; a picture has some 3 kB
_MOST_CLUSTERS = 60
_MOST_PICTURES, _MOST_OF_A_CLUSTER, _FEWEST = 320, 8, 4  # of a method, and of one cluster

Labels = tuple[npt.NDArray[Any], list[str]]
"""Number of each image's label, -1 for none, and the labels' names."""


def render_clusters(
    summary: "ClusterSummary",
    chosen: Sequence[Clustering],
    features: npt.NDArray[np.float32],
    points: npt.NDArray[np.float64],
    images: pd.DataFrame,
    labels: Labels | None,
    show: Callable[[npt.NDArray[np.intp]], Sequence[tuple[str, bytes | None]]],
) -> str:
    """Return the HTML page.

    Parameters
    ----------
    summary : ClusterSummary
    chosen : sequence of Clustering
    features : float32 array (n_images, n_features)
        What was clustered.
    points : float64 array (n_images, 2)
        Places on the map.
    images : DataFrame
        ``path`` and ``digest``.
    labels : (int array (n_images,), list of str) or None
    show : callable
        Gives path and picture of images, by their rows.
    """
    shown = np.arange(len(points))
    if len(shown) > _MOST_POINTS:
        shown = np.sort(np.random.default_rng(0).choice(shown, _MOST_POINTS, replace=False))
    sections = [
        _with_cards(_section(one, found, shown), one, features, _words(summary, one, labels), show)
        for one, found in zip(chosen, summary.methods, strict=True)
    ]
    if labels is not None:
        groups, names = _grouped(labels[0][shown], labels[1], "no label")
        title = f"{summary.target}: what the labels say"
        sections.append(ClusterSection(name="labels", title=title, numbers={}, groups=groups, names=names))
    intro = f"{summary.backbone} · {summary.tap} · map by {summary.map.upper()}"
    if len(shown) < len(points):
        intro += f" of {len(shown)} of the images, which can be labelled here"
    title, on_map = f"Clusters of {summary.images} images", _on_map(summary, points, images, labels, shown, show)
    layers = [_layer(row) for row in summary.layers]
    return render_cluster_page(title, intro, summary.notes, sections, on_map, layers)


def _layer(row: LayerRow) -> ClusterLayer:
    values = [f"{value:.3f}" for value in (row.gain, row.stability, row.null)]
    return ClusterLayer(name=f"{row.label} · {row.tap}", random=row.random, tied=bool(row.tied), values=values)


def _on_map(
    summary: "ClusterSummary",
    points: npt.NDArray[np.float64],
    images: pd.DataFrame,
    labels: Labels | None,
    shown: npt.NDArray[np.intp],
    show: Callable[[npt.NDArray[np.intp]], Sequence[tuple[str, bytes | None]]],
) -> ClusterMap:
    """Gather the images of the map, some with pictures, and what may be labelled."""
    numbers, names = labels or (np.full(len(images), -1), [])
    cache = Path(summary.cache).resolve().name.removesuffix(".headstart")
    file = LabelFile(summary.target or "label", cache, ["headstart", "fit", nearby(summary.cache)])
    labelling = offer_labels(
        lambda rows: images["path"].iloc[rows].tolist(),
        numbers,
        names,
        shown,
        file=file,
        digests=as_bytes(images["digest"].tolist()),
    )
    pictured = np.sort(np.random.default_rng(0).permutation(len(shown))[:_MOST_PICTURED])
    thumbnails: list[bytes | None] = [None] * len(shown)
    for at, (_, jpeg) in zip(pictured.tolist(), show(shown[pictured]), strict=True):
        thumbnails[at] = jpeg
    return ClusterMap(points=points[shown], thumbnails=thumbnails, labelling=labelling)


def _section(one: Clustering, found: "ClusteringRow", shown: npt.NDArray[np.intp]) -> ClusterSection:
    numbers = {"clusters": str(found.clusters)}
    if found.noise:
        numbers["images in none"] = str(found.noise)
    measured = {"silhouette": found.silhouette, "agreement (ARI)": found.ari, "information (NMI)": found.nmi}
    numbers |= {name: f"{value:.3f}" for name, value in measured.items() if value is not None}
    groups, names = _grouped(one.clusters[shown], [str(number) for number in range(one.n_clusters)], "none")
    return ClusterSection(name=one.method, title=one.method, numbers=numbers, groups=groups, names=names)


def _grouped(numbers: npt.NDArray[Any], names: list[str], without: str) -> tuple[npt.NDArray[np.intp], list[str]]:
    """Give images without a number the last one, under a name of their own."""
    return np.where(numbers == NOISE, len(names), numbers), [*names, without]


def _with_cards(
    section: ClusterSection,
    one: Clustering,
    features: npt.NDArray[np.float32],
    words: Callable[[int], str],
    show: Callable[[npt.NDArray[np.intp]], Sequence[tuple[str, bytes | None]]],
) -> ClusterSection:
    """Return a section with the cards of its largest clusters, each with the words on it."""
    n_shown = min(_MOST_CLUSTERS, one.n_clusters)
    n_each = max(_FEWEST, min(_MOST_OF_A_CLUSTER, _MOST_PICTURES // max(1, n_shown)))
    members = [np.flatnonzero(one.clusters == number) for number in range(n_shown)]
    typical = [rows[np.argsort(_distances(features[rows]), kind="stable")][:n_each] for rows in members]
    pictures = iter(show(np.concatenate(typical)) if typical else [])
    cards = [
        ClusterCard(
            number=number,
            n_images=len(rows),
            most=words(number),
            pictures=[next(pictures) for _ in some],
        )
        for number, (rows, some) in enumerate(zip(members, typical, strict=True))
    ]
    return replace(section, cards=cards, n_left_out=one.n_clusters - n_shown)


def _words(summary: "ClusterSummary", one: Clustering, labels: Labels | None) -> Callable[[int], str]:
    """Return the getter of a cluster's name, where a few labels were given for that, or else of its commonest label."""
    named = {row.number: name_text(row) for row in summary.names if row.method == one.method}

    def words(number: int) -> str:
        if labels is None or named:
            return named.get(number, "")
        return _most(labels[0][one.clusters == number], labels[1])

    return words


def _distances(features: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(np.linalg.norm(features - features.mean(axis=0), axis=1))


def _most(labels: npt.NDArray[Any], names: list[str]) -> str:
    known = labels[labels >= 0]
    if not len(known):
        return "without label"
    counts = np.bincount(known, minlength=len(names))
    return f"most are {names[counts.argmax()]} ({100 * counts.max() / len(labels):.0f} %)"
