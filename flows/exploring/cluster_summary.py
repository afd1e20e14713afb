"""Results of `cluster`, as its page, its command and its callers read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.extractors.results import JobResult
from headstart.flows.exploring.clusters import LayerRow, NameRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class ClusteringRow:
    """One way in which the images were grouped.

    Attributes
    ----------
    method : {"kmeans", "hdbscan"}
    params : mapping
        What it was run with.
    clusters, noise : int
        Clusters found, and images in none.
    silhouette : float or None
        As `heads.analysis.Clustering` has it.
    ari, nmi : float or None
        Agreement with the labels; None without labels.
    """

    method: str
    params: Mapping[str, int]
    clusters: int
    noise: int
    silhouette: float | None
    ari: float | None = None
    nmi: float | None = None


@dataclass(frozen=True, repr=False)
class ClusterSummary(
    JobResult,
    says="{images:n image} of {cache} by {backbone} ({tap})\npage {page}",
    tables=("methods", "tried", "table", "layers", "names"),
):
    """Results of a clustering.

    Attributes
    ----------
    cache, backbone, tap : str
        What was clustered.
    images : int
    methods : list of ClusteringRow
        Of k-means the k with the best silhouette, then HDBSCAN.
    tried : list of ClusteringRow
        Of every k, best silhouette first.
    layers : list of LayerRow
        Of all layers, the most stable one first; empty where one was named, or there is no other.
    names : list of NameRow
        Of the clusters, by a few labels; empty without ``labels``.
    target : str or None
        Label column that clusters are compared with.
    map : {"pca", "umap"}
        How the places on the map were found.
    table, page : str
        CSV with ``path``, a cluster for each method (-1 for none) and the place on the map; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    tap: str
    images: int
    methods: list[ClusteringRow]
    tried: list[ClusteringRow]
    layers: list[LayerRow]
    names: list[NameRow]
    target: str | None
    map: str
    table: str
    page: str
    notes: list[str]
    seconds: float

    def plot_map(self, by: str | None = None, ax: "Axes | None" = None) -> "Axes":
        """Draw the images on a plane, each in the colour of its cluster.

        Parameters
        ----------
        by : str, optional
            Column of the table that colours them: a method, or the label column. By default the first method.
        ax : Axes, optional
            Where to draw; by default a figure of its own.

        Raises
        ------
        ValueError
            There is no such column.
        """
        from headstart.heads.report.charts import plot_map  # noqa: PLC0415 - loads matplotlib

        table, column = self.to_pandas("table"), by or self.methods[0].method
        known = [name for name in table if name not in ("path", "x", "y")]
        if column not in known:
            raise ValueError(f"no column {column!r} to colour the map by; there are {', '.join(map(str, known))}")
        return plot_map(table[["x", "y"]].to_numpy(), table[column].to_numpy(), column, ax=ax)

    @property
    def _names(self) -> tuple[str, ...]:
        return ("path", *([self.target] if self.target else []))
