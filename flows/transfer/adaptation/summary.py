"""Results of `adapt`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import AdaptRow


@dataclass(frozen=True, kw_only=True, repr=False)
class AdaptSummary(
    JobResult,
    says="{saved} of {rows:n method} adapted from {source} to {target}, {backbone} · {tap}\nmodel {model}\npage {page}",
    tables=("rows", "predictions"),
    columns=("name", "control", "validation", "apart", "effective_size", "scores", "difference", "verdict"),
):
    """Heads for a target, each beside one that never saw it.

    Attributes
    ----------
    source, target : str
        Names of the domains.
    backbone, tap : str
    class_names : list of str
    n_source, n_target : int
        Images that were learned from, and images that were predicted.
    n_labelled : int
        Of the target's images, those with a label, which was looked at once, after everything was chosen.
    validation : {"source", "weighted"}
        What chose hyper-parameters and the model that is saved.
    apart : float
        Mean share of images whose domain a classifier tells before anything is adapted; .5 is chance.
    effective_size : float
        Images of the source that importance weights leave, as all alike would count.
    rows : list of AdaptRow
        Methods, each behind its control.
    saved : str
        Method of the model that is saved.
    conclusion : str
        What the target's labels say of the methods, in one sentence.
    model, predictions, table, page : str
        Folder of the model; CSV of the target's images; CSV of the rows; HTML page.
    run : str
    notes : list of str
    seconds : float
    """

    source: str
    target: str
    backbone: str
    tap: str
    class_names: list[str]
    n_source: int
    n_target: int
    n_labelled: int
    validation: str
    apart: float
    effective_size: float
    rows: list[AdaptRow]
    saved: str
    conclusion: str
    model: str
    predictions: str
    table: str
    page: str
    run: str
    notes: list[str]
    seconds: float

    @property
    def _names(self) -> tuple[str, ...]:
        return ("path", "label", "true", *(row.name for row in self.rows))
