"""Results of `multitask`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import ColumnRow, verdict_text


@dataclass(frozen=True, kw_only=True, repr=False)
class MultitaskSummary(
    JobResult,
    says="{columns:n label column} over one trunk, {images:n image} of {cache}: {_verdict}\nmodel {model}\npage {page}",
    tables=("columns", "predictions"),
    columns=("column", "metric", "separate", "shared", "linear", "difference", "p_adjusted", "verdict"),
):
    """Several label columns over a shared trunk, against a head for each.

    Attributes
    ----------
    cache : str
    backbone, tap, key : str
        Of the embeddings.
    images : int
        With a label in one of the columns.
    split : str
        What the test images are.
    columns : list of ColumnRow
    weighting : {"label", "column"}
    seeds : int
        Networks of each kind.
    model : str
        Folder of the shared trunk, which `predict` takes.
    table, predictions, page : str
        CSV of the columns, CSV of what the trunk says of every image, HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    tap: str
    key: str
    images: int
    split: str
    columns: list[ColumnRow]
    weighting: str
    seeds: int
    model: str
    table: str
    predictions: str
    page: str
    notes: list[str]
    seconds: float

    @property
    def _verdict(self) -> str:
        return verdict_text(self.columns)

    @property
    def _names(self) -> list[str]:
        return ["path", *(row.column for row in self.columns if row.task == "classify")]
