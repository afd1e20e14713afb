"""Results of `guide`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import GuideRow, guide_verdict


@dataclass(frozen=True, kw_only=True, repr=False)
class GuideSummary(
    JobResult,
    says="{verdict}\npage {page}",
    tables=("rows", "table"),
    columns=("shots", "guided", "unguided", "shuffled", "constant", "beaten"),
):
    """Guided transfer learning beside its three controls.

    Attributes
    ----------
    cache, source, target : str
        Both caches, and the label column of the target.
    body : str
        What is held back, for people.
    scouts : list of list of str
        Classes that each scout told apart; ``cluster 0`` and so on where clusters stood in for them.
    rule : dict
        ``scope``, ``focus`` and ``temperature``.
    shares : dict of str to float
        Mean share of a step by parameter.
    draws, images : int
        How often images were drawn, and how many were scored each time.
    rows : list of GuideRow
        One for each number of images a class.
    experimental : bool
        The guide did not beat all three controls at every number of images a class.
    guide, table, page : str
        Guide as safetensors; CSV of the accuracies, draw by draw; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    source: str
    target: str
    body: str
    scouts: list[list[str]]
    rule: dict[str, str]
    shares: dict[str, float]
    draws: int
    images: int
    rows: list[GuideRow]
    experimental: bool
    guide: str
    table: str
    page: str
    notes: list[str]
    seconds: float

    @property
    def verdict(self) -> str:
        """Whether the guide beats its controls, in a sentence."""
        return guide_verdict(self.rows)
