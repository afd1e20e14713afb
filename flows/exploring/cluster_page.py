"""The page of a clustering, one file without scripts: a map for each method and for the labels, and the clusters."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headstart.heads.analysis import NOISE, Clustering
from headstart.heads.report.charts import map_chart

if TYPE_CHECKING:
    from headstart.flows.exploring.cluster_summary import ClusteringRow, ClusterSummary

_MOST_POINTS = 3000
_MOST_CLUSTERS = 60
_MOST_PATHS = 5

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
svg { max-width: 100%; height: auto; }
table { border-collapse: collapse; }
th, td { text-align: left; padding: 0.2rem 1rem 0.2rem 0; vertical-align: top; border-bottom: 1px solid #8885; }
td.number { text-align: right; font-variant-numeric: tabular-nums; }
td.paths { overflow-wrap: anywhere; }
"""


def render_clusters(
    summary: "ClusterSummary",
    chosen: Sequence[Clustering],
    points: npt.NDArray[np.float64],
    labels: tuple[npt.NDArray[Any], list[str]] | None,
    paths: Sequence[str],
) -> str:
    """Return the HTML page.

    Parameters
    ----------
    summary : ClusterSummary
    chosen : sequence of Clustering
    points : float64 array (n_images, 2)
        Places on the map.
    labels : (int array (n_images,), list of str) or None
        Number of each image's label, -1 for none, and the labels' names.
    paths : sequence of str
        Of the images.
    """
    shown = np.arange(len(points))
    if len(shown) > _MOST_POINTS:
        shown = np.sort(np.random.default_rng(0).choice(shown, _MOST_POINTS, replace=False))
    described = zip(chosen, summary.methods, strict=True)
    sections = [_section(one, found, points, shown, labels, paths) for one, found in described]
    if labels is not None:
        chart = _chart(points, shown, labels[0], labels[1], "no label", "labels")
        sections.append(f"<h2>{escape(str(summary.target))}: what the labels say</h2>\n{chart}")
    title = f"Clusters of {summary.images} images"
    intro = f"{summary.backbone} · {summary.tap} · map by {summary.map.upper()}"
    if len(shown) < len(points):
        intro += f" of {len(shown)} of the images"
    notes = "".join(f"<p>{escape(note)}</p>\n" for note in summary.notes)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n<p>{escape(intro)}</p>\n{notes}"
        + "\n".join(sections)
        + "\n</body>\n</html>\n"
    )


def _section(
    one: Clustering,
    found: "ClusteringRow",
    points: npt.NDArray[np.float64],
    shown: npt.NDArray[np.intp],
    labels: tuple[npt.NDArray[Any], list[str]] | None,
    paths: Sequence[str],
) -> str:
    figures = [f"{found.clusters} clusters"]
    if found.noise:
        figures.append(f"{found.noise} images in none")
    measured = {"silhouette": found.silhouette, "ari": found.ari, "nmi": found.nmi}
    figures += [f"{name} {value:.3f}" for name, value in measured.items() if value is not None]
    chart = _chart(points, shown, one.clusters, [str(number) for number in range(one.n_clusters)], "none", one.method)
    table = _table(one.clusters, labels, paths)
    return f"<h2>{one.method}</h2>\n<p>{escape(', '.join(figures))}</p>\n{chart}\n{table}"


def _chart(
    points: npt.NDArray[np.float64],
    shown: npt.NDArray[np.intp],
    numbers: npt.NDArray[Any],
    names: list[str],
    without: str,
    name: str,
) -> str:
    """Draw a map; images without a number come last, under a name of their own."""
    numbered = np.where(numbers == NOISE, len(names), numbers)[shown]
    nowhere = np.zeros(len(shown), dtype=bool)
    return map_chart(points[shown], numbered, nowhere, [*names, without], name=name)


def _table(
    clusters: npt.NDArray[np.intp], labels: tuple[npt.NDArray[Any], list[str]] | None, paths: Sequence[str]
) -> str:
    """Say of each cluster how many images it has, which label most of them have, and name some."""
    head = ["cluster", "images", *(["most are"] if labels else []), "for instance"]
    lines = []
    for number in range(min(_MOST_CLUSTERS, int(clusters.max()) + 1)):
        rows = np.flatnonzero(clusters == number)
        cells = [f'<td class="number">{number}</td>', f'<td class="number">{len(rows)}</td>']
        if labels:
            cells.append(f"<td>{escape(_most(labels[0][rows], labels[1]))}</td>")
        some = ", ".join(paths[row] for row in rows[:_MOST_PATHS])
        lines.append(f'<tr>{"".join(cells)}<td class="paths">{escape(some)}</td></tr>')
    columns = "".join(f'<th scope="col">{name}</th>' for name in head)
    return f"<table>\n<thead><tr>{columns}</tr></thead>\n<tbody>\n" + "\n".join(lines) + "\n</tbody>\n</table>"


def _most(labels: npt.NDArray[Any], names: list[str]) -> str:
    known = labels[labels >= 0]
    if not len(known):
        return "without label"
    counts = np.bincount(known, minlength=len(names))
    return f"{names[counts.argmax()]} ({100 * counts.max() / len(labels):.0f} %)"
