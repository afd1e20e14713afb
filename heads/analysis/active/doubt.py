"""Orders by what the classifier is unsure of: the lead of its first class, entropy, disagreement under dropout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import entropy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from headstart.heads.analysis.active.images import PartlyLabelled

    Rows = NDArray[np.intp]

_ROUNDS, _DROPPED = 20, 0.5


def by_margin(
    images: PartlyLabelled, rows: Rows, _count: int, _generator: np.random.Generator
) -> Iterator[tuple[int, float, None]]:
    """Yield the image whose likeliest class leads the next by least, then the next."""
    ranked = np.sort(images.probability[rows], axis=1)
    return _lowest_first(rows, ranked[:, -1] - ranked[:, -2])


def by_entropy(
    images: PartlyLabelled, rows: Rows, _count: int, _generator: np.random.Generator
) -> Iterator[tuple[int, float, None]]:
    """Yield the image whose probabilities have the highest entropy, then the next."""
    return _highest_first(rows, entropy(images.probability[rows], axis=1))


def by_dropout(
    images: PartlyLabelled, rows: Rows, _count: int, generator: np.random.Generator
) -> Iterator[tuple[int, float, None]]:
    """Yield the image on which the classifier disagrees most with itself where half of the features are left out.

    The disagreement is the information that an answer holds on which features were left out: the entropy of the mean
    answer less the mean entropy.

    References
    ----------
    Houlsby, Huszár, Ghahramani & Lengyel, "Bayesian active learning for classification and preference learning", 2011.
    Gal, Islam & Ghahramani, "Deep Bayesian active learning with image data", ICML 2017 (by dropout).
    """
    scaled, head = images.scaled[rows], images.model[-1]
    mean, within = np.zeros((len(rows), images.n_classes)), np.zeros(len(rows))
    for _ in range(_ROUNDS):
        kept = np.asarray(generator.random(scaled.shape[1]) >= _DROPPED, dtype=scaled.dtype) / (1 - _DROPPED)
        answer = head.predict_proba(scaled * kept)
        mean += answer / _ROUNDS
        within += entropy(answer, axis=1) / _ROUNDS
    return _highest_first(rows, entropy(mean, axis=1) - within)


def at_random(
    _images: PartlyLabelled, rows: Rows, _count: int, generator: np.random.Generator
) -> Iterator[tuple[int, None, None]]:
    """Yield images at random."""
    return ((int(row), None, None) for row in generator.permutation(rows))


def _lowest_first(rows: Rows, values: NDArray[Any]) -> Iterator[tuple[int, float, None]]:
    return ((int(rows[at]), float(values[at]), None) for at in np.argsort(values, kind="stable"))


def _highest_first(rows: Rows, values: NDArray[Any]) -> Iterator[tuple[int, float, None]]:
    return ((int(rows[at]), float(values[at]), None) for at in np.argsort(-values, kind="stable"))
