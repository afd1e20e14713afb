"""One self-contained HTML page about groups of images: a map of each grouping, and pictures of each group."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from headstart.heads.report.charts import map_chart, map_details
from headstart.heads.report.exhibits import Labelling
from headstart.heads.report.rendering import part, render, script_digest


@dataclass(frozen=True, kw_only=True)
class ClusterCard:
    """One cluster.

    Attributes
    ----------
    number : int
        Of the cluster, which is its name.
    n_images : int
    most : str
        Which label most of its images have, and how many; empty without labels.
    pictures : sequence of (path, thumbnail or None)
        Those nearest to its middle, as JPEGs.
    """

    number: int
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
    groups : (n_shown,) int
        Of the images on the map.
    names : sequence of str
        Of the groups, by number.
    cards : sequence of ClusterCard
        The largest first.
    n_left_out : int
        Clusters beyond these.
    """

    name: str
    title: str
    numbers: Mapping[str, str]
    groups: NDArray[np.integer]
    names: Sequence[str]
    cards: Sequence[ClusterCard] = ()
    n_left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class ClusterMap:
    """Images on the plane, which every grouping shows in colours of its own.

    Attributes
    ----------
    points : (n_shown, 2) float
    thumbnails : sequence of bytes or None
        (n_shown,) JPEGs.
    labelling : Labelling
        What a reader may label; its images begin with those of the map.
    """

    points: NDArray[np.floating]
    thumbnails: Sequence[bytes | None]
    labelling: Labelling


@dataclass(frozen=True, kw_only=True)
class ClusterLayer:
    """One layer that could be clustered, and how stable its clusters are.

    Attributes
    ----------
    name : str
        Backbone and tap.
    random, tied : bool
        Whether its weights are random, and whether the first one is ahead by no more than chance.
    values : sequence of str
        Stability beyond features without groups; with groups; without.
    """

    name: str
    random: bool
    tied: bool
    values: Sequence[str]


def render_cluster_page(
    title: str,
    intro: str,
    notes: Sequence[str],
    sections: Sequence[ClusterSection],
    shown: ClusterMap,
    layers: Sequence[ClusterLayer] = (),
) -> str:
    """Render the page: HTML that loads nothing, runs one script of its own, and is the same for the same data.

    It reads well without the script too, which tells of the images on the maps and takes labels.

    Parameters
    ----------
    title, intro : str
    notes : sequence of str
        What a reader must know.
    sections : sequence of ClusterSection
    shown : ClusterMap
    layers : sequence of ClusterLayer
        That were chosen from, the most stable one first.
    """
    script = "\n".join(part(name) for name in ("labels.js", "map.js", "cluster.js"))
    return render(
        "cluster_page.html.jinja",
        title=title,
        intro=intro,
        notes=notes,
        sections=[_section(one, shown.points) for one in sections],
        layers=layers,
        details=_details(sections, shown),
        labelling=shown.labelling.details(),
        script=script,
        digest=script_digest(script),
    )


def _section(one: ClusterSection, points: NDArray[np.floating]) -> dict[str, object]:
    nowhere = np.zeros(len(points), dtype=bool)
    return {
        **vars(one),
        "cards": [_card(card) for card in one.cards],
        "chart": map_chart(points, one.groups, nowhere, one.names, name=f"{one.name}-map"),
        "legend": [(int(number), one.names[number]) for number in np.unique(one.groups)],
    }


def _details(sections: Sequence[ClusterSection], shown: ClusterMap) -> dict[str, object]:
    """Gather what the script is told of the images, and of each map's groups."""
    n_shown, groups = len(shown.points), ("label", "classes")
    nowhere, paths = np.zeros(n_shown, dtype=bool), shown.labelling.paths[:n_shown]
    of_maps = {
        f"{one.name}-map": map_details(shown.points, one.groups, nowhere, one.names, paths, shown.thumbnails)
        for one in sections
    }
    common = {name: value for name, value in next(iter(of_maps.values())).items() if name not in groups}
    own = {name: {key: given[key] for key in groups} for name, given in of_maps.items()}
    return common | {"test_name": "", "rest_name": "", "maps": own}


def _card(card: ClusterCard) -> dict[str, object]:
    pictures = [
        {"path": path, "thumbnail": None if jpeg is None else b64encode(jpeg).decode("ascii")}
        for path, jpeg in card.pictures
    ]
    return {**vars(card), "pictures": pictures}
