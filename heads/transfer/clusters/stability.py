"""Stability of clusterings: how far the groups of one part of the images agree with those of another part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from headstart.heads.analysis import reduce_features
from headstart.heads.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Doubles = NDArray[np.float64]

KS = (2, 3, 5, 8, 10, 15, 20, 30)
DRAWS, PART = 8, 0.75
FEWEST = 20  # images, of which parts can still be grouped


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Agreement of the clusterings of overlapping parts of the images.

    Attributes
    ----------
    agreement : float
        Mean adjusted Rand index on the images that two parts share, over numbers of clusters and draws.
    null : float
        The same of features that have no groups: independent normals that vary as much in each direction.
    gains : float64 ndarray of shape (n_draws,)
        The difference of both in each draw; draws are the same for all layers.
    """

    agreement: float
    null: float
    gains: Doubles

    @property
    def gain(self) -> float:
        """Stability beyond the null, by which layers are ordered."""
        return float(self.gains.mean())

    def is_behind(self, best: Stability) -> bool:
        """Tell whether the difference is more than 1.96 of its standard errors over draws."""
        ahead = best.gains - self.gains
        return bool(ahead.mean() > 1.96 * ahead.std(ddof=1) / np.sqrt(len(ahead)))


def measure_stability(
    X: NDArray[np.floating], *, ks: Sequence[int] = KS, draws: int = DRAWS, seed: int = 0
) -> Stability:
    """Cluster overlapping parts of the images by k-means, for several k, and see how far they agree.

    Agreement alone prefers few features that vary: a long thin cloud is always cut in the same place. So that of a
    cloud of the same lengths, without any groups in it, is subtracted, k by k.

    Parameters
    ----------
    X : float array of shape (n_images, n_features)
        One image of each group.
    ks : sequence of int
        Those that leave four images a cluster are used.
    draws, seed : int

    Raises
    ------
    DataError
        There are too few images.

    References
    ----------
    Ben-Hur, Elisseeff & Guyon, "A stability based method for discovering structure in clustered data", PSB 2002.
    Tibshirani, Walther & Hastie, "Estimating the number of clusters in a data set via the gap statistic", JRSS B 2001.
    """
    n = len(X)
    used = [k for k in ks if 4 * k <= PART * n]
    if n < FEWEST or not used:
        raise DataError(f"{n} images are too few to say which layer groups them; give {FEWEST}, or name one (--tap)")
    reduced = reduce_features(X, n, seed=seed)
    rng = np.random.default_rng(seed)
    found, null = np.empty((draws, len(used))), np.empty((draws, len(used)))
    for draw in range(draws):
        parts = [np.sort(rng.permutation(n)[: round(PART * n)]) for _ in range(2)]
        without = (rng.normal(size=reduced.shape) * reduced.std(axis=0)).astype(np.float32)
        for place, k in enumerate(used):
            found[draw, place] = _agreement(reduced, parts, k, draw)
            null[draw, place] = _agreement(without, parts, k, draw)
    return Stability(agreement=float(found.mean()), null=float(null.mean()), gains=(found - null).mean(axis=1))


def _agreement(rows: NDArray[np.float32], parts: Sequence[NDArray[np.intp]], k: int, seed: int) -> float:
    """Return the adjusted Rand index of the clusterings of two parts, on the images of both."""
    groups = np.full((2, len(rows)), -1)
    for number, part in enumerate(parts):
        groups[number, part] = KMeans(k, n_init=2, random_state=2 * seed + number).fit_predict(rows[part])
    both = (groups >= 0).all(axis=0)
    return float(adjusted_rand_score(groups[0, both], groups[1, both]))
