"""Results of `episodes`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult
from headstart.heads.report.transfer import EpisodeRow


@dataclass(frozen=True, kw_only=True, repr=False)
class EpisodesSummary(
    JobResult,
    says="{episodes:n episode} of {ways} ways from {classes:n class} of {cache}, first {_first}\npage {page}",
    tables=("rows",),
    columns=("label", "tap", "shots", "method", "accuracy", "half_width", "gain", "gain_half_width"),
):
    """Accuracy of each layer and method in episodes of a few labelled images.

    Attributes
    ----------
    cache, target : str
    ways, queries, episodes : int
        Classes of an episode, queries of each, and episodes.
    shots : list of int
    images : int
        That episodes are drawn from, none of them a test image.
    classes : int
        That have images enough.
    base : str
        Whose mean `cl2n` and `laplacian` subtract.
    chance : float
        Accuracy of a guess.
    rows : list of EpisodeRow
        By layer, the best one first.
    covers : str
        What the intervals cover.
    findings : list of str
        What the rows say of the controls.
    table, page : str
        CSV of the rows; HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    target: str
    ways: int
    shots: list[int]
    queries: int
    episodes: int
    images: int
    classes: int
    base: str
    chance: float
    rows: list[EpisodeRow]
    covers: str
    findings: list[str]
    table: str
    page: str
    notes: list[str]
    seconds: float

    @property
    def _first(self) -> str:
        row = max((row for row in self.rows if not row.assumes), key=lambda row: (-row.shots, row.accuracy))
        return f"{row.label} · {row.tap}, {row.method}: {100 * row.accuracy:.1f} % at {row.shots} of a class"
