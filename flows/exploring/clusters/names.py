"""Names of clusters by a few labels, as rows, words and columns of the table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headstart.heads.analysis import Clustering
from headstart.heads.transfer.clusters import NamedCluster, Told, name_clusters, tell_left_out


@dataclass(frozen=True, kw_only=True)
class NameRow:
    """One cluster of one method, and what its labels say.

    Attributes
    ----------
    method : str
    number, images, labelled : int
    name : str or None
        None where the labels do not tell.
    most : str or None
    share, low, high : float or None
        As `heads.transfer.clusters.NamedCluster` has them.
    """

    method: str
    number: int
    images: int
    labelled: int
    name: str | None
    most: str | None
    share: float | None
    low: float | None
    high: float | None


class Naming:
    """The names that a few labels give.

    Parameters
    ----------
    labels : (int array (n_images,), list of str)
        Number of each image's label, -1 for none, and the labels' names.
    groups : int array (n_images,)
    """

    def __init__(self, labels: tuple[npt.NDArray[Any], list[str]], groups: npt.NDArray[np.int64]) -> None:
        self._labels, self._names = np.asarray(labels[0], np.intp), labels[1]
        self._groups = np.asarray(groups, np.intp)

    def rows(self, chosen: Sequence[Clustering]) -> list[NameRow]:
        """Return a row for each cluster of each method."""
        found = [(one.method, self._of(one)) for one in chosen]
        return [NameRow(method=method, **vars(named)) for method, some in found for named in some]

    def columns(self, chosen: Sequence[Clustering]) -> dict[str, list[str | None]]:
        """Return the name of each image's cluster by method, for the table."""
        return {
            f"{one.method}_name": [None if number < 0 else names[number] for number in one.clusters.tolist()]
            for one in chosen
            for names in [[named.name for named in self._of(one)]]
        }

    def left_out(self, one: Clustering, features: npt.NDArray[np.float32]) -> str:
        """Return how far names tell labels that are left out, beside the nearest labelled image."""
        left: Told = tell_left_out(one.clusters, self._labels, self._groups, features)
        found = (
            f"left out one by one, {left.by_cluster} of {left.labelled} labels are told by the others of their cluster "
            f"({one.method}), {left.by_nearest} by the nearest labelled image"
        )
        if left.by_cluster < left.by_nearest:
            found += ": naming clusters does not beat that here, and 'headstart fit --labels' may serve better"
        return found

    def _of(self, one: Clustering) -> list[NamedCluster]:
        return name_clusters(one.clusters, self._labels, self._groups, self._names)


def name_text(row: NameRow) -> str:
    """Say what a cluster is called, and how sure that is."""
    if row.share is None or row.low is None or row.high is None:
        return "unnamed, no label"
    counted = f"{round(row.share * row.labelled)} of {row.labelled} labels"
    counted += f", {100 * row.low:.0f} to {100 * row.high:.0f} %"
    return f"{row.name} ({counted})" if row.name else f"unnamed (most {row.most}: {counted})"
