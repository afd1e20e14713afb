"""The nearest-neighbour head for a whole grid on one fold, from one search a metric."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import normalize

from headstart.heads.estimators import METRICS, split_metric, without_rounding

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Rows = NDArray[np.intp]

SPARE = 16  # how many more are looked at than wanted, so that float32's order at the edge seldom matters
DISTANCES_AT_ONCE = 4_000_000  # 16 MB of float32
_GROUP = 16  # columns
DIFFERENCES_AT_ONCE = 500_000  # 2 MB of float32, which stay in the processor's cache


def solve_knn(
    features: Singles,
    codes: NDArray[np.intp],
    scored: Singles,
    grid: Sequence[Mapping[str, Any]],
    seed: int,  # noqa: ARG001 - every path takes a seed; this one draws nothing
) -> list[Doubles]:
    """Return the probabilities that the knn head, fitted with each choice of hyper-parameters, gives to other images.

    They are those of `heads.estimators.make_knn`. Its distances are rounded at 1e-16 of the squared lengths, these at
    1e-7 of themselves; where images are equally far, and not all of them fit into k, either may take another.

    Parameters
    ----------
    features : float32 ndarray of shape (n_images, n_features)
        As they come: they are normalised here where the metric is the cosine.
    codes : int ndarray of shape (n_images,)
        Classes, 0 … n_classes - 1, each of them present.
    scored : float32 ndarray of shape (n_scored, n_features)
    grid : sequence of mapping of str to object
        Hyper-parameters of `make_knn`.
    seed : int

    Returns
    -------
    list of float64 ndarray of shape (n_scored, n_classes)
        One for each entry of `grid`, in its order.

    Raises
    ------
    DataError
        A metric is unknown.
    """
    choices = [split_metric(params) for params in grid]
    wanted = [(metric, min(head.n_neighbors, len(features))) for metric, head in choices]
    found: dict[tuple[str, int], Doubles] = {}
    for metric in METRICS:
        sizes = {k for name, k in wanted if name == metric}
        if sizes:
            known, asked = features, scored
            if metric == "cosine":
                known, asked = normalize(features), normalize(scored) if len(scored) else scored  # it refuses none
            distances, rows = find_nearest(known, asked, max(sizes))
            votes = _count_votes(distances, codes[rows], int(codes.max()) + 1)
            found |= {(metric, k): share for k, share in enumerate(votes, start=1) if k in sizes}
    return [found[choice] for choice in wanted]


def _count_votes(distances: Doubles, labels: Rows, n_classes: int) -> Iterator[Doubles]:
    """Yield each class's share of the votes (n_asked, n_classes) of the nearest, the two nearest, and so on.

    A vote weighs 1 / distance; where there are copies, at distance 0, they alone vote.
    """
    is_copy = distances == 0.0
    weights = np.divide(1.0, distances, out=is_copy.astype(np.float64), where=~is_copy)
    weights[is_copy[:, 0]] = is_copy[is_copy[:, 0]]
    votes, images = np.zeros((len(labels), n_classes)), np.arange(len(labels))
    for label, weight in zip(labels.T, weights.T, strict=True):
        votes[images, label] += weight
        yield votes / votes.sum(axis=1, keepdims=True)


def find_nearest(known: Singles, asked: Singles, k: int) -> tuple[Doubles, Rows]:
    """Return the distances and row numbers of the k known images nearest to each asked one, nearest first.

    Products in float32 choose somewhat more than k, and the differences of those give their distances. Where float32
    might have left out one that belongs to the k, the image is searched again in float64.

    Parameters
    ----------
    known : float32 ndarray of shape (n_known, n_features)
    asked : float32 ndarray of shape (n_asked, n_features)
    k : int
        At most n_known.

    Returns
    -------
    distances : float64 ndarray of shape (n_asked, k)
    rows : int ndarray of shape (n_asked, k)
    """
    squares = np.square(known, dtype=np.float64).sum(axis=1)
    lengths = np.sqrt(np.square(asked, dtype=np.float64).sum(axis=1))
    candidates, edge = _choose(known, asked, squares, k + SPARE)
    distances, rows = _measure(known, asked, candidates, k)
    # A sum of n products is within n roundings of the lengths' product (Higham, "Accuracy and stability", section 3.1).
    slack = (known.shape[1] + 4) * np.finfo(np.float32).eps * (lengths + np.sqrt(squares.max())) ** 2
    unsure = np.flatnonzero(distances[:, -1] ** 2 > lengths**2 + 2.0 * edge - slack)
    if len(unsure):
        again, _ = _choose(known.astype(np.float64), asked[unsure].astype(np.float64), squares, k)
        distances[unsure], rows[unsure] = _measure(known, asked[unsure], again, k)
    return without_rounding(distances, lengths), rows


def _choose(known: NDArray[Any], asked: NDArray[Any], squares: Doubles, count: int) -> tuple[Rows, Doubles]:
    """Return the rows (n_asked, count) that seem nearest, and below what (|b|² / 2 - a·b) they all are, (n_asked,).

    With no more than `count` known, that is all of them and infinity.
    """
    if count >= len(known):
        return np.tile(np.arange(len(known)), (len(asked), 1)), np.full(len(asked), np.inf)
    half = (0.5 * squares).astype(known.dtype)
    chosen, edges = [], []
    for block in _blocks(asked, len(known), DISTANCES_AT_ONCE):
        nearness = block @ known.T
        np.subtract(half, nearness, out=nearness)
        rows, edge = _least(nearness, count)
        chosen.append(np.sort(rows, axis=1))
        edges.append(edge)
    return np.concatenate(chosen), np.concatenate(edges).astype(np.float64)


def _least(values: NDArray[Any], count: int) -> tuple[Rows, NDArray[Any]]:
    """Return the columns (n_rows, count) of each row's least values, and the largest of these, (n_rows,).

    Of so many groups of columns as many have a least value below a bound; what is below that in all columns is little
    more than wanted, and found in a seventh of the time that a selection from all takes.
    """
    n_rows, n_columns = values.shape
    n_groups = n_columns // _GROUP
    if n_groups < 2 * count:
        columns = np.argpartition(values, count - 1, axis=1)[:, :count]
        return columns, values[np.arange(n_rows), columns[:, -1]]
    least = values[:, : n_groups * _GROUP].reshape(n_rows, _GROUP, n_groups).min(axis=1)
    bounds = np.partition(least, count - 1, axis=1)[:, count - 1, None]
    rows, columns = np.divmod(np.flatnonzero(values <= bounds), n_columns)
    sizes = np.bincount(rows, minlength=n_rows)
    places = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    few = np.full((n_rows, sizes.max()), np.inf, dtype=values.dtype)
    few[rows, places] = values[rows, columns]
    of_few = np.zeros(few.shape, dtype=np.intp)
    of_few[rows, places] = columns
    order = np.argpartition(few, count - 1, axis=1)[:, :count]
    columns = np.take_along_axis(of_few, order, axis=1)
    return columns, values[np.arange(n_rows), columns[:, -1]]


def _measure(known: Singles, asked: Singles, candidates: Rows, k: int) -> tuple[Doubles, Rows]:
    """Return the distances and rows (n_asked, k) of the nearest candidates; of equally near ones the first rows."""
    squared = np.concatenate(
        [
            np.square(known[rows] - block[:, None]).sum(axis=2)
            for block, rows in zip(
                _blocks(asked, candidates.shape[1] * asked.shape[1], DIFFERENCES_AT_ONCE),
                _blocks(candidates, candidates.shape[1] * asked.shape[1], DIFFERENCES_AT_ONCE),
                strict=True,
            )
        ]
    )
    order = np.argsort(squared, axis=1, kind="stable")[:, :k]
    distances = np.sqrt(np.take_along_axis(squared, order, axis=1), dtype=np.float64)
    return distances, np.take_along_axis(candidates, order, axis=1)


def _blocks(rows: NDArray[Any], cost: int, at_once: int) -> list[NDArray[Any]]:
    """Split rows into blocks so that a row's cost times a block's rows stays about below `at_once`."""
    return np.array_split(rows, max(1, -(-len(rows) * cost // at_once))) if len(rows) else [rows]
