"""Results of `advise`, as its page, its command and its callers read it."""

from dataclasses import dataclass, field

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import AdviceLayer, Finding
from headstart.heads.transfer.advice import Advice, Growth, Lead
from headstart.heads.transfer.likeness import Likeness


@dataclass(frozen=True, kw_only=True, repr=False)
class AdviceSummary(
    JobResult,
    says="{cache}: {title}\n{transfer}\npage {page}",
    tables=("layers", "findings", "controls"),
    columns=("name", "kind", "score", "low", "high"),
):
    """Advice, and all that it goes by.

    Attributes
    ----------
    cache, target : str
    images : int
        That were looked at, none of them a test image.
    images_per_class : float
        To fit on, the median over classes; `rarest` is that of the rarest one.
    rarest : int
    backbone : str
        That the advice is about: the one with the best layer.
    title, transfer : str
        The advice, and whether features of the backbone tell more than controls do, each in a sentence.
    advice : Advice
        As values.
    findings : list of Finding
        What was measured, in sentences.
    layers : list of AdviceLayer
        Of all networks, controls among them, the lowest of each first.
    earlier : Lead or None
        The best earlier layer against the last one.
    controls : list of Lead
        The best layer against each control.
    growth : Growth or None
        Score of the best layer by number of images.
    likeness : Likeness or None
        Of the images to those of the source.
    commands : list of str
        What does it, and what measures what is missing.
    table, page : str
        CSV of the layers; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    target: str
    images: int
    images_per_class: float
    rarest: int
    backbone: str
    title: str
    transfer: str
    advice: Advice
    findings: list[Finding]
    layers: list[AdviceLayer]
    earlier: Lead | None
    controls: list[Lead]
    growth: Growth | None
    likeness: Likeness | None
    commands: list[str]
    table: str
    page: str
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
