"""Whether new embeddings look like the old ones: a two-sample test whose null is made by permutation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial.distance import cdist, pdist, squareform

from headstart.heads.errors import DataError
from headstart.heads.features import feature_matrix

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Doubles = NDArray[np.float64]

MOST_ROWS = 1000
"""Images of each side that are compared: they bound the cost, however many there are."""

FEWEST_ROWS = 10
"""Images that each side needs; with fewer a test finds next to nothing, and its silence would be misread."""

N_PERMUTATIONS = 999

_ROUNDING = 1e-9  # relative to the kernel's largest value, 1: equal sums in another order are equal


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far new images are from old ones.

    Parameters
    ----------
    distance : float or None
        Unbiased squared MMD: about 0 for images of one kind, also a little below; None where nothing was compared.
    null : float or None
        What it exceeds in 5 % of the permutations, as if both sides were of one kind.
    p_value : float or None
        How often chance alone leaves two samples of one kind at least so far apart.
    n_old, n_new : int
        Images that were compared.
    reason : str or None
        Why it cannot be told, where it cannot.
    """

    distance: float | None
    null: float | None
    p_value: float | None
    n_old: int
    n_new: int
    reason: str | None = None


def measure_drift(
    old: ArrayLike,
    new: ArrayLike,
    *,
    classes: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int = 0,
    n_permutations: int = N_PERMUTATIONS,
) -> Drift:
    """Test whether new features could be of the same distribution as old ones.

    The statistic is the unbiased squared maximum mean discrepancy with the kernel exp(-|x - y|² / 2s²), s being the
    median distance between any two of the images: it has power against any difference of the two distributions. The
    null is made by exchanging old and new at random, so it holds for any number of images and features.

    With `classes`, images are compared and exchanged only within their class, and the classes' statistics are averaged
    by their new images: another mix of the same classes is then no drift. A class with fewer than two images on a side
    is left out.

    The test takes images for independent. Those of one burst, video or camera are not: they are closer to each other
    than to anything else, and a night that is one burst will look like drift. Give one image of each such group.

    Parameters
    ----------
    old, new : array-like of shape (n_old, n_features) and (n_new, n_features)
        Of more than 1000 rows, as many are drawn.
    classes : (array-like of shape (n_old,), array-like of shape (n_new,)) or None
    seed : int
        Of drawing and permuting.
    n_permutations : int
        The smallest p-value is 1 / (1 + n_permutations).

    Raises
    ------
    DataError
        Features are no finite matrices of equal width, or classes are not one for each row.

    References
    ----------
    Gretton, Borgwardt, Rasch, Schölkopf & Smola, "A kernel two-sample test", JMLR 13, 2012 (eq. 3, and the median
    distance). Phipson & Smyth, "Permutation p-values should never be zero", SAGMB 9, 2010.
    """
    generator = np.random.default_rng(seed)
    sides = [_drawn(features, name, generator) for features, name in ((old, "old"), (new, "new"))]
    if sides[0][0].shape[1] != sides[1][0].shape[1]:
        widths = [features.shape[1] for features, _ in sides]
        raise DataError(f"old features have {widths[0]} columns and new ones {widths[1]}; give one embedding's")
    n_old, n_new = (len(features) for features, _ in sides)
    X = np.concatenate([features for features, _ in sides]).astype(np.float64)
    is_new = np.arange(len(X)) >= n_old
    strata = [np.arange(len(X))]
    if classes is not None:
        strata = _strata(_drawn_classes(classes, (old, new), [rows for _, rows in sides]), is_new)
    n_old, n_new = (int(sum((is_new[rows] == side).sum() for rows in strata)) for side in (False, True))
    if min(n_old, n_new) < FEWEST_ROWS:
        return Drift(distance=None, null=None, p_value=None, n_old=n_old, n_new=n_new, reason=_too_few(n_old, n_new))
    values = np.zeros(n_permutations + 1)
    for rows in strata:
        values += is_new[rows].sum() / n_new * _discrepancies(X[rows], is_new[rows], n_permutations, generator)
    observed, permuted = float(values[0]), values[1:]
    beyond = int((permuted >= observed - _ROUNDING).sum())
    return Drift(
        distance=observed,
        null=float(np.quantile(permuted, 0.95)),
        p_value=(1 + beyond) / (1 + n_permutations),
        n_old=n_old,
        n_new=n_new,
    )


