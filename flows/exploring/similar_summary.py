"""Results of `similar`, as its page, its command and its callers read it."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult


@dataclass(frozen=True)
class Likeness:
    """Two images that are alike.

    Attributes
    ----------
    image : str
        The one that was asked about; of a pair, the one that is listed first.
    path : str
        Of an image of the cache.
    cosine : float
    """

    image: str
    path: str
    cosine: float


@dataclass(frozen=True, repr=False)
class SimilarSummary(
    JobResult,
    says="{_what} among {images:n image} of {cache} by {backbone} ({tap})",
    tables=("found",),
):
    """Images that are alike.

    Attributes
    ----------
    cache, backbone, tap : str
        What was searched.
    images : int
    asked : list of str
        Images that neighbours were looked for; none where all pairs were.
    found : list of Likeness
        Of each image asked about its neighbours, the nearest first; or pairs, the closest first.
    pairs : int or None
        All pairs, of which `found` holds the first; None where neighbours were asked for.
    unreadable : list of str
        Names of images that could not be read, with the reasons.
    page : str or None
        HTML page.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    tap: str
    images: int
    asked: list[str]
    found: list[Likeness]
    pairs: int | None
    unreadable: list[str]
    page: str | None
    notes: list[str]
    seconds: float

    @property
    def _what(self) -> str:
        if self.pairs is not None:
            return f"{self.pairs} pair{'' if self.pairs == 1 else 's'}"
        return f"neighbours of {len(self.asked)} image{'' if len(self.asked) == 1 else 's'}"
