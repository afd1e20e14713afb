"""One self-contained HTML page about groups of images: a map of each grouping, and pictures of each group."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headstart.heads.report.rendering import render


@dataclass(frozen=True, kw_only=True)
class ClusterCard:
    """One cluster.

    Attributes
    ----------
    name : str
    n_images : int
    most : str
        Which label most of its images have, and how many; empty without labels.
    pictures : sequence of (path, thumbnail or None)
        Those nearest to its middle, as JPEGs.
    """

    name: str
    n_images: int
    most: str
    pictures: Sequence[tuple[str, bytes | None]]


@dataclass(frozen=True, kw_only=True)
class ClusterSection:
    """One way to group the images.

    Attributes
    ----------
    name, title : str
        Id in the page, and heading.
    numbers : mapping of str to str
        Its measures, by name.
    chart : str
        Map of the groups, one `<svg>`.
    cards : sequence of ClusterCard
        The largest first.
    n_left_out : int
        Clusters beyond these.
    """

    name: str
    title: str
    numbers: Mapping[str, str]
    chart: str
    cards: Sequence[ClusterCard] = ()
    n_left_out: int = 0


def render_cluster_page(title: str, intro: str, notes: Sequence[str], sections: Sequence[ClusterSection]) -> str:
    """Render the page: HTML that loads nothing, runs nothing, and is the same for the same data.

    Parameters
    ----------
    title, intro : str
    notes : sequence of str
        What a reader must know.
    sections : sequence of ClusterSection
    """
    laid_out = [{**vars(one), "cards": [_card(card) for card in one.cards]} for one in sections]
    return render("cluster_page.html.jinja", title=title, intro=intro, notes=notes, sections=laid_out)


def _card(card: ClusterCard) -> dict[str, object]:
    pictures = [
        {"path": path, "thumbnail": None if jpeg is None else b64encode(jpeg).decode("ascii")}
        for path, jpeg in card.pictures
    ]
    return {**vars(card), "pictures": pictures}