def farthest_rows(
    old: ArrayLike, new: ArrayLike, most: int, *, classes: tuple[ArrayLike, ArrayLike] | None = None
) -> NDArray[np.intp]:
    """Return the rows of new images that are farthest from the old image nearest to them, the farthest first.

    With `classes`, as for `measure_drift`, old images of the same class count; of a class without any, all do.
    """
    before, after = (np.asarray(features, np.float64) for features in (old, new))
    apart = cdist(after, before, "sqeuclidean")
    nearest = apart.min(axis=1)
    if classes is not None:
        theirs, mine = (np.asarray(side) for side in classes)
        same = np.where(mine[:, None] == theirs[None], apart, np.inf).min(axis=1)
        nearest = np.where(np.isfinite(same), same, nearest)
    return np.argsort(-nearest, kind="stable")[:most]


def draw_rows(n_rows: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return which of `n_rows` images are compared: all, or `MOST_ROWS` drawn at random, in their order.

    Whoever would have to read features from a disk draws first and reads then.
    """
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows)
    return np.sort(generator.choice(n_rows, MOST_ROWS, replace=False))


def _drawn(
    features: ArrayLike, name: str, generator: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    given = np.asarray(features)
    rows = draw_rows(len(given), generator)
    return feature_matrix(given[rows], len(rows), f"{name} features"), rows


def _drawn_classes(
    classes: tuple[ArrayLike, ArrayLike], features: tuple[ArrayLike, ArrayLike], drawn: list[NDArray[np.intp]]
) -> NDArray[np.intp]:
    """Return a number for the class of each drawn image, old ones first."""
    named = [np.asarray(side) for side in classes]
    for side, given, name in zip(named, features, ("old", "new"), strict=True):
        if len(side) != len(np.asarray(given)):
            raise DataError(
                f"{len(side)} classes were given for {len(np.asarray(given))} {name} images, expected one each"
            )
    together = np.concatenate([side[rows] for side, rows in zip(named, drawn, strict=True)])
    return np.unique(together, return_inverse=True)[1]


def _strata(numbers: NDArray[np.intp], is_new: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Return the rows of each class that has two images on either side."""
    found = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    return [rows for rows in found if min(is_new[rows].sum(), (~is_new[rows]).sum()) >= 2]


def _too_few(n_old: int, n_new: int) -> str:
    return f"too few to tell: {n_old} old and {n_new} new images can be compared, {FEWEST_ROWS} of each are needed"


def _discrepancies(
    X: Doubles, is_new: NDArray[np.bool_], n_permutations: int, generator: np.random.Generator
) -> Doubles:
    """Return the squared MMD as it is, then that of each permutation: (1 + n_permutations,)."""
    kernel = _kernel(X)
    exchanged = generator.permuted(np.tile(is_new, (n_permutations, 1)), axis=1)
    new = np.concatenate([is_new[None], exchanged]).T.astype(np.float64)  # (n_rows, 1 + n_permutations)
    n_new = int(is_new.sum())
    n_old = len(is_new) - n_new
    within_new = (new * (kernel @ new)).sum(axis=0)
    between = kernel.sum(axis=1) @ new - within_new
    within_old = kernel.sum() - within_new - 2 * between
    mean = within_new / (n_new * (n_new - 1)) + within_old / (n_old * (n_old - 1))
    discrepancy: Doubles = mean - 2 * between / (n_new * n_old)
    return discrepancy


def _kernel(X: Doubles) -> Doubles:
    """Return the kernel between all rows, 0 on the diagonal: no image is compared with itself."""
    squares = pdist(X, "sqeuclidean")
    apart = squares[squares > 0]  # copies of one image say nothing of how far images are from each other
    width = float(np.median(apart)) if len(apart) else 1.0
    kernel: Doubles = squareform(np.exp(-squares / (2 * width)))
    return kernel
