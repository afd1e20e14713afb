"""Results of `next`: the images to label, as its page, its command and its callers read them."""

from dataclasses import dataclass

from headstart.extractors.results import JobResult


@dataclass(frozen=True)
class NextImage:
    """An image to label.

    Attributes
    ----------
    path : str
        As the listing has it.
    score : float or None
        By which it was chosen, see `NextImages.measure`.
    cluster : int or None
        Number of its cluster, where the strategy has clusters.
    guess : str or None
        Likeliest class by the labels so far; None before there are two.
    probability : float or None
        Of the guess.
    """

    path: str
    score: float | None
    cluster: int | None
    guess: str | None
    probability: float | None


@dataclass(frozen=True, repr=False)
class NextImages(
    JobResult,
    says="{chosen:n image} to label next, of {without_label} without a label, by {strategy}\n"
    "labels {labels}\npage {page}",
    tables=("chosen",),
):
    """Images to label next.

    Attributes
    ----------
    cache, backbone, tap : str
        What was looked at.
    target : str
        Label column.
    images, with_label, without_label : int
        Images of the cache that can be read; and of those of no split that chooses or scores, with and without a label.
    classes : list of str
        Among the labels.
    strategy, title : str
        Its name, and how it chooses.
    reason : str
        Why it was taken, where nobody said it.
    measure : str
        What scores are; empty where there are none.
    chosen : list of NextImage
        In the order to label.
    labels : str
        CSV with these images first, whose label is empty, and below them all that have one.
    page : str
        HTML page to label them on, which gives a CSV file, too.
    notes : list of str
    seconds : float
    """

    cache: str
    backbone: str
    tap: str
    target: str
    images: int
    with_label: int
    without_label: int
    classes: list[str]
    strategy: str
    title: str
    reason: str
    measure: str
    chosen: list[NextImage]
    labels: str
    page: str
    notes: list[str]
    seconds: float
