"""Names of clusters by a few labels: the majority where it is beyond doubt, and none where labels do not tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from headstart.heads.scoring import quantile, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.intp]

MAJORITY = 0.5


@dataclass(frozen=True, kw_only=True)
class NamedCluster:
    """One cluster and what its labels say.

    Attributes
    ----------
    number, images, labelled : int
        Its number, its images, and how many of these have a label; copies and images of one group count once.
    name : str or None
        The label that more than half of its images have, at 95 %; None where the labels do not say so.
    most : str or None
        The commonest label, beyond doubt or not; None without labels.
    share, low, high : float or None
        Of that label among the labelled ones, with a 95 % interval for all images of the cluster, as far as the
        labelled ones were not picked by what they show.
    """

    number: int
    images: int
    labelled: int
    name: str | None
    most: str | None
    share: float | None
    low: float | None
    high: float | None


class Told(NamedTuple):
    """Labels that were left out one group at a time, and told by the others.

    Attributes
    ----------
    labelled : int
    by_cluster, by_nearest : int
        Told right: by the commonest label of their cluster, and by the nearest labelled image, which is the control.
    """

    labelled: int
    by_cluster: int
    by_nearest: int


def name_clusters(clusters: Numbers, labels: Numbers, groups: Numbers, names: Sequence[str]) -> list[NamedCluster]:
    """Name each cluster that its labels tell.

    Parameters
    ----------
    clusters : int array of shape (n_images,)
        From 0; negative for none.
    labels : int array of shape (n_images,)
        From 0; negative for none.
    groups : int array of shape (n_images,)
        Images of one group in a cluster say the same once.
    names : sequence of str
        Of the labels.
    """
    return [_named(number, clusters == number, labels, groups, names) for number in range(int(clusters.max()) + 1)]


def _named(
    number: int, inside: NDArray[np.bool_], labels: Numbers, groups: Numbers, names: Sequence[str]
) -> NamedCluster:
    n_images = len(np.unique(groups[inside]))
    rows = np.flatnonzero(inside & (labels >= 0))
    rows = rows[np.unique(groups[rows], return_index=True)[1]]
    if not len(rows):
        return NamedCluster(
            number=number, images=int(inside.sum()), labelled=0, name=None, most=None, share=None, low=None, high=None
        )
    counts = np.bincount(labels[rows], minlength=len(names))
    most, share = int(counts.argmax()), float(counts.max() / len(rows))
    # Where every image has its label, nothing is left to chance.
    low, high = (share, share) if len(rows) == n_images else wilson(share, len(rows), quantile())
    return NamedCluster(
        number=number,
        images=int(inside.sum()),
        labelled=len(rows),
        name=names[most] if low > MAJORITY else None,
        most=names[most],
        share=share,
        low=low,
        high=high,
    )


def tell_left_out(clusters: Numbers, labels: Numbers, groups: Numbers, X: NDArray[np.floating]) -> Told:
    """Leave out each group's labels in turn, and tell them by the others.

    Parameters
    ----------
    clusters, labels, groups : int array of shape (n_images,)
        As of `name_clusters`.
    X : float array of shape (n_images, n_dimensions)
        Where images that are near each other are alike.
    """
    rows = np.flatnonzero(labels >= 0)
    own, near, where = labels[rows], np.asarray(X[rows], np.float64), clusters[rows]
    by_cluster = by_nearest = 0
    for at in range(len(rows)):
        others = np.flatnonzero(groups[rows] != groups[rows[at]])
        if not len(others):
            continue
        by_nearest += int(own[others[np.square(near[others] - near[at]).sum(axis=1).argmin()]] == own[at])
        inside = own[others[where[others] == where[at]]] if where[at] >= 0 else own[:0]
        by_cluster += int(len(inside) > 0 and np.bincount(inside).argmax() == own[at])
    return Told(len(rows), by_cluster, by_nearest)
