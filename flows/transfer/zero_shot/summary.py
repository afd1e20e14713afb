"""Results of `zeroshot`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import ZeroShotRow
from headstart.heads.scoring import ClassScore


@dataclass(frozen=True, kw_only=True, repr=False)
class ZeroShotSummary(
    JobResult,
    says="{_method}, fitted on {fitted:n image} of {_seen}, for {_unseen}\n{verdict}\npage {page}",
    tables=("rows", "classes", "predictions"),
    columns=("name", "embedding", "held_out", "zero_shot", "unseen", "seen", "harmonic"),
):
    """Model for classes without labelled images, beside its rivals.

    Attributes
    ----------
    cache, target : str
        `target` is empty where images have no labels.
    method, backbone, tap : str
        Of the model that is saved.
    params : dict of str to float
        Its hyper-parameters, the constant that is subtracted from seen classes, and the temperature.
    seen, unseen : list of str
        Classes.
    among : {"all", "unseen"}
        What images are told among.
    fitted, scored, told : int
        Images that were fitted on, that have labels and were not, and without labels.
    rows : list of ZeroShotRow
        Methods, the saved one first, and then rivals.
    classes : list of ClassScore
        Of images that scored, told among all classes.
    verdict : str
        Whether the model beats its rivals, in a sentence.
    model, predictions, page : str
        Folder for `predict`; CSV of what images were told to show; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    target: str
    method: str
    backbone: str
    tap: str
    params: dict[str, float]
    seen: list[str]
    unseen: list[str]
    among: str
    fitted: int
    scored: int
    told: int
    rows: list[ZeroShotRow]
    classes: list[ClassScore]
    verdict: str
    model: str
    predictions: str
    page: str
    notes: list[str]
    seconds: float

    @property
    def _seen(self) -> str:
        return f"{len(self.seen)} seen classes"

    @property
    def _unseen(self) -> str:
        return f"{len(self.unseen)} unseen"

    @property
    def _method(self) -> str:
        return self.rows[0].name
