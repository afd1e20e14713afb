"""Results of `rank`, as its page, its command and its callers read it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import RankRow, curves_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True, kw_only=True, repr=False)
class RankSummary(
    JobResult,
    says="{rows:n layer} ranked on {images:n image} of {cache}, first {_first}\npage {page}",
    tables=("rows",),
    columns=("rank", "label", "tap", "score", "knn", "ridge", "logme", "h_score", "static"),
):
    """Backbones and layers in the order in which they suit a task.

    Attributes
    ----------
    cache, target : str
    task : {"classify", "regress"}
    images : int
        That were looked at, none of them a test image.
    rows : list of RankRow
        The first one first.
    static_by : str or None
        What the static rank goes by: ``published accuracy``, ``number of parameters``, or None where neither is known.
    agreement : float or None
        Kendall's τ between the ranking and the static one; None where there is none.
    table, page : str
        CSV of the rows; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    target: str
    task: str
    images: int
    rows: list[RankRow]
    static_by: str | None
    agreement: float | None
    table: str
    page: str
    notes: list[str]
    seconds: float

    @property
    def _first(self) -> str:
        return f"{self.rows[0].label} · {self.rows[0].tap}"

    def plot_layers(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the score of each backbone's layers, the lowest on the left.

        Parameters
        ----------
        ax : Axes, optional
            Where to draw; by default a figure of its own.
        """
        from headstart.heads.report.charts import plot_layers  # noqa: PLC0415 - loads matplotlib

        return plot_layers(curves_of(self.rows), classes=self.task == "classify", ax=ax)
