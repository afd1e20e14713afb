"""Order that spreads over gradients: those that images would give if the classifier's guesses were their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from headstart.heads.analysis.active.images import PartlyLabelled

    Rows = NDArray[np.intp]


def by_gradients(
    images: PartlyLabelled, rows: Rows, _count: int, generator: np.random.Generator
) -> Iterator[tuple[int, float, None]]:
    """Yield images as k-means++ draws centres of the gradients, the longest gradient first; beside each its length.

    Otherwise than in BADGE, no gradient at all is a centre from the start: of what the classifier is sure of, little is
    drawn.

    The gradient of the last layer is the outer product of (probabilities - guess) and features. It is never made: for
    g = e ⊗ x, |g - h|² = |e|²|x|² + |f|²|y|² - 2 (e·f)(x·y).

    References
    ----------
    Ash, Zhang, Krishnamurthy, Langford & Agarwal, "Deep batch active learning by diverse, uncertain gradient lower
    bounds", ICLR 2020 (BADGE). Arthur & Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    errors = np.array(images.probability[rows], dtype=np.float64)
    errors[np.arange(len(rows)), errors.argmax(axis=1)] -= 1
    features = images.scaled[rows]
    squares = np.square(errors).sum(axis=1) * np.einsum("ij,ij->i", features, features, dtype=np.float64)
    apart = squares.copy()
    left = np.ones(len(rows), dtype=bool)
    chosen = int(squares.argmax())
    while True:
        left[chosen] = False
        yield int(rows[chosen]), float(np.sqrt(squares[chosen])), None
        if not left.any():
            return
        products = (errors @ errors[chosen]) * (features @ features[chosen])
        apart = np.minimum(apart, np.maximum(squares + squares[chosen] - 2 * products, 0))
        weights = np.where(left, apart, 0)
        total = weights.sum()
        # Where all that is left has a gradient that was drawn already, each is as good as the others.
        chances = weights / total if total > 0 else left / left.sum()
        chosen = int(generator.choice(len(rows), p=chances))
